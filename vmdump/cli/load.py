"""vmdump load: whether a QEMU binary loads a saved VM, tried in the emulator."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vmdump.cli.environment import ExitStatus
from vmdump.cli.machine_sources import TIMEOUT, add_binary, add_qemu_arguments, open_emulated
from vmdump.cli.source_arguments import UsageError, add_file, add_host, add_timeout_and_cache, size

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from vmdump.cli.environment import Environment
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.machines.reader import Source
    from vmdump.migrate.advice import Advice
    from vmdump.migrate.trial import Trial
    from vmdump.sources.image_cache import Image
    from vmdump.stream.saved_vm import SavedVM

HELP = "load a saved VM with a QEMU binary in the emulator, and report whether it loads"
EPILOG = """\
examples:
  vmdump load vm.save /usr/bin/qemu-system-x86_64 -- -M q35 -m 4G -device e1000e
  vmdump load vm.save qemu-system-x86_64 --command-line vm.log    libvirt's log
  vmdump load vm.save qemu-system-x86_64 --json

IMAGE's machine is booted in an emulator with the given command line, and QEMU's
own code loads the stream; nothing runs natively. RAM pages are not loaded,
except those that devices read. Options for the host (-display, -qmp, -netdev
tap ...) are dropped or replaced by backends without a host.

The command line is ARGS; or that in FILE of --command-line, which is libvirt's
log of the domain, a copy of /proc/PID/cmdline or a script; else it is guessed
from the stream and from libvirt's XML in the save or of --domain.

After a failure, the part that QEMU refuses is left out and the load repeated,
so that all failures are reported. The outcomes are
  loads            QEMU loads it
  misloads         QEMU loads it, with values other than those sent
  fails            QEMU refuses it; section, field, cause and QEMU's lines
  crashes          QEMU ends with a signal or an assertion
  absent           it lacks the machine type, a device or a property
  does-not-start   QEMU refuses the command line
  blocked          -only-migratable, and a device that cannot be migrated
  undecided        the emulator cannot tell; the reason is given
Fields that the destination saves with a value other than the one loaded are
listed as changed: clocks, what the destination computes anew, and what it
dropped. Such a field is misloaded if the destination keeps the value when it
loads it from a stream of its own.

The host is emulated, too: KVM with the registers of a recorded host, and TAP
networks without vhost. What an outcome depends on is listed as host.

Each failure has the meaning of QEMU's line, the finding of vmdump check that
predicts it, and a remedy.

The keys of --json are outcome, reason, failures (section, instance_id, field,
cause, lines, meaning, finding, remedy), changed (section, instance_id, field,
sent, saved, misloaded), guessed, host, and compared: whether the VM could be
saved again to look for changes.

exit codes:
  0 loads; 1 another outcome; 2 usage error; 3 could not complete, undecided, or
  loads and its fields could not be compared
"""

#: Changed fields that are shown without --verbose.
_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    add_file(parser, "file", metavar="FILE", help="a saved VM, see vmdump stream; - for standard input")
    add_binary(parser, "image", metavar="IMAGE")
    add_file(parser, "--command-line", metavar="FILE", help="take QEMU's command line from FILE")
    add_file(parser, "--domain", metavar="XML", help="libvirt's XML of the domain")
    parser.add_argument("--snapshot", metavar="NAME", help="a snapshot of a qcow2 image (default: its latest VM state)")
    parser.add_argument("--offset", type=size, metavar="BYTES", help="the offset of the stream in FILE")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.add_argument("-v", "--verbose", action="store_true", help="list all changed fields")
    group = parser.add_argument_group("QEMU binaries")
    add_timeout_and_cache(group, timeout=TIMEOUT, limited="the load")
    add_host(group, several=True)
    add_qemu_arguments(parser)


def run(args: argparse.Namespace, environment: Environment) -> ExitStatus:
    """Load, and print the outcome."""
    from vmdump.migrate.advice import advise
    from vmdump.migrate.trial import LOADS, UNDECIDED, load
    from vmdump.stream.spool import seekable
    from vmdump.stream.walk import read_saved_vm

    source = open_emulated(args.image, args)
    with seekable(args.file, environment.stdin if args.file == "-" else None) as path:
        vm = read_saved_vm(path, snapshot=args.snapshot, offset=args.offset)
        argv, notes, unknown = _command_line(args, source, vm, environment)
        trial = load(source, vm, argv, is_guessed=bool(notes), unknown=unknown)
    advices = advise(trial.failures, vm, partial(_open_dump, vm, source, args, environment))
    if args.json:
        import json

        environment.print(json.dumps(plain(trial, notes, advices), indent=2))
    else:
        _print(trial, notes, advices, args, environment)
    if trial.outcome == UNDECIDED or (trial.outcome == LOADS and not trial.is_compared):
        return ExitStatus.FAILED
    return ExitStatus.DONE if trial.outcome == LOADS else ExitStatus.FINDINGS


def _command_line(
    args: argparse.Namespace, source: Source, vm: SavedVM, environment: Environment
) -> tuple[list[str], tuple[str, ...], tuple[str, ...]]:
    """Return QEMU's arguments, what was guessed, and sections without a device."""
    given = [bool(args.argv), args.command_line is not None, args.domain is not None]
    if sum(given) > 1:
        raise UsageError("QEMU's arguments, --command-line and --domain exclude each other")
    if args.argv:
        return args.argv, (), ()
    if args.command_line is not None:
        from vmdump.migrate.command_line import read_command_line

        return read_command_line(args.command_line), (), ()
    from vmdump.migrate.guess import guess

    domain = None
    if args.domain is not None:
        from vmdump.files.input_file import open_input

        with open_input(args.domain) as file:
            domain = file.read(1 << 24).decode(errors="replace")
    found = guess(source, vm, partial(_open_dump, vm, source, args, environment), domain)
    return list(found.argv), found.notes, found.unknown


def _open_dump(vm: SavedVM, source: Source, args: argparse.Namespace, environment: Environment) -> DeviceDump:
    """Return the dump of the destination, of the VM's machine type if it has that."""
    from vmdump.sources.open import BINARY, load

    image: Image = load(  # type: ignore[assignment]  # of a BINARY
        BINARY, source.path, root=source.sysroot, host=args.host, timeout=args.timeout, cache=not args.no_cache,
        report=environment.error,
    )  # fmt: skip
    return image.dump(vm.machine if any(each.name == vm.machine for each in image.machines) else None)


def plain(trial: Trial, notes: tuple[str, ...], advices: Sequence[Advice]) -> dict[str, Any]:
    """Return the JSON form of an outcome."""
    return {
        "outcome": trial.outcome,
        "reason": trial.reason,
        "failures": [
            {**each._asdict(), "lines": list(each.lines), **_plain_advice(advice)}
            for each, advice in zip(trial.failures, advices, strict=True)
        ],
        "changed": [each._asdict() for each in trial.changes],
        "guessed": list(notes),
        "host": list(trial.host),
        "compared": trial.is_compared,
    }


def _plain_advice(advice: Advice) -> dict[str, Any]:
    found = advice.finding
    finding = None if found is None else {
        "rule": found.rule, "verdict": str(found.verdict), "path": found.path, "message": found.message,
    }  # fmt: skip
    return {"meaning": advice.meaning, "finding": finding, "remedy": advice.remedy}


def _print(
    trial: Trial, notes: tuple[str, ...], advices: Sequence[Advice], args: argparse.Namespace, environment: Environment
) -> None:
    from vmdump.cli.environment import printable

    def line(text: str) -> None:
        environment.print(printable(text))

    line(f"{'<stdin>' if args.file == '-' else args.file} -> {args.image}: {trial.outcome}")
    if trial.reason:
        line(f"  {trial.reason}")
    for note in notes:
        line(f"  guessed: {note}")
    for note in trial.host:
        line(f"  host: {note}")
    shown_remedies = set()
    for failure, advice in zip(trial.failures, advices, strict=True):
        where = "the stream" if failure.section is None else failure.section
        if failure.instance_id:
            where += f" (instance {failure.instance_id:#x})"
        line(f"  {where}{', field ' + failure.field if failure.field else ''}: {failure.cause}")
        for each in failure.lines:
            line(f"    {each}")
        if advice.meaning is not None:
            line(f"    meaning: {advice.meaning}")
        if (finding := advice.finding) is not None:
            line(f"    check: {finding.verdict}: {finding.message} [{finding.rule}]")
        if advice.remedy is not None and advice.remedy not in shown_remedies:
            shown_remedies.add(advice.remedy)
            line(f"    remedy: {advice.remedy}")
    shown = trial.changes if args.verbose else trial.changes[:_SHOWN]
    for change in shown:
        what = "misloaded" if change.misloaded else "changed"
        where = f"{change.section}{f' {change.instance_id:#x}' if change.instance_id else ''} {change.field}".rstrip()
        line(f"  {what}: {where}: {change.sent or 'absent'} -> {change.saved or 'absent'}")
    if len(shown) < len(trial.changes):
        line(f"  {len(trial.changes) - len(shown)} more changed fields; --verbose lists them")
