"""Trees with every target of a QEMU version, its libraries, modules and firmware, to run natively and to emulate.

`.ci/images DIRECTORY --all` unpacks the packages; those of one version are in up to two directories.
"""

from __future__ import annotations

import os
from pathlib import Path

from support.native_environ import native_environ
from vmdump.files.sysroot import resolve

#: By version: a root with all dependencies, and a directory with the binaries of further targets.
PARTS = {
    "5.2": ("roots/bullseye-amd64", None),
    "7.2": ("roots/bookworm-amd64", "7.2.22"),
    "10.0": ("roots/trixie-amd64", "10.0.13"),
    "11.1": ("roots/forky-amd64", None),
    "7.2-arm64": ("roots/bookworm-arm64", None),
    "10.0-arm64": ("roots/trixie-arm64", None),
    "10.0-riscv64": ("roots/trixie-riscv64", None),
    "10.0-s390x": ("roots/trixie-s390x", None),
    "11.1-riscv64": ("roots/forky-riscv64", None),
    "11.1-s390x": ("roots/forky-s390x", None),
}

#: Data directories of Debian's QEMU. Source: the options --datadir and --with-suffix of its packages.
_DATA = ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu")


def tree_of(version: str, images: Path, scratch: Path) -> Path:
    """Return the tree of a version, which is made of hard links in ``scratch`` if it has two parts."""
    root, further = PARTS[version]
    if further is None:
        return images / root
    tree = scratch / version
    if not tree.exists():
        for part in (images / root, images / further):
            _link_all(part, tree)
    return tree


def _link_all(source: Path, target: Path) -> None:
    """Make hard links to all files below a directory but documentation; existing files stay."""
    target.mkdir(exist_ok=True)
    for entry in os.scandir(source):
        path = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in ("doc", "man", "locale", "icons"):
                _link_all(Path(entry.path), path)
        elif not os.path.lexists(path):
            os.link(entry.path, path, follow_symlinks=False)


def targets_of(tree: Path) -> list[str]:
    """Return the targets that a tree has binaries of; links are other names of them."""
    binaries = (path for path in tree.glob("usr/bin/qemu-system-*") if not path.is_symlink())
    return sorted(path.name.removeprefix("qemu-system-") for path in binaries)


def binary_of(tree: Path, target: str) -> Path:
    """Return the binary of a target. Debian's qemu-system-i386 of 7.2 is a script that executes the binary."""
    path = tree / f"usr/bin/qemu-system-{target}"
    with path.open("rb") as file:
        is_script = file.read(2) == b"#!"
    return tree / f"usr/libexec/{path.name}" if is_script else path


def loader_of(root: Path, images: Path) -> tuple[str, list[str]]:
    """Return the multiarch name of a root's host, and the command that runs a binary with the root's libraries.

    The name of a root ends with Debian's name of its host. Hosts other than x86-64 are run by qemu-user.
    """
    host = root.name.rpartition("-")[2]
    host = {"amd64": "x86_64", "arm64": "aarch64"}.get(host, host if host in ("riscv64", "s390x") else "x86_64")
    triplet = f"{host}-linux-gnu"
    libraries = ":".join(f"{root}/{path}/{triplet}{sub}" for path in ("usr/lib", "lib") for sub in ("", "/pulseaudio"))
    if host == "x86_64":
        return triplet, [resolve("/lib64/ld-linux-x86-64.so.2", str(root)), "--library-path", libraries]
    user = f"{images}/tools/usr/bin/qemu-{host}-static"
    return triplet, [user, "-L", str(root), "-E", f"LD_LIBRARY_PATH={libraries}"]


def native_command(tree: Path, target: str, images: Path) -> tuple[list[str], dict[str, str]]:
    """Return command and environment that run a binary with its tree's libraries, modules and firmware.

    The tree ``/`` is this host's.
    """
    environ = native_environ()
    if tree == Path("/"):
        return [f"/usr/bin/qemu-system-{target}"], environ
    triplet, loader = loader_of(tree, images)
    environ["QEMU_MODULE_DIR"] = f"{tree}/usr/lib/{triplet}/qemu"
    data = [word for path in _DATA if (tree / path).is_dir() for word in ("-L", str(tree / path))]
    return [*loader, str(binary_of(tree, target)), *data], environ
