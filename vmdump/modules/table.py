"""The search path for modules, and the module table: the metadata of the modules in it, read without loading them.

Source: QEMU 8.2.2 util/module.c.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from vmdump.errors import ModuleError
from vmdump.modules.model import ModuleInfo, Opener, Report

#: Module directory below the installation prefix. QEMU's CONFIG_QEMU_MODDIR.
MODULE_DIR = "lib/vmdump/modules"


def module_file_exists(path: str) -> bool:
    """Return whether a module's file exists. Raises: ModuleError if it is not a regular file or can't be accessed.

    Openers only get regular files: opening a FIFO blocks, and a device may have no end.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ModuleError(f"error trying to access {path}: {error.strerror}") from error
    except ValueError as error:  # a NUL or half a surrogate pair in the name
        raise ModuleError(f"error trying to access {path!r}: {error}") from error
    if not stat.S_ISREG(mode):
        raise ModuleError(f"failed to open module: {path}: not a regular file")
    return True


def module_search_dirs(
    module_dirs: Sequence[str | os.PathLike[str]] = (),
    *,
    environ: Mapping[str, str],
    executable: str | None,
    version: str,
    upgrades: bool = True,
) -> list[str]:
    """Return the search path for modules: ``module_dirs``, then QEMU's three directories.

    $QEMU_MODULE_DIR is a single directory; empty counts as unset. ``executable``: path of the running program in its
    bin directory (``sys.executable``; symlinks are not followed, so that a virtual environment has its own modules),
    relative to which the module directory is found as in a relocated installation. Empty or None, as in an embedded
    Python: none. ``upgrades``: add the directory, named by ``version``, that keeps the modules of a running program
    after an upgrade.

    Source: QEMU 8.2.2 util/module.c module_load, util/cutils.c get_relocated_path.

    >>> module_search_dirs(["./mine"], environ={}, executable="/opt/vmdump/bin/python3", version="1.0 (rc1)")
    ['./mine', '/opt/vmdump/bin/../lib/vmdump/modules', '/var/run/qemu/1.0__rc1_']
    """
    dirs = [os.fspath(directory) for directory in module_dirs]
    if environ.get("QEMU_MODULE_DIR"):
        dirs.append(environ["QEMU_MODULE_DIR"])
    if executable:
        dirs.append(f"{os.path.dirname(os.path.abspath(executable))}/../{MODULE_DIR}")
    if upgrades:
        version_dir = "".join(
            char if char.isascii() and (char.isalnum() or char in "+-.~") else "_" for char in version
        )
        dirs.append(f"/var/run/qemu/{version_dir}")
    return dirs


def read_module_table(
    search_dirs: Sequence[str | os.PathLike[str]],
    openers: Sequence[Opener],
    *,
    report: Report,
    installed: Iterable[ModuleInfo] = (),
) -> list[ModuleInfo]:
    """Return the rows of modules in the search path, then ``installed`` ones (entry points). Loads nothing.

    Rows of a directory are sorted by name. The first file of a name hides later ones even if it is broken, because it
    is the one that the loader would open. Missing directories and files that are not modules are skipped; unreadable
    directories and modules with invalid metadata are reported and skipped.

    >>> read_module_table(["/nowhere"], [], report=print)
    []
    """
    table: dict[str, ModuleInfo | None] = {}  # None: broken
    for directory in (os.fspath(each) for each in search_dirs):
        for name, opener in _module_files(directory, openers, report):
            if name in table:
                continue
            path = f"{directory}/{name}{opener.suffix}"
            try:
                info = opener.read_info(path) if module_file_exists(path) else None
            except ModuleError as error:
                table[name] = None
                report(error)
            else:
                if info is not None:
                    table[name] = msgspec.structs.replace(info, name=name)
    for info in installed:
        table.setdefault(info.name, info)
    return [row for row in table.values() if row is not None]


def _module_files(directory: str, openers: Sequence[Opener], report: Report) -> list[tuple[str, Opener]]:
    """Return names of potential modules with their openers, sorted by name, then in the openers' order."""
    try:
        files = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        report(ModuleError(f"error trying to access {directory}: {getattr(error, 'strerror', error)}"))
        return []
    named = (
        (file.removesuffix(opener.suffix), order)
        for file in files
        for order, opener in enumerate(openers)
        if file.endswith(opener.suffix)
    )
    return [(name, openers[order]) for name, order in sorted(named)]
