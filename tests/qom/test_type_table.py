"""The type table: registration and its rollback, lists in GLib's order, modules loaded on demand."""

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.glib import glib_order
from support.qom_types import device, error_of, make_table, names

from vmdump.qom import TypeInfo, TypeTable, base_types

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
