"""ELF objects: what of their format it takes to map one into a guest, relocate it, and know its symbols.

Every number of the file is checked before it is used: SourceError, with the place in the file, for what does not fit.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from vmdump._core import ffi, lib
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.guest import ARCHITECTURES, MEMORY, Guest

_ET_DYN = 3
_PT_LOAD, _PT_DYNAMIC, _PT_TLS = 1, 2, 7
_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_STRSZ = 2, 5, 6, 7, 8, 10
_DT_JMPREL, _DT_INIT_ARRAY, _DT_INIT_ARRAYSZ, _DT_RELRSZ, _DT_RELR = 23, 25, 27, 35, 36
_DT_HASH, _DT_GNU_HASH = 4, 0x6FFFFEF5
_STT_TLS = 6


class _Segment(NamedTuple):
    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int


class ElfFile:
    """The bytes of an ELF file, and its segments. Raises SourceError for what is no position-independent ELF64 of a
    host that can be emulated.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name
        if data[:4] != b"\x7fELF":
            raise self.error("not an ELF file")
        if len(data) < 64:
            raise self.error("shorter than an ELF header")
        if data[4:6] != b"\x02\x01":
            raise self.error("not a 64-bit little-endian ELF file; hosts that can be read are x86-64 and AArch64")
        kind, self.e_machine = struct.unpack_from("<HH", data, 16)
        if self.e_machine not in ARCHITECTURES:
            raise self.error(f"for a host (ELF machine {self.e_machine}) other than x86-64 and AArch64")
        if kind != _ET_DYN:
            raise self.error("not position-independent; only such binaries can be read")
        phoff, phentsize, phnum = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
        if phentsize != 56 or phoff + 56 * phnum > len(data):
            raise self.error(f"at {phoff:#x}: the program headers are outside of the file")
        self.segments = [_Segment(*struct.unpack_from("<IIQQQQQQ", data, phoff + 56 * i)) for i in range(phnum)]
        for segment in self.segments:
            if segment.type in (_PT_LOAD, _PT_DYNAMIC, _PT_TLS) and not self._fits(segment):
                raise self.error(f"at {segment.offset:#x}: a segment of {segment.filesz} bytes is outside of the file")

    def error(self, what: str) -> SourceError:
        """An error that names the file."""
        return SourceError(f"{self.name}: {what}")

    def _fits(self, segment: _Segment) -> bool:
        return (
            segment.offset + segment.filesz <= len(self.data)
            and segment.filesz <= segment.memsz
            and segment.vaddr + segment.memsz <= MEMORY
        )

    def of_type(self, kind: int) -> Iterator[_Segment]:
        """The segments of a type."""
        return (segment for segment in self.segments if segment.type == kind)

    def build_id(self) -> str | None:
        """The linker's build id, in hex; None where there is none."""
        for segment in self.of_type(4):
            note = self.data[segment.offset : segment.offset + segment.filesz]
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


class MappedObject(NamedTuple):
    """An object in a guest: the addresses of its symbols by name, and of its constructors."""

    bias: int
    symbols: dict[str, int]
    constructors: list[int]
    segments: list[MappedSegment]

    def symbol_at(self, address: int) -> str | None:
        """The name of the symbol at an address."""
        return next((name for name, at in self.symbols.items() if at == address), None)


def map_object(guest: Guest, elf: ElfFile, resolve: Callable[[str], int], *, is_main: bool) -> MappedObject:
    """Maps an object and applies its relocations; undefined symbols are what resolve makes of their names.

    The main binary may have thread-local data. Raises SourceError.
    """
    top = max((segment.vaddr + segment.memsz for segment in elf.of_type(_PT_LOAD)), default=0)
    if not top:
        raise elf.error("nothing to load")
    bias = guest.alloc(top, 0x10000)
    if is_main:
        guest.bias = bias
    for segment in elf.of_type(_PT_LOAD):
        guest.write(bias + segment.vaddr, elf.data[segment.offset : segment.offset + segment.filesz])
    for segment in elf.of_type(_PT_TLS):
        _map_tls(guest, elf, segment, is_main)
    dynamic = _dynamic(elf)
    names, values = _read_symbols(guest, elf, bias, dynamic)
    symbols = {name: value for name, value in zip(names, values, strict=True) if value is not None and name}
    addresses = [
        value if value is not None else resolve(name) if name else 0 for name, value in zip(names, values, strict=True)
    ]
    _relocate(guest, elf, bias, dynamic, addresses)
    count = dynamic.get(_DT_INIT_ARRAYSZ, 0) // 8
    array = guest.read(bias + dynamic.get(_DT_INIT_ARRAY, 0), 8 * count) if count < MEMORY // 8 else b""
    constructors = [address for (address,) in struct.iter_unpack("<Q", array) if address not in (0, 2**64 - 1)]
    segments = [
        MappedSegment(bias + each.vaddr, bias + each.vaddr + each.memsz, bool(each.flags & 1), bool(each.flags & 2))
        for each in elf.of_type(_PT_LOAD)
    ]
    return MappedObject(bias, symbols, constructors, segments)


def _map_tls(guest: Guest, elf: ElfFile, segment: _Segment, is_main: bool) -> None:
    align = max(segment.align, 1)
    size = (segment.memsz + align - 1) // align * align
    address = int(lib.vmd_guest_set_tls(guest.native, size)) if is_main and size < MEMORY else 0
    if not address:
        raise elf.error(f"{segment.memsz} bytes of thread-local data, which is not expected here")
    guest.write(address, elf.data[segment.offset : segment.offset + segment.filesz])


def _dynamic(elf: ElfFile) -> dict[int, int]:
    """The dynamic section: the first value of each tag."""
    dynamic: dict[int, int] = {}
    for segment in elf.of_type(_PT_DYNAMIC):
        size = segment.filesz // 16 * 16
        for tag, value in struct.iter_unpack("<QQ", elf.data[segment.offset : segment.offset + size]):
            if not tag:
                break
            dynamic.setdefault(tag, value)
    if not {_DT_STRTAB, _DT_SYMTAB, _DT_STRSZ} <= dynamic.keys():
        raise elf.error("no dynamic symbols; statically linked binaries can't be read")
    return dynamic


def _read_symbols(guest: Guest, elf: ElfFile, bias: int, dynamic: dict[int, int]) -> tuple[list[str], list[int | None]]:
    """Name and address of each symbol of .dynsym; None for an undefined one, an offset for thread-local data.

    How many there are, the hash table tells.
    """
    count = _count_symbols(guest, elf, bias, dynamic)
    if count > MEMORY // 24 or dynamic[_DT_STRSZ] > MEMORY:
        raise elf.error(f"{count} dynamic symbols: more than it has bytes")
    table = guest.read(bias + dynamic[_DT_SYMTAB], 24 * count)
    strings = guest.read(bias + dynamic[_DT_STRTAB], dynamic[_DT_STRSZ])
    names: list[str] = []
    values: list[int | None] = []
    for name, info, _other, section, value, _size in struct.iter_unpack("<IBBHQQ", table):
        end = strings.find(b"\0", name)
        if end < 0:
            raise elf.error(f"a symbol's name at {name:#x} of .dynstr has no end")
        names.append(strings[name:end].decode(errors="backslashreplace"))
        values.append((value if info & 15 == _STT_TLS else bias + value) if section else None)
    return names, values


def _count_symbols(guest: Guest, elf: ElfFile, bias: int, dynamic: dict[int, int]) -> int:
    if _DT_HASH in dynamic:
        return int.from_bytes(guest.read(bias + dynamic[_DT_HASH] + 4, 4), "little")
    if _DT_GNU_HASH not in dynamic:
        raise elf.error("no hash table of its symbols")
    table = bias + dynamic[_DT_GNU_HASH]
    nbuckets, symoffset, bloom_size, _ = struct.unpack("<IIII", guest.read(table, 16))
    if max(nbuckets, bloom_size) > MEMORY // 8:
        raise elf.error("a hash table of its symbols that is larger than the file")
    buckets = table + 16 + 8 * bloom_size
    last = max(struct.unpack(f"<{nbuckets}I", guest.read(buckets, 4 * nbuckets)), default=0)
    if last < symoffset:
        return int(symoffset)
    chain = buckets + 4 * nbuckets
    # The last chain ends at an odd hash.
    while not guest.read(chain + 4 * (last - symoffset), 4)[0] & 1:
        last += 1
    return int(last) + 1


def _relocate(guest: Guest, elf: ElfFile, bias: int, dynamic: dict[int, int], addresses: list[int]) -> None:
    error = ffi.new("struct vmd_error *")
    symbols = ffi.new("uint64_t[]", addresses)
    for tag, size in ((_DT_RELR, _DT_RELRSZ), (_DT_RELA, _DT_RELASZ), (_DT_JMPREL, _DT_PLTRELSZ)):
        if tag not in dynamic:
            continue
        where, length = bias + dynamic[tag], dynamic.get(size, 0)
        if tag == _DT_RELR:
            failed = lib.vmd_guest_relocate_relr(guest.native, where, length // 8, bias, error)
        else:
            failed = lib.vmd_guest_relocate(guest.native, where, length // 24, bias, symbols, len(addresses), error)
        if failed:
            message = ffi.string(error.message).decode()
            raise elf.error(f"relocation {error.index} at {dynamic[tag]:#x}: {message}")
