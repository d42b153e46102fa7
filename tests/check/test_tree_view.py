"""Shapes of sections: those that differ in nothing but their names have one number."""

import pytest
from support.descriptions import array, desc, dump, field, plain, struct

from vmdump.check.tree_view import Native, number_shapes


def shapes_of(*kinds: str) -> dict[str, int]:
    """The shapes of one device of each kind, numbered with those of the same dump as QEMU itself prints it."""
    a, b = field("a"), field("b", "uint16")
    fields = {
        "first": [a, b], "same": [a, b], "order": [b, a], "name": [field("x"), b], "longer": [a, b, a],
        "info": [field("a", "int32"), b], "num": [a, array("b", 3)],
        "test": [a, field("b", "uint16", field_exists=True)],
        "version": [a, b], "empty": [], "nested": [a, struct("s", desc("inner", b))],
    }  # fmt: skip
    versions = {"version": 2}
    devices = {kind: desc(f"sec-{kind}", *fields[kind], version_id=versions.get(kind, 1)) for kind in kinds}
    full = dump(**devices)
    natives = [Native(full), Native(plain(full))]
    number_shapes([section for native in natives for section in native.sections])
    detailed, printed = ({name: section.shape for name, section in native.devices.items()} for native in natives)
    return detailed | {f"plain {name}": shape for name, shape in printed.items()}


def test_only_names_differ() -> None:
    """Equal but for the names of type and section: one shape, for each form of a dump."""
    shapes = shapes_of("first", "same")
    assert shapes["first"] == shapes["same"] != shapes["plain first"] == shapes["plain same"]
    assert all(shapes.values())


@pytest.mark.parametrize("kind", ["order", "name", "longer", "info", "num", "test", "version", "empty"])
def test_any_other_difference(kind: str) -> None:
    """Another field, its metadata, another number of fields or another version: another shape."""
    shapes = shapes_of("first", kind)
    assert shapes[kind] not in (0, shapes["first"])


def test_nested_descriptions() -> None:
    """A description that nests another has no shape."""
    assert shapes_of("nested")["nested"] == 0
