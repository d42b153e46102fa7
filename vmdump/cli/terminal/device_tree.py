"""Prints device state as a tree: a line for each field, nested descriptions indented below, subsections last."""

from __future__ import annotations

from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, NamedTuple

from vmdump.cli.environment import printable
from vmdump.cli.terminal.styled import BOLD, CYAN, DIM, GREEN, PLAIN, print_rows
from vmdump.dump.device import Device, StandaloneVMState
from vmdump.dump.lookup import Part
from vmdump.dump.words import size_in_words
from vmdump.errors import VmdumpError
from vmdump.vmstate.model import VMStateFlags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.cli.environment import Environment
    from vmdump.cli.terminal.styled import Part as Text
    from vmdump.vmstate.model import VMStateDescription, VMStateField

#: The longest tree that is printed, in lines. Shared descriptions can multiply to any number.
MAX_LINES = 100_000

#: The widest name column, in characters. Longer names shift their own line only.
_NAME_WIDTH = 60

#: The most type names in a title.
_MAX_NAMES = 6

#: ASCII branches, for encodings without box-drawing characters.
_ASCII = str.maketrans("├│└─", "||`-")


class _Line(NamedTuple):
    branches: str
    name: str
    size: str
    remarks: str
    has_children: bool = False


def print_trees(environment: Environment, found: Sequence[Device | StandaloneVMState | Part]) -> None:
    """Print the trees of devices and descriptions; equal trees once. Raises VmdumpError for more than MAX_LINES."""
    equal: dict[tuple[_Line, ...], list[Device | StandaloneVMState | Part]] = {}
    for each in found:
        lines = tuple(islice(_lines(each.vmsd), MAX_LINES + 1))
        if len(lines) > MAX_LINES:
            raise VmdumpError(
                f"{each.name}: more than {MAX_LINES} lines, the limit for a tree; its descriptions repeat too often"
            )
        equal.setdefault(lines, []).append(each)
    rows: list[list[Text]] = []
    for tree, of in equal.items():
        rows += [[], *_title(of)] if rows else _title(of)
        if isinstance(of[0], Device) and not of[0].has_description:
            rows.append([("no Description, so no state is migrated", PLAIN)])
            continue
        if not environment.can_print("├│└─"):
            tree = tuple(line._replace(branches=line.branches.translate(_ASCII)) for line in tree)
        rows += _table([_Line("", "FIELD", "BYTES", "TYPE", has_children=True), *tree])
    print_rows(environment, rows)


def _title(of: Sequence[Device | StandaloneVMState | Part]) -> Iterator[list[Text]]:
    """Yield the title of a tree: one device with its parents, or the names of all devices with this tree."""
    devices = [each for each in of if isinstance(each, Device)]
    holders = dict.fromkeys(holder for each in of if isinstance(each, Part) for holder in each.holders)
    if len(devices) == 1:
        yield from _device_title(devices[0])
    elif devices:
        yield [(printable(_names([each.name for each in devices])), BOLD)]
    for each in of:
        if isinstance(each, StandaloneVMState):
            yield [(printable(each.name), BOLD), (printable(_root_remarks(each)), PLAIN)]
    if holders:
        yield [(printable(of[0].name), BOLD), (printable(f", part of {_names(list(holders))}"), PLAIN)]
    yield []


def _device_title(device: Device) -> Iterator[list[Text]]:
    remarks = [" (abstract)"] if device.abstract else []
    remarks += [f" < {parent}" for parent in device.parents or ()]
    remarks += [f", from module {device.module}"] if device.module else []
    yield [(printable(device.name), BOLD), (printable("".join(remarks)), PLAIN)]
    if device.desc:
        yield [(printable(device.desc), PLAIN)]


def _names(names: Sequence[str]) -> str:
    """Join names; beyond _MAX_NAMES, give the number of the others."""
    more = [f"and {len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else []
    return ", ".join([*names[:_MAX_NAMES], *more])


#: Uses of a standalone VMSD, in words.
_USES = {
    "register": "passed to vmstate_register", "save": "passed to vmstate_save_state", "GTREE": "the keys of a GTREE",
    "VirtioDeviceClass": "VirtioDeviceClass.vmsd",
}  # fmt: skip


def _root_remarks(root: StandaloneVMState) -> str:
    of = f" of {root.types[0]}" if root.types else ""
    of += f" and {len(root.types) - 1} more" if len(root.types) > 1 else ""
    uses = ", ".join(_USES.get(use, use) for use in root.uses) or "no use found"
    return f", standalone VMSD: {uses}{of}" + (f"; exported as {root.symbol}" if root.symbol else "")


def _table(lines: list[_Line]) -> Iterator[list[Text]]:
    """Yield lines with aligned columns."""
    name_width = min(_NAME_WIDTH, max(len(line.branches) + len(line.name) for line in lines if line.size))
    size_width = max(len(line.size) for line in lines)
    for branches, name, size, remarks, has_children in lines:
        # A name without a size may extend into the size column.
        width = name_width - len(branches) + (0 if size else 2 + size_width)
        yield [
            (branches, DIM),
            (printable(name).ljust(width), BOLD if has_children else PLAIN),
            (f"  {size:>{size_width}}" if size else "", CYAN),
            (f"  {printable(remarks)}", GREEN),
        ]


def _lines(vmsd: VMStateDescription) -> Iterator[_Line]:
    """Yield the lines of a tree, top down. Iterative, as descriptions may nest deeper than Python's stack."""
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
    """Yield a line for each field and subsection, the description below it, and the branches for that."""
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
    return _Line(branch, name, size_in_words(field), ", ".join(_field_remarks(field)), field.vmsd is not None)


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


def _condition(test: object, word: str = "if") -> str:
    """Return a run-time test in words: the name of its function if known."""
    name = getattr(test, "__name__", "")
    if name.isidentifier():
        return f"{word} {name}"
    return "conditional" if word == "if" else f"{word} a test passes"
