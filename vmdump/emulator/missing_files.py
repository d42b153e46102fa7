"""Names the missing file because of which a machine did not start, and how to provide it.

A binary needs files of other packages: firmware, modules and libraries. They are looked for in its tree only.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from vmdump.emulator.firmware import package_of
from vmdump.emulator.machine_libraries import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.emulator.guest_services import GuestServices

#: Directories of the host, which no package has files in.
_SYSTEM = ("/etc/", "/dev/", "/proc/", "/sys/")

#: QEMU's messages about other things that it does not find.
_OTHERS = re.compile(r"(?:Property|Bus) '[^']*' not found")

#: QEMU's messages about a missing file, which they need not name.
_NOT_FOUND = re.compile(r"(?:could ?n[o']t|can ?n[o']t|can't|failed to|unable to) (?:find|load|open)|not found", re.I)


def advice(services: GuestServices, output: str, missed: Sequence[str]) -> str | None:
    """Return which file is missing and what to do; None: the failure is not due to a file.

    Args:
        services: of the machine that did not start.
        output: of QEMU.
        missed: host functions that were called and the emulator lacks.
    """
    name = _library(services, missed) or _file(services, output.replace(services.name, ""))
    if name is None:
        return None
    if services.tree is None:
        return f"QEMU's files ({name}) are looked for in its tree, but it is in no tree: name its tree with --root"
    package = package_of(name)
    unpack = f"unpack its package (Debian: {package}) there" if package else "add it there"
    return f"{name} is missing from the tree {services.tree}: {unpack}, or name a complete tree with --root"


def _library(services: GuestServices, missed: Sequence[str]) -> str | None:
    """Return a library that the tree lacks and whose functions were called."""
    for name, prefix in LIBRARIES[services.platform].items():
        if not services.has_library(name) and any(each.startswith(prefix) for each in missed):
            return name
    return None


def _file(services: GuestServices, output: str) -> str | None:
    """Return the missing file that QEMU names, else, if it says that one is missing, the last requested."""
    names = [
        os.path.basename(path)
        for path, real in services.requested.items()
        if real == "missing" and path != services.name and not path.startswith(_SYSTEM)
    ]
    found = [name for name in names if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", output)]
    if not found and _NOT_FOUND.search(_OTHERS.sub("", output)):
        found = names
    return found[-1] if found else None
