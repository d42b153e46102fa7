"""A guest: the memory of an emulated QEMU, its functions, and what they do wrong, as Python sees them."""

from __future__ import annotations

import importlib.util
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from vmdump._core import ffi, lib
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.host import HostProfile

#: Bytes that a guest may use. QEMU needs forty million, most of it the binary itself.
MEMORY = 256 << 20

#: Seconds that all calls of a guest may take together. The slowest QEMU takes one.
SECONDS = 60

ARCHITECTURES = {62: lib.VMD_GUEST_X86_64, 183: lib.VMD_GUEST_AARCH64}
"""Unicorn guests by ELF's e_machine."""


class Guest:
    """The emulated machine. Addresses are the guest's; SourceError, which names the binary, tells what it does wrong.

    Not thread-safe. Source: csrc/guest.h.
    """

    def __init__(self, name: str, e_machine: int, host: HostProfile = HostProfile()) -> None:  # noqa: B008
        """An empty one. name is what errors call it. Raises SourceError without Unicorn, MemoryError."""
        self.name = name
        self.base: int = lib.VMD_GUEST_BASE
        #: Where the binary begins, so that errors give addresses as the binary's own tools do.
        self.bias: int = self.base
        error = ffi.new("struct vmd_error *")
        ret = ffi.new("struct vmd_guest **")
        status = lib.vmd_guest_create(_libunicorn(), ARCHITECTURES[e_machine], MEMORY, ret, error)
        if status == lib.VMD_NO_MEMORY:
            raise MemoryError("out of memory for an emulated QEMU")
        if status:
            raise SourceError(f"{name}: can't be emulated: {ffi.string(error.message).decode()}")
        self.native = ffi.gc(ret[0], lib.vmd_guest_destroy)
        lib.vmd_guest_set_host(self.native, *host)
        self._memory = ffi.buffer(lib.vmd_guest_memory(self.native), MEMORY)
        self._seconds_left: float = SECONDS

    def read(self, address: int, size: int) -> bytes:
        """The bytes at address."""
        offset = self._offset(address, size)
        return bytes(self._memory[offset : offset + size])

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Puts bytes at address."""
        offset = self._offset(address, len(data))
        self._memory[offset : offset + len(data)] = data

    def pointer(self, address: int) -> int:
        """The pointer (64 bits) at address."""
        return int.from_bytes(self.read(address, 8), "little")

    def has(self, address: int) -> bool:
        """Whether address is in the guest's memory."""
        return 0 <= address - self.base < MEMORY

    def text(self, address: int) -> str:
        """The C string at address, at most 4,096 bytes of it."""
        offset = self._offset(address, 1)
        data = bytes(self._memory[offset : offset + 4096])
        return data.partition(b"\0")[0].decode(errors="backslashreplace")

    def alloc(self, size: int, align: int = 16) -> int:
        """Zeroed memory of the guest."""
        address = int(lib.vmd_guest_alloc(self.native, size, align))
        if not address:
            raise SourceError(f"{self.name}: needs more than {MEMORY >> 20} MiB; is it a QEMU?")
        return address

    def string(self, text: str) -> int:
        """The address of a new C string."""
        data = text.encode() + b"\0"
        address = self.alloc(len(data))
        self.write(address, data)
        return address

    def host_function(self, name: str) -> int:
        """The address of a function of libc or GLib; what is not served returns 0."""
        address = int(lib.vmd_guest_import(self.native, name.encode()))
        if not address:
            raise SourceError(f"{self.name}: imports more than {lib.VMD_GUEST_TRAMPOLINES} functions; is it a QEMU?")
        return address

    def ascii_table(self) -> int:
        """The address of GLib's ``const guint16 *g_ascii_table``, the one variable of a library that start-up reads."""
        table = self.alloc(8 + 2 * 256)
        self.write(table, struct.pack("<Q256H", table + 8, *map(_ascii_type, range(256))))
        return table

    def call(self, function: int, *args: int) -> int:
        """Calls a function of the guest with integers and returns its result."""
        if self._seconds_left < 1:
            raise SourceError(f"{self.name}: its start-up takes more than {SECONDS} seconds; is it a QEMU?")
        error, ret = ffi.new("struct vmd_error *"), ffi.new("uint64_t *")
        start = time.monotonic()
        status = lib.vmd_guest_call(self.native, function, list(args), len(args), int(self._seconds_left), ret, error)
        self._seconds_left -= time.monotonic() - start
        if status == lib.VMD_OK:
            return int(ret[0])
        if status == lib.VMD_NO_MEMORY:
            raise SourceError(f"{self.name}: its start-up uses more than {MEMORY >> 20} MiB; is it a QEMU?")
        detail = ffi.string(error.path).decode(errors="backslashreplace")
        raise SourceError(
            f"{self.name}: function at {function - self.bias:#x}: {ffi.string(error.message).decode()} (at "
            f"{error.index - self.bias if error.index >= self.bias else error.index:#x}){detail and ': ' + detail}"
        )

    def slist(self, address: int) -> Iterator[int]:
        """The data of a GSList."""
        for _ in range(MEMORY // 24):
            if not address:
                return
            yield self.pointer(address)
            address = self.pointer(address + 8)
        raise SourceError(f"{self.name}: a list has no end")

    def take_typed_inits(self) -> list[tuple[int, int]]:
        """The functions that were queued for initialisation since the last call, in order, each with its type."""
        room = 1024
        pairs = ffi.new("uint64_t[]", 2 * room)
        inits: list[tuple[int, int]] = []
        while count := lib.vmd_guest_take_inits(self.native, pairs, room):
            inits += [(int(pairs[2 * i]), int(pairs[2 * i + 1])) for i in range(count)]
        return inits

    def _offset(self, address: int, size: int) -> int:
        offset = address - self.base
        if not 0 <= offset <= MEMORY - size:
            raise SourceError(f"{self.name}: a pointer to {address:#x} is outside of its memory")
        return offset


def _ascii_type(code: int) -> int:
    """The GAsciiType bits of a character. Source: GLib glib/gstrfuncs.h."""
    char = chr(code) if code < 128 else ""
    is_graph = char > " " and char != "\x7f"
    tests = (
        char.isalnum(), char.isalpha(), bool(char) and not is_graph and char != " ", char.isdigit(), is_graph,
        char.islower(), is_graph or char == " ", is_graph and not char.isalnum(), char in tuple(" \f\n\r\t"),
        char.isupper(), char in tuple("0123456789abcdefABCDEF"),
    )  # fmt: skip
    return sum(bool(test) << bit for bit, test in enumerate(tests))


def _libunicorn() -> bytes:
    """The library that the unicorn wheel brings. Found without importing the package, which takes long."""
    spec = importlib.util.find_spec("unicorn")
    if spec is None or not spec.submodule_search_locations:
        raise SourceError("reading a QEMU binary needs a package: pip install 'vmdump[elf]'; --run runs it instead")
    for directory in spec.submodule_search_locations:
        for library in sorted(Path(directory, "lib").glob("libunicorn.so*")):
            return os.fsencode(library)
    raise SourceError("the installed unicorn has no libunicorn.so; reinstall it: pip install 'vmdump[elf]'")
