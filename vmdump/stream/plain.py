"""Saved VMs as plain values, for JSON."""

from __future__ import annotations

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from vmdump.stream.container import Container
    from vmdump.stream.diff import Difference
    from vmdump.stream.saved_vm import SavedVM, Section
    from vmdump.stream.section_view import SectionView
    from vmdump.stream.values import Node


def plain_vm(vm: SavedVM) -> dict[str, Any]:
    """Return what vmdump stream FILE lists."""
    return {
        "path": vm.path,
        "container": _container(vm.container),
        "machine": vm.machine,
        "uuid": vm.uuid,
        "page_size": vm.page_size,
        "capabilities": list(vm.capabilities),
        "run_state": vm.run_state,
        "size": vm.size,
        "has_footers": vm.has_footers,
        "has_vmdescription": vm.vmdescription is not None,
        "commands": vm.commands,
        "ram": [each._asdict() for each in vm.blocks],
        "sections": [_section(each) for each in vm.sections],
    }


def _container(container: Container) -> dict[str, Any]:
    return {
        "kind": container.kind,
        "filters": list(container.filters),
        "offset": container.offset,
        "format": container.format,
        "was_running": container.was_running,
        "snapshot": container.snapshot,
        "saved_at": container.saved_at,
        "domain_xml": container.xml,
        "cookie_xml": container.cookie,
    }


def _section(section: Section) -> dict[str, Any]:
    values = section._asdict()
    del values["body"]
    return values


def plain_view(view: SectionView) -> dict[str, Any]:
    """Return a section with its fields."""
    return {
        **_section(view.section),
        "described_by": view.by,
        "problem": view.problem,
        "fields": [_node(each) for each in view.nodes],
    }


def _node(node: Node) -> dict[str, Any]:
    values: dict[str, Any] = {"name": node.name, "type": node.type, "offset": node.offset, "size": node.size}
    if node.index is not None:
        values["index"] = node.index
    if node.version is not None:
        values["version"] = node.version
    if node.children is None:
        values["value"] = node.value.hex() if isinstance(node.value, bytes) else node.value
    else:
        values["fields"] = [_node(each) for each in node.children]
    return values


def plain_differences(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """Return differences."""
    return [each._asdict() for each in found]
