"""AArch64 hosts with Windows. See model.py; the rest of the table is csrc/guest/arch/aarch64_windows.c."""

from __future__ import annotations

from collections.abc import Iterator

from vmdump.emulator.hosts import aarch64
from vmdump.emulator.hosts.model import Platform, sign_extend, words


def _called(address: int, data: bytes) -> Iterator[int]:
    """Targets of bl: .pdata does not list functions without a stack frame, which may end in calls."""
    for index, word in enumerate(words(data)):
        if word >> 26 == 0x25:
            yield address + 4 * index + 4 * sign_extend(word & 0x3FFFFFF, 26)


HOST = aarch64.HOST._replace(platform=Platform.WINDOWS, multiarch="", called=_called)
