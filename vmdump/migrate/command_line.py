"""QEMU's command line in a file: libvirt's log of a domain, a copy of /proc/PID/cmdline, or a shell script.

Source: libvirt 11.3 src/qemu/qemu_process.c (its log: environment, binary and arguments, one a line, each line
continued).
"""

from __future__ import annotations

import errno
import os
import re
import shlex

from vmdump.errors import SourceError
from vmdump.files.input_file import read_input

#: Limit of a file, in bytes. A log may have many starts.
_MAX_SIZE = 64 << 20

#: Names of QEMU's binaries.
_BINARY = re.compile(r"qemu-system-[\w-]+|qemu-kvm|kvm|qemu")

#: Words that end a command.
_OPERATORS = frozenset(["|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1"])


def read_command_line(path: str) -> list[str]:
    """Return QEMU's arguments, without its name: of several command lines the last one.

    Raises SourceError: the file cannot be read, or has no command line of QEMU.
    """
    try:
        data = read_input(path, _MAX_SIZE, any_kind=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = "; give the part with the command line" if getattr(error, "errno", None) == errno.EFBIG else ""
        raise SourceError(f"{path}: {reason}{hint}") from error
    text = data.decode(errors="surrogateescape")
    found = _after_binary(text.rstrip("\0\n").split("\0")) if "\0" in text else _last_command(text)
    if found is None:
        raise SourceError(
            f"{path}: no command line of QEMU; give libvirt's log of the domain, a copy of /proc/PID/cmdline, or a "
            "script that starts qemu-system-*"
        )
    return found


def _last_command(text: str) -> list[str] | None:
    found = None
    for line in text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        if not _BINARY.search(line):
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # no shell command
            continue
        found = _after_binary(words) or found
    return found


def _after_binary(words: list[str]) -> list[str] | None:
    """Return the words after QEMU's binary up to the end of the command."""
    for at, word in enumerate(words):
        rest = words[at + 1 :]
        if _BINARY.fullmatch(os.path.basename(word)) and rest and rest[0].startswith("-"):
            end = next((n for n, each in enumerate(rest) if each in _OPERATORS), len(rest))
            return rest[:end]
    return None
