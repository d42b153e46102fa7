"""Hosts: a table for each CPU and platform, in a module of its own."""

from __future__ import annotations

from vmdump.emulator.hosts import (
    aarch64,
    aarch64_macos,
    aarch64_windows,
    riscv64,
    s390x,
    x86_64,
    x86_64_macos,
    x86_64_windows,
)
from vmdump.emulator.hosts.model import Host, Platform
from vmdump.files.elf_header import ElfHeader, HostArch, elf_machine

__all__ = ["HOSTS", "SUPPORTED", "Host", "host_name", "unsupported_host"]

#: The tables of all hosts.
HOSTS: dict[tuple[HostArch, Platform], Host] = {
    (module.HOST.arch, module.HOST.platform): module.HOST
    for module in (x86_64, aarch64, riscv64, s390x, x86_64_windows, aarch64_windows, aarch64_macos, x86_64_macos)
}

_NAMES = [elf_machine(arch) for arch, platform in HOSTS if platform == Platform.LINUX]

#: Their names, for messages.
SUPPORTED = f"{', '.join(_NAMES[:-1])} and {_NAMES[-1]}, all 64-bit"

#: Why a 64-bit host is not supported, by e_machine.
_REASONS = {
    21: "Unicorn has no vector instructions for it in little-endian mode, which QEMU's code uses",
    258: "Unicorn does not emulate this CPU",
}


def host_name(arch: HostArch, platform: Platform) -> str:
    """Return the name of a host, for messages.

    >>> host_name(HostArch.AARCH64, Platform.MACOS)
    'AArch64 macOS'
    """
    names = {Platform.LINUX: "Linux", Platform.WINDOWS: "Windows", Platform.MACOS: "macOS"}
    return f"{elf_machine(arch)} {names[platform]}"


def unsupported_host(header: ElfHeader) -> str | None:
    """Return why QEMU binaries with a header can't be emulated, or None if they can.

    >>> unsupported_host(ElfHeader(32, "<", 3, 40, 1, 0, 52, 0, 0, 52, 32, 1, 40, 0, 0))
    'structs have a different layout on 32-bit hosts'
    """
    if header.bits != 64:
        return "structs have a different layout on 32-bit hosts"
    if header.machine not in set(HostArch):
        return _REASONS.get(header.machine, "the emulator has no table for it")
    byte_order = "<" if HOSTS[HostArch(header.machine), Platform.LINUX].byte_order == "little" else ">"
    return None if header.byte_order == byte_order else "this CPU's binaries have the other byte order"
