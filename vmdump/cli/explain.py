"""vmdump explain: explain a rule, or error lines of QEMU."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.source_arguments import UsageError, add_directory, add_file, add_timeout_and_cache
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    import argparse

    from vmdump.cli.environment import Environment
    from vmdump.explain.image import ImageFacts
    from vmdump.sources.image_cache import Image

HELP = "explain a rule, or error lines of QEMU"
EPILOG = """\
examples:
  vmdump explain field-added
  vmdump explain "Missing section footer for 0000:00:03.0/virtio-gpu"
  vmdump explain "Unknown savevm section 23" /usr/bin/qemu-system-x86_64
  vmdump explain - /usr/bin/qemu-system-x86_64   lines of standard input
  vmdump rules                             list the rules

vmdump knows the lines that QEMU 5.2 to 11.1 prints when a machine does not
start, save or load; for any other line it shows the nearest one. Timestamps and
program names in front of a line are skipped. Several lines, pasted from a log,
are explained together: a later line often names the device of an earlier one.

IMAGE is the QEMU that printed the line, usually the destination. vmdump reads
from it, without running it, the format string and the function that prints it,
the types that have a section and their defects, and the names of virtio
features with the properties that set them. For PCI registers, option ROMs and,
with -M, values of properties it starts the device in the emulator.

With --json the output is a list of objects with the keys
  line, kind (cause, where, note, format, nearest, unknown), key, what,
  arguments, details (label, text), remedy, source, format, function, rules,
  type
and for a RULE
  rule, command, verdict, level, what, why, example, remedy, remedy_nested,
  lines (form, versions), source

exit codes:
  0 explained; 1 not known, or only the nearest line; 2 usage error; 3 could
  not complete
"""

#: Largest standard input, in bytes.
_MAX_INPUT = 16 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument(
        "line",
        metavar="RULE|LINE",
        help="id of a rule, as in brackets after a finding; or lines printed by QEMU, - for standard input",
    )
    add_file(parser, "image", nargs="?", metavar="IMAGE", help="the QEMU binary that printed LINE")
    parser.add_argument("--json", action="store_true", help="print a JSON list with an object for each explanation")
    group = parser.add_argument_group("QEMU binaries")
    group.add_argument(
        "-M", "--machine", dest="board", metavar="MACHINE",
        help="machine type in which devices are emulated (default: one that has the bus); -M help lists them",
    )  # fmt: skip
    add_directory(
        group,
        "--root",
        "--sysroot",
        metavar="DIR",
        help="IMAGE belongs to a system unpacked in DIR: find its files there",
    )
    add_timeout_and_cache(group)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Print the explanation."""
    from vmdump.check.rules import rule, unknown_rule
    from vmdump.report.explanation import wrapped

    if args.board in ("help", "?") and args.image is not None:
        environment.print(_machines(args, environment))
        return ExitStatus.DONE
    if args.line != "-":
        try:
            found = rule(args.line)
        except KeyError:
            pass
        else:
            environment.print(
                json.dumps([found.to_plain()], indent=2) if args.json else wrapped(found.text(), environment.width)
            )
            return ExitStatus.DONE
        if not args.line.strip():
            raise UsageError("LINE is empty; quote the line, or give - to read standard input")
    text = _read(environment) if args.line == "-" else args.line
    image = _image(args, environment)
    from vmdump.explain.explainer import CAUSE, FORMAT, NOTE, UNKNOWN, WHERE, explain
    from vmdump.report import explanation
    from vmdump.report.options import Options

    explanations = explain(text, image)
    kinds = {each.kind for each in explanations}
    if not args.json and kinds <= {UNKNOWN}:
        if args.line != "-" and not set(args.line) & set(" \t\n"):
            raise VmdumpError(unknown_rule(args.line))
        hint = "" if image else "; give the QEMU binary that printed it as IMAGE"
        environment.error(f"no line of it is known or similar to a known one{hint}")
        return ExitStatus.FINDINGS
    if args.json:
        environment.print(explanation.as_json(explanations), end="")
    else:
        options = Options(width=environment.width, colours=environment.draws)
        environment.print(explanation.text(explanations, options), end="", is_drawn=True)
    return ExitStatus.DONE if kinds & {CAUSE, WHERE, NOTE, FORMAT} else ExitStatus.FINDINGS


def _read(environment: Environment) -> str:
    data = environment.stdin.read(_MAX_INPUT + 1)
    if len(data) > _MAX_INPUT:
        raise VmdumpError(f"<stdin>: more than {_MAX_INPUT >> 20} MiB; give the part of the log with the failure")
    return data.decode(errors="replace")


def _image(args: argparse.Namespace, environment: Environment) -> ImageFacts | None:
    """Return the facts of IMAGE. Raises UsageError if it is no QEMU binary."""
    if args.image is None:
        for option, value in (("machine", args.board), ("root", args.root)):
            if value:
                raise UsageError(f"--{option} applies to IMAGE only; give the QEMU binary that printed the line")
        return None
    from vmdump.explain.image import ImageFacts

    path, image = _open(args, environment)
    names = [each.name for each in image.machines]
    if args.board is not None and args.board not in names and all(args.board != each.alias for each in image.machines):
        from vmdump.suggestion import did_you_mean

        hint = did_you_mean(args.board, names, "-M help lists them")
        raise VmdumpError(f"{path}: no machine type {args.board!r}; {hint}")
    return ImageFacts(path, image.dump, machines=names, sysroot=args.root, machine=args.board, timeout=args.timeout)


def _machines(args: argparse.Namespace, environment: Environment) -> str:
    """Return the list of IMAGE's machine types."""
    from vmdump.qom.machines import help_text

    return help_text(_open(args, environment)[1].machines)


def _open(args: argparse.Namespace, environment: Environment) -> tuple[str, Image]:
    """Return the path of IMAGE, and the image."""
    from vmdump.cli.machine_sources import find_binary
    from vmdump.sources.open import BINARY, load

    path = find_binary(args.image, args.root)
    image = load(BINARY, path, root=args.root, timeout=args.timeout, cache=not args.no_cache, report=environment.error)
    return path, image  # type: ignore[return-value]  # a BINARY is an Image
