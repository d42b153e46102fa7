"""vmdump cache: the images that vmdump remembers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus, printable
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.cli.terminal.table import Column
    from vmdump.sources.image_cache.folder import CacheFolder, Entry

HELP = "show or clear the images that are remembered, so that they are read once"
EPILOG = """\
examples:
  vmdump cache                             what is remembered
  vmdump cache --clear                     forget it all

A QEMU binary that was read is remembered in $XDG_CACHE_HOME/vmdump, or
~/.cache/vmdump, until the content of the binary, of its modules, or vmdump
changes; what was not used for longest goes when there are more than 256 MiB.
With --json the keys are
  binary, version        path, and what QEMU says of itself
  size                   in bytes
  created, used          seconds since 1970
"""

#: Units of time in seconds, and how they are written.
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--clear", action="store_true", help="remove all of it")
    parser.add_argument("--json", action="store_true", help="as a JSON list, one object an image")


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Prints the table, or clears the folder."""
    from vmdump.sources.image_cache.folder import find_folder

    folder = find_folder()
    if folder is None:
        raise VmdumpError("no cache folder: neither $XDG_CACHE_HOME nor $HOME is an absolute path; set one of them")
    if args.clear:
        count = folder.clear()
        environment.print(f"{printable(folder.path)}: {count} file{'' if count == 1 else 's'} removed")
        return ExitStatus.DONE
    _list(folder, args.json, environment)
    return ExitStatus.DONE


def _list(folder: CacheFolder, as_json: bool, environment: Environment) -> None:
    from vmdump.cli.terminal.table import print_json, print_table
    from vmdump.sources.image_cache.folder import MAX_BYTES

    entries = folder.entries()
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
    """Bytes in MiB.

    >>> _mebibytes(1900000)
    '1.8 MiB'
    """
    return f"{size / (1 << 20):.1f} MiB"


def _duration(seconds: float) -> str:
    """Whole units of time; less than nothing (a clock that was set back) is nothing.

    >>> _duration(59), _duration(7200.5), _duration(-3)
    ('59 s', '2 h', '0 s')
    """
    for unit, name in _UNITS:
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{max(0, int(seconds))} s"
