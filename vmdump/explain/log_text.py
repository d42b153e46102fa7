"""Reads pasted logs: splits them into lines and removes what loggers and terminals add in front of QEMU's message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Limits: characters of a text, lines that are examined, and characters of a line.
MAX_TEXT, MAX_LINES, MAX_LINE = 4 << 20, 20_000, 4096

#: A terminal's control sequence. Source: ECMA-48 5.4.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")

#: What precedes a message: a time, in the formats of QEMU (-msg timestamp=on), libvirt, journald and containers; a log
#: level; a program, with its process id. Each is removed as often as it occurs.
_PREFIX = re.compile(
    r"""\s*(?:
        \d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[ ]?[+-]\d\d:?\d\d)?:?
      | (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[ ]+\d{1,2}[ ]\d\d:\d\d:\d\d(?:[ ][\w.-]+(?=[ ]\S+:[ ]))?
      | \[\s*\d+\.\d+\]
      | (?:error|warning|info|debug|ERROR|WARNING|INFO)[ ]?:(?=[ ])
      | \d+:(?=[ ](?:error|warning|info|debug)[ ]:)
      | (?:\S*/)?(?:qemu(?:-[\w.]+)*|kvm|libvirtd|virtqemud|virt-launcher)(?:\[\d+\])?:(?=[ ])
    )\s*""",
    re.VERBOSE,
)

#: QEMU's exit code or signal, as scripts print it, before its output.
_MAX_PREFIXES = 8


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines of a text that are not empty, without control sequences, each cut to MAX_LINE characters."""
    for number, line in enumerate(text[:MAX_TEXT].splitlines()):
        if number == MAX_LINES:
            return
        line = _CONTROL.sub("", line[: 2 * MAX_LINE])[:MAX_LINE].strip()
        if line:
            yield line


def message_of(line: str) -> str:
    """Return a line without times, log levels and program names in front of the message.

    >>> message_of("2025-09-23T07:06:14.915843Z qemu-8.2: Failed to load virtio-net:virtio")
    'Failed to load virtio-net:virtio'
    """
    for _ in range(_MAX_PREFIXES):
        found = _PREFIX.match(line)
        if found is None or not line[found.end() :].strip():
            break
        line = line[found.end() :]
    return line.strip()
