"""A view of a tree for the check: sections and descriptions, read on demand from rows of the C core.

Model objects have the same content at ten times the cost, and most of a dump is equal on both sides and never read.
Source: csrc/stream/stream.h.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, NamedTuple

from vmdump._core import ffi, lib
from vmdump.dump.tree import check_status
from vmdump.qemu import vmstate_flags
from vmdump.qemu.vmstate_flags import *  # noqa: F403
from vmdump.qemu.vmstate_flags import ARRAY, POINTER, VARRAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmdump.dump.device_dump import DeviceDump
    from vmdump.dump.tree import Tree

_SECTION_ROW = struct.Struct("=Qii")
_FIELD_ROW = struct.Struct("=QQQQQiiiII4x")
#: Field.offset, num_offset and size_offset if they are unknown or there is none (UINT64_MAX).
NOT_TOLD = 2**64 - 1

#: sizeof(struct vmd_stream_field); its first member is the address of the field's description, or 0.
ROW_BYTES = _FIELD_ROW.size

AUTO_ALLOC = vmstate_flags.ARRAY_OF_POINTER_AUTO_ALLOC


class RawFields(NamedTuple):
    """The content of a description.

    Attributes:
        text: its name, then the name and VMStateInfo.name (empty: none) of each field, each terminated by NUL.
        rows: a struct vmd_stream_field for each field.
        subsections: addresses of struct vmd_desc.
    """

    text: bytes
    rows: bytearray
    subsections: list[int]

    def texts(self) -> list[str]:
        """The text, split."""
        return self.text.decode(errors="backslashreplace").split("\0")

    def fields(self) -> Iterator[tuple[int, ...]]:
        """The rows, each as a tuple without its last member."""
        return _FIELD_ROW.iter_unpack(self.rows)


def read_fields(address: int) -> RawFields:
    """Read the description (struct vmd_desc) at an address."""
    desc = ffi.cast("struct vmd_desc *", address)
    rows = bytearray(desc.n_fields * _FIELD_ROW.size)
    text = bytearray(lib.vmd_stream_fields_text_size(desc))
    subsections = ffi.new("uint64_t[]", desc.n_subsections + 1)
    lib.vmd_stream_read_fields(
        desc, ffi.cast("struct vmd_stream_field *", ffi.from_buffer(rows)), subsections, ffi.from_buffer(text)
    )
    return RawFields(bytes(text), rows, ffi.unpack(subsections, desc.n_subsections))


class Field:
    """A field of a description; see VMStateField. info is VMStateInfo.name; None: none or unknown."""

    __slots__ = ("flags", "info", "name", "num", "num_offset", "offset", "size", "size_offset", "struct_version_id",
                 "test", "version_id", "vmsd")  # fmt: skip

    def __init__(self, name: str, info: str | None, row: tuple[int, ...], vmsd: Description | None) -> None:
        """From a struct vmd_stream_field."""
        self.name, self.info, self.vmsd = name, info, vmsd
        _, self.size, self.offset, self.num_offset, self.size_offset, self.num, self.version_id = row[:7]
        self.struct_version_id, self.flags = row[7], row[8]
        self.test = bool(row[9])


class Description:
    """A VMStateDescription whose fields and subsections are read on first use.

    Attributes:
        detailed: flags, VMStateInfos and hooks are known.
        needed: it has a needed hook.
        load_hooks: which of pre_load and post_load it has.
    """

    __slots__ = ("_dump", "_parts", "address", "detailed", "load_hooks", "minimum_version_id", "name", "needed",
                 "old_loader", "unmigratable", "version_id")  # fmt: skip

    def __init__(self, dump: Native, address: int) -> None:
        """The description at an address of a dump's tree."""
        desc = ffi.cast("struct vmd_desc *", address)
        self._dump, self.address = dump, address
        self._parts: tuple[Sequence[Field], Sequence[Description]] | None = None
        self.name = bytes(ffi.buffer(desc.name, desc.name_len)).decode()
        self.version_id, self.minimum_version_id = int(desc.version_id), int(desc.minimum_version_id)
        traits = desc.traits
        self.detailed = bool(traits & lib.VMD_DETAILED)
        self.needed = bool(traits & lib.VMD_NEEDED)
        self.unmigratable = bool(traits & lib.VMD_UNMIGRATABLE)
        self.old_loader = bool(traits & lib.VMD_LOAD_STATE_OLD)
        hooks = (("pre_load", lib.VMD_PRE_LOAD), ("post_load", lib.VMD_POST_LOAD))
        self.load_hooks = tuple(name for name, bit in hooks if traits & bit)

    def renamed(self, name: str, address: int) -> Description:
        """A copy under another name. address: a key for caches that no other description has; nothing is there."""
        copy = Description(self._dump, self.address)
        copy._parts, copy.name, copy.address = self._read(), name, address
        return copy

    @property
    def fields(self) -> Sequence[Field]:
        """The fields, with assertions (VMSTATE_VALIDATE) if they are known."""
        return self._read()[0]

    @property
    def subsections(self) -> Sequence[Description]:
        """The subsections, in order."""
        return self._read()[1]

    def _read(self) -> tuple[Sequence[Field], Sequence[Description]]:
        if self._parts is None:
            raw = read_fields(self.address)
            texts = raw.texts()
            at = self._dump.at
            self._parts = (
                [
                    Field(name, info or None, row, at(row[0]) if row[0] else None)
                    for name, info, row in zip(texts[1::2], texts[2::2], raw.fields(), strict=False)
                ],
                [at(address) for address in raw.subsections],
            )
        return self._parts


class Section:
    """A section: of a device type, or of the standalone VMSD whose index is root.

    shape: see number_shapes; 0 until then.
    """

    __slots__ = ("_dump", "address", "minimum_version_id", "name", "root", "shape", "type", "version_id")

    def __init__(self, dump: Native, type_: str, name: str, row: tuple[int, ...], root: int | None) -> None:
        """From a struct vmd_stream_section. For a standalone VMSD, type is its symbol or empty."""
        self._dump, self.type, self.name, self.root = dump, type_, name, root
        self.address, self.version_id, self.minimum_version_id = row
        self.shape = 0

    @property
    def vmsd(self) -> Description:
        """The description."""
        return self._dump.at(self.address)


class _Node:
    """Digests of the content of a description without addresses.

    Attributes:
        plain: the digest without offsets of members.
        placed: the digest with them.
        children: addresses of its fields' descriptions (0: none), then of its subsections.
        by_place: whether the comparison may use offsets.
    """

    __slots__ = ("by_place", "children", "placed", "plain")

    def __init__(self, address: int) -> None:
        """Of the description at an address."""
        desc, raw = ffi.cast("struct vmd_desc *", address), read_fields(address)
        words = memoryview(raw.rows).cast("Q")
        vmsds = words[:: ROW_BYTES // 8].tolist()
        blank = memoryview(bytes(8 * len(vmsds))).cast("Q")
        words[:: ROW_BYTES // 8] = blank
        counts = len(raw.text), len(vmsds), len(raw.subsections)
        head = _HEAD.pack(*counts, desc.version_id, desc.minimum_version_id, desc.traits) + raw.text
        self.children = (*vmsds, *raw.subsections)
        self.by_place = any(vmsds) and _is_judged_by_place(raw, vmsds)
        self.placed = _digest(head + raw.rows)
        for member in (2, 3, 4):  # offset, num_offset, size_offset
            words[member :: ROW_BYTES // 8] = blank
        self.plain = _digest(head + raw.rows)


def _digest(content: bytes) -> bytes:
    from hashlib import blake2b

    return blake2b(content, digest_size=32).digest()


_HEAD = struct.Struct("=QQQiiI")

#: VMStateInfos of lists, whose elements have a description.
_LISTS = (b"qtailq", b"qlist", b"gtree")


def _is_judged_by_place(raw: RawFields, vmsds: Sequence[int]) -> bool:
    """Whether the comparison may use offsets: for the length of an array of structs, and for a field that lies within a
    struct after it.
    """
    infos, furthest = raw.text.split(b"\0")[2::2], -1
    for row, vmsd, info in zip(raw.fields(), vmsds, infos, strict=False):
        offset, flags = row[2], row[8]
        if vmsd and (flags & VARRAY or info in _LISTS):
            return True
        if offset == NOT_TOLD:
            continue
        if not vmsd:
            furthest = max(furthest, offset)
        elif not flags & (POINTER | ARRAY) and furthest >= offset:
            return True
    return False


#: The most descriptions that are read to find equal sections: in hostile dumps they may nest each other many times.
_MAX_LOOKS = 5_000_000


class Contents:
    """Descriptions of several dumps. Sections with equal content share one description, and so cached results.

    Their structure is equal, too: a description that occurs twice in a section differs from two equal ones.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._known: dict[bytes, int] = {}
        self._left = _MAX_LOOKS
        #: Descriptions of all dumps by address, and the trees that own them.
        self.descriptions: dict[int, Description] = {}
        self.trees: list[Tree] = []

    def share(self, tree: Tree, sections: Sequence[Section]) -> None:
        """Replace the description of each section by that of the first section with equal content."""
        self.trees.append(tree)
        nodes: dict[int, _Node] = {}
        for section in sections:
            key = self._key(section.address, nodes)
            if key is not None:
                section.address = self._known.setdefault(key, section.address)

    def _key(self, address: int, nodes: dict[int, _Node]) -> bytes | None:
        """Digest of a description with everything nested in it; None: the limit is exceeded."""
        numbers, order, links = {0: 0, address: 1}, [address], array("Q")
        for at in order:  # grows in the loop
            if at not in nodes:
                nodes[at] = _Node(at)
            for child in nodes[at].children:
                if child not in numbers:
                    numbers[child] = len(numbers)
                    order.append(child)
                links.append(numbers[child])
            self._left -= 1
            if self._left < 0:
                return None
        by_place = any(nodes[at].by_place for at in order)
        content = b"".join(nodes[at].placed if by_place else nodes[at].plain for at in order)
        return _digest(bytes([by_place]) + content + links.tobytes())


class Native:
    """View of a dump's tree. Keeps the tree alive."""

    def __init__(self, dump: DeviceDump, contents: Contents | None = None) -> None:
        """Args:
        dump: read with all metadata that its source has.
        contents: shared by dumps whose equal sections share descriptions.
        """
        tree = dump.detailed_tree
        self._tree, self._contents = tree, contents  # keep the descriptions alive
        self._descriptions = {} if contents is None else contents.descriptions
        native = tree.native
        self._indices: dict[str, int] | None = None
        self.nums = bool(lib.vmd_stream_has_nums(native))
        n_devices, n_roots = native.n_devices, native.n_standalone
        rows = bytearray((n_devices + n_roots) * _SECTION_ROW.size)
        text = bytearray(lib.vmd_stream_sections_text_size(native))
        lib.vmd_stream_read_sections(
            native, ffi.cast("struct vmd_stream_section *", ffi.from_buffer(rows)), ffi.from_buffer(text)
        )
        texts = text.decode(errors="backslashreplace").split("\0")
        #: Sections of devices, then of standalone VMSDs.
        self.sections = sections = [
            Section(self, type_, name, row, None if index < n_devices else index - n_devices)
            for index, (type_, name, row) in enumerate(
                zip(texts[::2], texts[1::2], _SECTION_ROW.iter_unpack(rows), strict=False)
            )
        ]
        #: Sections of devices by type name, in the order of the dump; a device without a description has none.
        self.devices = {
            section.type: section
            for index, section in enumerate(sections[:n_devices])
            if section.name or tree.device_has_description(index)
        }
        #: Sections of standalone VMSDs.
        self.roots = sections[n_devices:]
        if contents is not None:
            contents.share(tree, sections)
        # All descriptions of a dump are detailed, or none is; an empty dump counts as detailed.
        first = next(iter((*self.devices.values(), *self.roots)), None)
        self.detailed = first is None or self.at(first.address).detailed

    def at(self, address: int) -> Description:
        """The description at an address."""
        found = self._descriptions.get(address)
        if found is None:
            found = self._descriptions[address] = Description(self, address)
        return found

    def uses(self, section: Section) -> tuple[str, ...]:
        """How a standalone VMSD is used; see vmdump.StandaloneVMState."""
        return self._tree.standalone_metadata(section.root)[1] if section.root is not None else ()

    def types(self, section: Section) -> tuple[str, ...]:
        """The device types whose classes refer to a standalone VMSD."""
        return self._tree.standalone_metadata(section.root)[2] if section.root is not None else ()

    def parents(self, type_: str) -> tuple[str, ...]:
        """The parent types of a device type, nearest first; empty if unknown."""
        if self._indices is None:
            self._indices = {name: index for index, name in enumerate(self._tree.device_names())}
        parents: tuple[str, ...] = self._tree.device_metadata(self._indices[type_]).get("parents", ())
        return parents


def number_shapes(sections: Sequence[Section]) -> None:
    """Set Section.shape: equal numbers if sections differ in nothing but their names; 0 for those that nest
    descriptions or have subsections. Source: csrc/stream/shapes.h.
    """
    pack = _SECTION_ROW.pack
    rows = b"".join([pack(each.address, each.version_id, each.minimum_version_id) for each in sections])
    shapes = bytearray(4 * len(sections))
    check_status(
        lib.vmd_shapes_number(
            ffi.cast("struct vmd_stream_section *", ffi.from_buffer(rows)), len(sections),
            ffi.cast("uint32_t *", ffi.from_buffer(shapes)),
        ),
        None,
    )  # fmt: skip
    for section, shape in zip(sections, memoryview(shapes).cast("I"), strict=True):
        section.shape = shape


def equal(a: Sequence[int], b: Sequence[int], *, nums: bool, hooks: bool = False) -> list[bool]:
    """Whether descriptions write the same to the stream, as far as both dumps report it, for each pair of addresses.

    Args:
        a: addresses of the source's descriptions.
        b: addresses of the destination's, as many.
        nums: both dumps report the lengths of all arrays.
        hooks: a pair is different if b has a pre_load or post_load that a lacks.
    """
    flags = bytearray(len(a))
    looks = (lib.VMD_STREAM_NUMS if nums else 0) | (lib.VMD_STREAM_HOOKS if hooks else 0)
    status = lib.vmd_stream_compare(
        ffi.new("uint64_t[]", list(a)), ffi.new("uint64_t[]", list(b)), len(a), looks, ffi.from_buffer(flags)
    )
    check_status(status, None)
    return list(map(bool, flags))


class Doubts(NamedTuple):
    """Why a description may fail to load although it equals the destination's.

    Attributes:
        doubtful: the destination may refuse or misread the bytes, or no dump describes them.
        array: it has an array, or a field that may be one if the dump does not report lengths.
    """

    doubtful: bool
    array: bool


def doubts(addresses: Sequence[int], known: Sequence[str], *, detailed: bool, nums: bool) -> list[Doubts]:
    """Return the doubts of the descriptions at addresses.

    Args:
        addresses: of struct vmd_desc.
        known: names of the VMStateInfos whose encoding is known.
        detailed: both dumps report flags, VMStateInfos and hooks.
        nums: this dump reports the lengths of arrays.
    """
    flags = bytearray(len(addresses))
    text = b"".join(name.encode() + b"\0" for name in known)
    check_status(
        lib.vmd_stream_find_risks(
            ffi.new("uint64_t[]", list(addresses)), len(addresses), detailed, nums, text, len(known),
            ffi.from_buffer(flags),
        ),
        None,
    )  # fmt: skip
    kinds = [Doubts(bool(flag & lib.VMD_STREAM_RISK), bool(flag & lib.VMD_STREAM_ARRAY)) for flag in range(4)]
    return [kinds[each] for each in flags]
