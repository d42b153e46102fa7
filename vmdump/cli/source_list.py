"""The sources of a command that takes several: each with all that it knows, and a name that tells them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.cli.source_arguments import UsageError, add_directories, add_file, module_dirs, seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump

SOURCE_HELP = (
    "a QEMU binary, which is read without being run; a file that vmdump dump or -dump-vmstate wrote (plain, gzip, xz, "
    "Zstandard; - for standard input)"
)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How sources are read."""
    group = parser.add_argument_group("binaries")
    group.add_argument("-M", "--machine", metavar="MACHINE", help="the machine type of binaries (default: the default)")
    group.add_argument("--run", action="store_true", help="run binaries with -dump-vmstate, instead of reading them")
    group.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="SECONDS", help="how long a QEMU may run (default: 60)"
    )
    group.add_argument(
        "--no-cache", action="store_true", help="read binaries anew, and do not remember them (see vmdump cache)"
    )
    add_directories(group)


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
    return [
        _open(path, args, directories, environment, binary=binary) for path, binary in zip(paths, binaries, strict=True)
    ]


def _is_script(path: str) -> bool:
    """Whether a file is a script, which may start a QEMU."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except (OSError, ValueError):
        return False  # whoever reads it says what is wrong


def _open(
    path: str, args: argparse.Namespace, directories: tuple[str, ...], environment: Environment, *, binary: bool
) -> DeviceDump:
    if path == "-":
        from vmdump.sources.dump_file import read_dump_file

        return read_dump_file(environment.stdin, "<stdin>")
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
        return open_image(path, options, report=environment.error, cache=not args.no_cache).dump(args.machine)
    from vmdump.sources.dump_file import open_dump_file

    return open_dump_file(path)


def directions(count: int, which: str) -> list[tuple[int, int]]:
    """The pairs of so many sources, by number, that a --direction means.

    >>> directions(3, "forward"), directions(2, "both")
    ([(0, 1), (0, 2), (1, 2)], [(0, 1), (1, 0)])
    """
    pairs = [(i, j) for i in range(count) for j in range(count)]
    return [(i, j) for i, j in pairs if (i < j and which != "backward") or (i > j and which != "forward")]


def labels(paths: Sequence[str]) -> list[str]:
    """What tells paths apart: the files' names, or what is left without the directories and the names that all share.

    >>> labels(["out/old.json", "new.json"]), labels(["qemu-7.2/x86_64.json", "qemu-10.0/x86_64.json"])
    (['old.json', 'new.json'], ['qemu-7.2', 'qemu-10.0'])
    >>> labels(["pc.json", "pc.json"])
    ['pc.json (1)', 'pc.json (2)']
    """
    parts = [path.split("/") for path in paths]
    names = [each[-1] for each in parts]
    if len(set(names)) == len(names):
        return names
    for end in (0, -1):
        while all(len(each) > 1 for each in parts) and len({each[end] for each in parts}) == 1:
            for each in parts:
                del each[end]
    names = ["/".join(each) for each in parts]
    if len(set(names)) < len(names):
        return [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return names
