"""SavedVM: a walked migration stream."""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from typing import Any

    from vmdump.stream.container import Container

#: MIG_CMD_*. Source: migration/savevm.c enum qemu_vm_cmd; 11 is new in QEMU 10.0.
COMMANDS = (
    "unknown", "open return path", "ping", "postcopy advise", "postcopy listen", "postcopy run",
    "postcopy ram discard", "packaged", "enable COLO", "postcopy resume", "recv bitmap", "switchover start",
)  # fmt: skip

#: struct vmd_savevm_section.end.
ENDS = ("format", "vmdescription", "footer", "next header")

_LIVE = 1


class Section(
    namedtuple(
        "Section",
        ("name", "instance_id", "version_id", "id", "is_live", "parts", "offset", "size", "is_packaged", "end", "body"),
    )
):
    """A section of a stream.

    - name: the idstr: the device's path, if it has one, and the name of its description.
    - instance_id, version_id: as sent.
    - id: the section's number in this stream.
    - is_live: of a live handler (START, PART, END), such as RAM.
    - parts: number of elements.
    - offset: of the first element in the stream, in bytes.
    - size: of the bodies of all elements, in bytes.
    - is_packaged: inside a postcopy package.
    - end: what determined the end of the body, of ENDS.
    - body: the state; empty if it is not kept.
    """

    __slots__ = ()

    name: str
    instance_id: int
    version_id: int
    id: int
    is_live: bool
    parts: int
    offset: int
    size: int
    is_packaged: bool
    end: str
    body: memoryview


class RamBlock(
    namedtuple(
        "RamBlock",
        ("name", "size", "page_size", "address", "is_mapped", "pages", "zero_pages", "xbzrle_pages",
         "compressed_pages"),
    )
):  # fmt: skip
    """A RAM block.

    - size: used_length in bytes.
    - page_size: of its host pages, if sent; else None.
    - address: in the guest, with x-ignore-shared; else None.
    - is_mapped: whether mapped-ram stores its pages at fixed offsets.
    - pages, zero_pages, xbzrle_pages, compressed_pages: records sent, of which several may be of one page.
    """

    __slots__ = ()

    name: str
    size: int
    page_size: int | None
    address: int | None
    is_mapped: bool
    pages: int
    zero_pages: int
    xbzrle_pages: int
    compressed_pages: int


class SavedVM:
    """A saved VM: what its stream has, without the contents of RAM.

    Attributes:
        path: The file.
        container: What is around the stream.
        machine: Machine type; None: the stream has no configuration.
        capabilities: Capabilities that the configuration names.
        uuid: Of the VM, with validate-uuid; else None.
        page_size: Of the target, in bytes; None: not known.
        sections: In stream order.
        blocks: RAM blocks in stream order.
        commands: Number of each command that was sent, by name.
        has_footers: Whether sections end with a footer.
        vmdescription: The JSON at the end of the stream; None: it has none.
        size: Of the stream in bytes.
    """

    def __init__(self, path: str, container: Container) -> None:
        self.path, self.container = path, container
        self.machine: str | None = None
        self.capabilities: tuple[str, ...] = ()
        self.uuid: str | None = None
        self.page_size: int | None = None
        self.sections: tuple[Section, ...] = ()
        self.blocks: tuple[RamBlock, ...] = ()
        self.commands: dict[str, int] = {}
        self.has_footers = False
        self.vmdescription: bytes | None = None
        self.size = 0
        self._document: Any = None

    @property
    def document(self) -> dict[str, Any] | None:
        """The parsed vmdescription; None if there is none or it is not valid."""
        if self._document is None and self.vmdescription:
            from vmdump.stream.vmdescription import parse

            self._document = parse(self.vmdescription)
        return self._document or None

    @property
    def run_state(self) -> str | None:
        """The state of the VM when it was saved, such as ``running``; None: not sent.

        Source: migration/global_state.c vmstate_globalstate: a size, then a string in 100 bytes.
        """
        section = next((each for each in self.sections if each.name == "globalstate"), None)
        if section is None or len(section.body) < 5:
            return None
        return bytes(section.body[4:]).split(b"\0", 1)[0].decode(errors="replace")
