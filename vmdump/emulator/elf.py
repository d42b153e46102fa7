"""ELF objects: what of their format it takes to map one into a guest, relocate it, and know its symbols.

Every number of the file is checked before it is used: SourceError, with the place in the file, for what does not fit.
The headers are read here; dynamic section, symbols and relocations by csrc/guest_object.c.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vmdump._core import ffi, lib
from vmdump.emulator.guest import ARCHITECTURES, MEMORY, Guest
from vmdump.errors import SourceError

_ET_DYN = 3
_PT_LOAD, _PT_DYNAMIC, _PT_NOTE, _PT_TLS = 1, 2, 4, 7
_PF_X, _PF_W = 1, 2


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
    """An ELF file, and its segments. Raises SourceError for what is no position-independent ELF64 of a host that can be
    emulated. As a context manager it closes the file.
    """

    def __init__(self, file: bytes | io.FileIO, name: str) -> None:
        """file: its bytes, or the open file. name is what errors call it."""
        self._file = io.BytesIO(file) if isinstance(file, bytes) else file
        self.name = name
        self._size = self._file.seek(0, io.SEEK_END)
        header = self._read(0, min(64, self._size))
        if header[:4] != b"\x7fELF":
            raise self.error("not an ELF file")
        if len(header) < 64:
            raise self.error("shorter than an ELF header")
        if header[4:6] != b"\x02\x01":
            raise self.error("not a 64-bit little-endian ELF file; hosts that can be read are x86-64 and AArch64")
        kind, self.e_machine = struct.unpack_from("<HH", header, 16)
        if self.e_machine not in ARCHITECTURES:
            raise self.error(f"for a host (ELF machine {self.e_machine}) other than x86-64 and AArch64")
        if kind != _ET_DYN:
            raise self.error("not position-independent; only such binaries can be read")
        phoff, phentsize, phnum = *struct.unpack_from("<Q", header, 32), *struct.unpack_from("<HH", header, 54)
        if phentsize != 56 or phoff + 56 * phnum > self._size:
            raise self.error(f"at {phoff:#x}: the program headers are outside of the file; is it whole?")
        self.segments = [ElfSegment(*each) for each in struct.iter_unpack("<IIQQQQQQ", self._read(phoff, 56 * phnum))]
        for segment in self.segments:
            if segment.type in (_PT_LOAD, _PT_DYNAMIC, _PT_TLS) and not self._fits(segment):
                where = f"at {segment.offset:#x}: a segment of {segment.filesz} bytes"
                raise self.error(f"{where} is outside of the file; is it whole?")

    @classmethod
    def open(cls, path: str) -> ElfFile:
        """The ELF file at a path. Raises OSError and ValueError too, as the built-in open does."""
        file = io.FileIO(path)
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
        """An error that names the file."""
        return SourceError(f"{self.name}: {what}")

    def _fits(self, segment: ElfSegment) -> bool:
        return (
            segment.offset + segment.filesz <= self._size
            and segment.filesz <= segment.memsz
            and segment.vaddr + segment.memsz <= MEMORY
        )

    def of_type(self, kind: int) -> Iterator[ElfSegment]:
        """The segments of a type."""
        return (segment for segment in self.segments if segment.type == kind)

    def read_into(self, memory: memoryview, offset: int) -> None:
        """Fills memory with the file's bytes from offset on."""
        self._file.seek(offset)
        while len(memory):
            size = self._file.readinto(memory)
            if not size:
                raise self.error(f"at {self._file.tell():#x}: the file has become shorter while it is read")
            memory = memory[size:]

    def _read(self, offset: int, size: int) -> bytes:
        data = bytearray(size)
        self.read_into(memoryview(data), offset)
        return bytes(data)

    def build_id(self) -> str | None:
        """The linker's build id, in hex; None where there is none."""
        for segment in self.of_type(_PT_NOTE):
            if segment.offset + segment.filesz > self._size:
                continue
            note = self._read(segment.offset, segment.filesz)
            while len(note) >= 12:
                namesz, descsz, kind = struct.unpack_from("<III", note)
                desc = 12 + (namesz + 3 & ~3)
                if kind == 3 and note[12 : 12 + namesz] == b"GNU\0":
                    return note[desc : desc + descsz].hex()
                note = note[desc + (descsz + 3 & ~3) :]
        return None


class MappedSegment(NamedTuple):
    """A part of an object in a guest: addresses from start up to end, and what it is for."""

    start: int
    end: int
    executable: bool
    writable: bool


class Symbols(Mapping[str, int]):
    """The symbols that an object defines, by name: addresses in the guest. Each is looked up when it is asked for."""

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
    """An object in a guest. Goes with the guest.

    ``bias``: where its address 0 is; ``symbols``: those that it defines; ``constructors``: the addresses of its
    DT_INIT_ARRAY; ``segments``: its parts, in the file's order.
    """

    def __init__(self, guest: Guest, native: Any, bias: int, segments: list[MappedSegment]) -> None:
        self._guest = guest
        self.native = native
        self.bias = bias
        self.segments = segments
        self.symbols = Symbols(native)
        addresses = ffi.new("const uint64_t **")
        count = lib.vmd_object_constructors(native, addresses)
        self.constructors: list[int] = ffi.unpack(addresses[0], count) if count else []

    def holds(self, address: int) -> bool:
        """Whether an address is within one of its segments."""
        return any(segment.start <= address < segment.end for segment in self.segments)

    def symbol_at(self, address: int) -> str | None:
        """The name of the symbol whose function or variable an address is within."""
        name = lib.vmd_object_symbol_at(self.native, address)
        return ffi.string(name).decode(errors="surrogateescape") if name else None

    def slots(self) -> tuple[Any, int]:
        """Where relocations have put addresses, but for the PLT's: ``const uint64_t *``, ascending, and how many."""
        slots, count = ffi.new("const uint64_t **"), ffi.new("size_t *")
        if lib.vmd_object_slots(self.native, slots, count):
            raise MemoryError("out of memory for the relocations of a QEMU")
        return slots[0], int(count[0])

    def constants(self) -> bytes:
        """Where its strings are: the last segment of read-only data, or, where code is not apart, of what is read-only.

        A linker that makes two such segments puts symbols and relocations into the first.
        """
        parts = [segment for segment in self.segments if not segment.writable]
        parts = [segment for segment in parts if not segment.executable] or parts
        return self._guest.read(parts[-1].start, parts[-1].end - parts[-1].start) if parts else b""


def map_object(guest: Guest, elf: ElfFile, scope: Sequence[MappedObject] = (), *, is_main: bool) -> MappedObject:
    """Maps an object and applies its relocations; undefined symbols are those of the objects in scope, or the host's.

    The main binary may have thread-local data. Raises SourceError.
    """
    top = max((segment.vaddr + segment.memsz for segment in elf.of_type(_PT_LOAD)), default=0)
    if not top:
        raise elf.error("nothing to load")
    bias = guest.alloc(top, 0x10000)
    if is_main:
        guest.bias = bias
    for segment in elf.of_type(_PT_LOAD):
        elf.read_into(guest.view(bias + segment.vaddr, segment.filesz), segment.offset)
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
    return MappedObject(guest, ffi.gc(ret[0], lib.vmd_object_destroy), bias, segments)


def _map_tls(guest: Guest, elf: ElfFile, segment: ElfSegment, is_main: bool) -> None:
    align = max(segment.align, 1)
    size = (segment.memsz + align - 1) // align * align
    address = int(lib.vmd_guest_set_tls(guest.native, size)) if is_main and size < MEMORY else 0
    if not address:
        raise elf.error(f"{segment.memsz} bytes of thread-local data, which is not expected here")
    elf.read_into(guest.view(address, segment.filesz), segment.offset)
    if lib.vmd_guest_keep_tls(guest.native):
        raise MemoryError("out of memory for the thread-local data of a QEMU")
