"""Mach-O objects: map one into a guest and link it.

Every number of the file is checked before it is used; SourceError names the file and the place. Headers are read by
vmdump/files/macho_header.py, symbols and fixups by csrc/guest/objects/macho.c.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from vmdump._core import ffi, lib
from vmdump.emulator.guest import MEMORY, Guest
from vmdump.emulator.hosts import HOSTS
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.objects.model import DAMAGED, MappedObject, MappedSegment, ObjectFile
from vmdump.files.elf_header import HostArch
from vmdump.files.macho_header import (
    CPU_ARM64,
    CPU_X86_64,
    MachoFormatError,
    MachoHeader,
    MachoReader,
    Segment,
    Slice,
    cpu_name,
    is_encrypted,
    segments,
    uuid,
)

#: MH_EXECUTE, MH_DYLIB, MH_BUNDLE: linked files with code.
_LINKED = (2, 6, 8)

_OTHER_TYPES = {
    1: "a relocatable object, not linked; give a QEMU system emulator (qemu-system-*)",
    4: "a core file, the memory of a process that crashed; give the QEMU binary itself",
    9: "a stub of a library, without code; give a QEMU system emulator (qemu-system-*)",
    10: "separate debug information, without code; give the binary that it belongs to",
}

_ARCHS = {CPU_ARM64: HostArch.AARCH64, CPU_X86_64: HostArch.X86_64}

_WRITE, _EXECUTE = 2, 4
_ELSEWHERE = "write the dump where it runs, with -dump-vmstate, and give that file"


class MachoFile(ObjectFile):
    """A Mach-O file, or the part of one that is for a supported CPU. ``segments``: in the file's order."""

    platform = Platform.MACOS

    def __init__(self, file: bytes | io.RawIOBase, name: str, arch: HostArch | None = None) -> None:
        """Read the headers of a file: its bytes, or the open file. ``name`` is the file's name in errors.

        ``arch``: the CPU whose part is preferred; None: AArch64.

        Raises:
            SourceError: not a linked 64-bit Mach-O file of a supported host.
        """
        super().__init__(file, name)
        self._start = 0
        reader = MachoReader(self._read, self._size)
        try:
            part = self._choose(reader.slices(), arch)
            header = reader.header(part)
            self._check_header(header)
            self._start, self._size = part.offset, part.size
            self.arch = _ARCHS[header.cpu]
            self.segments = [each for each in segments(header) if each.protection or each.file_size]
            self._uuid = uuid(header)
        except MachoFormatError as error:
            raise self.error(f"{error}; {DAMAGED}") from error
        self._check_segments()

    def _choose(self, slices: Sequence[Slice], preferred: HostArch | None) -> Slice:
        """Return the part for a CPU that is emulated; raise SourceError if there is none."""
        for cpu, arch in sorted(_ARCHS.items(), key=lambda each: each[1] != preferred):
            for each in slices:
                if (arch, self.platform) in HOSTS and cpu_name(*each[:2]) == cpu_name(cpu):
                    return each
        names = " and ".join(dict.fromkeys(cpu_name(*each[:2]) for each in slices))
        supported = " and ".join(cpu_name(cpu) for cpu, arch in _ARCHS.items() if (arch, self.platform) in HOSTS)
        why = ": its pointers are signed" if names == "arm64e" else ""
        raise self.error(
            f"a Mach-O file for {names}, which can't be emulated{why}; supported for macOS: {supported}; {_ELSEWHERE}"
        )

    def _check_header(self, header: MachoHeader) -> None:
        if header.type not in _LINKED:
            raise self.error(_OTHER_TYPES.get(header.type, f"a Mach-O file of an unknown type ({header.type})"))
        if is_encrypted(header):
            raise self.error(f"its code is encrypted, as in applications from Apple's stores; {_ELSEWHERE}")

    def _check_segments(self) -> None:
        for each in self.segments:
            if each.offset + each.file_size > self._size or each.file_size > each.size:
                raise self.error(
                    f"at {self._start + each.offset:#x}: segment {each.name} of {each.file_size} bytes is outside of "
                    f"the file; {DAMAGED}"
                )
        text = next((each for each in self.segments if each.file_size and not each.offset), None)
        if text is None:
            raise self.error(f"no segment begins with its header; {DAMAGED}")
        #: The address that the header is to be at, and the size of the object in memory.
        self._address = text.address
        self._memory = max(each.address + each.size for each in self.segments) - text.address
        if min(each.address for each in self.segments) < text.address or not 0 < self._memory <= MEMORY:
            raise self.error(f"its segments do not follow its header within {MEMORY >> 20} MiB; {DAMAGED}")
        self._check_memory(each.size for each in self.segments)

    def read_into(self, memory: memoryview, offset: int) -> None:
        """Fill memory with the bytes of the part from an offset on."""
        super().read_into(memory, self._start + offset)

    def build_id(self) -> str | None:
        """Return the linker's identification of the build in hex (LC_UUID), or None."""
        return self._uuid

    def _map(self, guest: Guest, scope: Sequence[MappedObject], *, is_main: bool) -> MappedObject:
        start = guest.alloc(self._memory, 0x10000)
        bias = start - self._address
        if is_main:
            guest.bias = bias
        for each in self.segments:
            self.read_into(guest.view(bias + each.address, each.file_size), each.offset)
        mapped = [part for each in self.segments if each.name != "__LINKEDIT" for part in _mapped(each, bias)]
        for part in mapped:
            if part.executable:
                lib.vmd_guest_expect_code(guest.native, part.start, part.end - part.start)
        error, ret = ffi.new("struct vmd_error *"), ffi.new("struct vmd_object **")
        status = lib.vmd_macho_link(
            guest.native, start, self._memory, is_main,
            ffi.new("struct vmd_object *[]", [each.native for each in scope]), len(scope), ret, error,
        )  # fmt: skip
        self._check(status, error)
        native = ffi.gc(ret[0], lib.vmd_object_destroy)
        constant = [
            (bias + each.address, bias + each.address + each.size) for each in self.segments if each.is_constant
        ]

        def function_starts(_: Guest) -> list[int]:
            functions = ffi.new("const uint64_t **")
            count = lib.vmd_object_functions(native, functions)
            return list(ffi.unpack(functions[0], count)) if count else []

        strings = [part for part in mapped if not part.writable]
        strings = [part for part in strings if not part.executable] or strings
        return MappedObject(guest, native, bias, mapped, strings[0] if strings else None, constant, function_starts)


def _mapped(segment: Segment, bias: int) -> list[MappedSegment]:
    """Return a segment in the guest. One with code and constants, as __TEXT is, becomes one of each."""
    start, end = bias + segment.address, bias + segment.address + segment.size
    writable = bool(segment.protection & _WRITE)
    code = start
    if segment.protection & _EXECUTE:
        code = max((bias + each.address + each.size for each in segment.sections if each.has_code), default=end)
        code = min(max(code, start), end)
    loaded = start + segment.file_size
    return [
        MappedSegment(
            first, last, executable=last <= code, writable=writable, loaded=min(max(loaded - first, 0), last - first),
            has_addresses=writable,
        )
        for first, last in ((start, code), (code, end))
        if first < last
    ]  # fmt: skip
