"""QOM interfaces: their classes, casts and lists."""

from hypothesis import given
from hypothesis import strategies as st
from support.qom_types import device, error_of, make_table, names

from vmdump.qom import InterfaceClass, TypeInfo, TypeTable


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
