"""Start statically linked binaries as Linux does, up to QEMU's own code.

Their libc relocates them, sets up thread-local data and runs their constructors, with the system calls that
csrc/guest/syscalls.c serves. Source: Linux fs/binfmt_elf.c create_elf_tables, glibc sysdeps/x86_64/start.S.
"""

from __future__ import annotations

from vmdump._core import lib
from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.model import Program
from vmdump.errors import SourceError

_STACK_SIZE = 1 << 20

#: Room above the first arguments.
_STACK_TOP = 4096

_AT_NULL, _AT_PHDR, _AT_PHENT, _AT_PHNUM, _AT_PAGESZ, _AT_BASE, _AT_ENTRY = 0, 3, 4, 5, 6, 7, 9
_AT_UID, _AT_EUID, _AT_GID, _AT_EGID, _AT_HWCAP, _AT_SECURE, _AT_RANDOM = 11, 12, 13, 14, 16, 23, 25
_USER = 1000


def start_program(guest: Guest, program: Program, pause_at: int) -> None:
    """Start a binary up to the first entry of a function.

    Raises:
        SourceError: the start failed, or binaries of this host can't be started.
    """
    if not lib.vmd_guest_can_start(guest.native):
        raise SourceError(
            f"{guest.name}: statically linked, which is supported for x86-64 hosts only; use --run instead"
        )
    vector = {
        _AT_PHDR: program.headers, _AT_PHENT: program.header_size, _AT_PHNUM: program.n_headers,
        _AT_PAGESZ: guest.page_size, _AT_BASE: 0, _AT_ENTRY: program.entry,
        _AT_UID: _USER, _AT_EUID: _USER, _AT_GID: _USER, _AT_EGID: _USER, _AT_SECURE: 0,
        _AT_HWCAP: 0, _AT_RANDOM: guest.alloc(16), _AT_NULL: 0,
    }  # fmt: skip
    words = [1, guest.string("qemu"), 0, 0]  # argc, argv, environment
    words += [word for pair in vector.items() for word in pair]
    stack = guest.alloc(_STACK_SIZE) + _STACK_SIZE - _STACK_TOP
    guest.write(stack, guest.pack(f"{len(words)}Q", *words))
    guest.start(program.entry, stack, pause_at)
