"""A guest: memory and function calls of an emulated QEMU binary."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from vmdump._core import ffi, lib
from vmdump.dump.tree import raise_interrupt
from vmdump.emulator.host_profile import HostProfile
from vmdump.emulator.hosts import HOSTS
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.unicorn_library import libunicorn
from vmdump.errors import SourceError
from vmdump.files.elf_header import HostArch

#: Memory of a guest in bytes. QEMU needs forty million, mostly for the binary itself.
MEMORY = 256 << 20

#: Default limit for the CPU time of all calls, in seconds. The slowest QEMU takes one.
SECONDS: float = 60

#: Interval in seconds at which a running guest is interrupted to check limits and signals.
SLICE = 0.05

#: Limit of the elements of a GSList. QEMU 10.0's longest, of all its types, has 1,328.
_LIST_MAX = 1 << 14

WRONG_BINARY = "it may not be a QEMU system emulator"


class InstructionError(SourceError):
    """An object contains an instruction that the emulator executes incorrectly."""

    def __init__(self, name: str, what: str, address: int, bias: int) -> None:
        """``name``: the object's file; ``what``: the instruction; ``address``: in the guest; ``bias``: the object's."""
        super().__init__(
            f"{name}: its code uses {what} (at {address - bias:#x}), which the emulator does not support: it was built "
            "for a CPU with more than x86-64-v3; use a build for an older one, or --run on a CPU that executes it"
        )
        self.what, self.address = what, address


class TimeLimitError(SourceError):
    """A call did not end within the guest's limit of CPU time."""


class Guest:
    """An emulated CPU with memory. Addresses are the guest's. Methods raise SourceError, which names the binary.

    Not thread-safe. Source: csrc/guest/guest.h.
    """

    def __init__(
        self,
        name: str,
        arch: HostArch,
        host: HostProfile = HostProfile(),  # noqa: B008
        timeout: float | None = None,
        *,
        platform: Platform = Platform.LINUX,
        memory: int | None = None,
        rewindable: bool = False,
        resident: int = 0,
        place: range | None = None,
    ) -> None:
        """Create an empty guest.

        Args:
            name: the binary's name in errors.
            arch: the CPU that the binary is for.
            host: features of the emulated host.
            timeout: limit of CPU time of all calls in seconds; None: SECONDS.
            platform: the system that the binary is for.
            memory: bytes of address space; None: MEMORY.
            rewindable: whether snapshots can be taken.
            resident: bytes of memory that a call may allocate; 0: no limit.
            place: addresses of a binary that can't be moved, which begin at a multiple of 64 KiB; None: none.

        Raises:
            SourceError: Unicorn is missing or can't emulate the CPU.
            MemoryError: no memory for the guest.
        """
        self.name, self.arch = name, HostArch(arch)
        #: The table of the host.
        self.host = HOSTS[self.arch, platform]
        #: Byte order of the guest, as int.from_bytes and as struct name it.
        self.byte_order = self.host.byte_order
        self.order = "<" if self.byte_order == "little" else ">"
        #: Bytes of address space.
        self.size = MEMORY if memory is None else memory
        #: Addresses of a binary that can't be moved; bytes of a page.
        self.place, self.page_size = place, host.page_size
        self._error = error = ffi.new("struct vmd_error *")
        self._seconds = SECONDS if timeout is None else timeout
        ret = ffi.new("struct vmd_guest **")
        limits = ffi.new(
            "struct vmd_guest_limits *",
            {
                "memory": self.size,
                "milliseconds": int(self._seconds * 1000),
                "slice_milliseconds": int(SLICE * 1000),
                "poll": lib.vmd_poll,
                "rewindable": rewindable,
                "resident": resident,
                "image": place.start if place else 0,
                "image_size": len(place) if place else 0,
            },
        )
        status = lib.vmd_guest_create(libunicorn(), self.arch, platform, limits, ret, error)
        if status == lib.VMD_NO_MEMORY:
            raise MemoryError("out of memory for an emulated QEMU")
        if status:
            raise SourceError(f"{name}: can't be emulated: {ffi.string(error.message).decode()}")
        self.native = ffi.gc(ret[0], lib.vmd_guest_destroy)
        self.base = int(lib.vmd_guest_base(self.native))
        #: Load address of the binary; errors show addresses relative to it, as objdump does.
        self.bias = 0 if place else self.base
        lib.vmd_guest_set_host(self.native, host.memfd, host.sgx_vepc, self.host.page_size or host.page_size)
        self._memory = memoryview(ffi.buffer(lib.vmd_guest_memory(self.native), self.size))
        #: Read-only view of the whole memory, from base on.
        self.memory = self._memory.toreadonly()

    def view(self, address: int, size: int) -> memoryview:
        """Return a writable view of size bytes at address. It must not outlive the guest."""
        offset = self._offset(address, size)
        return self._memory[offset : offset + size]

    def holds(self, address: int, size: int) -> bool:
        """Return whether the memory contains size bytes at address."""
        return size >= 0 and 0 <= address - self.base <= self.size - size

    def read(self, address: int, size: int) -> bytes:
        """Return size bytes at address."""
        return bytes(self.view(address, size))

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Write bytes at address."""
        self.view(address, len(data))[:] = data

    def pointer(self, address: int) -> int:
        """Return the 64-bit pointer at address."""
        return int.from_bytes(self.view(address, 8), self.byte_order)

    def number(self, address: int, size: int, *, signed: bool = False) -> int:
        """Return the integer of size bytes at address."""
        return int.from_bytes(self.view(address, size), self.byte_order, signed=signed)

    def write_number(self, address: int, value: int, size: int = 8) -> None:
        """Write an unsigned integer of size bytes at address."""
        self.write(address, value.to_bytes(size, self.byte_order))

    def words(self, address: int, count: int) -> tuple[int, ...]:
        """Return count 64-bit words from address on."""
        return struct.unpack(f"{self.order}{count}Q", self.view(address, 8 * count))

    def pack(self, formats: str, *values: float) -> bytes:
        """Return values in the guest's byte order; ``formats`` as in struct, without alignment."""
        return struct.pack(self.order + formats, *values)

    def text(self, address: int) -> str:
        """Return the C string at address, truncated to 4,096 bytes."""
        offset = self._offset(address, 1)
        data = bytes(self._memory[offset : offset + 4096])
        return data.partition(b"\0")[0].decode(errors="backslashreplace")

    def alloc(self, size: int, align: int = 16) -> int:
        """Allocate zeroed memory and return its address."""
        address = int(lib.vmd_guest_alloc(self.native, size, align))
        if not address:
            raise SourceError(f"{self.name}: needs more than {self.size >> 20} MiB; {WRONG_BINARY}")
        return address

    def allocated(self) -> int:
        """Return the bytes of address space that have been allocated so far, from base on."""
        return int(lib.vmd_guest_allocated(self.native))

    def encoded(self, text: str) -> bytes:
        """Return text as bytes of the guest: UTF-8, with escaped bytes (PEP 383) as the bytes that they are."""
        try:
            return text.encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise SourceError(f"{self.name}: {text!r} can't be encoded: {error.reason}") from error

    def string(self, text: str) -> int:
        """Allocate a C string and return its address."""
        data = self.encoded(text) + b"\0"
        address = self.alloc(len(data))
        self.write(address, data)
        return address

    def host_function(self, name: str) -> int:
        """Return the address of a function of libc or GLib. Unimplemented functions return 0."""
        address = int(lib.vmd_guest_import(self.native, self.encoded(name)))
        if not address:
            raise SourceError(f"{self.name}: imports more than {lib.VMD_GUEST_TRAMPOLINES} functions; {WRONG_BINARY}")
        return address

    def call(self, function: int, *args: int) -> int:
        """Call a function of the guest with integer arguments and return its result.

        Raises:
            SourceError: the function failed or exceeded a limit. Exceptions of signal handlers pass through.
        """
        ret = ffi.new("uint64_t *")
        self._check(lib.vmd_guest_call(self.native, function, args, len(args), ret, self._error), function)
        return int(ret[0])

    def call_until(self, function: int, *args: int, pause_at: int) -> bool:
        """Call a function until it first enters the function pause_at; return False if it returns before.

        Until resume, other calls run on the stack of the paused one. Raises as call.
        """
        ret, paused = ffi.new("uint64_t *"), ffi.new("bool *")
        status = lib.vmd_guest_call_until(
            self.native, function, args, len(args), pause_at, paused, ret, self._error
        )  # fmt: skip
        self._check(status, function)
        return bool(paused[0])

    def arguments(self, count: int) -> list[int]:
        """Return the first integer arguments of the function that a call has just paused at."""
        return [int(lib.vmd_guest_argument(self.native, n)) for n in range(count)]

    def resume(self) -> int:
        """Continue the paused call and return its result. Raises as call."""
        ret = ffi.new("uint64_t *")
        self._check(lib.vmd_guest_resume(self.native, ret, self._error), self.bias)
        return int(ret[0])

    def start(self, entry: int, stack: int, pause_at: int) -> None:
        """Start a statically linked binary with a stack pointer, up to the entry of a function. Raises as call.

        The start stays paused; it is not resumed.
        """
        self._check(lib.vmd_guest_start(self.native, entry, stack, pause_at, self._error), entry)

    def abandon(self) -> None:
        """Drop the paused call: it does not continue."""
        lib.vmd_guest_abandon(self.native)

    def call_all(self, functions: Sequence[int]) -> None:
        """Call functions without arguments in order. Raises as call."""
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
            raise SourceError(f"{self.name}: it uses more than {self.size >> 20} MiB of memory; {WRONG_BINARY}")
        if status == lib.VMD_TOO_LARGE:
            raise TimeLimitError(
                f"{self.name}: function at {function - self.bias:#x}: {ffi.string(error.message).decode()}; the limit "
                f"for "
                f"all of its start-up is {self._seconds:g} seconds (--timeout); the binary may not be a QEMU"
            )
        if status == lib.VMD_UNSUPPORTED:
            what = " ".join(ffi.string(part).decode() for part in (error.message, error.path)).strip()
            raise InstructionError(self.name, what, int(error.index), self.bias)
        detail = ffi.string(error.path).decode(errors="backslashreplace")
        raise SourceError(
            f"{self.name}: function at {function - self.bias:#x}: {ffi.string(error.message).decode()} (at "
            f"{error.index - self.bias if self.holds(error.index, 1) else error.index:#x}){detail and ': ' + detail}"
        )

    def set_time(self, seconds: float) -> None:
        """Let all further calls take this much CPU time, in place of what is left of the limit."""
        self._seconds = seconds
        lib.vmd_guest_set_time(self.native, int(seconds * 1000))

    def set_fill(self, fill: int) -> None:
        """Set the byte that fills memory from malloc; 0 in a new guest."""
        lib.vmd_guest_set_fill(self.native, fill)

    def snapshot(self) -> None:
        """Save the state that rewind restores. A guest has at most one snapshot.

        Raises:
            MemoryError: no memory for it.
            ValueError: the guest is not rewindable, or has a snapshot.
        """
        self._check_snapshot(lib.vmd_guest_snapshot(self.native))

    def rewind(self) -> None:
        """Restore the state of the snapshot, also after a failed call. Raises as snapshot."""
        self._check_snapshot(lib.vmd_guest_rewind(self.native))

    def _check_snapshot(self, status: int) -> None:
        if status == lib.VMD_NO_MEMORY:
            raise MemoryError("out of memory for a snapshot of an emulated QEMU")
        if status:
            raise ValueError("the guest has no snapshot, or already has one")

    def take_output(self) -> str:
        """Return what the guest has printed since the last call, stdout and stderr together."""
        data = ffi.new("const char **")
        size = lib.vmd_guest_output(self.native, data)
        text = bytes(ffi.buffer(data[0], size)).decode(errors="backslashreplace") if size else ""
        lib.vmd_guest_forget_output(self.native)
        return text

    def failed_at(self) -> int:
        """Return the address that was executed when the last call failed."""
        return int(lib.vmd_guest_failed_at(self.native))

    def faults(self) -> list[tuple[int, int, str]]:
        """Return the faults of callbacks of g_hash_table_foreach: key, address, description.

        A fault ends only the callback for this key; it is called for the remaining keys.
        """
        faults = ffi.new("const struct vmd_guest_fault **")
        count = lib.vmd_guest_faults(self.native, faults)
        return [
            (int(fault.key), int(fault.address), ffi.string(fault.message).decode())
            for fault in (faults[0][index] for index in range(count))
        ]

    def missed_functions(self) -> list[str]:
        """Return the sorted names of unimplemented host functions that were called and returned 0."""
        names, index = set(), 0
        while name := lib.vmd_guest_missed(self.native, index):
            names.add(ffi.string(name).decode(errors="backslashreplace"))
            index += 1
        return sorted(names)

    def forget_missed_functions(self) -> None:
        """Let missed_functions return only those called from now on."""
        lib.vmd_guest_forget_missed(self.native)

    def slist(self, address: int) -> Iterator[int]:
        """Iterate over the data of a GSList."""
        for _ in range(_LIST_MAX):
            if not address:
                return
            data, address = self.words(address, 2)
            yield data
        raise SourceError(f"{self.name}: a GSList is cyclic, or longer than any of a QEMU")

    def module_entries(self, begin: int, end: int, code: tuple[int, int]) -> list[list[tuple[int, int]]]:
        """Return the lists of init functions registered in [begin, end), whose code is in the given range.

        Each function is with its type (MODULE_INIT_*). Source: csrc/guest/module_entries.c.
        """
        room = 1 << 14
        found = ffi.new("struct vmd_module_entry[]", room)
        lists: dict[int, list[tuple[int, int]]] = {}
        for i in range(lib.vmd_guest_find_module_entries(self.native, begin, end, *code, found, room)):
            lists.setdefault(found[i].list, []).append((int(found[i].init), int(found[i].type)))
        return list(lists.values())

    def take_typed_inits(self) -> list[tuple[int, int]]:
        """Return the init functions queued since the last call, in order, each with its type (MODULE_INIT_*)."""
        room = 1024
        pairs = ffi.new("uint64_t[]", 2 * room)
        inits: list[tuple[int, int]] = []
        while count := lib.vmd_guest_take_inits(self.native, pairs, room):
            inits += [(int(pairs[2 * i]), int(pairs[2 * i + 1])) for i in range(count)]
        return inits

    def _offset(self, address: int, size: int) -> int:
        offset = address - self.base
        if not self.holds(address, size):
            raise SourceError(f"{self.name}: the pointer {address:#x} is outside of its memory")
        return offset
