"""Evaluates what is known at run time only in an image's sections, in VMs of one machine type, booted on demand."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from vmdump.activity import counted
from vmdump.check.evaluated.answers import Answer, Answers, Evaluated, Wanted
from vmdump.check.evaluated.board import Board
from vmdump.check.evaluated.devices import BACKENDS, candidates, completed, devices_named_in, is_concrete, with_backends
from vmdump.check.evaluated.evaluate import Evaluator
from vmdump.check.evaluated.replay import Replayed, Sent, find_states, replay
from vmdump.emulator.machine import SECONDS, Machine, MachineError
from vmdump.emulator.template import MachineTemplate
from vmdump.errors import SourceError
from vmdump.machines.answers import Answers as Cache
from vmdump.machines.mapping import Machines
from vmdump.machines.reader import WITH_DEFAULTS, Source, machine_arguments

if TYPE_CHECKING:
    from vmdump.dump.device_dump import DeviceDump
    from vmdump.emulator.host_profile import HostProfile

#: What reading a machine of a damaged or unusual binary may raise: also commands that it lacks, and malformed answers.
_ERRORS = (SourceError, LookupError, ValueError, RecursionError, struct.error)

#: Limit of the CPU time for VMs with further devices, in seconds; with --timeout, this share of it, so that what was
#: evaluated until then counts.
_SECONDS, _SHARE = 60.0, 0.6

#: Limit of the CPU time of a VM with further devices, in seconds. Some devices wait for their backend in a loop.
_SECONDS_A_DEVICE = 3

#: Values of switches in compat entries, and their opposites.
_FLIPPED = {"off": "on", "on": "off", "false": "on", "true": "off"}

#: Limit of boots for one device type.
_TRIES_MAX = 8


#: What QEMU does in the VMs that a state, or its replay, is read from.
_DOING = {Sent: "save", Replayed: "load"}

T = TypeVar("T")
R = TypeVar("R", Sent, Replayed)
A = TypeVar("A")


@dataclass(frozen=True)
class Found(Generic[T]):
    """What was read of a VM with further devices, and their arguments of -device; backends: see Sent."""

    value: T
    arguments: tuple[str, ...]
    backends: bool


class ImageOfMachine(NamedTuple):
    """A QEMU binary and a machine type of it; sysroot and host: see vmdump.emulator.machine.boot."""

    path: str
    machine: str
    sysroot: str | None = None
    host: HostProfile | None = None


class Evaluation:
    """Evaluates sections of one image under one machine type. Machines are booted when the first section needs them."""

    def __init__(
        self,
        image: ImageOfMachine,
        report: Callable[[object], None],
        *,
        cache: bool = True,
        timeout: float | None = None,
    ) -> None:
        """``report``: called with a line for each VM that can't be booted. ``cache``, ``timeout``: see Cache."""
        self._image, self._report = image, report
        self._source = Source(image.path, image.sysroot, image.host)
        self._cache = Cache(self._source, cache=cache, timeout=timeout, report=report)
        self._seconds = _SECONDS if timeout is None else _SHARE * timeout
        self._evaluators: dict[bool, Evaluator] = {}
        self._templates: dict[bool, MachineTemplate] = {}
        self._has_failed = False

    @property
    def machine(self) -> str:
        """The machine type."""
        return self._image.machine

    def board(self, *, defaults: bool = False) -> Board | None:
        """Return what every VM of the machine type has; None: no VM can be booted, which is reported once.

        defaults: with QEMU's default devices, instead of -nodefaults.
        """
        question = "board with defaults" if defaults else "board"
        try:
            board = self._cache.get((question, self._image.machine), Board, lambda: self._read_board(defaults=defaults))
            info = Machines(self._cache).info(self._image.machine)
            return replace(board, compat=tuple(f"{each.driver}.{each.property}" for each in info.compat_props))
        except _ERRORS as error:
            self._fail(error)
            return None

    def evaluate(self, wanted: Sequence[Wanted]) -> dict[Wanted, Answers | str]:
        """Return the answers for sections; a str says why there are none."""
        rows: list[Evaluated] = []
        question = sorted(repr((each.type, each.description, sorted(each.keys or ()))) for each in wanted)
        ordered = sorted(wanted, key=lambda each: repr((each.type, each.description, sorted(each.keys or ()))))
        try:
            rows = self._cache.get(
                ("evaluate", self._image.machine, f"{self._seconds:g}", *question),
                list[Evaluated],
                lambda: list(self._rows(ordered)),
            )
        except _ERRORS as error:
            self._fail(error)
        if len(rows) != len(ordered):
            return dict.fromkeys(wanted, f"not evaluated: no VM of type {self._image.machine} could be booted")
        return {
            each: Answers(self._image.machine, dict(row.found), dict(row.lengths)) if row.why is None else row.why
            for each, row in zip(ordered, rows, strict=True)
        }

    def accepts(self, block: str, size: int) -> str | None:
        """Resize a RAM block, as loading a stream with another size does. Returns QEMU's error; None: it accepts."""
        try:
            with self._bare() as machine, machine.out_parameters() as (_, errp):
                address = machine.call("qemu_ram_block_by_name", machine.text(block))
                machine.call("qemu_ram_resize", address, size, errp)
                return machine.take_error(errp)
        except _ERRORS as error:
            self._fail(error)
            return None

    def _fail(self, error: Exception) -> None:
        """Report once, on one line, that no VM could be booted or read."""
        if not self._has_failed:
            self._has_failed = True
            said = str(error) if isinstance(error, SourceError) else f"{self._image.path}: can't be read: {error!r}"
            line = " ".join(said.split())
            self._report(f"{line}; what a VM of {self._image.machine} decides stays conditional")

    def _bare(self) -> contextlib.AbstractContextManager[Machine]:
        """Boot the machine without further devices. Raises SourceError."""
        self._evaluator(backends=False)
        self._templates[False].set_time(SECONDS)
        return self._templates[False].boot()

    def _read_board(self, *, defaults: bool) -> Board:
        if not defaults:
            with self._bare() as machine:
                return self._evaluators[False].board(machine)
        template = self._source.boot_template(machine_arguments(self._image.machine), defaults=WITH_DEFAULTS)
        evaluator = Evaluator(template, self._image.machine)
        with template.boot() as machine:
            return evaluator.board(machine)

    def _rows(self, wanted: Sequence[Wanted]) -> Iterator[Evaluated]:
        until = time.monotonic() + self._seconds
        with self._bare() as machine:
            found = self._evaluators[False].evaluate(machine, wanted)
        for each in counted("evaluating sections in VMs", wanted):
            answers: Answers | str | None = found.get(each)
            if answers is None and time.monotonic() > until:
                answers = f"not evaluated: {self._seconds:g} seconds were not enough; allow more with --timeout"
            elif answers is None:
                answers = self._with_device(each)
            yield Evaluated([], [], answers) if isinstance(answers, str) else answers.to_plain()

    def _evaluator(self, *, backends: bool) -> Evaluator:
        """Return the evaluator of the bare machine, or of one with backends. Raises SourceError."""
        if backends not in self._evaluators:
            argv = machine_arguments(self._image.machine, BACKENDS if backends else ())
            self._templates[backends] = self._source.boot_template(argv)
            self._evaluators[backends] = Evaluator(self._templates[backends], self._image.machine)
        return self._evaluators[backends]

    def _with_device(self, wanted: Wanted) -> Answers | str:
        """Evaluate a section in a VM with its device."""
        found = self._search(wanted.type, lambda evaluator, machine: evaluator.evaluate(machine, [wanted]).get(wanted))
        return found if isinstance(found, str) else found.value

    def _search(self, type_: str | None, read: Callable[[Evaluator, Machine], T | None]) -> Found[T] | str:
        """Read VMs with a device that brings a type into them, until one has what is read; a str says why none has."""
        why = f"not evaluated: no VM of type {self._image.machine} with this device was found"
        machine = self._templates[False].machine
        if type_ is None:
            return why
        if not is_concrete(machine, type_):
            return "not evaluated: no VM has a device of this type itself, which is abstract or unknown"
        tries = 0
        for device in list(candidates(machine, type_)):
            for backends in (False, True):
                arguments = self._arguments(device, backends=backends)
                while arguments and tries < _TRIES_MAX:
                    tries += 1
                    value = self._try(read, arguments, backends=backends)
                    if value is not None and not isinstance(value, MachineError):
                        return Found(value, tuple(arguments), backends)
                    arguments = completed(arguments, value) if isinstance(value, MachineError) else None
        return why

    def _arguments(self, device: str, *, backends: bool) -> list[str] | None:
        if not backends:
            return [device]
        try:
            self._evaluator(backends=True)
            argument = with_backends(self._templates[True].machine, device)
        except _ERRORS:
            if True in self._templates:
                self._templates[True].machine.rewind()
            return None
        return [argument] if argument else None

    def _try(
        self, read: Callable[[Evaluator, Machine], T | None], arguments: Sequence[str], *, backends: bool
    ) -> T | MachineError | None:
        """Read a VM with further devices; None: the VM does not have what is read."""
        evaluator = self._evaluator(backends=backends)
        self._templates[backends].set_time(_SECONDS_A_DEVICE)
        try:
            with self._templates[backends].boot(*arguments) as machine:
                return read(evaluator, machine)
        except MachineError as error:
            return error
        except _ERRORS:
            return None

    def registration(self, description: str) -> Answer | str:
        """Return whether a device of the machine type registers a section that is no device type's own.

        VMs are searched that have a device whose name the description begins with, without further properties and with
        each switch flipped that a compat entry of the machine type sets. A str says why there is no answer.
        """

        def compute() -> Evaluated:
            found = self._registration(description)
            return (
                Evaluated([], [], found) if isinstance(found, str) else Evaluated([((description, "", 0), found)], [])
            )

        try:
            row = self._cache.get(("registration", self._image.machine, description), Evaluated, compute)
        except _ERRORS as error:
            self._fail(error)
            return f"not evaluated: no VM of type {self._image.machine} could be booted"
        return row.found[0][1] if row.why is None else row.why

    def _registration(self, description: str) -> Answer | str:
        def is_there(evaluator: Evaluator, machine: Machine) -> bool:
            return any(
                each.vmsd and evaluator.descriptions.name(each.vmsd) == description for each in evaluator.handlers()
            )

        switches = Machines(self._cache).info(self._image.machine).compat_props
        self._evaluator(backends=False)
        machine = self._templates[False].machine
        for device in list(devices_named_in(machine, description)):
            for backends in (False, True):
                arguments = self._arguments(device, backends=backends)
                found = self._try(is_there, arguments, backends=backends) if arguments else None
                if found is True:
                    return Answer(1, (), f"a VM with -device {device} registers it")
                if not arguments or found is not False:
                    continue
                for each in switches:
                    other = _FLIPPED.get(each.value)
                    if other is None or not device.startswith(each.driver):
                        continue
                    turned = [*arguments[:-1], f"{arguments[-1]},{each.property}={other}"]
                    if self._try(is_there, turned, backends=backends) is True:
                        return Answer(0, (f"{each.property} = {_FLIPPED[other]}",))
        return f"not evaluated: no VM of type {self._image.machine} that registers it was found"

    # Code that saves and loads sections

    def never_refuses(self, hooks: Sequence[tuple[str, str]]) -> list[bool]:
        """Return for load hooks, each as description and name, whether they provably accept every state."""

        def compute() -> list[bool]:
            with self._bare() as machine:
                evaluator = self._evaluators[False]
                return [evaluator.never_refuses(machine.objects, *each) for each in hooks]

        names = [f"{description} {hook}" for description, hook in hooks]
        try:
            return self._cache.get(("hooks", self._image.machine, *names), list[bool], compute)
        except _ERRORS as error:
            self._fail(error)
            return [False] * len(hooks)

    def states(self, wanted: Sequence[tuple[Wanted, Sequence[str]]]) -> list[Sent]:
        """Return the states that sections may have, each with the names of fields to vary first."""
        return self._ask_all(
            Sent, [(("states", each.type or "", each.description, *fields), each, fields) for each, fields in wanted],
            self._states,
        )  # fmt: skip

    def replay(self, wanted: Sequence[tuple[Wanted, Sent]]) -> list[Replayed]:
        """Load the states of sections of another QEMU."""
        return self._ask_all(
            Replayed,
            [(("replay", each.type or "", each.description, sent.digest()), each, sent) for each, sent in wanted],
            self._replay,
        )

    def _ask_all(
        self, type_: type[R], questions: Sequence[tuple[Sequence[str], Wanted, A]], read: Callable[[Wanted, A], R]
    ) -> list[R]:
        """Read VMs within the time limit; what is not read then says so."""
        until = time.process_time() + self._seconds
        return [
            self._ask(type_, question, partial(read, wanted, about), until)
            for question, wanted, about in counted(f"comparing code that {_DOING[type_]}s sections", questions)
        ]

    def _ask(self, type_: type[R], question: Sequence[str], read: Callable[[], R], until: float) -> R:
        def compute() -> R:
            if time.process_time() > until:
                raise SourceError(f"{self._seconds:g} seconds were not enough; allow more with --timeout")
            return read()

        try:
            return self._cache.get((*question, self._image.machine), type_, compute)
        except _ERRORS as error:
            return type_(why=f"not compared in a VM: {' '.join(str(error).split())}")

    def _states(self, wanted: Wanted, fields: Sequence[str]) -> Sent:
        def read(evaluator: Evaluator, machine: Machine) -> Sent | None:
            handler = evaluator.section(machine, wanted)
            return None if handler is None else find_states(machine, handler, fields)

        with self._bare() as machine:
            sent = read(self._evaluators[False], machine)
        if sent is not None:
            return sent
        found = self._search(wanted.type, read)
        if isinstance(found, str):
            return Sent(why=found)
        return replace(found.value, arguments=found.arguments, backends=found.backends)

    def _replay(self, wanted: Wanted, sent: Sent) -> Replayed:
        def read(evaluator: Evaluator, machine: Machine) -> Replayed | None:
            place = sent.idstr, sent.instance
            for each in evaluator.handlers():
                if each.vmsd and place in ((each.idstr, each.instance), *each.aliases):
                    return replay(machine, each, sent)
            return None

        found = self._try(read, sent.arguments, backends=sent.backends)
        if isinstance(found, Replayed):
            return found
        why = "it lacks the section" if found is None else f"{found}".removeprefix(f"{self._source.path}: ")
        return Replayed(why=f"not compared in a VM: the destination's VM with {wanted.type} was not read: {why}")


def image_of(dump: DeviceDump, sysroot: str | None, host: HostProfile | None) -> ImageOfMachine | None:
    """Return the image that a dump was read from; None: it has no machine type, or the binary is gone."""
    path = dump.producer.path
    if path is None or dump.machine == "none" or not os.path.exists(path):
        return None
    return ImageOfMachine(path, dump.machine, sysroot, host)
