"""Divide a section into fields by the descriptions of a QEMU binary, or of a dump of vmdump dump --all."""

from __future__ import annotations

from vmdump.stream.choices import search
from vmdump.stream.code_infos import read_info
from vmdump.stream.description_reader import DescriptionReader, MismatchError
from vmdump.stream.descriptions import Descriptions
from vmdump.stream.vmdescription import find_description

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.stream.choices import Choices
    from vmdump.stream.saved_vm import SavedVM, Section
    from vmdump.stream.values import Node
    from vmdump.vmstate.model import VMStateDescription


def read_section(vm: SavedVM, section: Section, dump: DeviceDump) -> tuple[list[Node], str | None]:
    """Return the fields of a section by the descriptions of an image, and why they may be wrong.

    Tests and lengths that the device decides are chosen so that the fields end with the section.
    """
    descriptions = Descriptions(dump)
    body = bytes(section.body)
    if len(body) < section.size:
        return [], "the section is too large to be kept"
    problem = f"the image has no description of {section.name!r}"
    sent = find_description(vm.document or {}, section.name, section.instance_id)
    for vmsd in descriptions.candidates(section.name):
        if not vmsd.minimum_version_id <= section.version_id <= vmsd.version_id:
            problem = (
                f"the image's versions of {vmsd.name!r} are {vmsd.minimum_version_id} to {vmsd.version_id}, the "
                f"section has {section.version_id}"
            )
            continue
        attempts = _Attempts(section, body, descriptions, vmsd)
        if sent is not None and _search_with(attempts, sent):
            return attempts.nodes, None
        if search(attempts.attempt) is not None:
            return attempts.nodes, None
        problem = f"the image's description {vmsd.name!r} does not fit the section: {attempts.first_problem}"
    return [], problem


def _search_with(attempts: _Attempts, sent: dict[str, Any]) -> bool:
    """Search with the fields that the vmdescription has; it may be wrong, as for NULL elements in QEMU 7.2."""
    attempts.sent = sent
    found = search(attempts.attempt) is not None
    attempts.sent = None
    return found


#: Fields that all attempts for a section may read.
_MAX_FIELDS = 150_000


class _Attempts:
    """Attempts to read a section by one description.

    Attributes:
        nodes: The fields that the successful attempt read.
        first_problem: Why the first attempt failed.
        sent: The section's object in the vmdescription, for attempts that follow it.
    """

    def __init__(self, section: Section, body: bytes, descriptions: Descriptions, vmsd: VMStateDescription) -> None:
        self._section, self._body, self._descriptions, self._vmsd = section, body, descriptions, vmsd
        self.nodes: list[Node] = []
        self.first_problem: str | None = None
        self.sent: dict[str, Any] | None = None
        self._left = _MAX_FIELDS

    def attempt(self, choices: Choices) -> bool:
        """Read the section with these choices; return whether the fields end with it."""
        if self._left <= 0:
            choices.taken = []  # ends the search
            return False
        reader = DescriptionReader(self._body, self._section.name, self._descriptions, choices, read_info, self._left)
        try:
            nodes = reader.description(self._vmsd, self._section.version_id, 0, 0, self.sent)
        except MismatchError as error:
            self.first_problem = self.first_problem or str(error)
            return False
        finally:
            self._left = reader.left - 1
        if reader.at != len(self._body):
            left = len(self._body) - reader.at
            self.first_problem = self.first_problem or f"its fields end {left} bytes before the section"
            return False
        self.nodes = nodes
        return True
