"""Finds the QEMU system emulators that are installed on this host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Directories where distributions install QEMU outside of the PATH: Fedora and RHEL (qemu-kvm), Debian's xen.
_DIRECTORIES = ("/usr/libexec", "/usr/lib/xen/bin", "/usr/libexec/xen/bin")


def installed_qemus(environ: Mapping[str, str]) -> list[str]:
    """Return the paths of qemu-system-* and qemu-kvm in the PATH and in known directories, without duplicates.

    Of names that are links to one file, the first is returned.
    """
    found: dict[tuple[int, int], str] = {}
    for directory in (*environ.get("PATH", os.defpath).split(os.pathsep), *_DIRECTORIES):
        try:
            names = sorted(os.listdir(directory or "."))
        except OSError:
            continue
        for name in names:
            path = os.path.join(directory, name)
            if not (name.startswith("qemu-system-") or name == "qemu-kvm"):
                continue
            try:
                status = os.stat(path)
            except OSError:
                continue
            if os.path.isfile(path) and status.st_mode & 0o111:
                found.setdefault((status.st_dev, status.st_ino), path)
    return list(found.values())
