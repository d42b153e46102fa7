"""ELF objects: map one into a guest, relocate it, and look its symbols up.

Every number of the file is checked before it is used; SourceError names the file and the offset. The program headers
are read here; dynamic section, symbols and relocations by csrc/guest/objects/elf_object.c.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from vmdump._core import ffi, lib
from vmdump.emulator.guest import MEMORY, Guest
from vmdump.emulator.hosts import SUPPORTED, unsupported_host
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.objects.model import FUNCTIONS_MAX, MappedObject, MappedSegment, ObjectFile
from vmdump.files.elf_header import (
    SHF_EXECINSTR,
    SHT_NOBITS,
    ElfFormatError,
    ElfHeader,
    ElfReader,
    HostArch,
    elf_machine,
)

_ET_REL, _ET_EXEC, _ET_DYN, _ET_CORE = 1, 2, 3, 4
_PT_LOAD, _PT_DYNAMIC, _PT_NOTE, _PT_TLS, _PT_GNU_EH_FRAME, _PT_GNU_RELRO = 1, 2, 4, 7, 0x6474E550, 0x6474E552
_PF_X, _PF_W = 1, 2

#: .eh_frame_hdr as linkers make it: version 1, a count of 4 bytes, a table of 4-byte offsets from the header's start.
_EH_FRAME_HDR = b"\x01\x1b\x03\x3b"

#: UPX writes its name after the program headers, within this many bytes from the start of the file.
_PACKED_WITHIN = 1024

_GIVE = "give a QEMU system emulator (qemu-system-*)"
_DAMAGED = "the file may be truncated or corrupt"


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
            SourceError: not a position-independent ELF64 file of a supported host.
        """
        super().__init__(file, name)
        start = self._read(0, min(_PACKED_WITHIN, self._size))
        reader = ElfReader(self._read, self._size)
        header = self._read_header(reader, start)
        self.arch, self._byte_order = self._check_header(header, start), header.byte_order
        self._check_content(reader, header, start)
        phoff, phnum = header.phoff, header.phnum
        if header.phentsize != 56 or phoff + 56 * phnum > self._size:
            raise self.error(f"at {phoff:#x}: the program headers are outside of the file; {_DAMAGED}")
        self.segments = [
            ElfSegment(*each)
            for each in struct.iter_unpack(header.byte_order + "IIQQQQQQ", self._read(phoff, 56 * phnum))
        ]
        for segment in self.segments:
            if segment.type in (_PT_LOAD, _PT_DYNAMIC, _PT_TLS) and not self._fits(segment):
                where = f"at {segment.offset:#x}: a segment of {segment.filesz} bytes"
                raise self.error(f"{where} is outside of the file; {_DAMAGED}")

    def _read_header(self, reader: ElfReader, start: bytes) -> ElfHeader:
        if start[:4] != b"\x7fELF":
            raise self.error("not an ELF file")
        if len(start) < 64:
            raise self.error("shorter than an ELF header; the file may be truncated")
        try:
            return reader.header()
        except ElfFormatError as error:
            raise self.error(f"{error}; {_DAMAGED}") from error

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
        if header.type == _ET_EXEC:
            raise self.error("not position-independent (ET_EXEC), which is unsupported; use --run to run it instead")
        if header.type != _ET_DYN:
            raise self.error(f"an ELF file of an unknown type ({header.type}); {_GIVE}")
        return HostArch(header.machine)

    def _check_content(self, reader: ElfReader, header: ElfHeader, start: bytes) -> None:
        """Raise SourceError if the file has no code, or only compressed code."""
        if b"UPX!" in start:
            raise self.error("compressed by UPX; decompress it (upx -d) and give the result")
        try:
            sections, _ = reader.sections(header)
        except ElfFormatError:
            return  # section headers are not needed to load the file
        code = {section.type for section in sections if section.flags & SHF_EXECINSTR}
        if code == {SHT_NOBITS}:
            raise self.error("separate debug information, without code; give the binary that it belongs to")

    def _fits(self, segment: ElfSegment) -> bool:
        return (
            segment.offset + segment.filesz <= self._size
            and segment.filesz <= segment.memsz
            and segment.vaddr + segment.memsz <= MEMORY
        )

    def of_type(self, kind: int) -> Iterator[ElfSegment]:
        """Iterate over the segments of a type (PT_*)."""
        return (segment for segment in self.segments if segment.type == kind)

    def build_id(self) -> str | None:
        """Return the linker's build ID in hex (NT_GNU_BUILD_ID), or None."""
        for segment in self.of_type(_PT_NOTE):
            if segment.offset + segment.filesz > self._size:
                continue
            note = self._read(segment.offset, segment.filesz)
            while len(note) >= 12:
                namesz, descsz, kind = struct.unpack_from(self._byte_order + "III", note)
                desc = 12 + (namesz + 3 & ~3)
                if kind == 3 and note[12 : 12 + namesz] == b"GNU\0":
                    return note[desc : desc + descsz].hex()
                note = note[desc + (descsz + 3 & ~3) :]
        return None

    def map(self, guest: Guest, scope: Sequence[MappedObject] = (), *, is_main: bool) -> MappedObject:
        """See ObjectFile.map."""
        top = max((segment.vaddr + segment.memsz for segment in self.of_type(_PT_LOAD)), default=0)
        if not top:
            raise self.error("nothing to load")
        bias = guest.alloc(top, 0x10000)
        if is_main:
            guest.bias = bias
        for segment in self.of_type(_PT_LOAD):
            self.read_into(guest.view(bias + segment.vaddr, segment.filesz), segment.offset)
        code = max((segment for segment in self.of_type(_PT_LOAD) if segment.flags & _PF_X), key=_size, default=None)
        if code is not None:
            lib.vmd_guest_expect_code(guest.native, bias + code.vaddr, code.filesz)
        for segment in self.of_type(_PT_TLS):
            self._map_tls(guest, segment, is_main)
        dynamic = next(self.of_type(_PT_DYNAMIC), None)
        if dynamic is None:
            raise self.error("no dynamic section; statically linked binaries can't be read")
        error, ret = ffi.new("struct vmd_error *"), ffi.new("struct vmd_object **")
        status = lib.vmd_elf_link(
            guest.native, bias, bias + dynamic.vaddr, dynamic.memsz,
            ffi.new("struct vmd_object *[]", [each.native for each in scope]), len(scope), ret, error,
        )  # fmt: skip
        self._check(status, error)
        segments = [
            MappedSegment(
                bias + each.vaddr, bias + each.vaddr + each.memsz,
                executable=bool(each.flags & _PF_X), writable=bool(each.flags & _PF_W), loaded=each.filesz,
            )
            for each in self.of_type(_PT_LOAD)
        ]  # fmt: skip
        relocated = [(bias + each.vaddr, bias + each.vaddr + each.memsz) for each in self.of_type(_PT_GNU_RELRO)]
        unwinding = [bias + each.vaddr for each in self.of_type(_PT_GNU_EH_FRAME)]
        native = ffi.gc(ret[0], lib.vmd_object_destroy)
        return MappedObject(guest, native, bias, segments, relocated, partial(_function_starts, unwinding))

    def _map_tls(self, guest: Guest, segment: ElfSegment, is_main: bool) -> None:
        align = max(segment.align, 1)
        size = (segment.memsz + align - 1) // align * align
        address = int(lib.vmd_guest_set_tls(guest.native, size)) if is_main and size < MEMORY else 0
        if not address:
            raise self.error(f"{segment.memsz} bytes of thread-local data; only the main binary may have any")
        self.read_into(guest.view(address, segment.filesz), segment.offset)
        if lib.vmd_guest_keep_tls(guest.native):
            raise MemoryError("out of memory for the thread-local data of a QEMU")


def _size(segment: ElfSegment) -> int:
    return segment.filesz


def _function_starts(headers: Sequence[int], guest: Guest) -> list[int]:
    """Return the start addresses of functions from the .eh_frame_hdr at these addresses."""
    for header in headers:
        if guest.read(header, 4) == _EH_FRAME_HDR:
            count = guest.number(header + 8, 4)
            if count > FUNCTIONS_MAX:
                return []
            return [
                header + start
                for start, _ in struct.iter_unpack(guest.order + "ii", guest.read(header + 12, 8 * count))
            ]
    return []
