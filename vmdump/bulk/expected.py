"""What is meant to be a QEMU and is none: a file or link with the name of a QEMU that can't be read as one.

By the name alone much would be taken for a QEMU: documentation, completions and lintian's overrides are called
``qemu-system-x86``, too. These are below ``share`` or ``etc``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: A QEMU's name, with what distributors put in front of it: xen-qemu-system-i386.
NAME = re.compile(r"(?:(?P<flavour>[\w-]+?)-)?qemu-system-(?P<target>\w[\w-]*)", re.ASCII)

#: Names of directories below which no binary is.
_NO_BINARIES = frozenset(("share", "etc", "doc", "man"))

#: How executables of other systems begin. Source: Microsoft's PE Format; Apple's mach-o/loader.h and mach-o/fat.h.
_PE = b"MZ"
_MACH_O = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


class NotAQemu(NamedTuple):
    """Why something is no QEMU; is_harmless: it is passed over with a notice, as nothing is missing for it."""

    text: str
    is_harmless: bool = False


def expects_qemu(path: str) -> bool:
    """Whether a file at this path, below a source or in a package, is meant to be a QEMU.

    >>> expects_qemu("usr/bin/qemu-system-arm"), expects_qemu("qemu-system-x86_64.exe")
    (True, True)
    >>> expects_qemu("usr/share/lintian/overrides/qemu-system-x86"), expects_qemu("bin/qemu-img")
    (False, False)
    """
    *directories, name = path.split("/")
    is_named = name == "qemu-kvm" or NAME.fullmatch(name.removesuffix(".exe")) is not None
    return is_named and not _NO_BINARIES.intersection(directories)


def not_a_qemu(start: bytes, *, is_expected: bool) -> NotAQemu | None:
    """What a file is that is no QEMU binary, by its first bytes; None for what need not be one."""
    if not is_expected:
        return None
    if not start:
        return NotAQemu("an empty file, not a QEMU binary; copy it again")
    if start.startswith(b"#!"):
        return NotAQemu("a script, not a QEMU binary; skipped", is_harmless=True)
    if start.startswith(b"\x7fELF"):
        return NotAQemu("an ELF file without the code that dumps device state; the file may be truncated")
    if start.startswith(_PE):
        return NotAQemu("a PE executable (Windows); only ELF binaries can be read")
    if start.startswith(_MACH_O):
        return NotAQemu("a Mach-O executable (macOS); only ELF binaries can be read")
    return NotAQemu("not an ELF binary; the file may be corrupt")
