"""A guest: the memory of an emulated QEMU, its functions, and what they do wrong, as Python sees them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder

from vmdump._core import ffi, lib
from vmdump.dump.tree import raise_interrupt
from vmdump.emulator.host_profile import HostProfile
from vmdump.errors import SourceError

#: Bytes that a guest may use. QEMU needs forty million, most of it the binary itself.
MEMORY = 256 << 20

#: Seconds of CPU time that all calls of a guest may take together. The slowest QEMU takes one.
SECONDS: float = 60

#: Seconds after which a guest that runs is interrupted, to look at its time and at signals.
SLICE = 0.05

ARCHITECTURES = {62: lib.VMD_GUEST_X86_64, 183: lib.VMD_GUEST_AARCH64}
"""Unicorn guests by ELF's e_machine."""


class Guest:
    """The emulated machine. Addresses are the guest's; SourceError, which names the binary, tells what it does wrong.

    Not thread-safe. Source: csrc/guest.h.
    """

    def __init__(
        self,
        name: str,
        e_machine: int,
        host: HostProfile = HostProfile(),  # noqa: B008
        *,
        memory: int | None = None,
        seconds: float | None = None,
        rewindable: bool = False,
        resident: int = 0,
    ) -> None:
        """Creates an empty guest.

        Args:
            name: what errors call it.
            e_machine: the host architecture of the binary, by ELF's number.
            host: what the host offers.
            memory: bytes of address space; default: MEMORY.
            seconds: CPU time for all calls together; default: SECONDS.
            rewindable: whether snapshots can be taken.
            resident: bytes of memory that a call may take; 0: as many as there are.

        Raises SourceError without Unicorn, MemoryError.
        """
        self.name, self.e_machine = name, e_machine
        self.size = MEMORY if memory is None else memory
        self._seconds = SECONDS if seconds is None else seconds
        self.base: int = lib.VMD_GUEST_BASE
        #: Where the binary begins, so that errors give addresses as the binary's own tools do.
        self.bias: int = self.base
        self._error = error = ffi.new("struct vmd_error *")
        ret = ffi.new("struct vmd_guest **")
        limits = ffi.new(
            "struct vmd_guest_limits *",
            (self.size, int(self._seconds * 1000), int(SLICE * 1000), lib.vmd_poll, ffi.NULL, rewindable, resident),
        )
        status = lib.vmd_guest_create(libunicorn(), ARCHITECTURES[e_machine], limits, ret, error)
        if status == lib.VMD_NO_MEMORY:
            raise MemoryError("out of memory for an emulated QEMU")
        if status:
            raise SourceError(f"{name}: can't be emulated: {ffi.string(error.message).decode()}")
        self.native = ffi.gc(ret[0], lib.vmd_guest_destroy)
        lib.vmd_guest_set_host(self.native, *host)
        self._memory = memoryview(ffi.buffer(lib.vmd_guest_memory(self.native), self.size))
        #: All of its memory, from base on, to read.
        self.memory = self._memory.toreadonly()

    def view(self, address: int, size: int) -> memoryview:
        """The memory at address itself: size bytes. It must not be used when the guest is gone."""
        offset = self._offset(address, size)
        return self._memory[offset : offset + size]

    def holds(self, address: int, size: int) -> bool:
        """Whether its memory has size bytes at address."""
        return 0 <= address - self.base <= self.size - size

    def read(self, address: int, size: int) -> bytes:
        """The bytes at address."""
        return bytes(self.view(address, size))

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Puts bytes at address."""
        self.view(address, len(data))[:] = data

    def pointer(self, address: int) -> int:
        """The pointer (64 bits) at address."""
        return int.from_bytes(self.view(address, 8), "little")

    def text(self, address: int) -> str:
        """The C string at address, at most 4,096 bytes of it."""
        offset = self._offset(address, 1)
        data = bytes(self._memory[offset : offset + 4096])
        return data.partition(b"\0")[0].decode(errors="backslashreplace")

    def alloc(self, size: int, align: int = 16) -> int:
        """Zeroed memory of the guest."""
        address = int(lib.vmd_guest_alloc(self.native, size, align))
        if not address:
            raise SourceError(f"{self.name}: needs more than {self.size >> 20} MiB; is it a QEMU?")
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

    def call(self, function: int, *args: int) -> int:
        """Calls a function of the guest with integers and returns its result.

        Raises SourceError, and what a signal handler raises (KeyboardInterrupt).
        """
        ret = ffi.new("uint64_t *")
        self._check(lib.vmd_guest_call(self.native, function, args, len(args), ret, self._error), function)
        return int(ret[0])

    def call_until(self, function: int, *args: int, pause_at: int) -> bool:
        """Calls a function up to where it first enters the function pause_at; False: it has returned before.

        Until resume, other calls run on the stack of the paused one.
        """
        ret, paused = ffi.new("uint64_t *"), ffi.new("bool *")
        status = lib.vmd_guest_call_until(
            self.native, function, args, len(args), pause_at, paused, ret, self._error
        )  # fmt: skip
        self._check(status, function)
        return bool(paused[0])

    def resume(self) -> int:
        """Goes on with the call that is paused, and returns its result."""
        ret = ffi.new("uint64_t *")
        self._check(lib.vmd_guest_resume(self.native, ret, self._error), self.bias)
        return int(ret[0])

    def call_all(self, functions: Sequence[int]) -> None:
        """Calls functions without arguments, one after the other. Raises as call does."""
        done = ffi.new("size_t *")
        status = lib.vmd_guest_call_all(self.native, functions, len(functions), done, self._error)
        self._check(status, functions[done[0]] if status else 0)

    def _check(self, status: int, function: int) -> None:
        error = self._error
        if status == lib.VMD_OK:
            return
        if status == lib.VMD_INTERRUPTED:
            raise_interrupt()
        if status == lib.VMD_NO_MEMORY:
            raise SourceError(f"{self.name}: its start-up uses more than {self.size >> 20} MiB; is it a QEMU?")
        if status == lib.VMD_TOO_LARGE:
            raise SourceError(
                f"{self.name}: function at {function - self.bias:#x}: {ffi.string(error.message).decode()}, as all of "
                f"its start-up must within {self._seconds} seconds; is it a QEMU?"
            )
        detail = ffi.string(error.path).decode(errors="backslashreplace")
        raise SourceError(
            f"{self.name}: function at {function - self.bias:#x}: {ffi.string(error.message).decode()} (at "
            f"{error.index - self.bias if error.index >= self.bias else error.index:#x}){detail and ': ' + detail}"
        )

    def set_fill(self, fill: int) -> None:
        """Sets the byte that malloc's memory holds; 0 in a new guest."""
        lib.vmd_guest_set_fill(self.native, fill)

    def snapshot(self) -> None:
        """Notes the state that rewind goes back to. There is one snapshot."""
        self._check_snapshot(lib.vmd_guest_snapshot(self.native))

    def rewind(self) -> None:
        """Makes the guest what it was at the snapshot, also after a call that failed."""
        self._check_snapshot(lib.vmd_guest_rewind(self.native))

    def _check_snapshot(self, status: int) -> None:
        if status == lib.VMD_NO_MEMORY:
            raise MemoryError("out of memory for a snapshot of an emulated QEMU")
        if status:
            raise ValueError("the guest has no snapshot, or already has one")

    def take_output(self) -> str:
        """Return what the guest has printed since the last time, stdout and stderr together."""
        data = ffi.new("const char **")
        size = lib.vmd_guest_output(self.native, data)
        text = bytes(ffi.buffer(data[0], size)).decode(errors="backslashreplace") if size else ""
        lib.vmd_guest_forget_output(self.native)
        return text

    def failed_at(self) -> int:
        """The address that was executed when the last call failed."""
        return int(lib.vmd_guest_failed_at(self.native))

    def unserved(self) -> list[str]:
        """Names of functions that the guest has called and that the host does not serve: they returned 0."""
        names: list[str] = []
        while name := lib.vmd_guest_unserved(self.native, len(names)):
            names.append(ffi.string(name).decode(errors="backslashreplace"))
        return sorted(names)

    def faults(self) -> list[tuple[int, int, str]]:
        """Where functions that keys of a hash table were given to went wrong: the key, the address, and how.

        Such a function is ended alone, and the rest of the keys are given to it.
        """
        faults = ffi.new("const struct vmd_guest_fault **")
        count = lib.vmd_guest_faults(self.native, faults)
        return [
            (int(fault.key), int(fault.address), ffi.string(fault.message).decode())
            for fault in (faults[0][index] for index in range(count))
        ]

    def slist(self, address: int) -> Iterator[int]:
        """The data of a GSList."""
        for _ in range(self.size // 24):
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
        if not self.holds(address, size):
            raise SourceError(f"{self.name}: a pointer to {address:#x} is outside of its memory")
        return offset


def libunicorn() -> bytes:
    """The library that the unicorn wheel brings. Found without importing the package, which takes long."""
    spec = PathFinder.find_spec("unicorn")
    if spec is None or not spec.submodule_search_locations:
        raise SourceError("reading a QEMU binary needs a package: pip install 'vmdump[elf]'; --run runs it instead")
    for package in spec.submodule_search_locations:
        directory = os.path.join(package, "lib")
        for name in sorted(os.listdir(directory) if os.path.isdir(directory) else ()):
            if name.startswith("libunicorn.so"):
                return os.fsencode(os.path.join(directory, name))
    raise SourceError("the installed unicorn has no libunicorn.so; reinstall it: pip install 'vmdump[elf]'")
