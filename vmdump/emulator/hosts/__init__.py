"""Host architectures: a table each, in a module of its own."""

from __future__ import annotations

from vmdump.emulator.hosts import aarch64, x86_64
from vmdump.emulator.hosts.model import Host
from vmdump.files.elf_header import HostArch

__all__ = ["HOSTS", "Host"]

#: The tables of all architectures.
HOSTS: dict[HostArch, Host] = {module.HOST.arch: module.HOST for module in (x86_64, aarch64)}
