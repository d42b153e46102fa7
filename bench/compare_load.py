"""vmdump load: a saved pc VM, after the boot of its destination. Run by compare.py.

The binary is the installed one (Debian's qemu-system-x86); without it nothing is measured.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Comparison, Goal, Row

from vmdump.machines.reader import Source
from vmdump.migrate.arguments import DEFAULTS
from vmdump.migrate.destination import WholeMachine
from vmdump.migrate.incoming_stream import IncomingStream
from vmdump.migrate.save import save
from vmdump.migrate.trial import LOADS, load_into
from vmdump.stream.walk import read_saved_vm

LOAD = "load and comparison, after the boot"

#: Goal of issue 15, in seconds of CPU time.
GOAL = Goal(at_most=1)

ARGS = (
    "-nodefaults", "-accel", "tcg", "-M", "pc", "-m", "512", "-smp", "2", "-device", "e1000,romfile=", "-device",
    "virtio-rng-pci", "-device", "virtio-balloon-pci", "-device", "VGA,romfile=",
)  # fmt: skip


def compare_load(quick: bool) -> Iterator[Comparison]:
    """The load of a pc with devices into another machine of the same binary."""
    del quick
    binary = shutil.which("qemu-system-x86_64")
    if binary is None:
        return
    with tempfile.TemporaryDirectory(prefix="vmdump-bench-") as temporary:
        source, path = Source(binary), Path(temporary) / "vm.save"
        path.write_bytes(save(source, ARGS).stream)
        vm, argv = read_saved_vm(path), (*ARGS, "-incoming", "defer")

        def turn() -> dict[str, float]:
            machine = source.boot(argv, defaults=DEFAULTS)
            start = time.process_time()
            trial = load_into(WholeMachine(machine), IncomingStream(vm), argv)
            seconds = time.process_time() - start
            assert trial.outcome == LOADS, trial
            return {LOAD: seconds}

        row = Row(LOAD, goal=GOAL, promise=f"x86_64 pc: {LOAD}, CPU seconds")
        yield Comparison("vmdump load of a pc VM", [turn], [row], clock="CPU time")
