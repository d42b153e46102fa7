"""Names of the targets of QEMU's system emulators, the values of --arch.

Source: QEMU 5.2.0 to 11.1 qapi/machine.json SysEmuTarget; some have been dropped since 5.2, hexagon came later.
"""

from __future__ import annotations

TARGETS = (
    "aarch64", "alpha", "arm", "avr", "cris", "hexagon", "hppa", "i386", "lm32", "loongarch64", "m68k", "microblaze",
    "microblazeel", "mips", "mips64", "mips64el", "mipsel", "moxie", "nios2", "or1k", "ppc", "ppc64", "riscv32",
    "riscv64", "rx", "s390x", "sh4", "sh4eb", "sparc", "sparc64", "tricore", "unicore32", "x86_64", "xtensa",
    "xtensaeb",
)  # fmt: skip

#: Names that distributions and kernels use for some targets.
OTHER_NAMES = {
    "amd64": "x86_64", "x86": "x86_64", "x64": "x86_64", "i486": "i386", "i686": "i386", "arm64": "aarch64",
    "armhf": "arm", "armel": "arm", "armv7l": "arm", "powerpc": "ppc", "ppc64el": "ppc64", "ppc64le": "ppc64",
    "loong64": "loongarch64", "s390": "s390x", "openrisc": "or1k",
}  # fmt: skip


def unknown_target(name: str) -> str:
    """Return the error for an unknown target.

    >>> unknown_target("arm64"), unknown_target("x86-64")
    ("no target 'arm64'; did you mean aarch64?", "no target 'x86-64'; did you mean x86_64?")
    """
    from vmdump.suggestion import did_you_mean

    if name.lower() in OTHER_NAMES:
        return f"no target {name!r}; did you mean {OTHER_NAMES[name.lower()]}?"
    return f"no target {name!r}; {did_you_mean(name, TARGETS, 'targets are ' + ', '.join(TARGETS))}"
