"""x86-64 hosts with Windows. See model.py; the rest of the table is csrc/guest/arch/x86_64_windows.c."""

from __future__ import annotations

from vmdump.emulator.hosts import x86_64
from vmdump.emulator.hosts.model import ARGUMENT_WITHIN, Platform

#: mov $1, %edx.
_ONE = b"\xba\1\0\0\0"


def _sets_second_to_1(before: bytes) -> bool:
    return _ONE in before[-ARGUMENT_WITHIN:]


HOST = x86_64.HOST._replace(platform=Platform.WINDOWS, multiarch="", sets_second_to_1=_sets_second_to_1)
