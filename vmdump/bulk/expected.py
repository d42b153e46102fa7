"""Detects files that are named like a QEMU binary but are not one.

Documentation, shell completions and lintian overrides are named ``qemu-system-x86`` too; they are in
``share`` or ``etc``.
"""

from __future__ import annotations

from typing import NamedTuple

from vmdump.files.file_kind import object_format
from vmdump.qemu.binary_name import NAME

#: Names of directories that contain no binaries.
_NO_BINARIES = frozenset(("share", "etc", "doc", "man"))


class NotAQemu(NamedTuple):
    """Why a file is not a QEMU binary; is_harmless: it is skipped with a notice instead of an error."""

    text: str
    is_harmless: bool = False


def expects_qemu(path: str) -> bool:
    """Return whether a path, relative to a source or package, is that of a QEMU binary.

    >>> expects_qemu("usr/bin/qemu-system-arm"), expects_qemu("qemu-system-x86_64w.EXE")
    (True, True)
    >>> expects_qemu("usr/share/lintian/overrides/qemu-system-x86"), expects_qemu("bin/qemu-img")
    (False, False)
    """
    *directories, name = path.split("/")
    is_named = name == "qemu-kvm" or NAME.fullmatch(name) is not None
    return is_named and not _NO_BINARIES.intersection(directories)


def not_a_qemu(start: bytes, *, is_expected: bool) -> NotAQemu | None:
    """Return why a file that begins with these bytes is not a QEMU binary; None unless it is expected to be one."""
    if not is_expected:
        return None
    if not start:
        return NotAQemu("an empty file, not a QEMU binary; copy it again")
    if start.startswith(b"#!"):
        return NotAQemu("a script, not a QEMU binary; skipped", is_harmless=True)
    if format := object_format(start):
        article = "an" if format == "ELF" else "a"
        return NotAQemu(f"{article} {format} file without the code that dumps device state; the file may be truncated")
    return NotAQemu("not an executable; the file may be corrupt")
