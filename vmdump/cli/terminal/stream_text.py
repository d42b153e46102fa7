"""Text of vmdump stream: a saved VM, a section with its fields, the differences of two VMs."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from vmdump.cli.terminal.table import print_table
from vmdump.files.decompress import in_words
from vmdump.stream.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vmdump.cli.environment import Environment
    from vmdump.stream.diff import Difference
    from vmdump.stream.saved_vm import SavedVM
    from vmdump.stream.section_view import SectionView
    from vmdump.stream.values import Node

#: Limit of a value in a table, in characters, and of the values of an array.
_MAX_VALUE, _MAX_VALUES = 64, 16


def print_vm(environment: Environment, vm: SavedVM) -> None:
    """Print what a stream contains."""
    environment.print("\n".join(f"{head:<13} {text}" for head, text in _summary(vm)))
    environment.print("")
    if vm.blocks:
        columns: dict[str, list[str | int | None]] = {
            "RAM BLOCK": [each.name for each in vm.blocks],
            "BYTES": [each.size for each in vm.blocks],
            "PAGES": [each.pages for each in vm.blocks],
            "ZERO": [each.zero_pages for each in vm.blocks],
            "XBZRLE": [each.xbzrle_pages for each in vm.blocks],
            "COMPRESSED": [each.compressed_pages for each in vm.blocks],
        }
        print_table(environment, {head: column for head, column in columns.items() if any(column)})
        environment.print("")
    print_table(
        environment,
        {
            "SECTION": [each.name for each in vm.sections],
            "INSTANCE": [each.instance_id for each in vm.sections],
            "VERSION": [each.version_id for each in vm.sections],
            "ID": [each.id for each in vm.sections],
            "BYTES": [each.size for each in vm.sections],
            "KIND": ["live" if each.is_live else "device" for each in vm.sections],
        },
    )


def _summary(vm: SavedVM) -> Iterator[tuple[str, str]]:
    container = vm.container
    kind = container.kind + (f" {container.snapshot!r}" if container.snapshot else "")
    filters = "".join(f", {each}" for each in container.filters)
    offset = f", stream at byte {container.offset}" if container.offset else ""
    yield "container", kind + filters + offset
    if container.saved_at is not None:
        from datetime import UTC, datetime

        yield "saved", f"{datetime.fromtimestamp(container.saved_at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    yield "machine", vm.machine or "not sent (no configuration in the stream)"
    if vm.run_state or container.was_running is not None:
        resumed = (
            "" if container.was_running is None else "; libvirt resumes it" if container.was_running else "; paused"
        )
        yield "state", (vm.run_state or "not sent") + resumed
    if vm.uuid:
        yield "UUID", vm.uuid
    yield "page size", str(vm.page_size or "not known")
    yield "capabilities", ", ".join(vm.capabilities) or "none sent"
    if vm.commands:
        yield "commands", ", ".join(name + (f" ({n})" if n > 1 else "") for name, n in vm.commands.items())
    footers = "with footers" if vm.has_footers else "without footers"
    description = "with vmdescription" if vm.vmdescription is not None else "without vmdescription"
    yield "stream", f"{vm.size} bytes, {len(vm.sections)} sections, {footers}, {description}"
    if vm.blocks:
        yield "RAM", f"{len(vm.blocks)} blocks, {in_words(sum(each.size for each in vm.blocks))}"


def print_view(environment: Environment, view: SectionView) -> None:
    """Print a section with its fields."""
    section = view.section
    by = f", described by {view.by}" if view.by else ""
    environment.print(
        f"{section.name} (instance {section.instance_id}, version {section.version_id}, {section.size} bytes{by})"
    )
    if view.problem:
        environment.print(f"note: {view.problem}")
    rows = list(_rows(view.nodes, 0))
    if rows:
        heads = ("FIELD", "TYPE", "BYTES", "VALUE")
        print_table(environment, dict(zip(heads, map(list, zip(*rows, strict=True)), strict=True)))
    elif section.body:
        environment.print(_cut(bytes(section.body).hex()))


def _rows(nodes: Iterable[Node], depth: int) -> Iterator[tuple[str, str, int, str]]:
    """Yield a row for each field; elements of an array of values share one."""
    indent = "  " * depth
    for (name, type, is_array, has_children), group in groupby(
        nodes, lambda node: (node.name, node.type, node.index is not None, node.children is not None)
    ):
        found = list(group)
        if is_array and not has_children:
            label = f"{name}[{found[0].index}..{found[-1].index}]" if len(found) > 1 else found[0].label
            values = [_cut(shown(each)) for each in found[:_MAX_VALUES]]
            more = f" ... ({len(found)} elements)" if len(found) > _MAX_VALUES else ""
            yield indent + label, type, sum(each.size for each in found), " ".join(values) + more
            continue
        for node in found:
            version = "" if node.version is None else f"version {node.version}"
            yield indent + node.label, type, node.size, version if has_children else _cut(shown(node))
            if node.children is not None:
                yield from _rows(node.children, depth + 1)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."


def print_differences(environment: Environment, found: Iterable[Difference]) -> int:
    """Print differences, and return their number."""
    count = 0
    for (name, instance_id), group in groupby(found, lambda each: (each.name, each.instance_id)):
        head = f"section {name} (instance {instance_id})" if instance_id is not None else f"RAM block {name}"
        environment.print(head if name else "VM")
        for each in group:
            count += 1
            what = each.path or each.kind
            old, new = (("absent" if value is None else _cut(value)) for value in (each.old, each.new))
            environment.print(f"  {what}: {old} -> {new}")
    if not count:
        environment.print("no differences; the contents of RAM pages are not compared")
    return count
