"""Executables and modules of any file format, before and after they are mapped into a guest.

A format is a module of its own, with a subclass of ObjectFile; open.py chooses it.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from vmdump._core import ffi, lib
from vmdump.emulator.guest import MEMORY, Guest
from vmdump.emulator.hosts import host_name
from vmdump.emulator.hosts.model import Platform
from vmdump.errors import SourceError
from vmdump.files.elf_header import HostArch

#: Limits of the functions of an object: their number, and the distance from the first to the last in bytes. The largest
#: QEMU has 41,000 functions and 9 MB of code.
FUNCTIONS_MAX, CODE_SIZE_MAX = 1 << 20, 64 << 20


DAMAGED = "the file may be truncated or corrupt"


class ObjectFile(ABC):
    """An executable or a module in a file. As a context manager it closes the file. Methods raise SourceError.

    ``name``: the file's name in errors; ``arch``, ``platform``: the host that it is for; ``place``: the addresses that
    it must be mapped at, or None.
    """

    arch: HostArch
    platform: Platform
    place: range | None = None

    def __init__(self, file: bytes | io.RawIOBase, name: str) -> None:
        """Use a file: its bytes, or the open file. ``name`` is the file's name in errors."""
        self._file: io.BytesIO | io.RawIOBase = io.BytesIO(file) if isinstance(file, bytes) else file
        self.name = name
        self._size = self._file.seek(0, io.SEEK_END)

    def map(self, guest: Guest, scope: Sequence[MappedObject] = (), *, is_main: bool) -> MappedObject:
        """Map the object into a guest and apply its relocations.

        Undefined symbols are bound to the objects in ``scope``, else to the host's functions. Only the main binary may
        have thread-local data.

        Raises:
            SourceError: the object is malformed, for another host, or needs something that the emulator lacks.
            MemoryError: no memory for its symbols.
        """
        if (self.arch, self.platform) != (guest.arch, guest.host.platform):
            own, wanted = host_name(self.arch, self.platform), host_name(guest.arch, guest.host.platform)
            raise self.error(f"it is for {own}, but {guest.name} for {wanted}; use the file that belongs to it")
        return self._map(guest, scope, is_main=is_main)

    @abstractmethod
    def _map(self, guest: Guest, scope: Sequence[MappedObject], *, is_main: bool) -> MappedObject:
        """Map the object into a guest of its host. See map."""

    @abstractmethod
    def build_id(self) -> str | None:
        """Return the linker's identification of the build in hex, or None."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def error(self, what: str) -> SourceError:
        """Return an error that names the file."""
        return SourceError(f"{self.name}: {what}")

    def read_into(self, memory: memoryview, offset: int) -> None:
        """Fill memory with the file's bytes from an offset on."""
        self._file.seek(offset)
        while len(memory):
            size = self._file.readinto(memory)
            if not size:
                raise self.error(f"at {self._file.tell():#x}: the file was truncated while it was being read")
            memory = memory[size:]

    def content(self) -> bytes:
        """Return the bytes of the file, at most as many as a guest has memory for."""
        return self._read(0, min(self._size, MEMORY))

    def _read(self, offset: int, size: int) -> bytes:
        data = bytearray(size)
        self.read_into(memoryview(data), offset)
        return bytes(data)

    def _check_memory(self, sizes: Iterable[int]) -> None:
        """Raise SourceError if segments of these sizes, in bytes, take more memory than a guest has."""
        if (total := sum(sizes)) > MEMORY:
            raise self.error(f"its segments take {total >> 20} MiB together, more than any QEMU's; {DAMAGED}")

    def _check(self, status: int, error: Any) -> None:
        """Raise what a function that links objects has returned: MemoryError or SourceError."""
        if status == lib.VMD_NO_MEMORY:
            raise MemoryError("out of memory for the symbols of a QEMU")
        if status:
            place = ffi.string(error.path).decode(errors="backslashreplace")
            raise self.error(f"{place}{place and ': '}{ffi.string(error.message).decode()}")


class MappedSegment(NamedTuple):
    """A segment of an object in a guest: the addresses [start, end) and its permissions.

    ``loaded``: the bytes from start on that are from the file; ``has_addresses``: whether relocations may have written
    addresses into it, so that it may contain descriptions.
    """

    start: int
    end: int
    executable: bool
    writable: bool
    loaded: int
    has_addresses: bool


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


class Program(NamedTuple):
    """A statically linked binary in a guest, which has to be started: addresses of its entry and program headers.

    ``n_headers``: number of the program headers; ``header_size``: bytes of one.
    """

    entry: int
    headers: int
    n_headers: int
    header_size: int


class MappedObject:
    """An object in a guest. It lives as long as the guest.

    ``native``: ``struct vmd_object *``; ``bias``: the guest address of the object's address 0; ``symbols``: those that
    it defines; ``constructors``: the addresses of its constructors in the order of their calls; ``segments``: its
    loaded segments, in the file's order; ``constants``: the one with strings; ``relocated``: start and end of data that
    is constant after relocation; ``program``: how to start it if it is statically linked, which relocates it and runs
    its constructors; else None.
    """

    def __init__(
        self,
        guest: Guest,
        native: Any,
        bias: int,
        segments: list[MappedSegment],
        constants: MappedSegment | None,
        relocated: Sequence[tuple[int, int]],
        find_functions: Callable[[Guest], Sequence[int]],
        program: Program | None = None,
    ) -> None:
        """Describe an object. ``find_functions`` returns the start addresses of its functions, in any order."""
        self.guest, self.relocated, self.program = guest, tuple(relocated), program
        self.native = native
        self.bias = bias
        self.segments, self.constants = segments, constants
        self.symbols = Symbols(native)
        self._find_functions = find_functions
        self._must_guess_slots = program is not None or guest.place is not None
        addresses = ffi.new("const uint64_t **")
        count = lib.vmd_object_constructors(native, addresses)
        self.constructors: list[int] = ffi.unpack(addresses[0], count) if count else []

    def holds(self, address: int) -> bool:
        """Return whether an address is within one of the segments."""
        return any(segment.start <= address < segment.end for segment in self.segments)

    def symbol_at(self, address: int) -> str | None:
        """Return the name of the function or variable that contains an address, to be printed, or None."""
        name = lib.vmd_object_symbol_at(self.native, address)
        return ffi.string(name).decode(errors="backslashreplace") if name else None

    def function_starts(self) -> list[int]:
        """Return the sorted start addresses of functions, as the object lists them for unwinding.

        Empty if it does not, or if there are too many or too far apart for a QEMU.
        """
        starts = sorted(self._find_functions(self.guest))
        return starts if starts and starts[-1] - starts[0] <= CODE_SIZE_MAX and len(starts) <= FUNCTIONS_MAX else []

    def slots(self) -> tuple[Any, int]:
        """Return the slots that relocations other than the PLT's filled with addresses.

        Returns ``const uint64_t *``, ascending guest addresses, and their number. In a binary without relocations,
        words of its data that are addresses of the binary are taken for slots.
        """
        if self._must_guess_slots:
            self._must_guess_slots = False
            low, high = min(each.start for each in self.segments), max(each.end for each in self.segments)
            for segment in self.segments:
                if not segment.executable and lib.vmd_object_guess_slots(
                    self.native, segment.start, segment.end, low, high
                ):
                    raise MemoryError("out of memory for the slots of a QEMU")
        slots = ffi.new("const uint64_t **")
        count = int(lib.vmd_object_slots(self.native, slots))
        return slots[0], count

    def read(self, segment: MappedSegment | None) -> bytes:
        """Return the bytes of a segment; none of None."""
        return self.guest.read(segment.start, segment.end - segment.start) if segment else b""

    def content(self) -> bytes:
        """Return what was loaded from the file."""
        return b"".join(self.guest.read(segment.start, segment.loaded) for segment in self.segments)
