"""VMs with one more device each: the command lines, and their comparison from a template.

The command lines are in tests/data/migrations/devices.jsonl.xz, a JSON object a line: target, machine, args.
{directory} in them is an empty directory.
"""

from __future__ import annotations

import json
import lzma
import tempfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from support.machine_pair import Pair, Result, compare_machine
from support.paths import DATA
from support.stream_comparison import FIXED_CLOCK
from vmdump.emulator.machine import MachineError
from vmdump.emulator.migration import save_stream
from vmdump.emulator.template import MachineTemplate, boot_template

#: Limit of the CPU time of one VM, in seconds.
_SECONDS = 60


class DeviceCase(NamedTuple):
    """A command line with devices.

    Attributes:
        machine: machine type.
        options: what the template has: everything but -device.
        devices: arguments of -device, in order.
    """

    machine: str
    options: tuple[str, ...]
    devices: tuple[str, ...]

    @property
    def args(self) -> tuple[str, ...]:
        """The whole command line."""
        return ("-M", self.machine, *self.options, *(word for each in self.devices for word in ("-device", each)))


def device_cases(target: str) -> list[DeviceCase]:
    """Return the command lines for a target; those with the same template follow each other."""
    found = []
    with lzma.open(DATA / "migrations" / "devices.jsonl.xz", "rt") as file:
        for line in file:
            row = json.loads(line)
            if row["target"] == target:
                found.append(_case(row["machine"], row["args"]))
    return sorted(found)


def _case(machine: str, args: Sequence[str]) -> DeviceCase:
    options: list[str] = []
    devices: list[str] = []
    at = 0
    while at < len(args):
        has_value = at + 1 < len(args) and not args[at + 1].startswith("-")
        words = args[at : at + 1 + has_value]
        if words[0] == "-device":
            devices.append(words[1])
        else:
            options += words
        at += len(words)
    return DeviceCase(machine, tuple(options), tuple(devices))


def compare_devices(pair: Pair, cases: Sequence[DeviceCase]) -> Iterator[Result]:
    """Compare VMs whose machine and options are the same."""
    with tempfile.TemporaryDirectory() as directory:
        template: MachineTemplate | None = None
        for each in (_in_directory(case, directory) for case in cases):

            def stream(case: DeviceCase = each) -> tuple[bytes, Sequence[str]]:
                nonlocal template
                template = template or boot_template(
                    pair.binary, ("-M", case.machine, *case.options, *FIXED_CLOCK), sysroot=pair.tree
                )
                template.set_time(_SECONDS)
                template.forget_missed_functions()
                with template.boot(*case.devices) as machine:
                    return save_stream(machine), machine.missed_functions

            try:
                yield compare_machine(pair, *each.args, emulated=stream)
            except (MachineError, RuntimeError, OSError) as error:
                yield pair.result(" ".join(each.args), "failed", f"{type(error).__name__}: {str(error)[-300:]}")


def _in_directory(case: DeviceCase, directory: str) -> DeviceCase:
    """Return a case with the path of an empty directory."""
    options, devices = (
        tuple(each.replace("{directory}", directory) for each in words) for words in (case.options, case.devices)
    )
    return case._replace(options=options, devices=devices)
