"""AArch64 hosts with macOS. See model.py; the rest of the table is csrc/guest/arch/aarch64_macos.c."""

from __future__ import annotations

from vmdump.emulator.hosts import aarch64
from vmdump.emulator.hosts.model import Platform

HOST = aarch64.HOST._replace(multiarch="", platform=Platform.MACOS, page_size=16384)
