"""A device's state as a tree: a line a field, a nested description's own below it, subsections last."""

from __future__ import annotations

from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, NamedTuple

from vmdump.cli.environment import printable
from vmdump.cli.terminal.styled import BOLD, CYAN, DIM, GREEN, PLAIN, print_rows
from vmdump.dump.device_dump import Root
from vmdump.errors import VmdumpError
from vmdump.vmstate.model import VMStateFlags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.cli.environment import Environment
    from vmdump.cli.terminal.styled import Part
    from vmdump.dump.device_dump import Device
    from vmdump.vmstate.model import VMStateDescription, VMStateField

#: The longest tree that is shown, in lines. Descriptions that share others can stand for any number.
MAX_LINES = 100_000

#: The widest name column; what is longer moves its own line alone.
_NAME_WIDTH = 60

#: Branches where stdout's encoding has no better.
_ASCII = str.maketrans("├│└─", "||`-")

_VARRAY = (
    VMStateFlags.VARRAY_INT32 | VMStateFlags.VARRAY_UINT8 | VMStateFlags.VARRAY_UINT16 | VMStateFlags.VARRAY_UINT32
)


class _Line(NamedTuple):
    branches: str
    name: str
    size: str
    remarks: str
    has_children: bool = False


def print_tree(environment: Environment, device: Device | Root) -> None:
    """Prints what a device migrates, or a description on no device class. Raises VmdumpError when that is more than
    MAX_LINES.
    """
    lines = list(islice(_lines(device.vmsd), MAX_LINES + 1))
    if len(lines) > MAX_LINES:
        raise VmdumpError(f"{device.name}: more than {MAX_LINES} lines, not shown; do its descriptions nest too often?")
    if not environment.can_print("├│└─"):
        lines = [line._replace(branches=line.branches.translate(_ASCII)) for line in lines]
    print_rows(
        environment, [*_title(device), *_table([_Line("", "FIELD", "BYTES", "TYPE", has_children=True), *lines])]
    )


def _title(device: Device | Root) -> Iterator[list[Part]]:
    """The type, its parents, and what else is known of it."""
    if isinstance(device, Root):
        yield [(printable(device.name), BOLD), (printable(_root_remarks(device)), PLAIN)]
        yield []
        return
    remarks = [" (abstract)"] if device.abstract else []
    remarks += [f" < {parent}" for parent in device.parents or ()]
    remarks += [f", from module {device.module}"] if device.module else []
    yield [(printable(device.name), BOLD), (printable("".join(remarks)), PLAIN)]
    if device.desc:
        yield [(printable(device.desc), PLAIN)]
    yield []


#: How a description on no device class is used, in words.
_USES = {
    "register": "passed to vmstate_register", "save": "passed to vmstate_save_state", "GTREE": "the keys of a GTREE",
    "VirtioDeviceClass": "VirtioDeviceClass.vmsd",
}  # fmt: skip


def _root_remarks(root: Root) -> str:
    of = f" of {root.types[0]}" if root.types else ""
    of += f" and {len(root.types) - 1} more" if len(root.types) > 1 else ""
    uses = ", ".join(_USES.get(use, use) for use in root.uses) or "no use of it is found"
    return f", on no device class: {uses}{of}" + (f"; exported as {root.symbol}" if root.symbol else "")


def _table(lines: list[_Line]) -> Iterator[list[Part]]:
    """Lines with their columns aligned."""
    name_width = min(_NAME_WIDTH, max(len(line.branches) + len(line.name) for line in lines if line.size))
    size_width = max(len(line.size) for line in lines)
    for branches, name, size, remarks, has_children in lines:
        # A name without a size may take its place.
        width = name_width - len(branches) + (0 if size else 2 + size_width)
        yield [
            (branches, DIM),
            (printable(name).ljust(width), BOLD if has_children else PLAIN),
            (f"  {size:>{size_width}}" if size else "", CYAN),
            (f"  {printable(remarks)}", GREEN),
        ]


def _lines(vmsd: VMStateDescription) -> Iterator[_Line]:
    """The lines of a tree, top down. Descriptions may nest deeper than Python's stack: no recursion."""
    yield _Line("", vmsd.name, "", ", ".join(_desc_remarks(vmsd)), has_children=True)
    stack = [_children(vmsd, "")]
    while stack:
        for line, child, branches in stack[-1]:
            yield line
            if child is not None:
                stack.append(_children(child, branches))
                break
        else:
            stack.pop()


def _children(vmsd: VMStateDescription, branches: str) -> Iterator[tuple[_Line, VMStateDescription | None, str]]:
    """A line for each field and subsection, the description that goes below it, and the branches that go there."""
    fields, subsections = vmsd.fields or (), vmsd.subsections or ()
    glyphs = chain(repeat(("├─ ", "│  "), len(fields) + len(subsections) - 1), [("└─ ", "   ")])
    for field, (branch, below) in zip(fields, glyphs, strict=False):
        yield _field_line(field, branches + branch), field.vmsd, branches + below
    for subsection, (branch, below) in zip(subsections, glyphs, strict=False):
        remarks = ", ".join(["subsection", *_desc_remarks(subsection)])
        line = _Line(branches + branch, subsection.name, "", remarks, has_children=True)
        yield line, subsection, branches + below


def _desc_remarks(vmsd: VMStateDescription) -> Iterator[str]:
    yield f"version {vmsd.version_id}"
    if vmsd.minimum_version_id != vmsd.version_id:
        yield f"minimum {vmsd.minimum_version_id}"
    if not vmsd.fields and not vmsd.subsections:
        yield "no fields"
    if vmsd.priority:
        yield f"priority {getattr(vmsd.priority, 'name', vmsd.priority)}"
    if vmsd.early_setup:
        yield "early setup"
    if vmsd.unmigratable:
        yield "unmigratable"
    if vmsd.needed:
        yield _condition(vmsd.needed)


def _field_line(field: VMStateField, branch: str) -> _Line:
    name = field.name or ""
    if field.flags & VMStateFlags.MUST_EXIST:
        return _Line(branch, name, "", f"no data; loading fails {_condition(field.field_exists, 'unless')}")
    return _Line(branch, name, _size(field), ", ".join(_field_remarks(field)), field.vmsd is not None)


def _field_remarks(field: VMStateField) -> Iterator[str]:
    if field.vmsd is not None:
        yield f"{field.vmsd.name} ({', '.join(_desc_remarks(field.vmsd))})"
    elif field.info is not None:
        yield field.info.name
    if field.flags & VMStateFlags.VSTRUCT:
        yield f"sent as version {field.struct_version_id}"
    if field.version_id:
        yield f"since version {field.version_id}"
    if field.field_exists:
        yield _condition(field.field_exists)


def _size(field: VMStateField) -> str:
    """Bytes of an element, behind how many elements there are."""
    if field.flags & VMStateFlags.VBUFFER:
        return f"n x {field.size}" if field.flags & VMStateFlags.MULTIPLY else "n"
    factors = [str(field.size)]
    if field.flags & (VMStateFlags.ARRAY | VMStateFlags.MULTIPLY_ELEMENTS):
        factors.insert(0, str(field.num))
    if field.flags & _VARRAY:
        factors.insert(0, "n")
    return " x ".join(factors)


def _condition(test: object, word: str = "if") -> str:
    """A run-time test in words: by its function's name, where it has one."""
    name = getattr(test, "__name__", "")
    if name.isidentifier():
        return f"{word} {name}"
    return "conditional" if word == "if" else f"{word} a test passes"
