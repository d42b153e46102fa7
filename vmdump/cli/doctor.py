"""vmdump doctor: which parts of vmdump work on this host, and what to install for the others."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING, NamedTuple

from vmdump.cli.environment import ExitStatus, printable
from vmdump.errors import VmdumpError
from vmdump.version import __version__

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from vmdump.cli.environment import Environment

HELP = "check what works on this host, and what to install"
EPILOG = """\
examples:
  vmdump doctor
  vmdump doctor --json

Checks the C core, optional packages, the emulator, the cache, and looks for
QEMU binaries, of which it reads the first. With --json the keys are
  check      what was checked
  state      ok, missing (of something optional), or failed
  detail     a version, a path, or what to do

exit codes:
  0 nothing has failed; 1 something has failed
"""

OK, MISSING, FAILED = "ok", "missing", "failed"

#: Optional packages: the module, what needs it, the extra.
_PACKAGES = (
    ("unicorn", "QEMU binaries, the emulator", "elf"),
    ("zstandard", "files compressed with Zstandard", "zstd"),
    ("pyarrow", "bulk --format parquet", "bulk"),
    ("duckdb", "query", "bulk"),
    ("distributed", "bulk --executor dask://", "dask"),
)

#: mov eax, 42; ret.
_CODE = b"\xb8\x2a\0\0\0\xc3"


class Check(NamedTuple):
    """Result of a check. state: OK, MISSING or FAILED."""

    check: str
    state: str
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print a JSON list with an object for each check")


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Check everything, and print the results."""
    from vmdump.cli.terminal.table import print_json, print_table

    checks = list(_checks(environment))
    if args.json:
        print_json(environment, [each._asdict() for each in checks])
    else:
        print_table(environment, {
            "CHECK": [each.check for each in checks],
            "STATE": [each.state for each in checks],
            "DETAIL": [each.detail for each in checks],
        })  # fmt: skip
    return ExitStatus.FINDINGS if any(each.state == FAILED for each in checks) else ExitStatus.DONE


def _checks(environment: Environment) -> Iterator[Check]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Check("vmdump", OK, f"{__version__}, Python {python}, {platform.system()} {platform.machine()}")
    yield _core()
    yield from _packages()
    yield _emulator()
    yield _cache()
    yield from _qemus(environment)


def _core() -> Check:
    try:
        from vmdump import _core
    except ImportError as error:
        return Check("C core", FAILED, f"{error}; install vmdump again, with gcc and Python's headers")
    return Check("C core", OK, _core.__file__ or "built in")


def _packages() -> Iterator[Check]:
    from importlib.metadata import PackageNotFoundError, version

    for name, use, extra in _PACKAGES:
        try:
            yield Check(name, OK, f"{version(name)}, for {use}")
        except PackageNotFoundError:
            if name == "unicorn" and (path := _system_unicorn()) is not None:
                yield Check(name, OK, f"{path}, for {use}")
            else:
                yield Check(name, MISSING, f"for {use}: pip install 'vmdump[{extra}]'")


def _system_unicorn() -> str | None:
    """Return the path of the library that the system's package manager installed; None: there is none."""
    from vmdump.emulator.unicorn_library import libunicorn

    try:
        return os.fsdecode(libunicorn())
    except VmdumpError:
        return None


def _emulator() -> Check:
    """Run two instructions."""
    from vmdump.emulator.guest import Guest
    from vmdump.files.elf_header import HostArch

    try:
        guest = Guest("doctor", HostArch.X86_64)
        code = guest.alloc(len(_CODE))
        guest.write(code, _CODE)
        result = guest.call(code)
    except VmdumpError as error:
        return Check("emulator", MISSING if _is_missing(error) else FAILED, str(error))
    return Check("emulator", OK, "runs") if result == 42 else Check("emulator", FAILED, f"computes {result} for 42")


def _is_missing(error: Exception) -> bool:
    """Return whether an error says to install a package."""
    return "pip install" in str(error)


def _cache() -> Check:
    from vmdump.cache.entries import NO_FOLDER
    from vmdump.cache.folder import find_folder

    folder = find_folder()
    if folder is None:
        return Check("cache", MISSING, f"{NO_FOLDER}; set $HOME")
    if (reason := folder.why_unused()) is not None:
        return Check("cache", FAILED, f"not used: {reason}")
    return Check("cache", OK, folder.path)


def _qemus(environment: Environment) -> Iterator[Check]:
    from vmdump.sources.installed import installed_qemus
    from vmdump.sources.open import open

    found = installed_qemus(environment.environ)
    if not found:
        yield Check("QEMU", MISSING, "none in the PATH; vmdump reads binaries of packages as well: vmdump bulk --help")
    for number, path in enumerate(found):
        if number:
            yield Check("QEMU", OK, path)
            continue
        try:
            version = open(path).producer.version or "of unknown version"
        except (VmdumpError, OSError) as error:
            yield Check("QEMU", MISSING if _is_missing(error) else FAILED, printable(str(error)))
        else:
            yield Check("QEMU", OK, f"{path}: {version}")
