"""vmdump browse: look at the pages of an output directory, or at the devices of one source, in a browser."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus, printable
from vmdump.cli.source_arguments import UsageError, add_file, add_host, add_max_size, add_timeout_and_cache
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.machines.rows import Row

HELP = "look at devices, machine types and verdicts in a browser"
EPILOG = """\
examples:
  vmdump browse dumps                              output of vmdump bulk
  vmdump browse pages                              written by check --matrix
  vmdump browse /usr/bin/qemu-system-x86_64        the devices of one QEMU
  vmdump browse x86_64.json.xz --no-open --port 8080

DIR is an output directory of vmdump bulk, whose targets are checked first, or
a directory of pages that vmdump check --matrix DIR --format html has written.
SOURCE is a QEMU binary, which is read without being run, a dump file or a saved
VM; of a binary, machine types with compat properties are shown, too.

The server listens on 127.0.0.1 only, at an address with a random token, serves
these pages and nothing else, and writes nothing. Ctrl-C ends it, exit code 0.
The pages need no server: check --matrix DIR --format html -o PAGES writes them.
"""

#: The largest page of a directory of pages, in bytes, and the most pages.
_MAX_PAGE = 256 << 20
_MAX_PAGES = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_file(
        parser, "source", metavar="DIR|SOURCE", help="a directory of dumps or pages, or a QEMU binary or dump file"
    )
    parser.add_argument(
        "--port", type=_port, default=0, metavar="PORT", help="port to listen on (default: 0, any that is free)"
    )
    parser.add_argument("--no-open", action="store_true", help="print the address only; do not open a browser")
    parser.add_argument("--target", default="*", metavar="GLOB", help="only these targets of DIR (default: all)")
    add_max_size(parser)
    group = parser.add_argument_group("QEMU binaries")
    add_host(group)
    add_timeout_and_cache(group)


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) < 1 << 16:
        return int(text)
    from argparse import ArgumentTypeError

    raise ArgumentTypeError(f"{text!r} is not a port: 0 to 65535")


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Make the pages, and serve them until Ctrl-C."""
    from vmdump.browse.server import PageServer
    from vmdump.cli.pages import DEVICES, OVERVIEW

    pages = _pages(args, environment)
    start = OVERVIEW if OVERVIEW in pages else DEVICES
    with PageServer(pages, start, args.port) as server:
        try:
            environment.print(server.address)
            environment.error("Ctrl-C ends the server")
            if not args.no_open:
                _open(server.address, environment)
            server.serve_forever()
        except KeyboardInterrupt:
            pass
    return ExitStatus.DONE


def _open(address: str, environment: Environment) -> None:
    """Open a browser, if there is a display for one: those of a terminal would take it over."""
    import sys

    if sys.platform == "linux" and not any(environment.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        return
    import webbrowser

    try:
        webbrowser.open(address)
    except (OSError, webbrowser.Error) as error:
        environment.error(f"no browser was opened: {error}")


def _pages(args: argparse.Namespace, environment: Environment) -> dict[str, bytes]:
    """Return the pages by name. Raises VmdumpError."""
    from vmdump.bulk.manifest import NAME
    from vmdump.cli.pages import DEVICES

    if os.path.exists(os.path.join(args.source, NAME)):
        return _folder_pages(args, environment)
    if args.target != "*":
        raise UsageError("--target applies to an output directory of vmdump bulk")
    if os.path.isdir(args.source):
        return _written_pages(args.source)
    return {DEVICES: _source_page(args, environment)}


def _written_pages(directory: str) -> dict[str, bytes]:
    """Read a directory of pages: one with the overview or the page of devices."""
    from vmdump.cli.pages import DEVICES, OVERVIEW
    from vmdump.files.input_file import is_regular, read_input

    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".html"))
    except OSError as error:
        raise VmdumpError(f"{directory}: {error.strerror}") from error
    paths = {name: os.path.join(directory, name) for name in names}
    paths = {name: path for name, path in paths.items() if is_regular(path) and not os.path.islink(path)}
    if not {OVERVIEW, DEVICES} & paths.keys():
        raise VmdumpError(
            f"{directory}: neither dumps of vmdump bulk nor pages of vmdump check --matrix; vmdump bulk {directory} -o "
            "DUMPS --format parquet reads QEMUs, packages and dumps from it"
        )
    if len(paths) > _MAX_PAGES:
        raise VmdumpError(f"{directory}: {len(paths)} pages; the limit is {_MAX_PAGES}")
    return {name: read_input(path, _MAX_PAGE) for name, path in paths.items()}


def _folder_pages(args: argparse.Namespace, environment: Environment) -> dict[str, bytes]:
    """Check an output directory of vmdump bulk; with a single QEMU for each target there is nothing to check."""
    from fnmatch import fnmatchcase

    from vmdump.bulk.query.database import producers
    from vmdump.cli.check_folder import accept_targets, check_targets, set_defaults
    from vmdump.cli.pages import DEVICES, devices_page, pages_of
    from vmdump.cli.report_arguments import rule_texts

    found = [each.target for each in producers(args.source) if fnmatchcase(each.target, args.target)]
    if not found:
        raise VmdumpError(f"{args.source}: no dumps of a target that matches {args.target}")
    if len(set(found)) == len(found):
        return {DEVICES: devices_page(args.source, [], target=args.target, max_size=args.max_size)}
    set_defaults(args, args.source)
    args.config = None
    args.fail_on = None
    args.output = "-"
    args.matrix = True
    environment.error(f"checking the QEMUs of {printable(args.source)}")
    results = check_targets(args, environment, is_stored=False).results
    accepted = accept_targets(results, args, rule_texts("html"))
    return pages_of(args.source, accepted, target=args.target, max_size=args.max_size)


def _source_page(args: argparse.Namespace, environment: Environment) -> bytes:
    """Return the page of devices of a binary, a dump file or a saved VM."""
    from vmdump.bulk.output_paths import label_of, version_number
    from vmdump.qemu.binary_name import target_of
    from vmdump.report.html import devices
    from vmdump.report.html.subjects import Release
    from vmdump.sources.open import BINARY, identify, open

    dump = open(
        args.source, sysroot=args.root, host=args.host, timeout=args.timeout, max_size=args.max_size,
        cache=not args.no_cache, report=environment.error,
    )  # fmt: skip
    kind, path = identify(args.source, root=args.root)
    rows = _machine_rows(path, args, environment) if kind == BINARY else None
    name = os.path.basename(args.source)
    label = version_number(dump.producer, label_of(dump.producer, path)) or name
    page = devices.render([Release(label, target_of(name), lambda: dump, lambda: rows)], [label])
    return page.encode("utf-8", "backslashreplace")


def _machine_rows(path: str, args: argparse.Namespace, environment: Environment) -> list[Row] | None:
    """Return the machine types of a binary, of which none is booted. Without them, say why."""
    from vmdump.machines.reader import Source
    from vmdump.machines.rows import machine_rows

    try:
        return machine_rows(Source(path, args.root, args.host), lambda info: False)
    except VmdumpError as error:
        environment.error(f"without machine types: {error}")
        return None
