"""The QOM type table: registration, lazy initialisation, interfaces, casts, lists, and errors where QEMU aborts."""

import random
import sys
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.glib import glib_order

from vmdump.errors import QOMError, VMStateError
from vmdump.qom import (
    DeviceCategory,
    DeviceClass,
    InterfaceClass,
    MachineClass,
    ObjectClass,
    TypeInfo,
    TypeTable,
    base_types,
    register_base_types,
)


def make_table(*infos: TypeInfo, module_load_qom=None) -> TypeTable:
    table = TypeTable(module_load_qom)
    register_base_types(table)
    for info in infos:
        table.type_register(info)
    return table


def device(name: str, **kwargs) -> TypeInfo:
    return TypeInfo(name, **{"parent": "device", **kwargs})


def names(classes) -> list[str]:
    return [klass.get_name() for klass in classes]


def error_of(function, *args) -> str:
    with pytest.raises(QOMError) as info:
        function(*args)
    assert "\n" not in str(info.value)
    return str(info.value)


# Registration


def test_name_is_taken():
    """A second type of the same name is an error, and the table is unchanged; QEMU aborts."""
    table = make_table(device("e1000", instance_size=200))
    assert error_of(table.type_register, device("e1000")) == "Registering 'e1000' which already exists"
    assert table.type_get_by_name("e1000").info.instance_size == 200


@pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\nb", "a\0b", "a\x1f", "\ud800", b"bytes", None])
def test_name_is_illegal(name):
    """Names that cannot be printed in JSON verbatim are refused."""
    assert error_of(make_table().type_register, device(name)).startswith(f"Registering {name!r} with illegal type name")


@pytest.mark.parametrize("name", ["a", "0", "i440FX-pcihost", "cpu@x/y:1+2,3", "x::y", "gerät", "\x7f", "SUNW,fdtwo"])
def test_name_is_legal(name):
    """Other odd names are accepted: QEMU 8.2 checks none."""
    assert make_table(device(name)).object_class_by_name(name).get_name() == name


def test_no_parent():
    """Only the two root types have no parent."""
    message = "Registering 'x' without a parent; name one, such as parent=\"device\""
    assert error_of(make_table().type_register, TypeInfo("x")) == message


def test_interfaces_as_string():
    """A string instead of a tuple of interfaces is an error."""
    message = "Registering 'x' with a string as interfaces; write ('nmi',)"
    assert error_of(make_table().type_register, device("x", interfaces=("nmi"))) == message


def test_registration_while_listing():
    """A class_init cannot register types during an enumeration, as that would change its order."""
    table = make_table(device("x", class_init=lambda klass, data: table.type_register(device("y"))))
    message = "type 'x': Registering 'y' while the types are being listed; do it before, not in a class_init"
    assert error_of(table.object_class_get_list, "device", True) == message
    table.type_register(device("z"))  # the enumeration has ended
    assert table.object_class_by_name("x").get_name() == "x"  # outside an enumeration the class may register
    assert table.type_get_by_name("y")


def test_listing_in_a_listing():
    """The end of a nested enumeration does not end the outer one."""

    def class_init(klass, data):
        table.object_class_get_list("bus", True)
        table.type_register(device("y"))

    table = make_table(device("x", class_init=class_init))
    assert "while the types are being listed" in error_of(table.object_class_get_list, "device", True)


# Rolling back


class BrokenModule(Exception):
    pass


def test_rollback_raises():
    """The body's exception propagates."""
    with pytest.raises(BrokenModule), make_table().registration():
        raise BrokenModule


def test_rollback():
    """If the body raises, its types and those of nested blocks are removed, and can be registered again."""
    table = make_table(device("before"))
    with suppress(BrokenModule), table.registration():
        table.type_register(device("a"))
        with table.registration():
            table.type_register(device("b"))
        raise BrokenModule
    assert [table.type_get_by_name(name) is None for name in ("before", "a", "b")] == [False, True, True]
    table.type_register(device("b"))


def test_rollback_of_the_inner():
    """A module that fails during another's registration removes only its own types."""
    table = make_table()
    with table.registration():
        table.type_register(device("a"))
        with suppress(BrokenModule), table.registration():
            table.type_register(device("b"))
            raise BrokenModule
        table.type_register(device("c"))
    assert [bool(table.type_get_by_name(name)) for name in "abc"] == [True, False, True]


def test_rollback_restores_the_order():
    """The order is as if the types had never been registered."""
    infos = [device(f"dev-{index}") for index in range(100)]
    table, untouched = make_table(*infos), make_table(*infos)
    with suppress(BrokenModule), table.registration():
        for index in range(1000):
            table.type_register(device(f"gone-{index}"))
        table.object_class_get_list("device", True)
        raise BrokenModule
    assert names(table.object_class_get_list("device", True)) == names(untouched.object_class_get_list("device", True))


def test_rollback_drops_classes():
    """A class whose parent was removed is initialised again with the next parent of that name."""
    table = make_table(device("child", parent="parent"))
    with suppress(BrokenModule), table.registration():
        table.type_register(device("parent", class_init=lambda klass, data: setattr(klass, "desc", "broken")))
        assert table.object_class_by_name("child").desc == "broken"
        raise BrokenModule
    assert "missing its parent 'parent'" in error_of(table.object_class_by_name, "child")
    table.type_register(device("parent"))
    assert table.object_class_by_name("child").desc is None


# Initialisation


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


# Interfaces


class NMIClass(InterfaceClass):
    handler = None


def make_interfaces(*infos: TypeInfo) -> TypeTable:
    return make_table(
        TypeInfo("nmi", parent="interface", class_type=NMIClass),
        TypeInfo("fast-nmi", parent="nmi", class_init=lambda klass, data: setattr(klass, "handler", "fast")),
        TypeInfo("slow-nmi", parent="nmi"),
        TypeInfo("hotplug", parent="interface"),
        *infos,
    )


def test_interface_classes():
    """Each class has its own interface classes, copied from its parent's; their types are not listed."""

    def class_init(klass, data):
        table.object_class_dynamic_cast_assert(klass, "nmi").handler = "board's"

    table = make_interfaces(
        device("board", interfaces=("fast-nmi", "hotplug"), class_init=class_init), device("child", parent="board")
    )
    child, board = table.object_class_by_name("child"), table.object_class_by_name("board")
    assert names(child.interfaces) == ["child::fast-nmi", "child::hotplug"]
    nmi = table.object_class_dynamic_cast(child, "nmi")
    assert nmi is child.interfaces[0]
    assert isinstance(nmi, NMIClass)
    assert nmi.handler == "board's"
    assert nmi.interface_type is table.type_get_by_name("fast-nmi")
    assert table.object_class_get_parent(nmi) is board.interfaces[0]
    nmi.handler = "child's"
    assert board.interfaces[0].handler == "board's"
    assert table.object_class_by_name("fast-nmi").handler == "fast"
    assert not [name for name in names(table.object_class_get_list("object", True)) if "::" in name]


def test_interface_that_is_there_already():
    """An interface is not added if the parent's, or an earlier one, descends from it; in the reverse case it is."""
    table = make_interfaces(
        device("both", interfaces=("fast-nmi", "nmi", "fast-nmi")),
        device("child", parent="both", interfaces=("nmi", "fast-nmi", "hotplug")),
        device("reversed", interfaces=("nmi", "fast-nmi")),
    )
    found = {name: names(table.object_class_by_name(name).interfaces) for name in ("both", "child", "reversed")}
    assert found == {
        "both": ["both::fast-nmi"],
        "child": ["child::fast-nmi", "child::hotplug"],
        "reversed": ["reversed::nmi", "reversed::fast-nmi"],
    }


def test_casts():
    """Cast to an ancestor gives the class; to an interface, its interface class; otherwise, or if ambiguous, None."""
    table = make_interfaces(
        device("fast", interfaces=("fast-nmi",)), device("two", parent="fast", interfaces=("slow-nmi",)), device("none")
    )
    two, none = table.object_class_by_name("two"), table.object_class_by_name("none")

    def cast(klass, typename):
        result = table.object_class_dynamic_cast(klass, typename)
        return result and result.get_name()

    assert [cast(two, name) for name in ("two", "fast", "device", "object")] == ["two"] * 4
    assert [cast(two, name) for name in ("fast-nmi", "slow-nmi")] == ["two::fast-nmi", "two::slow-nmi"]
    assert [cast(two, name) for name in ("nmi", "interface", "hotplug", "bus", "none", "unknown")] == [None] * 6
    assert cast(table.object_class_by_name("fast"), "interface") == "fast::fast-nmi"
    assert [cast(none, name) for name in ("nmi", "interface", "fast")] == [None] * 3
    assert cast(table.object_class_by_name("slow-nmi"), "nmi") == "slow-nmi"
    assert cast(two.interfaces[1], "nmi") == "two::slow-nmi"
    message = "class 'two' is not an instance of type 'nmi'"
    assert error_of(table.object_class_dynamic_cast_assert, two, "nmi") == message


def test_list_by_interface():
    """The list has all types that can be cast to the interface: implementations, descendants, and
    derived interfaces.
    """
    table = make_interfaces(
        device("fast", interfaces=("fast-nmi",)),
        device("child", parent="fast"),
        device("two", interfaces=("fast-nmi", "slow-nmi")),
        device("other", interfaces=("hotplug",)),
    )

    def listed(typename, include_abstract):
        return sorted(names(table.object_class_get_list(typename, include_abstract)))

    assert listed("nmi", False) == ["child", "fast"]
    assert listed("nmi", True) == ["child", "fast", "fast-nmi", "nmi", "slow-nmi"]
    assert listed("fast-nmi", False) == ["child", "fast", "two"]
    assert listed("fast", True) == ["child", "fast"]


@given(st.data())
def test_list_agrees_with_cast(data):
    """The list has exactly the classes that object_class_dynamic_cast accepts."""
    interfaces = [TypeInfo("i0", parent="interface")]
    for index in range(1, data.draw(st.integers(1, 4))):
        parents = st.sampled_from(["interface", *(info.name for info in interfaces)])
        interfaces.append(TypeInfo(f"i{index}", parent=data.draw(parents)))
    devices = []
    for index in range(data.draw(st.integers(1, 8))):
        parent = data.draw(st.sampled_from(["device", *(info.name for info in devices)]))
        own = data.draw(st.lists(st.sampled_from([info.name for info in interfaces]), max_size=3))
        devices.append(device(f"d{index}", parent=parent, interfaces=tuple(own)))
    infos = data.draw(st.permutations(interfaces + devices))
    table = make_table(*infos)
    everything = table.object_class_get_list("object", True) + table.object_class_get_list("interface", True)
    for target in ["device", "interface", *(info.name for info in infos)]:
        expected = {klass for klass in everything if table.object_class_dynamic_cast(klass, target)}
        assert set(table.object_class_get_list(target, True)) == expected


# Lists


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\')), unique=True))
def test_order_is_glibs(type_names):
    """The list has GLib's iteration order over all type names, reversed; filters do not change the order."""
    base = [info.name for info in base_types.BASE_TYPES]
    type_names = [name for name in type_names if name and name not in base]
    table = make_table(*(device(name) for name in type_names))
    registered = base + type_names
    expected = [registered[index] for index in reversed(glib_order([name.encode() for name in registered]))]
    assert names(table.object_class_get_list("device", False)) == [name for name in expected if name not in base]
    devices = {"device", *type_names}
    assert names(table.object_class_get_list("device", True)) == [name for name in expected if name in devices]


def test_order_of_many():
    """The order holds for as many types as the largest target has, registered in two orders, between listings."""
    type_names = [f"type-{index}-cpu" for index in range(2500)]
    random.Random(1).shuffle(type_names)
    table = make_table(*map(device, type_names[:1000]))
    table.object_class_get_list("machine", False)
    for name in type_names[1000:]:
        table.type_register(device(name))
    registered = [info.name.encode() for info in base_types.BASE_TYPES] + [name.encode() for name in type_names]
    expected = [registered[index].decode() for index in reversed(glib_order(registered))]
    assert names(table.object_class_get_list("device", False)) == [name for name in expected if name in type_names]


def test_list_of_an_unknown_type():
    """As in QEMU, an unknown type has no descendants; an empty table lists nothing."""
    assert make_table().object_class_get_list("unknown", True) == []
    assert TypeTable().object_class_get_list("device", True) == []


# Loading modules


def test_unknown_type():
    """Unknown types without a loader, without a module, and with a loader that fails to register them."""
    for load in (None, lambda name: 0, lambda name: -1, lambda name: 1):
        table = make_table(module_load_qom=load)
        assert error_of(table.module_object_class_by_name, "qxl") == "unknown type 'qxl'"
        assert table.object_class_by_name("qxl") is None


def make_loading(**parents: str) -> tuple[TypeTable, list[str]]:
    """A table whose loader knows the types of parents, and the list of requested types."""
    asked = []

    def load(name):
        asked.append(name)
        if name not in parents:
            return 0
        table.type_register(device(name, parent=parents[name]))
        return 1

    table = make_table(module_load_qom=load)
    return table, asked


def test_type_is_loaded():
    """A missing type is looked up in modules, as are its parents; object_class_by_name loads only the latter."""
    table, asked = make_loading(qxl="pci", pci="device")
    assert table.object_class_by_name("qxl") is None
    assert asked == []
    assert table.module_object_class_by_name("qxl").get_name() == "qxl"
    assert table.module_object_class_by_name("qxl").type.parent_type is table.type_get_by_name("pci")
    assert asked == ["qxl", "pci"]


def test_parents_are_loaded_before_listing():
    """A missing parent's module is loaded before the enumeration, so its types are listed."""
    table, asked = make_loading(pci="bridge", bridge="device")
    table.type_register(device("qxl", parent="pci"))
    assert sorted(names(table.object_class_get_list("device", True))) == ["bridge", "device", "pci", "qxl"]
    assert asked == ["pci", "bridge"]


def test_parent_is_not_loaded():
    """A parent in no module is an error."""
    table, asked = make_loading()
    table.type_register(device("qxl", parent="pci"))
    message = "Type 'qxl' is missing its parent 'pci'; register it, or install its module"
    assert error_of(table.object_class_by_name, "qxl") == message
    assert asked == ["pci"]


# Base types


def test_device_class():
    """QEMU's defaults: devices are user_creatable and hotpluggable unless they say otherwise."""
    klass = make_table(device("x")).object_class_by_name("x")
    assert (klass.user_creatable, klass.hotpluggable, klass.vmsd, klass.desc) == (True, True, None, None)
    klass.categories |= DeviceCategory.NETWORK
    assert klass.categories == 1 << 3  # DEVICE_CATEGORY_NETWORK is 3


@pytest.mark.parametrize(
    ("name", "class_type", "class_size", "instance_size"),
    [
        ("object", ObjectClass, 96, 40),
        ("interface", InterfaceClass, 104, 0),
        ("device", DeviceClass, 184, 152),
        ("bus", ObjectClass, 152, 120),
        ("machine", MachineClass, 392, 392),
    ],
)
def test_base_types(name, class_type, class_size, instance_size):
    """All base types are abstract, with the sizes of QEMU 10.0's structs."""
    klass = make_table().object_class_by_name(name)
    assert type(klass) is class_type
    assert (klass.type.class_size, klass.type.instance_size) == (class_size, instance_size)
    assert klass.type.abstract
