"""QEMUs of several releases, that run natively and are emulated; a test is skipped without them."""

import os
import shutil
from pathlib import Path

import pytest

from support.machine_pair import IMAGES, Pair
from support.machine_trees import PARTS

#: What .ci/images unpacks without --all: roots of x86_64.
_IN_CI = ("5.2", "10.0")


def pair(version: str, target: str) -> Pair:
    """A binary of Debian's packages below $VMDUMP_IMAGES; "installed": of this host."""
    if version == "installed":
        if shutil.which(f"qemu-system-{target}") is None:
            pytest.skip(f"needs qemu-system-{target}")
        return Pair(version, target, Path("/"))
    root, further = PARTS[version]
    tree = IMAGES / root
    if further is not None and not (tree / f"usr/bin/qemu-system-{target}").exists():
        tree = IMAGES / further
    if not ((IMAGES / root).exists() and (tree / f"usr/bin/qemu-system-{target}").exists()):  # the root has libraries
        if version in _IN_CI and target == "x86_64" and os.environ.get("CI"):
            pytest.fail(f"CI unpacks QEMU {version}, but it is not in $VMDUMP_IMAGES")
        pytest.skip(f"needs QEMU {version} in $VMDUMP_IMAGES: .ci/images DIRECTORY --all")
    return Pair(version, target, tree)


def root_words(pair: Pair) -> list[str]:
    """The arguments of vmdump for the pair's tree."""
    return [] if pair.tree == Path("/") else ["--root", str(pair.tree)]
