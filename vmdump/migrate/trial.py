"""Load a saved VM into an emulated machine, and report the outcome.

After a failure, the part that the destination refuses is left out and the load is repeated, so that one trial names all
failures.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from vmdump.activity import Step
from vmdump.emulator.machine_errors import MachineError
from vmdump.emulator.migration import load_stream
from vmdump.errors import SourceError
from vmdump.migrate.arguments import DEFAULTS
from vmdump.migrate.compare import Change, compare
from vmdump.migrate.destination import Destination, WholeMachine
from vmdump.migrate.failure import Failure, block_of, error_lines, local_machine_of, may_be_wrong_guess, read_failure
from vmdump.migrate.host_notes import host_notes
from vmdump.migrate.incoming_stream import IncomingStream, Key
from vmdump.migrate.save import boot_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmdump.emulator.machine import Machine
    from vmdump.machines.reader import Source
    from vmdump.stream.saved_vm import SavedVM

LOADS, FAILS, MISLOADS, CRASHES = "loads", "fails", "misloads", "crashes"
DOES_NOT_START, BLOCKED, ABSENT, UNDECIDED = "does-not-start", "blocked", "absent", "undecided"

#: Limit of repeated loads.
_MAX_FAILURES = 64

#: QEMU's messages about a machine type, device or property that it does not have. Source: hw/core/machine.c,
#: qom/object.c, system/vl.c.
_ABSENT = re.compile(
    r"unsupported machine type|is not a valid device model name|Property '[^']+' not found|"
    r"unable to find CPU model|invalid (?:object|accelerator) type|Parameter 'driver' expects [a-z ]*device type"
)

#: QEMU's messages about a device that cannot be migrated, with -only-migratable. Source: hw/core/qdev.c,
#: migration/migration.c.
_BLOCKED = re.compile(r"is not migratable, but --only-migratable|disallowing migration blocker \(--only-migratable\)")

#: QEMU's message on a host without KVM. Source: accel/kvm/kvm-all.c.
_NO_KVM = "Could not access KVM kernel module"

#: The lines that libc and GLib print.
_ASSERTION = re.compile(r"^.+: Assertion `.*' failed\.$|^ERROR:.+: assertion failed: .*$", re.MULTILINE)

#: Errors of the emulator or its limits, not of QEMU.
_LIMITS = re.compile(
    r"did not finish within|uses more than|out of memory|memory limit|not implemented|instruction|can't find the"
)


class Trial(NamedTuple):
    """The outcome of a load.

    Attributes:
        outcome: ``loads``, ``fails``, ``misloads``, ``crashes``, ``does-not-start``, ``blocked``, ``absent`` or
            ``undecided``.
        reason: why it is not ``loads`` or ``fails``; None: see failures and changes.
        failures: in the order of the loads.
        changes: fields that the destination saves with values other than those loaded.
        argv: arguments that the destination was booted with.
        is_compared: whether what was loaded was saved again and compared with what was sent.
        host: what the outcome depends on, of the emulated host.
        rest_loads: of ``fails``: whether all that was not refused was loaded.
    """

    outcome: str
    reason: str | None
    failures: tuple[Failure, ...]
    changes: tuple[Change, ...]
    argv: tuple[str, ...]
    is_compared: bool = False
    host: tuple[str, ...] = ()
    rest_loads: bool = False


def load(
    source: Source, vm: SavedVM, argv: Sequence[str], *, is_guessed: bool = False, unknown: Sequence[str] = ()
) -> Trial:
    """Load a saved VM into a machine.

    Args:
        source: the destination's binary.
        vm: the saved VM.
        argv: QEMU's arguments for the destination; see arguments.without_host.
        is_guessed: argv is guessed, so that a failure may be due to a wrong guess.
        unknown: sections for which the guess has no device; they are left out.

    Raises:
        SourceError: the saved VM cannot be read, or the binary cannot be emulated.
    """
    incoming = IncomingStream(vm)
    for key in incoming.keys():  # noqa: SIM118  # a method
        if key.name in unknown:
            incoming.drop_section(key)
    boot = (*boot_arguments(argv, flash_sizes(vm, argv)), "-incoming", "defer")
    try:
        machine = source.boot(boot, defaults=DEFAULTS)
    except MachineError as error:
        outcome, reason = start_outcome(error, source)
        return Trial(outcome, reason, (), (), boot)
    notes = host_notes(machine, argv)
    with Step(f"loading {os.path.basename(vm.path)}"):
        trial = load_into(WholeMachine(machine), incoming, boot)._replace(host=notes)
    return _of_guess(trial, unknown) if is_guessed else trial


def load_into(destination: Destination, incoming: IncomingStream, argv: tuple[str, ...]) -> Trial:
    """Load a stream into a machine that was booted with argv. Raises SourceError: the stream cannot be read."""
    return _Loader(destination, incoming, argv).run()


def _of_guess(trial: Trial, unknown: Sequence[str]) -> Trial:
    """Return the outcome for a guessed command line: undecided if a failure may be due to the guess."""
    if unknown:
        names = ", ".join(unknown)
        reason = f"no device was found for these sections: {names}; give the command line of the VM"
        return trial._replace(outcome=UNDECIDED, reason=reason)
    if trial.outcome == FAILS and all(map(may_be_wrong_guess, trial.failures)):
        return trial._replace(outcome=UNDECIDED, reason="the guessed command line may differ from the VM's; give it")
    return trial


def start_outcome(error: MachineError, source: Source) -> tuple[str, str]:
    """Return the outcome of a boot that failed, and why."""
    reason = end_reason(error, source.binary)
    if _ABSENT.search(f"{error}\n{error.output}"):
        return ABSENT, reason
    if _BLOCKED.search(f"{error}\n{error.output}"):
        return BLOCKED, reason
    if source.host.kvm and _NO_KVM in error.output:
        return UNDECIDED, f"{reason} (the emulator has KVM for x86-64 hosts only)"
    if error.missed_functions:
        lacked = ", ".join(error.missed_functions)
        return UNDECIDED, f"{reason} (the emulator lacks functions of the host, or the tree a library: {lacked})"
    return (UNDECIDED if is_limit(error) else DOES_NOT_START), reason


def end_reason(error: MachineError, name: str) -> str:
    """Return how QEMU ended: the line of the assertion that failed, else the emulator's message."""
    text = str(error).removeprefix(f"{name}: ")
    found = _ASSERTION.findall(error.output) if error.is_crash else []
    return str(found[-1]) if found else text


def is_limit(error: MachineError) -> bool:
    """Return whether an error comes from the emulator or its limits, not from QEMU."""
    return _LIMITS.search(str(error)) is not None


class _Loader:
    """Repeats loads into one machine."""

    def __init__(self, destination: Destination, incoming: IncomingStream, argv: tuple[str, ...]) -> None:
        self._destination, self._machine, self._incoming, self._argv = destination, destination.machine, incoming, argv
        self._failures: list[Failure] = []
        self._program = os.path.basename(self._machine.name)
        instances: dict[str, list[int]] = {}
        for key in incoming.keys():  # noqa: SIM118  # a method
            instances.setdefault(key.name, []).append(key.instance_id)
        self._instances = instances

    def run(self) -> Trial:
        """Load until nothing is refused."""
        self._destination.prepare(lambda: set_capabilities(self._machine, self._incoming))
        while True:
            self._machine.output = ""
            try:
                code = load_stream(self._machine, self._incoming.to_bytes())
            except MachineError as error:
                return self._crashed(error)
            if code >= 0:
                return self._loaded()
            failure = read_failure(self._machine.output, self._program, self._instances, code)
            self._failures.append(failure)
            if len(self._failures) >= _MAX_FAILURES or not self._leave_out(failure):
                return self._trial(FAILS)
            self._destination.rewind()

    def _trial(self, outcome: str, reason: str | None = None, changes: tuple[Change, ...] = ()) -> Trial:
        return Trial(outcome, reason, tuple(self._failures), changes, self._argv)

    def _crashed(self, error: MachineError) -> Trial:
        """QEMU ended: a crash or an assertion, unless the emulator is the cause."""
        text = end_reason(error, self._machine.name)
        if _LIMITS.search(text) or self._machine.missed_functions:
            return self._trial(FAILS if self._failures else UNDECIDED, text)
        return self._trial(FAILS if self._failures else CRASHES, text)

    def _loaded(self) -> Trial:
        missed = self._machine.missed_functions
        lines = error_lines(self._machine.output, self._program)
        printed = f"QEMU prints: {'; '.join(lines)}" if lines else None
        if self._failures:
            return self._trial(FAILS)._replace(rest_loads=not missed and not self._incoming.dropped_live)
        if missed:
            return self._trial(UNDECIDED, f"the emulator lacks functions of the host: {', '.join(missed)}")
        if self._incoming.dropped_live:
            names = ", ".join(self._incoming.dropped_live)
            return self._trial(UNDECIDED, f"live state was left out, whose contents are not known: {names}")
        try:
            changes, failure = compare(self._destination, self._incoming)
        except SourceError as error:
            text = str(error).removeprefix(f"{self._machine.name}: ")
            return self._trial(LOADS, f"it can't be saved again, so that fields were not compared: {text}")
        if failure is not None:
            return self._trial(LOADS, failure, changes)
        outcome = MISLOADS if any(each.misloaded for each in changes) else LOADS
        return self._trial(outcome, printed, changes)._replace(is_compared=True)

    def _leave_out(self, failure: Failure) -> bool:
        """Leave out what was refused; return whether that changes the stream."""
        incoming = self._incoming
        if (block := block_of(failure)) is not None:
            return incoming.drop_block(block)
        if (machine := local_machine_of(failure)) is not None:
            return incoming.set_machine(machine)
        if any("MIG_CMD 0xb " in line for line in failure.lines):
            return incoming.drop_switchover_start()
        if failure.section is not None:
            return any(
                incoming.drop_section(Key(failure.section, each))
                for each in ([failure.instance_id] if failure.instance_id is not None else self._instances.get(
                    failure.section, []))
            )  # fmt: skip
        if incoming.configuration is None:
            return False
        return any(incoming.drop_configuration_subsection(name) for name in list(incoming.configuration.subsections))


def set_capabilities(machine: Machine, incoming: IncomingStream) -> None:
    """Enable the capabilities that the stream names and the destination has, as the user or libvirt does.

    Pages in mapped-ram are left out, so the capability is removed from the stream if the destination has it.
    """
    named = incoming.vm.capabilities
    if not named:
        return
    known = {row["capability"] for row in machine.qmp("query-migrate-capabilities")}
    if "mapped-ram" in named:
        if set(named) <= known:
            incoming.drop_configuration_subsection("configuration/capabilities")
        return
    wanted = [{"capability": name, "state": True} for name in named if name in known]
    machine.qmp("migrate-set-capabilities", capabilities=wanted)


def flash_sizes(vm: SavedVM, argv: Sequence[str]) -> dict[str, int]:
    """Return the sizes of block devices whose contents are RAM blocks: the flash memory of firmware."""
    from vmdump.migrate.arguments import options, properties

    found = {}
    for number in (0, 1):
        size = next((each.size for each in vm.blocks if each.name.endswith(f"flash{number}")), None)
        if size is None:
            continue
        found[f"pflash{number}"] = size
        for option in options(argv):
            if option.name in ("M", "machine") and (node := properties(option.value or "").get(f"pflash{number}")):
                found[node] = size
    return found
