"""Finds the Unicorn library: in its wheel, or installed by the system's package manager."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

from vmdump.errors import SourceError

#: The library of Unicorn 2.
_NAME = "libunicorn.so.2"

#: Python's name for directories of the host's architecture, such as x86_64-linux-gnu; None where there are none.
_MULTIARCH = getattr(sys.implementation, "_multiarch", None)

#: Where a package manager installs it: Debian, Fedora, others.
DIRECTORIES = (*([f"/usr/lib/{_MULTIARCH}"] if _MULTIARCH else []), "/usr/lib64", "/usr/lib", "/usr/local/lib")


def libunicorn() -> bytes:
    """Return the path of the Unicorn library. Its Python package is not imported, which is slow.

    Raises SourceError: there is none.
    """
    spec = PathFinder.find_spec("unicorn")
    for package in (spec.submodule_search_locations or ()) if spec is not None else ():
        directory = os.path.join(package, "lib")
        for name in sorted(os.listdir(directory) if os.path.isdir(directory) else ()):
            if name.startswith("libunicorn.so"):
                return os.fsencode(os.path.join(directory, name))
    for directory in DIRECTORIES:
        if os.path.exists(path := os.path.join(directory, _NAME)):
            return os.fsencode(path)
    raise SourceError(
        "reading a QEMU binary needs Unicorn 2.1: pip install 'vmdump[elf]', or the system's package (Debian's "
        "libunicorn2t64); dump and check can run it instead: --run"
    )
