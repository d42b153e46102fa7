"""Names of QEMU's binaries, and the target in the name of a file."""

from __future__ import annotations

import os
import re

#: The name of a QEMU binary, with a distributor's prefix if it has one, as in xen-qemu-system-i386. On Windows, the
#: variant without a console window has a w after the target.
NAME = re.compile(r"(?:(?P<flavour>[\w-]+?)-)?qemu-system-(?P<target>\w[\w-]*?)(?:w?\.[eE][xX][eE])?", re.ASCII)

#: The same, of a file whose name goes on after a dot.
_FILE = re.compile(rf"{NAME.pattern}(?:\..*)?", re.ASCII)


def target_of(path: str) -> str:
    """Return the target in the name of a QEMU binary or of a dump file; if it names none, what it has before a dot.

    >>> target_of("/usr/bin/qemu-system-ppc64"), target_of("qemu-system-x86_64w.exe"), target_of("xen-qemu-system-i386")
    ('ppc64', 'x86_64', 'i386')
    >>> target_of("qemu-system-arm.json"), target_of("7.2/sh4eb.json.xz"), target_of("/usr/libexec/qemu-kvm")
    ('arm', 'sh4eb', 'qemu-kvm')
    """
    name = os.path.basename(path)
    match = _FILE.fullmatch(name)
    return match["target"] if match else name.partition(".")[0] or name
