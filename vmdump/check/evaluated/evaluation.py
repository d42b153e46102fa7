"""Evaluates what run time decides in the sections of an image, in VMs of one machine type that are booted on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from vmdump.check.evaluated.answers import Answers, Wanted
from vmdump.check.evaluated.devices import BACKENDS, candidates, completed, with_backends
from vmdump.check.evaluated.evaluate import Evaluator
from vmdump.emulator.host_profile import HostProfile
from vmdump.emulator.machine import MachineError, MachineTemplate, boot_template
from vmdump.errors import SourceError

if TYPE_CHECKING:
    from vmdump.dump.device_dump import DeviceDump

#: Limit of boots for one device type.
_TRIES_MAX = 8


class ImageOfMachine(NamedTuple):
    """A QEMU binary and a machine type of it; sysroot and host: see vmdump.emulator.machine.boot."""

    path: str
    machine: str
    sysroot: str | None = None
    host: HostProfile = HostProfile()


class Evaluation:
    """Evaluates sections of one image under one machine type. Machines are booted when the first section needs them."""

    def __init__(self, image: ImageOfMachine, report: Callable[[object], None]) -> None:
        """``report``: called with a line for each VM that can't be booted."""
        self._image, self._report = image, report
        self._evaluators: dict[bool, Evaluator | None] = {}
        self._templates: dict[bool, MachineTemplate] = {}

    def evaluate(self, wanted: Sequence[Wanted]) -> dict[Wanted, Answers | str]:
        """Return the answers for sections; a str says why there are none."""
        found: dict[Wanted, Answers | str] = {}
        evaluator = self._evaluator(backends=False)
        if evaluator is None:
            return dict.fromkeys(wanted, f"not evaluated: no VM of type {self._image.machine} could be booted")
        try:
            with self._templates[False].boot() as machine:
                found.update(evaluator.evaluate(machine, wanted))
        except SourceError as error:
            self._report(f"{error}; what its run time decides stays conditional")
            return dict.fromkeys(wanted, f"not evaluated: no VM of type {self._image.machine} could be booted")
        for each in wanted:
            if each not in found:
                found[each] = self._with_device(each)
        return found

    def _evaluator(self, *, backends: bool) -> Evaluator | None:
        """Return the evaluator of the bare machine, or of one with backends; None: it can't be booted."""
        if backends not in self._evaluators:
            image = self._image
            argv = ["-M", image.machine, *(BACKENDS if backends else ())]
            try:
                template = boot_template(image.path, argv, sysroot=image.sysroot, host=image.host)
                self._templates[backends] = template
                self._evaluators[backends] = Evaluator(template, image.machine)
            except SourceError as error:
                self._evaluators[backends] = None
                self._report(f"{error}; what its run time decides stays conditional")
        return self._evaluators[backends]

    def _with_device(self, wanted: Wanted) -> Answers | str:
        """Evaluate a section in a VM with its device."""
        why = f"not evaluated: a VM of type {self._image.machine} has no such device"
        if wanted.type is None:
            return why
        tries = 0
        for device in list(candidates(self._templates[False].machine, wanted.type)):
            for backends in (False, True):
                arguments = self._arguments(device, backends=backends)
                while arguments and tries < _TRIES_MAX:
                    tries += 1
                    answers = self._try(wanted, arguments, backends=backends)
                    if isinstance(answers, Answers):
                        return answers
                    arguments = completed(arguments, answers) if isinstance(answers, MachineError) else None
        return why

    def _arguments(self, device: str, *, backends: bool) -> list[str] | None:
        evaluator = self._evaluator(backends=backends)
        if evaluator is None:
            return None
        if not backends:
            return [device]
        try:
            argument = with_backends(self._templates[True].machine, device)
        except SourceError:
            self._templates[True].machine.rewind()
            return None
        return [argument] if argument else None

    def _try(self, wanted: Wanted, arguments: Sequence[str], *, backends: bool) -> Answers | MachineError | None:
        """Evaluate a section in a VM with further devices; None: the VM does not have it."""
        evaluator = self._evaluator(backends=backends)
        assert evaluator is not None
        try:
            with self._templates[backends].boot(*arguments) as machine:
                return evaluator.evaluate(machine, [wanted]).get(wanted)
        except MachineError as error:
            return error
        except SourceError:
            return None


class Evaluations:
    """Evaluations of several images; a dump that is not of an image is not evaluated."""

    def __init__(self, images: Sequence[ImageOfMachine | None], report: Callable[[object], None]) -> None:
        """``images``: of the dumps of a check, in their order. ``report``: see Evaluation."""
        self._evaluations = [None if image is None else Evaluation(image, report) for image in images]

    def __call__(self, dump: int, wanted: Sequence[Wanted]) -> dict[Wanted, Answers | str]:
        """Evaluate sections of a dump. See vmdump.check.checker.check."""
        evaluation = self._evaluations[dump]
        return {} if evaluation is None else evaluation.evaluate(wanted)


def image_of(dump: DeviceDump, sysroot: str | None, host: HostProfile | None) -> ImageOfMachine | None:
    """Return the image that a dump was read from; None: it has no machine type, or the binary is gone."""
    path = dump.producer.path
    if path is None or dump.machine == "none" or not os.path.exists(path):
        return None
    return ImageOfMachine(path, dump.machine, sysroot, host or HostProfile())
