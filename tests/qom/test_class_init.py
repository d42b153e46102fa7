"""Initialisation of classes on first use: order of hooks, inheritance, errors, threads."""

import sys
import threading

import pytest
from support.qom_types import device, error_of, make_table

from vmdump.errors import QOMError, VMStateError
from vmdump.qom import DeviceClass, InterfaceClass, MachineClass, TypeInfo


def test_lazy_and_once():
    """class_init runs at the first request of the class, and never again."""
    calls = []
    table = make_table(device("x", class_init=lambda klass, data: calls.append(klass)))
    assert calls == []
    klass = table.object_class_by_name("x")
    assert table.object_class_by_name("x") is klass
    table.object_class_get_list("device", True)
    assert calls == [klass]


def test_order_of_hooks():
    """Parent first; then each ancestor's class_base_init, nearest first, with the child's data; then class_init."""
    calls = []

    def hook(what):
        return lambda klass, data: calls.append((what, klass.get_name(), data))

    table = make_table(
        device("a", class_init=hook("init a"), class_base_init=hook("base a"), class_data=1),
        device("b", parent="a", class_init=hook("init b"), class_data=2),
        device("c", parent="b", class_init=hook("init c"), class_base_init=hook("base c"), class_data=3),
        device("d", parent="c", class_data=4),
    )
    table.object_class_by_name("d")
    assert calls == [
        ("init a", "a", 1),
        ("base a", "b", 2),
        ("init b", "b", 2),
        ("base a", "c", 3),
        ("init c", "c", 3),
        ("base c", "d", 4),
        ("base a", "d", 4),
    ]


def test_members_are_copied():
    """A class starts as a copy of its parent's; later changes affect one of them; mutable values are shared."""

    class BoardClass(DeviceClass):
        ports = None

    def board_class_init(klass, data):
        klass.desc, klass.ports, klass.fw_name = "board", [], "pci"

    table = make_table(
        device("board", class_type=BoardClass, class_init=board_class_init),
        device("child", parent="board", class_init=lambda klass, data: setattr(klass, "desc", "child")),
    )
    parent, child = table.object_class_by_name("board"), table.object_class_by_name("child")
    assert (parent.desc, child.desc, child.fw_name) == ("board", "child", "pci")
    parent.fw_name = "isa"
    assert child.fw_name == "pci"
    assert child.ports is parent.ports
    assert isinstance(child, BoardClass)


def test_members_must_be_declared():
    """A misspelt member is an error."""

    def class_init(klass, data):
        klass.vmds = None

    message = "type 'x': DeviceClass has no member 'vmds'; declare it in a derived class_type"
    assert error_of(make_table(device("x", class_init=class_init)).object_class_by_name, "x") == message


def test_abstract():
    """A type is abstract if declared so, or if neither it nor an ancestor has an instance_size. Being abstract is not
    inherited.
    """
    table = make_table(
        TypeInfo("plain", parent="object", instance_size=40, abstract=True),
        TypeInfo("sized", parent="plain"),
        TypeInfo("an-interface", parent="interface"),
    )
    abstract = {
        name: table.object_class_by_name(name) for name in ("object", "device", "plain", "sized", "an-interface")
    }
    assert {name: table.object_class_is_abstract(klass) for name, klass in abstract.items()} == {
        "object": True,
        "device": True,
        "plain": True,
        "sized": False,
        "an-interface": True,
    }


def test_inherited_sizes():
    """A size of 0 means the parent's."""
    table = make_table(device("x", class_size=400), device("y", parent="x", instance_size=1000))
    impl = table.object_class_by_name("y").type
    assert (impl.class_size, impl.instance_size) == (400, 1000)


def test_own_class_in_class_init():
    """A class_init that requests its own or a child's class gets the current state, without recursion."""
    seen = []

    def class_init(klass, data):
        klass.desc = "half"
        seen.append((table.object_class_by_name("x") is klass, table.object_class_by_name("child").desc))
        klass.desc = "whole"

    table = make_table(device("x", class_init=class_init), device("child", parent="x"))
    assert table.object_class_by_name("child").desc == "half"
    assert seen == [(True, "half")]


def test_deep_chain():
    """A chain deeper than Python's stack is initialised, cast and listed in less than quadratic time."""
    depth = 30_000
    assert depth > sys.getrecursionlimit()
    infos = [device("t0")] + [device(f"t{index}", parent=f"t{index - 1}") for index in range(1, depth)]
    table = make_table(*infos)
    last = table.object_class_by_name(f"t{depth - 1}")
    assert table.object_class_dynamic_cast(last, "device") is last
    assert len(table.object_class_get_list("device", True)) == depth + 1


INITIALISATION_ERRORS = {
    "missing parent": (
        [device("x", parent="y")],
        "Type 'x' is missing its parent 'y'; register it, or install its module",
    ),
    "missing grandparent": (
        [device("x", parent="y"), device("y", parent="z")],
        "Type 'y' is missing its parent 'z'; register it, or install its module",
    ),
    "own parent": ([device("x", parent="x")], "Type 'x' descends from itself, through 'x'"),
    "cycle": (
        [device("x", parent="y"), device("y", parent="z"), device("z", parent="y")],
        "Type 'y' descends from itself, through 'z'",
    ),
    "class_type": (
        [device("x", class_type=MachineClass)],
        "Type 'x': class_type MachineClass is not derived from DeviceClass, the class_type of its parent 'device'",
    ),
    "class_type of an interface": (
        [TypeInfo("x", parent="object", class_type=InterfaceClass)],
        "Type 'x': class_type InterfaceClass is not derived from ObjectClass, the class_type of its parent 'object'",
    ),
    "class_size": (
        [device("x", class_size=183)],
        "Type 'x': class_size 183 is smaller than 184 of its parent 'device'; its struct must begin with the parent's",
    ),
    "instance_size": (
        [device("x", instance_size=151)],
        "Type 'x': instance_size 151 is smaller than 152 of its parent 'device'; "
        "its struct must begin with the parent's",
    ),
    "missing interface": (
        [device("x", interfaces=("nmi",))],
        "type 'x': missing interface 'nmi'; register it first",
    ),
    "no interface": (
        [device("x", interfaces=("bus",))],
        "type 'x': 'bus' is not an interface: it does not descend from 'interface'",
    ),
    "interface with instances": (
        [TypeInfo("x", parent="interface", instance_size=1)],
        "Type 'x' is an interface: it can have no instance_size and no interfaces",
    ),
    "interface with interfaces": (
        [TypeInfo("y", parent="interface"), TypeInfo("x", parent="interface", interfaces=("y",))],
        "Type 'x' is an interface: it can have no instance_size and no interfaces",
    ),
    "name of an implementation is taken": (
        [TypeInfo("nmi", parent="interface"), device("x::nmi"), device("x", interfaces=("nmi",))],
        "type 'x': Registering 'x::nmi' which already exists",
    ),
    "class_init raises": (
        [device("x", class_init=lambda klass, data: int("a\nb"))],
        "type 'x': class_init failed: ValueError: invalid literal for int() with base 10: 'a\\nb'",
    ),
    "class_init raises on two lines": (
        [device("x", class_init=lambda klass, data: {}[Exception("two\nlines")])],
        "type 'x': class_init failed: KeyError: Exception('two\\nlines')",
    ),
}


@pytest.mark.parametrize(("infos", "message"), INITIALISATION_ERRORS.values(), ids=INITIALISATION_ERRORS)
def test_initialisation_errors(infos, message):
    """Where QEMU aborts, the error is one line, equal at each attempt, also when listing."""
    table = make_table(*infos)
    for _ in range(2):
        assert error_of(table.object_class_by_name, "x") == message
        assert error_of(table.object_class_get_list, "object", True) in (message, message.replace("'x'", "'y'"))
    table.type_register(device("next"))
    assert table.object_class_by_name("next")


@pytest.mark.parametrize("lines", ["two\nlines", "two\r\n lines", "two\x0blines"])
def test_error_is_one_line(lines):
    """A class_init's exception becomes one line, with the exception as cause."""

    def class_init(klass, data):
        raise RuntimeError(lines)

    with pytest.raises(QOMError, match=r"^type 'x': class_init failed: RuntimeError: two lines$") as info:
        make_table(device("x", class_init=class_init)).object_class_by_name("x")
    assert isinstance(info.value.__cause__, RuntimeError)


def test_error_passes_through():
    """vmdump's own errors keep their class; each type on the way is named."""

    def class_init(klass, data):
        raise VMStateError("field 3 has no name")

    table = make_table(
        device("x", class_init=class_init),
        device("y", class_init=lambda klass, data: table.object_class_by_name("x")),
    )
    with pytest.raises(VMStateError, match=r"^type 'y': type 'x': field 3 has no name$"):
        table.object_class_by_name("y")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failed_class_is_not_half_made(error):
    """A class whose class_init failed, and classes made meanwhile, are initialised afresh the next time."""
    attempts = []

    def class_init(klass, data):
        attempts.append(klass)
        assert klass.desc is None
        klass.desc = "half"
        table.object_class_by_name("child")
        if len(attempts) == 1:
            raise error

    table = make_table(device("x", class_init=class_init), device("child", parent="x"))
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else QOMError):
        table.object_class_by_name("x")
    assert table.type_get_by_name("x").klass is None
    assert table.type_get_by_name("child").klass is None
    child = table.object_class_by_name("child")
    assert table.object_class_get_parent(child) is table.object_class_by_name("x") is attempts[1]


def test_failed_base_init():
    """A class_base_init that raises fails the child, not its own type."""

    def class_base_init(klass, data):
        raise RuntimeError("no")

    table = make_table(device("x", class_base_init=class_base_init), device("child", parent="x"))
    assert table.object_class_by_name("x")
    assert error_of(table.object_class_by_name, "child") == "type 'child': class_init failed: RuntimeError: no"


def test_threads():
    """Threads that list concurrently get the same classes, each initialised once."""
    calls = []
    infos = [device(f"dev-{index}", class_init=lambda klass, data: calls.append(klass)) for index in range(2000)]
    table = make_table(*infos)
    barrier = threading.Barrier(4)
    results = []

    def work():
        barrier.wait()
        results.append((table.object_class_get_list("device", True), table.object_class_by_name("dev-1999")))

    threads = [threading.Thread(target=work) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(calls) == 2000
    assert len(results) == 4
    assert all(result == results[0] for result in results)
