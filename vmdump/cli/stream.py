"""vmdump stream: show what a saved VM contains, the state of one of its devices, or the differences of two."""

from __future__ import annotations

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import (
    UsageError,
    add_directories,
    add_file,
    add_host,
    add_max_size,
    add_timeout_and_cache,
    size,
)

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.stream.saved_vm import SavedVM

HELP = "show what a saved VM or migration stream contains"
EPILOG = """\
examples:
  vmdump stream vm.save                          machine, RAM, sections
  vmdump stream vm.save e1000                    the fields of a device
  vmdump stream vm.save cpu 1                    of instance 1 of a section
  vmdump stream vm.save virtio-net --image /usr/bin/qemu-system-x86_64
  vmdump stream --diff before.save after.save    differences of two VMs
  vmdump stream vm.save --format analyze-migration

FILE is a migration stream (migrate file:, exec:), also at an offset in a file;
a save or managed save of libvirt in any of its formats; a qcow2 image with a
snapshot that has VM state; a state volume of Proxmox; a stateful stop of LXD or
Incus; each also compressed. - is standard input.

Fields come from the description at the end of the stream. It does not describe
the contents of virtio devices and lists; --image describes those of a SECTION:
a QEMU binary, or a dump of vmdump dump --all.

--diff compares machine, RAM blocks and every field; of RAM pages only the
number.

exit codes:
  0 done, or no differences; 1 differences; 2 usage error; 3 could not complete
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_file(parser, "file", metavar="FILE", help="a saved VM; - for standard input")
    add_file(
        parser,
        "section",
        nargs="?",
        metavar="SECTION",
        help="show the fields of this section: its name with or without device path; with --diff, the other saved VM",
    )
    parser.add_argument("instance", nargs="?", metavar="INSTANCE", help="its instance id; with --diff, a SECTION")
    parser.add_argument("--diff", action="store_true", help="compare two saved VMs: vmdump stream --diff OLD NEW")
    add_file(
        parser,
        "--image",
        metavar="QEMU",
        help="a QEMU binary, or its dump of vmdump dump --all, that describes sections",
    )
    parser.add_argument("--json", action="store_true", help="short for --format json")
    parser.add_argument(
        "--format",
        choices=["text", "json", "analyze-migration"],
        help="text, JSON, or the JSON of QEMU's scripts/analyze-migration.py (default: text)",
    )
    parser.add_argument("--snapshot", metavar="NAME", help="a snapshot of a qcow2 image (default: its latest VM state)")
    parser.add_argument("--offset", type=size, metavar="BYTES", help="the offset of the stream in FILE")
    group = parser.add_argument_group("--image")
    add_timeout_and_cache(group)
    add_host(group)
    add_directories(group)
    add_max_size(parser.add_argument_group("compressed files"))


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the saved VM, the section or the differences."""
    format = args.format or ("json" if args.json else "text")
    if args.diff:
        return _diff(args, format, environment)
    if args.image is not None and (args.section is None or format == "analyze-migration"):
        raise UsageError(
            "--image describes the fields of a SECTION, or of --diff; vmdump check and vmdump load compare all sections"
        )
    vm = _read(args.file, args, environment)
    if format == "analyze-migration":
        from vmdump.stream.analyze_migration import analyze

        if args.section is not None:
            raise UsageError("--format analyze-migration has all sections; leave out SECTION")
        environment.print(_json(analyze(vm), indent=4))
    elif args.section is None:
        _show_vm(vm, format, environment)
    else:
        _show_sections(vm, args, format, environment)
    return ExitStatus.DONE


def _read(path: str, args: argparse.Namespace, environment: Environment) -> SavedVM:
    from vmdump.stream.walk import read_saved_vm

    limits = None
    if args.max_size is not None:
        from vmdump.files.decompress import Limits

        limits = Limits(args.max_size, None)
    return read_saved_vm(
        path, limits=limits, snapshot=args.snapshot, offset=args.offset,
        stdin=environment.stdin if path == "-" else None,
    )  # fmt: skip


def _show_vm(vm: SavedVM, format: str, environment: Environment) -> None:
    if format == "json":
        from vmdump.stream.plain import plain_vm

        environment.print(_json(plain_vm(vm)))
        return
    from vmdump.cli.terminal.stream_text import print_vm

    print_vm(environment, vm)


def _show_sections(vm: SavedVM, args: argparse.Namespace, format: str, environment: Environment) -> None:
    from vmdump.stream.section_view import find_sections, view

    found = find_sections(vm, args.section, _instance(args.instance))
    image = _image(args, environment)
    views = [view(vm, each, image) for each in found]
    if format == "json":
        from vmdump.stream.plain import plain_view

        environment.print(_json([plain_view(each) for each in views]))
        return
    from vmdump.cli.terminal.stream_text import print_view

    for number, each in enumerate(views):
        if number:
            environment.print("")
        print_view(environment, each)


def _instance(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text, 0)
    except ValueError:
        raise UsageError(f"{text!r} is not an instance id, a decimal or hexadecimal number") from None


def _image(args: argparse.Namespace, environment: Environment) -> DeviceDump | None:
    """Return the dump of --image."""
    if args.image is None:
        return None
    from vmdump.cli.source_arguments import load_source, module_dirs
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.sources.open import identify

    args.machine = None
    kind, path = identify(args.image, root=args.root)
    loaded = load_source(kind, path, args.root, module_dirs(args, environment), args, environment)
    return loaded if isinstance(loaded, DeviceDump) else loaded.dump(None)


def _diff(args: argparse.Namespace, format: str, environment: Environment) -> ExitStatus:
    from vmdump.stream.diff import differences

    if args.section is None:
        raise UsageError("--diff needs two saved VMs: vmdump stream --diff OLD NEW")
    if format == "analyze-migration":
        raise UsageError("--format analyze-migration does not apply to --diff")
    old, new = (_read(path, args, environment) for path in (args.file, args.section))
    found = differences(old, new, image=_image(args, environment), only=args.instance)
    if format == "json":
        from vmdump.stream.plain import plain_differences

        listed = plain_differences(found)
        environment.print(_json(listed))
        return ExitStatus.FINDINGS if listed else ExitStatus.DONE
    from vmdump.cli.terminal.stream_text import print_differences

    return ExitStatus.FINDINGS if print_differences(environment, found) else ExitStatus.DONE


def _json(value: object, indent: int = 2) -> str:
    from json import dumps

    return dumps(value, indent=indent, separators=(",", ": "))
