"""PE objects, which are Windows' executables: map one into a guest, relocate it, and find its functions.

Headers are read by csrc/guest/objects/pe_header.c, the rest by pe_object.c there, with every number checked.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from functools import partial
from typing import Any

from vmdump._core import ffi, lib
from vmdump.emulator.guest import MEMORY, Guest
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.objects.model import FUNCTIONS_MAX, MappedObject, MappedSegment, ObjectFile
from vmdump.files.elf_header import HostArch
from vmdump.files.file_kind import describe_executable

#: Bytes in which the headers are.
_HEADERS = 1 << 16

#: CPUs that can be emulated, by IMAGE_FILE_MACHINE_*.
_ARCHES = {0x8664: HostArch.X86_64, 0xAA64: HostArch.AARCH64}

#: Data directories, and a type in that of debugging.
_UNWINDING, _DEBUGGING, _CODE_VIEW = 3, 6, 2

#: Bytes of an entry of the directory of functions, each of which begins with the function's address.
_UNWINDING_SIZE = {HostArch.X86_64: 12, HostArch.AARCH64: 8}


class PeFile(ObjectFile):
    """A PE file."""

    platform = Platform.WINDOWS

    def __init__(self, file: bytes | io.RawIOBase, name: str) -> None:
        """Read the headers of a file: its bytes, or the open file. ``name`` is the file's name in errors.

        Raises:
            SourceError: not a PE32+ file of a supported CPU.
        """
        super().__init__(file, name)
        start = self._read(0, min(_HEADERS, self._size))
        at = int.from_bytes(start[0x3C:0x40], "little")
        arch = _ARCHES.get(int.from_bytes(start[at + 4 : at + 6], "little"))
        if arch is None or start[at : at + 4] != b"PE\0\0":
            raise self.error(describe_executable(start))
        self.arch = arch
        self._pe = ffi.new("struct vmd_pe *")
        error = ffi.new("struct vmd_error *")
        self._check(lib.vmd_pe_read(start, len(start), self._size, self._pe, error), error)
        if self._pe.is_32_bit:
            raise self.error(describe_executable(start))
        if any(ffi.string(section.name) == b"UPX0" for section in self._sections()):
            raise self.error("compressed by UPX; decompress it (upx -d) and give the result")
        if self._pe.is_fixed:
            raise self.error("without relocations, so that it can't be mapped; write the dump where it runs")
        if self._pe.image_size > MEMORY:
            raise self.error(f"an image of {self._pe.image_size >> 20} MiB, larger than any QEMU")

    def _map(self, guest: Guest, scope: Sequence[MappedObject], *, is_main: bool) -> MappedObject:
        pe = self._pe
        start = guest.alloc(pe.image_size, 0x10000)
        bias = start - int(pe.image_base)
        if is_main:
            guest.bias = bias
        self.read_into(guest.view(start, pe.headers_size), 0)
        for section in self._sections():
            self.read_into(guest.view(start + section.address, section.file_size), section.offset)
            if section.is_executable:
                lib.vmd_guest_expect_code(guest.native, start + section.address, section.file_size)
        error, ret = ffi.new("struct vmd_error *"), ffi.new("struct vmd_object **")
        others = ffi.new("struct vmd_object *[]", [each.native for each in scope])
        self._check(lib.vmd_pe_link(guest.native, start, pe, is_main, others, len(scope), ret, error), error)
        segments = [
            MappedSegment(
                start + each.address, start + each.address + each.size,
                executable=each.is_executable, writable=each.is_writable, loaded=each.file_size,
                has_addresses=each.has_addresses and not each.is_executable,
            )
            for each in self._sections()
        ]  # fmt: skip
        unwinding = pe.directories[_UNWINDING]
        find_functions = partial(_function_starts, start, unwinding.address, unwinding.size, _UNWINDING_SIZE[self.arch])
        read_only = [each for each in segments if not each.writable and not each.executable]
        constants = max(read_only, key=_size, default=None)  # .rdata; others are for the loader
        native = ffi.gc(ret[0], lib.vmd_object_destroy)
        return MappedObject(guest, native, bias, segments, constants, (), find_functions)

    def build_id(self) -> str | None:
        """Return the GUID of the debug directory's entry that names the file of symbols (RSDS), or None."""
        directory = self._pe.directories[_DEBUGGING]
        for section in self._sections():
            at = directory.address - section.address
            if 0 <= at < section.file_size and at + directory.size <= section.file_size:
                table = self._read(section.offset + at, directory.size // 28 * 28)
                for kind, size, _, offset in struct.iter_unpack("<12x4I", table):
                    if kind == _CODE_VIEW and size >= 24 and offset + 20 <= self._size:
                        entry = self._read(offset, 20)
                        return entry[4:].hex() if entry.startswith(b"RSDS") else None
        return None

    def _sections(self) -> list[Any]:
        """Return the sections (``struct vmd_pe_section``)."""
        return [self._pe.sections[index] for index in range(self._pe.n_sections)]


def _size(segment: MappedSegment) -> int:
    return segment.loaded


def _function_starts(image: int, table: int, size: int, entry_size: int, guest: Guest) -> list[int]:
    """Return the start addresses of functions from the directory for unwinding (.pdata)."""
    count = size // entry_size
    if count > FUNCTIONS_MAX:
        return []
    entries = struct.iter_unpack(f"<I{entry_size - 4}x", guest.read(image + table, count * entry_size))
    return [image + start for (start,) in entries]
