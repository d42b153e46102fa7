"""vmdump cache: show or clear the cache of parsed QEMU binaries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus, printable
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.cache.folder import CacheFolder, Entry
    from vmdump.cli.environment import Environment
    from vmdump.cli.terminal.table import Column

HELP = "show or clear the cache of parsed QEMU binaries"
EPILOG = """\
examples:
  vmdump cache                             list the entries
  vmdump cache --clear                     remove all entries

Parsed QEMU binaries are cached in $XDG_CACHE_HOME/vmdump (~/.cache/vmdump). An
entry is valid until the binary, its modules or vmdump change. Above 256 MiB the
least recently used entries are removed. With --json the keys are
  binary, version        path and version string of the QEMU
  size                   in bytes
  created, used          in seconds since 1970
"""

#: Units of time in seconds, and their symbols.
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("--clear", action="store_true", help="remove all entries")
    parser.add_argument("--json", action="store_true", help="print a JSON list with an object for each entry")


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the entries, or remove them."""
    from vmdump.cache.entries import NO_FOLDER
    from vmdump.cache.folder import find_folder

    folder = find_folder()
    if folder is None:
        raise VmdumpError(f"no cache directory: {NO_FOLDER}; set $HOME")
    if args.clear:
        count = folder.clear()
        environment.print(f"{printable(folder.path)}: {count} file{'' if count == 1 else 's'} removed")
        return ExitStatus.DONE
    _list(folder, args.json, environment)
    return ExitStatus.DONE


def _list(folder: CacheFolder, as_json: bool, environment: Environment) -> None:
    from vmdump.cache.folder import MAX_BYTES
    from vmdump.cli.terminal.table import print_json, print_table

    entries = folder.entries()
    if (reason := folder.why_unused()) is not None:
        environment.error(f"the cache is not used: {reason}")
    if as_json:
        print_json(environment, [_json_object(entry) for entry in entries])
        return
    if entries:
        now = time.time()
        columns: dict[str, Column] = {
            "BINARY": [entry.header["producer"][1] for entry in entries],
            "VERSION": [_version(entry) for entry in entries],
            "SIZE": [_mebibytes(entry.size) for entry in entries],
            "AGE": [_duration(now - entry.header["created"]) for entry in entries],
            "UNUSED": [_duration(now - entry.used) for entry in entries],
        }
        print_table(environment, columns)
    total = _mebibytes(sum(entry.size for entry in entries))
    images = f"{len(entries)} image{'' if len(entries) == 1 else 's'}"
    environment.print(f"{printable(folder.path)}: {images}, {total} of at most {_mebibytes(MAX_BYTES)}")


def _json_object(entry: Entry) -> dict[str, object]:
    _, binary, version, *_ = entry.header["producer"]
    created = entry.header["created"]
    return {"binary": binary, "version": version, "size": entry.size, "created": created, "used": entry.used}


def _version(entry: Entry) -> str | None:
    version = entry.header["producer"][2]
    return version and str(version).removeprefix("QEMU emulator version ")


def _mebibytes(size: int) -> str:
    """Format bytes as MiB.

    >>> _mebibytes(1900000)
    '1.8 MiB'
    """
    return f"{size / (1 << 20):.1f} MiB"


def _duration(seconds: float) -> str:
    """Format seconds as whole units of time. A negative duration, after a clock change, is 0.

    >>> _duration(59), _duration(7200.5), _duration(-3)
    ('59 s', '2 h', '0 s')
    """
    for unit, name in _UNITS:
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{max(0, int(seconds))} s"
