"""Arguments that several commands share, and what they stand for."""

from __future__ import annotations

import os

from vmdump.errors import VmdumpError
from vmdump.sources.open import is_binary, open, source_path

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.emulator.host_profile import HostProfile
    from vmdump.sources.session import Session

#: What completes to file names, and to directories, in the scripts that shtab makes (its FILE and DIRECTORY).
_FILE = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
_DIRECTORY = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "tcsh": "d"}

#: The longest --timeout, in seconds: eleven days. The system calls that wait take no more than twice that.
_MAX_TIMEOUT = 1e6


class UsageError(VmdumpError):
    """A command line that asks for nothing that there is: exit code 2."""


def add_file(parser: argparse._ActionsContainer, *names: str, **options: Any) -> None:
    """Adds an argument that is a path."""
    _complete(parser.add_argument(*names, **options), _FILE)


def add_directory(parser: argparse._ActionsContainer, *names: str, **options: Any) -> None:
    """Adds an argument that is a directory's path."""
    _complete(parser.add_argument(*names, **options), _DIRECTORY)


def _complete(argument: argparse.Action, how: dict[str, str]) -> None:
    argument.complete = how  # type: ignore[attr-defined]  # shtab's


def add_source(parser: argparse.ArgumentParser) -> None:
    """The source of a dump and how it is read."""
    add_file(
        parser,
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a QEMU binary, which is read without being run; a file that -dump-vmstate wrote (plain, gzip, xz, "
        "Zstandard; - for standard input); without it: the built-in devices and all modules",
    )
    group = parser.add_argument_group("machines")
    group.add_argument(
        "-M",
        "--machine",
        metavar="MACHINE",
        help="the machine type (default: the default one, else none); help lists them",
    )
    group.add_argument(
        "--run", action="store_true", help="run SOURCE, a QEMU binary, with -dump-vmstate and this MACHINE"
    )
    group.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="SECONDS", help="how long a QEMU may run (default: 60)"
    )
    group.add_argument(
        "--no-cache", action="store_true", help="read a QEMU binary anew, and do not remember it (see vmdump cache)"
    )
    group = parser.add_argument_group("QEMU binaries")
    add_directory(
        group,
        "--root",
        metavar="DIR",
        help="SOURCE and its modules belong to a system that is unpacked in DIR: its module dir and its links are "
        "DIR's",
    )
    group.add_argument(
        "--host",
        type=_host,
        metavar="PROFILE",
        help="what the host offers that SOURCE would find, as in memfd=off,sgx_vepc=on,page_size=65536 (default: "
        "memfd=on,sgx_vepc=off,page_size=4096)",
    )
    add_modules(parser)


def add_modules(parser: argparse.ArgumentParser) -> None:
    """Which modules there are and which are loaded."""
    group = parser.add_argument_group("modules")
    group.add_argument("--arch", metavar="ARCH", help="the target whose modules are loaded (default: x86_64)")
    add_directories(group)
    add_file(
        group, "--module", action="append", default=[], metavar="FILE", help="load this module too; may be repeated"
    )


def add_directories(group: argparse._ActionsContainer) -> None:
    """Where modules are looked for."""
    add_directory(
        group,
        "--module-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="look for modules here first, before $QEMU_MODULE_DIR; may be repeated; for QEMU binaries too",
    )


def seconds(text: str) -> float:
    """What --timeout takes."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MAX_TIMEOUT:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a number of seconds up to {_MAX_TIMEOUT:.0f}")
    return seconds


def _host(text: str) -> HostProfile:
    from vmdump.emulator.host_profile import HostProfile

    try:
        return HostProfile.parse(text)
    except VmdumpError as error:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(str(error)) from error


def make_session(args: argparse.Namespace, environment: Environment) -> Session:
    """The session that --arch, --module-dir and --module ask for; modules that fail are told on stderr."""
    from vmdump.sources.session import DEFAULT_ARCH, Session

    if "run" in args and args.run:
        raise UsageError("--run needs SOURCE, a QEMU binary")
    for option in ("root", "host"):
        if getattr(args, option, None) is not None:
            raise UsageError(f"--{option} needs SOURCE, a QEMU binary that is not run")
    return Session(
        arch=DEFAULT_ARCH if args.arch is None else args.arch,
        module_dirs=module_dirs(args, environment),
        modules=args.module,
        report=environment.error,
    )


def open_source(args: argparse.Namespace, environment: Environment, details: bool = True) -> DeviceDump:
    """The dump that the arguments ask for; details as in vmdump.open. Raises UsageError, and as that."""
    if args.source is None:
        with make_session(args, environment) as session:
            return session.dump(args.machine)
    if args.run:
        _refuse(args, "a QEMU that is run", "arch", "module", "root", "host")
    elif is_binary(source_path(args.source, args.root)):
        _refuse(args, "a QEMU binary", "arch", "module")
    else:
        _refuse(args, "a dump file", "machine", "arch", "module", "module_dir", "root", "host")
    if args.source == "-" and not args.run:
        from vmdump.sources.dump_file import read_dump_file

        return read_dump_file(environment.stdin, "<stdin>")
    return open(
        args.source,
        machine=args.machine,
        run=args.run,
        root=args.root,
        host=args.host,
        module_dirs=module_dirs(args, environment),
        timeout=args.timeout,
        details=details,
        cache=not args.no_cache,
        report=environment.error,
    )


def machine_help(args: argparse.Namespace, environment: Environment) -> str:
    """What -M help prints: the machine types of the source. Raises UsageError, and what vmdump.open raises."""
    source = args.source if "source" in args else args.sources[0]
    if source is None:
        from vmdump.qom.machines import machine_help

        with make_session(args, environment) as session:
            session.modules.module_load_qom_all()
            return machine_help(session.types)
    if args.run:
        from vmdump.sources.qemu_process import list_machines

        return list_machines(source, module_dirs=module_dirs(args, environment), timeout=args.timeout)
    root, host = getattr(args, "root", None), getattr(args, "host", None)
    if is_binary(source_path(source, root)):
        from vmdump.qom.machines import help_text
        from vmdump.sources.image_cache.cache import open_image
        from vmdump.sources.qemu_image.options import ImageOptions

        options = ImageOptions(module_dirs(args, environment), False, root, host and tuple(host))
        return help_text(open_image(source, options, report=environment.error, cache=not args.no_cache).machines)
    raise UsageError(f"{source}: a dump file does not say which machine types there were; a QEMU binary does")


def _refuse(args: argparse.Namespace, source: str, *options: str) -> None:
    """An option that would change nothing is a misunderstanding, and is told."""
    for option in options:
        if getattr(args, option) not in (None, [], False):
            raise UsageError(f"--{option.replace('_', '-')} is not for {source}")


def module_dirs(args: argparse.Namespace, environment: Environment) -> tuple[str, ...]:
    """Those asked for; one that is not there is told on stderr, as the loader passes over it."""
    for directory in args.module_dir:
        if not os.path.isdir(directory):
            environment.error(f"{directory}: --module-dir is not a directory; no modules come from there")
    return tuple(args.module_dir)
