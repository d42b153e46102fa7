"""Names programs that are not QEMU system emulators."""

from __future__ import annotations

import re

from vmdump.errors import SourceError

#: First key of a dump, a string in all binaries with -dump-vmstate. Source: migration/savevm.c.
DUMP_MARK = b'"vmschkmachine"'

#: Version line of QEMU's programs, and an environment variable of user-mode emulation.
_PROGRAM = re.compile(rb"(qemu-[a-z0-9_-]+) (?:version|[0-9]+\.[0-9])")
_USER_MODE = b"QEMU_LD_PREFIX"


def check_is_qemu(path: str, data: bytes) -> None:
    """Raise SourceError if a program has no -dump-vmstate, naming QEMU's other programs.

    ``path``: for the error; ``data``: content of the program.
    """
    if DUMP_MARK in data:
        return
    name = _PROGRAM.search(data)
    what = "another program"
    if name:
        what = name[1].decode()
        what += ", user-mode emulation, which has no devices" if _USER_MODE in data else ", one of QEMU's tools"
    raise SourceError(f"{path}: not a QEMU system emulator, but {what}; give a qemu-system-* binary")
