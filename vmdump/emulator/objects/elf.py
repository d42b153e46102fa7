"""ELF objects: map one into a guest, relocate it, and look its symbols up.

Every number of the file is checked before it is used; SourceError names the file and the offset. The program headers
are read here; dynamic section, symbols and relocations by csrc/guest/objects/elf_object.c.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.emulator.guest import MEMORY, Guest
from vmdump.emulator.hosts import SUPPORTED, unsupported_host
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.objects.eh_frame import list_functions
from vmdump.emulator.objects.model import DAMAGED, FUNCTIONS_MAX, MappedObject, MappedSegment, ObjectFile, Program
from vmdump.files.elf_header import (
    SHF_EXECINSTR,
    SHT_NOBITS,
    ElfFormatError,
    ElfHeader,
    ElfReader,
    HostArch,
    SectionHeader,
    elf_machine,
)

_ET_REL, _ET_EXEC, _ET_DYN, _ET_CORE = 1, 2, 3, 4
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE, _PT_TLS, _PT_GNU_EH_FRAME, _PT_GNU_RELRO = (
    1, 2, 3, 4, 7, 0x6474E550, 0x6474E552
)  # fmt: skip
_PF_X, _PF_W = 1, 2

_WORD = 2**64 - 1

_SHT_SYMTAB = 2

#: .eh_frame_hdr as linkers make it: version 1, a count of 4 bytes, a table of 4-byte offsets from the header's start.
_EH_FRAME_HDR = b"\x01\x1b\x03\x3b"

#: Binaries are placed at multiples of this, in bytes, and not below it: the largest page size, and mmap_min_addr.
_PLACE_UNIT = 1 << 16

#: Limit of the addresses of binaries: those of user space on x86-64.
_ADDRESS_MAX = 1 << 47

#: Limit of the program headers, in bytes. Source: Linux fs/binfmt_elf.c load_elf_phdrs.
_HEADERS_MAX = 1 << 16

#: Limit of the notes of a file, in bytes. QEMU has 200.
_NOTES_MAX = 1 << 16

#: UPX writes its name after the program headers, within this many bytes from the start of the file.
_PACKED_WITHIN = 1024

_GIVE = "give a QEMU system emulator (qemu-system-*)"


class ElfSegment(NamedTuple):
    """A program header. Source: elf.h Elf64_Phdr."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int


class ElfFile(ObjectFile):
    """An ELF file. ``segments``: its program headers, in the file's order."""

    platform = Platform.LINUX

    def __init__(self, file: bytes | io.RawIOBase, name: str) -> None:
        """Read the headers of a file: its bytes, or the open file. ``name`` is the file's name in errors.

        Raises:
            SourceError: not an ELF64 executable or shared object of a supported host.
        """
        super().__init__(file, name)
        start = self._read(0, min(_PACKED_WITHIN, self._size))
        reader = ElfReader(self._read, self._size)
        header = self._read_header(reader, start)
        self.arch, self._byte_order = self._check_header(header, start), header.byte_order
        self._sections = self._read_sections(reader, header)
        self._check_content(start)
        self._header = header
        phoff, phnum = header.phoff, header.phnum
        if header.phentsize != 56 or phoff + 56 * phnum > self._size:
            raise self.error(f"at {phoff:#x}: the program headers are outside of the file; {DAMAGED}")
        if 56 * phnum > _HEADERS_MAX:
            raise self.error(f"at {phoff:#x}: {phnum} program headers, more than Linux accepts; {DAMAGED}")
        self.segments = [
            ElfSegment(*each)
            for each in struct.iter_unpack(header.byte_order + "IIQQQQQQ", self._read(phoff, 56 * phnum))
        ]
        for segment in self.segments:
            if segment.type in (_PT_LOAD, _PT_DYNAMIC, _PT_TLS) and not self._fits(segment):
                where = f"at {segment.offset:#x}: a segment of {segment.filesz} bytes"
                raise self.error(f"{where} is outside of the file; {DAMAGED}")
        for kind in (_PT_LOAD, _PT_GNU_RELRO):
            self._check_memory(segment.memsz for segment in self.of_type(kind))
        if header.type == _ET_EXEC:
            self.place = self._range()
            if self.place.start < _PLACE_UNIT:
                raise self.error("linked to addresses below 64 KiB, where Linux maps no binary either")

    def _range(self) -> range:
        """Return the addresses of the loaded segments, from a multiple of _PLACE_UNIT on."""
        loaded = list(self.of_type(_PT_LOAD))
        if not any(segment.memsz for segment in loaded):
            raise self.error("nothing to load")
        start = min(segment.vaddr for segment in loaded) // _PLACE_UNIT * _PLACE_UNIT
        end = max(segment.vaddr + segment.memsz for segment in loaded)
        if end - start > MEMORY:
            raise self.error(f"its segments are at {start:#x} to {end:#x}, further apart than a QEMU's; {DAMAGED}")
        return range(start, end)

    @property
    def _is_static(self) -> bool:
        """Whether no dynamic linker starts it: an executable, with an entry, and without PT_INTERP."""
        return self._header.entry != 0 and not any(self.of_type(_PT_INTERP))

    def _read_header(self, reader: ElfReader, start: bytes) -> ElfHeader:
        if start[:4] != b"\x7fELF":
            raise self.error("not an ELF file")
        if len(start) < 64:
            raise self.error("shorter than an ELF header; the file may be truncated")
        try:
            return reader.header()
        except ElfFormatError as error:
            raise self.error(f"{error}; {DAMAGED}") from error

    def _check_header(self, header: ElfHeader, start: bytes) -> HostArch:
        """Return the host architecture. Raises SourceError if the file is not an executable of a supported host."""
        if start[8:10] == b"AI":
            raise self.error("an AppImage; unpack it (--appimage-extract) and give the qemu-system binary inside")
        if header.type == _ET_CORE:
            raise self.error("a core file, the memory of a process that crashed; give the QEMU binary itself")
        if header.type == _ET_REL:
            raise self.error(f"a relocatable object, not linked; {_GIVE}")
        if reason := unsupported_host(header):
            raise self.error(
                f"a {header.bits}-bit ELF file for {elf_machine(header.machine)}"
                f"{', big-endian' if header.byte_order == '>' else ''}, which can't be emulated: {reason}; supported "
                f"hosts are {SUPPORTED}: write the dump on its own host with -dump-vmstate, and give that file"
            )
        if header.type not in (_ET_EXEC, _ET_DYN):
            raise self.error(f"an ELF file of an unknown type ({header.type}); {_GIVE}")
        return HostArch(header.machine)

    def _read_sections(self, reader: ElfReader, header: ElfHeader) -> list[SectionHeader]:
        """Return the section headers; none if they are damaged, as loading the file needs none."""
        try:
            return reader.sections(header)[0]
        except ElfFormatError:
            return []

    def _check_content(self, start: bytes) -> None:
        """Raise SourceError if the file has no code, or only compressed code."""
        if b"UPX!" in start:
            raise self.error("compressed by UPX; decompress it (upx -d) and give the result")
        code = {section.type for section in self._sections if section.flags & SHF_EXECINSTR}
        if code == {SHT_NOBITS}:
            raise self.error("separate debug information, without code; give the binary that it belongs to")

    def _fits(self, segment: ElfSegment) -> bool:
        return (
            segment.offset + segment.filesz <= self._size
            and segment.filesz <= segment.memsz
            and segment.memsz <= MEMORY
            and segment.vaddr + segment.memsz <= _ADDRESS_MAX
        )

    def of_type(self, kind: int) -> Iterator[ElfSegment]:
        """Iterate over the segments of a type (PT_*)."""
        return (segment for segment in self.segments if segment.type == kind)

    def build_id(self) -> str | None:
        """Return the linker's build ID in hex (NT_GNU_BUILD_ID), or None."""
        left = _NOTES_MAX
        for segment in self.of_type(_PT_NOTE):
            if segment.filesz > left or segment.offset + segment.filesz > self._size:
                continue
            left -= segment.filesz
            notes, at = self._read(segment.offset, segment.filesz), 0
            while at + 12 <= len(notes):
                namesz, descsz, kind = struct.unpack_from(self._byte_order + "III", notes, at)
                name = at + 12
                desc = name + (namesz + 3 & ~3)
                if kind == 3 and notes[name : name + namesz] == b"GNU\0":
                    return notes[desc : desc + descsz].hex() or None
                at = desc + (descsz + 3 & ~3)
        return None

    def _map(self, guest: Guest, scope: Sequence[MappedObject], *, is_main: bool) -> MappedObject:
        place = self._range()
        if self.place and guest.place != self.place:
            raise self.error("not position-independent, which only the main binary may be")
        bias = 0 if self.place else guest.alloc(len(place), _PLACE_UNIT) - place.start
        if is_main:
            guest.bias = bias
        for segment in self.of_type(_PT_LOAD):
            self.read_into(guest.view(bias + segment.vaddr, segment.filesz), segment.offset)
        code = max((segment for segment in self.of_type(_PT_LOAD) if segment.flags & _PF_X), key=_size, default=None)
        if code is not None:
            lib.vmd_guest_expect_code(guest.native, bias + code.vaddr, code.filesz)
        segments = [
            MappedSegment(
                bias + each.vaddr, bias + each.vaddr + each.memsz,
                executable=bool(each.flags & _PF_X), writable=bool(each.flags & _PF_W), loaded=each.filesz,
                has_addresses=bool(each.flags & _PF_W) or bool(self.place and not each.flags & _PF_X),
            )
            for each in self.of_type(_PT_LOAD)
        ]  # fmt: skip
        program = self._program(bias) if is_main and self._is_static else None
        native = self._link(guest, bias, scope, is_main=is_main) if program is None else _unlinked(guest, bias)
        if is_main:
            self._add_symbols(native)
        starts = ((bias + each.vaddr & _WORD, each.memsz) for each in self.of_type(_PT_GNU_RELRO))
        relocated = [(start, start + size) for start, size in starts]
        tables = [bias + each.vaddr & _WORD for each in self.of_type(_PT_GNU_EH_FRAME)]
        find_functions = partial(_function_starts, tables, segments)
        return MappedObject(guest, native, bias, segments, _constants(segments), relocated, find_functions, program)

    def _program(self, bias: int) -> Program:
        """Return how to start a statically linked binary."""
        header = self._header
        within = (each for each in self.of_type(_PT_LOAD) if 0 <= header.phoff - each.offset < each.filesz)
        headers = next((bias + each.vaddr + header.phoff - each.offset for each in within), 0)
        return Program(bias + header.entry & _WORD, headers, header.phnum, header.phentsize)

    def _link(self, guest: Guest, bias: int, scope: Sequence[MappedObject], *, is_main: bool) -> Any:
        """Map thread-local data, bind symbols and apply relocations. Return ``struct vmd_object *``."""
        for segment in self.of_type(_PT_TLS):
            self._map_tls(guest, segment, is_main)
        dynamic = next(self.of_type(_PT_DYNAMIC), None)
        if dynamic is None:
            raise self.error("no dynamic section")
        error, ret = ffi.new("struct vmd_error *"), ffi.new("struct vmd_object **")
        status = lib.vmd_elf_link(
            guest.native, bias & _WORD, bias + dynamic.vaddr & _WORD, dynamic.memsz,
            ffi.new("struct vmd_object *[]", [each.native for each in scope]), len(scope), ret, error,
        )  # fmt: skip
        self._check(status, error)
        return ffi.gc(ret[0], lib.vmd_object_destroy)

    def _add_symbols(self, native: Any) -> None:
        """Add the symbols that linkers write for debuggers to an object, if the file is not stripped."""
        for section in self._sections:
            if section.type == _SHT_SYMTAB and section.link < len(self._sections):
                names = self._sections[section.link]
                table, texts = (self._part(each) for each in (section, names))
                error = ffi.new("struct vmd_error *")
                status = lib.vmd_elf_add_symbols(native, table, len(table) // 24, texts, len(texts), error)
                self._check(status, error)
                return

    def _part(self, section: SectionHeader) -> bytes:
        """Return the bytes of a section; none if it is not within the file, or larger than any QEMU's."""
        is_inside = section.offset + section.size <= self._size and section.size <= MEMORY
        return self._read(section.offset, section.size) if is_inside else b""

    def _map_tls(self, guest: Guest, segment: ElfSegment, is_main: bool) -> None:
        align = max(segment.align, 1)
        size = (segment.memsz + align - 1) // align * align
        address = int(lib.vmd_guest_set_tls(guest.native, size)) if is_main and size < MEMORY else 0
        if not address:
            raise self.error(f"{segment.memsz} bytes of thread-local data; only the main binary may have any")
        self.read_into(guest.view(address, segment.filesz), segment.offset)
        if lib.vmd_guest_keep_tls(guest.native):
            raise MemoryError("out of memory for the thread-local data of a QEMU")


def _unlinked(guest: Guest, bias: int) -> Any:
    """Return the ``struct vmd_object *`` of a binary that relocates itself."""
    native = lib.vmd_object_create(guest.native, bias & _WORD)
    if not native:
        raise MemoryError("out of memory for the symbols of a QEMU")
    return ffi.gc(native, lib.vmd_object_destroy)


def _constants(segments: Sequence[MappedSegment]) -> MappedSegment | None:
    """Return the segment that holds the strings: the last one of read-only data.

    If code has no segment of its own, the last read-only segment. Linkers that make two segments of read-only data
    write symbols and relocations into the first.
    """
    parts = [segment for segment in segments if not segment.writable]
    parts = [segment for segment in parts if not segment.executable] or parts
    return parts[-1] if parts else None


def _size(segment: ElfSegment) -> int:
    return segment.filesz


def _function_starts(headers: Sequence[int], segments: list[MappedSegment], guest: Guest) -> list[int]:
    """Return the start addresses of functions from the .eh_frame_hdr at these addresses, else from .eh_frame."""
    for header in headers:
        if guest.read(header, 4) == _EH_FRAME_HDR:
            count = guest.number(header + 8, 4)
            if count > FUNCTIONS_MAX:
                return []
            table = struct.iter_unpack(guest.order + "ii", guest.read(header + 12, 8 * count))
            return [header + start for start, _ in table]
    return list_functions(guest, segments)
