"""Files from packages that QEMU's packages depend on: sizes of firmware, and where files come from.

A machine needs most firmware only for the size of a RAM block. A missing file is replaced by zeros of the usual size,
which Machine.files reports as "stand-in".
"""

from __future__ import annotations

from fnmatch import fnmatchcase

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

#: Packages of Debian and Ubuntu by patterns of file names; other distributions have similar names.
_PACKAGES = (
    ("libfdt.so.*", "libfdt1"),
    ("libslirp.so.*", "libslirp0"),
    ("efi-*.rom", "ipxe-qemu"),
    ("pxe-*.rom", "ipxe-qemu"),
    ("bios*.bin", "seabios"),
    ("vgabios*.bin", "seabios"),
    ("OVMF*", "ovmf"),
    ("opensbi-*", "opensbi"),
    ("AAVMF*", "qemu-efi-aarch64"),
    ("accel-*.so", "the one of the binary, qemu-system-*"),
    ("*.so", "qemu-block-extra, qemu-system-gui or qemu-system-modules-*"),
    *(
        (pattern, "qemu-system-data")
        for pattern in (
            "*.dtb", "QEMU,*", "hppa-firmware*", "*boot*.bin", "openbios-*", "palcode-*", "s390-*",
            "skiboot.lid", "slof.bin", "u-boot*", "vof.bin",
        )
    ),
)  # fmt: skip


def package_of(name: str) -> str | None:
    """Return the package that a file is from; None: not known.

    >>> package_of("vgabios-stdvga.bin"), package_of("slof.bin"), package_of("disk.qcow2")
    ('seabios', 'qemu-system-data', None)
    """
    return next((package for pattern, package in _PACKAGES if fnmatchcase(name, pattern)), None)
