"""Arguments that several commands share, and opening the SOURCE that they describe."""

from __future__ import annotations

import os

from vmdump.errors import VmdumpError
from vmdump.sources.open import BINARY, BUILTIN, DUMP, PROCESS, identify, inapplicable, load

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence
    from typing import Any

    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.emulator.host_profile import HostProfile
    from vmdump.sources.image_cache import Image
    from vmdump.sources.session import Session

#: Completion of files and directories in shtab's scripts: shtab.FILE and shtab.DIRECTORY, for the shells of the wheel.
_FILE = {"bash": "_shtab_compgen_files", "zsh": "_files", "fish": "(__fish_complete_path (commandline -ct))"}
_DIRECTORY = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "fish": "(__fish_complete_directories)"}

#: The longest --timeout, in seconds: eleven days. The system calls that wait accept up to twice that.
_MAX_TIMEOUT = 1e6

#: Units of sizes, in bytes.
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class UsageError(VmdumpError):
    """An invalid command line: exit code 2."""


def add_file(parser: argparse._ActionsContainer, *names: str, **options: Any) -> None:
    """Add an argument that is a path."""
    _complete(parser.add_argument(*names, **options), _FILE)


def add_directory(parser: argparse._ActionsContainer, *names: str, **options: Any) -> None:
    """Add an argument that is the path of a directory."""
    _complete(parser.add_argument(*names, **options), _DIRECTORY)


def _complete(argument: argparse.Action, how: dict[str, str]) -> None:
    argument.complete = how  # type: ignore[attr-defined]  # shtab's


def add_timeout(group: argparse._ActionsContainer, *, timeout: float, limited: str) -> None:
    """Add --timeout. timeout: the default, in seconds; limited: what it limits."""
    group.add_argument(
        "--timeout",
        type=seconds,
        default=float(timeout),
        metavar="SECONDS",
        help=f"time limit for {limited} (default: {timeout:g})",
    )


def add_timeout_and_cache(
    group: argparse._ActionsContainer, *, timeout: float = 60, limited: str = "reading or running a QEMU binary"
) -> None:
    """Add --timeout and --no-cache. timeout: the default, in seconds; limited: what it limits."""
    add_timeout(group, timeout=timeout, limited=limited)
    group.add_argument(
        "--no-cache",
        action="store_true",
        help="do not use the cache of parsed QEMU binaries (see vmdump cache)",
    )


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add SOURCE and the options for reading it."""
    add_file(
        parser,
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a QEMU binary, which is read without being run; or a dump file (plain, gzip, xz, Zstandard; - for "
        "standard input). Default: the built-in devices and all modules",
    )
    group = parser.add_argument_group("machines")
    group.add_argument(
        "-M",
        "--machine",
        metavar="MACHINE",
        help="machine type (default: the source's default, else none); -M help lists them",
    )
    group.add_argument(
        "--run", action="store_true", help="run SOURCE, a QEMU binary, with -dump-vmstate instead of reading it"
    )
    add_timeout_and_cache(group)
    add_max_size(parser.add_argument_group("dump files"))
    add_host(parser.add_argument_group("QEMU binaries"))
    add_modules(parser)


def add_host(group: argparse._ActionsContainer, *, several: bool = False) -> None:
    """Add --root and --host; several: one --root for each directory that SOURCEs lie in."""
    how: dict[str, Any] = {"action": "append", "default": []} if several else {}
    where = "a SOURCE in DIR belongs" if several else "SOURCE belongs"
    add_directory(
        group,
        "--root",
        "--sysroot",
        metavar="DIR",
        help=f"{where} to a system unpacked in DIR: find its modules and resolve its symbolic links there"
        + ("; may be repeated" if several else ""),
        **how,
    )
    group.add_argument(
        "--host",
        type=_host,
        metavar="PROFILE",
        help="the host features that QEMU would detect, such as memfd=off,sgx_vepc=on,page_size=65536,thp=off "
        "(default: memfd=on,sgx_vepc=off,page_size=4096,thp=on,kvm=on)",
    )


def add_max_size(group: argparse._ActionsContainer) -> None:
    """Add --max-size."""
    group.add_argument(
        "--max-size",
        type=size,
        metavar="SIZE",
        help="limit for the decompressed size of a dump file, such as 500M or 2G (default: 1G, and at most 200 times "
        "the compressed size)",
    )


def add_modules(parser: argparse.ArgumentParser) -> None:
    """Add the options that select modules."""
    group = parser.add_argument_group("modules")
    group.add_argument("--arch", metavar="ARCH", help="target whose modules are loaded (default: x86_64)")
    add_directories(group)
    add_file(
        group,
        "--module",
        action="append",
        default=[],
        metavar="FILE",
        help="also load this module, which executes it; may be repeated",
    )


def add_directories(group: argparse._ActionsContainer) -> None:
    """Add --module-dir."""
    add_directory(
        group,
        "--module-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="search this directory for modules, before $QEMU_MODULE_DIR; may be repeated. Without SOURCE, C and "
        "Python modules are executed: use only directories that you trust. Modules of a QEMU binary are only read",
    )


def seconds(text: str) -> float:
    """Parse the value of --timeout."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MAX_TIMEOUT:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a number of seconds up to {_MAX_TIMEOUT:.0f}")
    return seconds


def size(text: str) -> int:
    """Parse the value of --max-size: bytes, or a number with a unit K, M, G or T, as in QEMU's options."""
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].upper() in _UNITS else (text, "")
    if not (number.isascii() and number.isdecimal() and len(number) <= 18):
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a size such as 500M or 2G")
    return int(number) * _UNITS.get(unit, 1)


def _host(text: str) -> HostProfile:
    from vmdump.emulator.host_profile import HostProfile

    try:
        return HostProfile.parse(text)
    except VmdumpError as error:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(str(error)) from error


def make_session(args: argparse.Namespace, environment: Environment) -> Session:
    """Return the session that --arch, --module-dir and --module describe. Reports modules that fail on stderr."""
    from vmdump.sources.session import DEFAULT_ARCH, Session

    refuse_inapplicable(args, [BUILTIN])
    session = Session(
        arch=DEFAULT_ARCH if args.arch is None else args.arch,
        module_dirs=module_dirs(args, environment),
        modules=args.module,
        report=environment.error,
    )
    if args.arch is not None:
        _check_arch(args.arch, session)
    return session


def _check_arch(arch: str, session: Session) -> None:
    """Raise UsageError for an --arch that is neither a target of QEMU nor one that a module is for."""
    from vmdump.qemu.targets import TARGETS, unknown_target

    if arch not in TARGETS and all(row.arch != arch for row in session.modules.states()):
        raise UsageError(f"--arch: {unknown_target(arch)}")


def open_source(args: argparse.Namespace, environment: Environment, details: bool = True) -> DeviceDump:
    """Return the dump of SOURCE; details as in vmdump.open. Raises UsageError, and what vmdump.open raises."""
    if args.source is None:
        with make_session(args, environment) as session:
            return session.dump(args.machine)
    kind, path = identify(args.source, root=args.root, run=args.run)
    refuse_inapplicable(args, [kind])
    loaded = load_source(kind, path, args.root, module_dirs(args, environment), args, environment, details)
    return loaded.dump(args.machine) if kind == BINARY else loaded  # type: ignore[union-attr, return-value]


def load_source(
    kind: str,
    path: str,
    root: str | None,
    directories: tuple[str, ...],
    args: argparse.Namespace,
    environment: Environment,
    details: bool = True,
) -> DeviceDump | Image:
    """Open a source that has been identified, with the options of the command line. Raises as vmdump.open does."""
    return load(
        kind, path, machine=args.machine, root=root, host=args.host, module_dirs=directories, timeout=args.timeout,
        max_size=args.max_size, details=details, cache=not args.no_cache, report=environment.error,
        stdin=environment.stdin if path == "-" else None,
    )  # fmt: skip


def machine_help(args: argparse.Namespace, environment: Environment) -> str:
    """Return the machine types of the first source, for -M help. Raises UsageError, and what vmdump.open raises."""
    sources = args.sources if "sources" in args else [args.source]
    source = sources[0]
    if source is None:
        from vmdump.qom.machines import machine_help

        with make_session(args, environment) as session:
            session.modules.module_load_qom_all()
            return machine_help(session.types)
    root = roots_of(sources, args.root)[0] if isinstance(args.root, list) else args.root
    kind, path = identify(source, root=root, run=args.run)
    if kind == PROCESS:
        from vmdump.sources.qemu_process import list_machines

        return list_machines(path, module_dirs=module_dirs(args, environment), timeout=args.timeout)
    if kind == DUMP:
        raise UsageError(f"{source}: a dump file does not list machine types; give a QEMU binary")
    from vmdump.qom.machines import help_text

    image = load_source(kind, path, root, module_dirs(args, environment), args, environment, details=False)
    return help_text(image.machines)  # type: ignore[arg-type]


def roots_of(paths: Sequence[str], roots: Sequence[str]) -> list[str | None]:
    """Return the innermost --root that each source lies in; a single source belongs to a single --root.

    Raises SourceError for a root that is no directory, UsageError for one that no source lies in.
    """
    if not roots:
        return [None] * len(paths)
    if len(paths) == len(roots) == 1:
        return [roots[0]]
    from vmdump.files.sysroot import check_root, inside

    real = sorted({check_root(root): root for root in roots}.items(), key=lambda each: -len(each[0]))
    found = [next((root for path_of, root in real if inside(path, path_of) is not None), None) for path in paths]
    for _, root in real:
        if root not in found:
            raise UsageError(f"--root: no SOURCE lies in {root}")
    return found


def refuse_inapplicable(args: argparse.Namespace, kinds: Iterable[str]) -> None:
    """Raise UsageError for an option that applies to none of the sources, rather than ignore it."""
    names = ("run", "machine", "arch", "module", "module_dir", "root", "host")
    given = [name for name in names if getattr(args, name, None) not in (None, [], False)]
    unused = inapplicable(kinds, given)
    if unused is not None:
        option, sources = unused
        hint = "; give a QEMU binary as SOURCE" if sources == "the built-in devices" else ""
        raise UsageError(f"--{option.replace('_', '-')} does not apply to {sources}{hint}")


def module_dirs(args: argparse.Namespace, environment: Environment) -> tuple[str, ...]:
    """Return the values of --module-dir. Reports missing directories, which the loader skips, on stderr."""
    for directory in args.module_dir:
        if not os.path.isdir(directory):
            environment.error(f"{directory}: --module-dir is not a directory; it provides no modules")
    return tuple(args.module_dir)
