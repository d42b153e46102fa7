"""The sources of commands that emulate machines: QEMU binaries only."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from vmdump.cli.source_arguments import UsageError, add_file, add_host, add_timeout_and_cache, roots_of
from vmdump.errors import SourceError
from vmdump.sources.open import BINARY, identify

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from vmdump.cli.environment import Environment
    from vmdump.machines.mapping import Machines
    from vmdump.machines.model import MachineInfo
    from vmdump.machines.reader import Source
    from vmdump.migrate.qtest_script import QtestScript

#: Default of --timeout, in seconds, of commands that boot machines for themselves: the limit of a machine.
TIMEOUT = 300

BINARY_HELP = "a QEMU binary, which is emulated, not run"


def add_binary(parser: argparse.ArgumentParser, name: str, **options: str) -> None:
    """Add an argument that is a QEMU binary."""
    add_file(parser, name, help=BINARY_HELP, **options)


def add_emulation(parser: argparse.ArgumentParser, **timeout: Any) -> None:
    """Add the options for emulating machines. timeout: see add_timeout_and_cache."""
    group = parser.add_argument_group("QEMU binaries")
    add_timeout_and_cache(group, **timeout)
    add_host(group, several=True)


def add_qtest(parser: argparse.ArgumentParser) -> None:
    """Add --qtest."""
    add_file(
        parser, "--qtest", metavar="SCRIPT",
        help="execute a script of QEMU's qtest protocol before saving, one command per line: outl 0xcf8 0x80001000",
    )  # fmt: skip


def open_qtest(args: argparse.Namespace) -> QtestScript | None:
    """Return the script of --qtest; None: none is given. Raises SourceError, OSError."""
    if args.qtest is None:
        return None
    from vmdump.migrate.qtest_script import read_script

    return read_script(args.qtest)


def add_any_target(parser: argparse.ArgumentParser) -> None:
    """Add --any-target."""
    parser.add_argument("--any-target", action="store_true", help="allow binaries of different targets")


def require_one_target(binaries: Iterable[tuple[str, Sequence[MachineInfo]]]) -> None:
    """Raise UsageError for binaries of different targets. binaries: paths and machine types."""
    from vmdump.check.sides import different_binaries

    unlike = different_binaries(binaries)
    if unlike is not None:
        (first, target), (second, other) = unlike
        raise UsageError(
            f"{first} is for {target}, {second} for {other}: a VM cannot migrate between targets; --any-target "
            "compares them anyway"
        )


def add_qemu_arguments(parser: argparse.ArgumentParser) -> None:
    """Let the command take arguments of QEMU after ``--``."""
    parser.takes_qemu_arguments = True  # type: ignore[attr-defined]  # of CommandParser
    parser.usage = f"{parser.format_usage().removeprefix('usage: ').rstrip()} [-- ARGS]"


def find_binary(path: str, root: str | None) -> str:
    """Return the path of a QEMU binary, with the links of its root followed. Raises UsageError, SourceError."""
    kind, found = identify(path, root=root)
    for is_wrong, error in ((not os.path.exists(found), errno.ENOENT), (os.path.isdir(found), errno.EISDIR)):
        if is_wrong:
            raise SourceError(f"{path or repr(path)}: {os.strerror(error)}; give a QEMU binary")
    if kind != BINARY:
        raise UsageError(f"{path}: not a QEMU binary; other sources have no machines to emulate")
    return found


def open_binaries(paths: Sequence[str], args: argparse.Namespace, environment: Environment) -> list[Machines]:
    """Return the machine types of QEMU binaries. Raises UsageError, SourceError."""
    from vmdump.machines.mapping import open_machines

    opened = []
    for path, root in zip(paths, roots_of(paths, args.root), strict=True):
        opened.append(
            open_machines(
                find_binary(path, root), sysroot=root, host=args.host, timeout=args.timeout, cache=not args.no_cache,
                report=environment.error,
            )
        )  # fmt: skip
    return opened


def open_emulated(path: str, args: argparse.Namespace) -> Source:
    """Return a QEMU binary whose machines are booted for this command alone. Raises UsageError, SourceError."""
    from vmdump.machines.reader import Source

    (root,) = roots_of([path], args.root)
    return Source(find_binary(path, root), root, args.host, args.timeout)


def report_missed(machines: Machines, missed: Sequence[str], environment: Environment) -> None:
    """Report on stderr that a machine may differ from a real one, because host functions are not implemented."""
    if missed:
        environment.error(
            f"{machines.path}: the machine called functions of the host that the emulator lacks "
            f"({', '.join(missed)}); what depends on them may differ from a run"
        )
