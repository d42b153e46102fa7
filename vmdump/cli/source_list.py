"""The sources of a command that takes several: each with all that it knows, and a name that tells them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vmdump.cli.source_arguments import UsageError, add_directories, add_file, add_max_size, module_dirs, seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.check.checker import Labelled
    from vmdump.check.sides import MachineName, Side
    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump

SOURCE_HELP = (
    "a QEMU binary, which is read without being run; a file that vmdump dump or -dump-vmstate wrote (plain, gzip, xz, "
    "Zstandard; - for standard input)"
)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How sources are read."""
    group = parser.add_argument_group("binaries")
    group.add_argument(
        "-M",
        "--machine",
        metavar="MACHINE",
        help="the machine type of binaries (default: the default; of several "
        "binaries, the newest type that all of them know)",
    )
    group.add_argument("--run", action="store_true", help="run binaries with -dump-vmstate, instead of reading them")
    group.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long reading or running a QEMU may take (default: 60)",
    )
    group.add_argument(
        "--no-cache", action="store_true", help="read binaries anew, and do not remember them (see vmdump cache)"
    )
    add_directories(group)
    add_max_size(parser.add_argument_group("dump files"))


def add_sources(parser: argparse.ArgumentParser, *names: str, **options: str) -> None:
    """An argument that is a source."""
    add_file(parser, *names, help=SOURCE_HELP, **options)


def open_sources(paths: Sequence[str], args: argparse.Namespace, environment: Environment) -> list[DeviceDump]:
    """The dumps of sources. Raises UsageError, and what vmdump.open raises."""
    from vmdump.sources.open import is_binary

    if paths.count("-") > 1:
        raise UsageError("standard input can be one of the sources; give files for the others")
    binaries = [is_binary(path) or (args.run and _is_script(path)) for path in paths]
    if args.run and not any(binaries):
        raise UsageError("--run needs a SOURCE that is a QEMU binary")
    if not args.run and not any(binaries):
        for option in ("machine", "module_dir"):
            if getattr(args, option):
                raise UsageError(f"--{option.replace('_', '-')} is not for dump files")
    directories = module_dirs(args, environment)
    sources = [
        _open(path, args, directories, environment, binary=binary) for path, binary in zip(paths, binaries, strict=True)
    ]
    return _dumps(sources, args.machine, environment)


class _Image(Protocol):
    """A binary that is read: a QemuImage, or one from the cache."""

    @property
    def machines(self) -> Sequence[MachineName]: ...

    def dump(self, machine: str | None = None) -> DeviceDump: ...


def _dumps(sources: Sequence[DeviceDump | _Image], machine: str | None, environment: Environment) -> list[DeviceDump]:
    """The dumps of sources. Without a machine, binaries are dumped with one that all sources know."""
    from vmdump.dump.device_dump import DeviceDump

    images = [each for each in sources if not isinstance(each, DeviceDump)]
    if machine is None and images and len(sources) > 1:
        named = {each.machine for each in sources if isinstance(each, DeviceDump)}
        machine = _choose_machine([image.machines for image in images], named, environment)
    dumps = []
    for each in sources:
        dumps.append(each if isinstance(each, DeviceDump) else each.dump(machine))
    return dumps


def _choose_machine(sides: list[Sequence[MachineName]], named: set[str], environment: Environment) -> str | None:
    """The machine type to dump binaries with, which is reported; named: those of the dumps beside them."""
    if named:
        is_known = all(named <= {machine.name for machine in machines} for machines in sides)
        return named.pop() if len(named) == 1 and is_known else None
    from vmdump.check.sides import common_machine

    machine = common_machine(sides)
    if machine is not None:
        environment.error(f"using machine type {machine}, the newest that all sides know; -M chooses another")
    return machine


def _is_script(path: str) -> bool:
    """Whether a file is a script, which may start a QEMU."""
    from vmdump.files.input_file import is_regular

    try:
        if not is_regular(path):
            return False
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False  # whoever reads it says what is wrong


def _open(
    path: str, args: argparse.Namespace, directories: tuple[str, ...], environment: Environment, *, binary: bool
) -> DeviceDump | _Image:
    if path == "-":
        from vmdump.sources.dump_file import read_dump_file

        return read_dump_file(environment.stdin, "<stdin>", args.max_size)
    if args.run and binary:
        from vmdump.sources.qemu_process import run_qemu

        return run_qemu(
            path, machine=args.machine, module_dirs=directories, timeout=args.timeout,
            report=environment.error,
        )  # fmt: skip
    if binary:
        from vmdump.sources.image_cache.cache import open_image
        from vmdump.sources.qemu_image.options import ImageOptions

        options = ImageOptions(directories)
        return open_image(path, options, report=environment.error, cache=not args.no_cache, timeout=args.timeout)
    from vmdump.sources.dump_file import open_dump_file

    return open_dump_file(path, args.max_size)


def compare_sides(
    sides: Sequence[Side], environment: Environment, *, any_target: bool, machines: Sequence[str] | None = None
) -> None:
    """Refuses sides of different targets, unless any_target says that they are wanted, and warns of different machine
    types; machines: these, in place of the dumps' own. Raises UsageError.
    """
    from vmdump.check.sides import different_targets, machine_warning

    unlike = None if any_target else different_targets(sides)
    if unlike is not None:
        (first, is_of), (second, other) = unlike
        raise UsageError(
            f"{first.label} is of {is_of}, {second.label} of {other}: a VM can't migrate between targets; "
            "--any-target compares them all the same"
        )
    warning = machine_warning([side.label for side in sides], machines or [side.dump.machine for side in sides])
    if warning is not None:
        environment.error(warning)


def directions(count: int, which: str) -> list[tuple[int, int]]:
    """The pairs of so many sources, by number, that a --direction means.

    >>> directions(3, "forward"), directions(2, "both")
    ([(0, 1), (0, 2), (1, 2)], [(0, 1), (1, 0)])
    """
    pairs = [(i, j) for i in range(count) for j in range(count)]
    return [(i, j) for i, j in pairs if (i < j and which != "backward") or (i > j and which != "forward")]


def labelled(paths: Sequence[str], dumps: Sequence[DeviceDump]) -> list[Labelled]:
    """The dumps of sources with their labels; a configuration may name them by their files, too."""
    from vmdump.check.checker import Labelled
    from vmdump.check.labels import Named, file_labels, labels

    known = [Named(dump.producer.version, dump.producer.host, path) for path, dump in zip(paths, dumps, strict=True)]
    together = zip(labels(known), dumps, file_labels(paths), strict=True)
    return [Labelled(label, dump, (alias,)) for label, dump, alias in together]
