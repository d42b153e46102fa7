"""Choose a section of a saved VM and divide it into fields."""

from __future__ import annotations

from vmdump.errors import VmdumpError
from vmdump.stream.vmdescription import find_description, section_fields

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.stream.saved_vm import SavedVM, Section
    from vmdump.stream.values import Node


class SectionView:
    """A section with its fields.

    Attributes:
        section: The section.
        nodes: Its fields and subsections.
        by: What described them: ``vmdescription``, the version or path of an image, or None: nothing did.
        problem: Why the fields may be wrong or incomplete; None: they end with the section.
    """

    __slots__ = ("by", "nodes", "problem", "section")

    def __init__(self, section: Section, nodes: list[Node], by: str | None, problem: str | None) -> None:
        self.section, self.nodes, self.by, self.problem = section, nodes, by, problem


def find_sections(vm: SavedVM, name: str, instance_id: int | None = None) -> list[Section]:
    """Return the sections that a name refers to: an idstr, or the name of a description after any device path.

    Raises VmdumpError if there is none.
    """
    exact = [each for each in vm.sections if each.name == name]
    found = exact or [each for each in vm.sections if each.name.endswith(f"/{name}")]
    if instance_id is not None:
        found = [each for each in found if each.instance_id == instance_id]
    if not found:
        from vmdump.suggestion import did_you_mean

        hint = did_you_mean(name, [each.name for each in vm.sections], "vmdump stream FILE lists the sections")
        instance = "" if instance_id is None else f" with instance id {instance_id}"
        raise VmdumpError(f"{vm.path}: no section {name!r}{instance}; {hint}")
    return found


def view(vm: SavedVM, section: Section, image: DeviceDump | None = None) -> SectionView:
    """Divide a section into fields: by the image's description, else by the vmdescription."""
    if image is not None and not section.is_live:
        from vmdump.stream.by_image import read_section

        label = image.producer.version or image.producer.path or "the image"
        nodes, problem = read_section(vm, section, image)
        described = SectionView(section, nodes, label, problem)
        if problem is None or vm.document is None:
            return described
        instead = view(vm, section)
        return SectionView(section, instead.nodes, instead.by, problem) if instead.by else described
    if section.is_live or len(section.body) < section.size:
        return SectionView(section, [], None, "a live section, whose contents are not kept")
    description = find_description(vm.document or {}, section.name, section.instance_id)
    if description is None:
        return SectionView(section, [], None, "the stream has no vmdescription of it; --image QEMU describes it")
    nodes, problem = section_fields(description, section.body)
    return SectionView(section, nodes, "vmdescription", problem)
