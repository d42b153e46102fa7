"""The sources of a command that takes several: options, opening them, pairs and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.source_arguments import (
    UsageError,
    add_directories,
    add_file,
    add_host,
    add_max_size,
    add_timeout_and_cache,
    load_source,
    module_dirs,
    refuse_inapplicable,
    roots_of,
)
from vmdump.sources.open import identify

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.check.checker import Labelled
    from vmdump.check.evaluated.evaluation import ImageOfMachine
    from vmdump.check.sides import MachineName, Side
    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.sources.image_cache import Image

SOURCE_HELP = (
    "a QEMU binary, which is read without being run; or a dump file of vmdump or QEMU's -dump-vmstate (plain, gzip, "
    "xz, Zstandard; - for standard input)"
)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options for reading sources."""
    group = parser.add_argument_group("QEMU binaries")
    group.add_argument(
        "-M",
        "--machine",
        metavar="MACHINE",
        help="machine type of binaries (default: the newest that all sources have; its default for a single binary)",
    )
    group.add_argument("--run", action="store_true", help="run binaries with -dump-vmstate instead of reading them")
    add_timeout_and_cache(group)
    add_host(group, several=True)
    add_directories(group)
    add_max_size(parser.add_argument_group("dump files"))


def add_sources(parser: argparse.ArgumentParser, *names: str, **options: str) -> None:
    """Add an argument that is a source."""
    add_file(parser, *names, help=SOURCE_HELP, **options)


def open_sources(
    paths: Sequence[str], args: argparse.Namespace, environment: Environment, machines: str | None = None
) -> list[DeviceDump]:
    """Return the dumps of sources: with machines (a glob pattern, or all), those of each machine type that all have.

    Raises UsageError, and what vmdump.open raises.
    """
    directories = module_dirs(args, environment)
    sources = [load_source(*each, directories, args, environment) for each in identified(paths, args)]
    return dumps_of(sources, args, environment, machines)


def dumps_of(
    sources: Sequence[DeviceDump | Image], args: argparse.Namespace, environment: Environment, machines: str | None
) -> list[DeviceDump]:
    """Return the dumps of loaded sources; machines and errors as in open_sources."""
    if machines is not None:
        return _dumps_of_machines(sources, machines)
    return _dumps(sources, args.machine, environment)


def identified(paths: Sequence[str], args: argparse.Namespace) -> list[tuple[str, str, str | None]]:
    """Return kind, path and root of each source. Raises UsageError: an option applies to none; VmdumpError."""
    if paths.count("-") > 1:
        raise UsageError("standard input can be one of the sources; give files for the others")
    roots = roots_of(paths, args.root)
    found = [(*identify(path, root=root, run=args.run), root) for path, root in zip(paths, roots, strict=True)]
    refuse_inapplicable(args, [kind for kind, _, _ in found])
    return found


def _dumps_of_machines(sources: Sequence[DeviceDump | Image], pattern: str) -> list[DeviceDump]:
    """Return the dumps of all sources for each machine type that matches a pattern and that all have."""
    from fnmatch import fnmatchcase

    from vmdump.cli.terminal.machine_types import natural_key
    from vmdump.dump.device_dump import DeviceDump

    images = [each for each in sources if not isinstance(each, DeviceDump)]
    if len(images) < len(sources):
        raise UsageError("--machines applies to QEMU binaries only")
    known = [{machine.name for machine in image.machines} for image in images]
    names = [each.name for each in images[0].machines if all(each.name in names for names in known)]
    names.sort(key=natural_key, reverse=True)  # newest first
    chosen = [name for name in names if pattern == "all" or fnmatchcase(name, pattern)]
    chosen = [name for name in chosen if name != "none"] or chosen
    if not chosen:
        raise UsageError(f"--machines: no machine type that all sources have matches {pattern!r}; -M help lists them")
    return [image.dump(name) for name in chosen for image in images]


def images_of(
    dumps: Sequence[DeviceDump], paths: Sequence[str], args: argparse.Namespace
) -> list[ImageOfMachine | None]:
    """Return the images that dumps were read from, with the options of the command line; None: not an image."""
    if all(dump.producer.kind != "image" for dump in dumps):
        return [None] * len(dumps)  # without importing the emulator
    from vmdump.check.evaluated.evaluation import image_of

    roots = roots_of(paths, args.root)
    count = len(paths)
    return [
        image_of(dump, roots[index % count], args.host) if dump.producer.kind == "image" else None
        for index, dump in enumerate(dumps)
    ]


def _dumps(sources: Sequence[DeviceDump | Image], machine: str | None, environment: Environment) -> list[DeviceDump]:
    """Return the dumps of sources. Without a machine, binaries are dumped with one that all sources have."""
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
    """Choose the machine type to dump binaries with, and report it. named: the machine types of the dump files."""
    if named:
        is_known = all(named <= {machine.name for machine in machines} for machines in sides)
        return named.pop() if len(named) == 1 and is_known else None
    from vmdump.check.sides import common_machine

    machine = common_machine(sides)
    if machine is not None:
        environment.error(f"using machine type {machine}, the newest that all sources have; -M selects another")
    return machine


def compare_sides(
    sides: Sequence[Side], environment: Environment, *, any_target: bool, machines: Sequence[str] | None = None
) -> None:
    """Raise UsageError for sides of different targets, unless any_target; warn about different machine types.

    machines: machine types in place of the dumps' own.
    """
    from vmdump.check.sides import different_targets, machine_warning

    unlike = None if any_target else different_targets(sides)
    if unlike is not None:
        (first, target), (second, other) = unlike
        raise UsageError(
            f"{first.label} is for {target}, {second.label} for {other}: a VM cannot migrate between targets; "
            "--any-target compares them anyway"
        )
    warning = machine_warning([side.label for side in sides], machines or [side.dump.machine for side in sides])
    if warning is not None:
        environment.error(warning)


def directions(count: int, which: str) -> list[tuple[int, int]]:
    """Return the pairs of sources, by index, for a --direction.

    >>> directions(3, "forward"), directions(2, "both")
    ([(0, 1), (0, 2), (1, 2)], [(0, 1), (1, 0)])
    """
    pairs = [(i, j) for i in range(count) for j in range(count)]
    return [(i, j) for i, j in pairs if (i < j and which != "backward") or (i > j and which != "forward")]


def labelled(paths: Sequence[str], dumps: Sequence[DeviceDump]) -> list[Labelled]:
    """Return the dumps with their labels, and with file names as aliases for the configuration."""
    from vmdump.check.checker import Labelled
    from vmdump.check.labels import Named, file_labels, labels

    known = [Named(dump.producer.version, dump.producer.host, path) for path, dump in zip(paths, dumps, strict=True)]
    together = zip(labels(known), dumps, file_labels(paths), strict=True)
    return [Labelled(label, dump, (alias,)) for label, dump, alias in together]
