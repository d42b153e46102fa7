"""x86-64 hosts with macOS. See model.py; the rest of the table is csrc/guest/arch/x86_64_macos.c."""

from __future__ import annotations

from vmdump.emulator.hosts import x86_64
from vmdump.emulator.hosts.model import Platform

HOST = x86_64.HOST._replace(multiarch="", platform=Platform.MACOS, page_size=4096)
