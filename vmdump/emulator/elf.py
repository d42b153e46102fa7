"""ELF objects: map one into a guest, relocate it, and look its symbols up.

Every number of the file is checked before it is used; SourceError names the file and the offset. The program headers
are read here; dynamic section, symbols and relocations by csrc/guest/elf_object.c.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.emulator.guest import MEMORY, Guest
from vmdump.emulator.hosts import SUPPORTED, unsupported_host
from vmdump.errors import SourceError
from vmdump.files.elf_header import (
    SHF_EXECINSTR,
    SHT_NOBITS,
    ElfFormatError,
    ElfHeader,
    ElfReader,
    HostArch,
    elf_machine,
)
from vmdump.files.input_file import open_regular

_ET_REL, _ET_EXEC, _ET_DYN, _ET_CORE = 1, 2, 3, 4
_PT_LOAD, _PT_DYNAMIC, _PT_NOTE, _PT_TLS, _PT_GNU_RELRO = 1, 2, 4, 7, 0x6474E552
_PF_X, _PF_W = 1, 2

#: UPX writes its name behind the program headers, within this many bytes from the start of the file.
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


class ElfFile:
    """An ELF file and its segments. As a context manager it closes the file.

    ``arch``: the host that the file is for; ``segments``: its program headers, in the file's order.
    """

    def __init__(self, file: bytes | io.RawIOBase, name: str) -> None:
        """Read the headers of a file: its bytes, or the open file. ``name`` is the file's name in errors.

        Raises:
            SourceError: not a position-independent ELF64 file of a supported host.
        """
        self._file: io.BytesIO | io.RawIOBase = io.BytesIO(file) if isinstance(file, bytes) else file
        self.name = name
        self._size = self._file.seek(0, io.SEEK_END)
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

    @classmethod
    def open(cls, path: str) -> ElfFile:
        """Open the ELF file at a path. Raises OSError and ValueError too, as the built-in open does."""
        file = open_regular(path).detach()
        try:
            return cls(file, path)
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> ElfFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def error(self, what: str) -> SourceError:
        """Return an error that names the file."""
        return SourceError(f"{self.name}: {what}")

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

    def read_into(self, memory: memoryview, offset: int) -> None:
        """Fill memory with the file's bytes from an offset on."""
        self._file.seek(offset)
        while len(memory):
            size = self._file.readinto(memory)
            if not size:
                raise self.error(f"at {self._file.tell():#x}: the file was truncated while it was being read")
            memory = memory[size:]

    @property
    def is_closed(self) -> bool:
        """Whether the file can no longer be read."""
        return self._file.closed

    def content(self) -> bytes:
        """Return the bytes of the file, at most as many as a guest has memory for."""
        return self._read(0, min(self._size, MEMORY))

    def _read(self, offset: int, size: int) -> bytes:
        data = bytearray(size)
        self.read_into(memoryview(data), offset)
        return bytes(data)

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


class MappedSegment(NamedTuple):
    """A segment of an object in a guest: the addresses [start, end) and its permissions."""

    start: int
    end: int
    executable: bool
    writable: bool


class Symbols(Mapping[str, int]):
    """Symbols that an object defines: guest addresses by name. Lookups are lazy."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def __getitem__(self, name: str) -> int:
        address = int(lib.vmd_object_symbol(self._native, name.encode(errors="surrogateescape")))
        if not address:
            raise KeyError(name)
        return address

    def __iter__(self) -> Iterator[str]:
        address = ffi.new("uint64_t *")
        for n in range(lib.vmd_object_n_symbols(self._native)):
            name = lib.vmd_object_nth_symbol(self._native, n, address)
            if name:
                yield ffi.string(name).decode(errors="surrogateescape")

    def __len__(self) -> int:
        return sum(1 for _ in self)


class MappedObject:
    """An object in a guest. It lives as long as the guest.

    ``bias``: the guest address of the object's address 0; ``symbols``: those that it defines; ``constructors``: the
    addresses in its DT_INIT_ARRAY; ``segments``: its loaded segments, in the file's order; ``relocated``: start and end
    of data that is constant after relocation (PT_GNU_RELRO).
    """

    def __init__(
        self,
        guest: Guest,
        native: Any,
        bias: int,
        segments: list[MappedSegment],
        relocated: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._guest, self.relocated = guest, tuple(relocated)
        self.native = native
        self.bias = bias
        self.segments = segments
        self.symbols = Symbols(native)
        addresses = ffi.new("const uint64_t **")
        count = lib.vmd_object_constructors(native, addresses)
        self.constructors: list[int] = ffi.unpack(addresses[0], count) if count else []

    def holds(self, address: int) -> bool:
        """Return whether an address is within one of the segments."""
        return any(segment.start <= address < segment.end for segment in self.segments)

    def symbol_at(self, address: int) -> str | None:
        """Return the name of the function or variable that contains an address, or None."""
        name = lib.vmd_object_symbol_at(self.native, address)
        return ffi.string(name).decode(errors="surrogateescape") if name else None

    def slots(self) -> tuple[Any, int]:
        """Return the slots that relocations other than the PLT's filled with addresses.

        Returns ``const uint64_t *``, ascending guest addresses, and their number.
        """
        slots, count = ffi.new("const uint64_t **"), ffi.new("size_t *")
        if lib.vmd_object_slots(self.native, slots, count):
            raise MemoryError("out of memory for the relocations of a QEMU")
        return slots[0], int(count[0])

    def constants(self) -> bytes:
        """Return the segment that holds the strings: the last one of read-only data.

        If code has no segment of its own, the last read-only segment. Linkers that make two segments of read-only data
        write symbols and relocations into the first.
        """
        parts = [segment for segment in self.segments if not segment.writable]
        parts = [segment for segment in parts if not segment.executable] or parts
        return self._guest.read(parts[-1].start, parts[-1].end - parts[-1].start) if parts else b""


def map_object(guest: Guest, elf: ElfFile, scope: Sequence[MappedObject] = (), *, is_main: bool) -> MappedObject:
    """Map an object into a guest and apply its relocations.

    Undefined symbols are bound to the objects in ``scope``, else to the host's functions. Only the main binary may have
    thread-local data.

    Raises:
        SourceError: the object is malformed, or needs something that the emulator lacks.
        MemoryError: no memory for its symbols.
    """
    top = max((segment.vaddr + segment.memsz for segment in elf.of_type(_PT_LOAD)), default=0)
    if not top:
        raise elf.error("nothing to load")
    bias = guest.alloc(top, 0x10000)
    if is_main:
        guest.bias = bias
    for segment in elf.of_type(_PT_LOAD):
        elf.read_into(guest.view(bias + segment.vaddr, segment.filesz), segment.offset)
    code = max((segment for segment in elf.of_type(_PT_LOAD) if segment.flags & _PF_X), key=_size, default=None)
    if code is not None:
        lib.vmd_guest_expect_code(guest.native, bias + code.vaddr, code.filesz)
    for segment in elf.of_type(_PT_TLS):
        _map_tls(guest, elf, segment, is_main)
    dynamic = next(elf.of_type(_PT_DYNAMIC), None)
    if dynamic is None:
        raise elf.error("no dynamic section; statically linked binaries can't be read")
    error, ret = ffi.new("struct vmd_error *"), ffi.new("struct vmd_object **")
    status = lib.vmd_object_link(
        guest.native, bias, bias + dynamic.vaddr, dynamic.memsz,
        ffi.new("struct vmd_object *[]", [each.native for each in scope]), len(scope), ret, error,
    )  # fmt: skip
    if status == lib.VMD_NO_MEMORY:
        raise MemoryError("out of memory for the symbols of a QEMU")
    if status:
        place = ffi.string(error.path).decode()
        raise elf.error(f"{place}{place and ': '}{ffi.string(error.message).decode()}")
    segments = [
        MappedSegment(
            bias + each.vaddr, bias + each.vaddr + each.memsz, bool(each.flags & _PF_X), bool(each.flags & _PF_W)
        )
        for each in elf.of_type(_PT_LOAD)
    ]
    relocated = [(bias + each.vaddr, bias + each.vaddr + each.memsz) for each in elf.of_type(_PT_GNU_RELRO)]
    return MappedObject(guest, ffi.gc(ret[0], lib.vmd_object_destroy), bias, segments, relocated)


def _size(segment: ElfSegment) -> int:
    return segment.filesz


def _map_tls(guest: Guest, elf: ElfFile, segment: ElfSegment, is_main: bool) -> None:
    align = max(segment.align, 1)
    size = (segment.memsz + align - 1) // align * align
    address = int(lib.vmd_guest_set_tls(guest.native, size)) if is_main and size < MEMORY else 0
    if not address:
        raise elf.error(f"{segment.memsz} bytes of thread-local data; only the main binary may have any")
    elf.read_into(guest.view(address, segment.filesz), segment.offset)
    if lib.vmd_guest_keep_tls(guest.native):
        raise MemoryError("out of memory for the thread-local data of a QEMU")
