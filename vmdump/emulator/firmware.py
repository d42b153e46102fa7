"""Sizes of firmware files from packages that QEMU's packages depend on.

A machine needs such a file only for the size of a RAM block. A missing file is replaced by zeros of the usual size,
which Machine.files reports as "stand-in".
"""

from __future__ import annotations

#: Bytes by file name. Source: SeaBIOS 1.16 and QEMU 7.2's own ROMs, as Debian has them.
STAND_INS = {
    "bios-256k.bin": 262144,
    "bios.bin": 131072,
    "kvmvapic.bin": 9216,
    "linuxboot.bin": 1024,
    "linuxboot_dma.bin": 1536,
    "multiboot.bin": 1024,
    "multiboot_dma.bin": 1024,
    "pvh.bin": 1536,
}
