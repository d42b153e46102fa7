"""Emulated machines: boot, further devices from a snapshot, all machine types, peak memory. Run by compare.py.

Ratios are vmdump's CPU time over that of the same binary run natively to ``-S`` and ``quit``. Times are CPU time of
processes that start with Python's imports done.

The binaries are the installed ones (Debian's qemu-system-x86, -arm); missing ones are skipped.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from child import child_environ
from measure import Case, Comparison, Goal, Row

from vmdump.emulator.machine import MachineError, boot
from vmdump.emulator.template import boot_template

READY, NATIVE = "machine ready", "native -S and quit"
DEVICE, ALL_TYPES = "one more device from the snapshot", "all machine types on two cores"
MEMORY = "peak memory of a boot and save"

#: Goals of issue 14: CPU time over the native one, CPU seconds of a device, seconds for all types, bytes.
READY_GOAL, DEVICE_GOAL, ALL_GOAL, MEMORY_GOAL = (
    Goal(at_most=8),
    Goal(at_most=0.05),
    Goal(at_most=20),
    Goal(at_most=300e6),
)

MACHINES = (("x86_64", "pc"), ("x86_64", "q35"), ("aarch64", "virt"))
DEVICES = ("e1000e", "virtio-net-pci", "nec-usb-xhci", "virtio-blk-pci,drive=disk", "ich9-intel-hda")

#: A child that boots and saves the machine types named by its arguments, and prints its peak memory in KiB. ru_maxrss
#: would include what this process has had.
_CHILD = """
import sys
from vmdump.emulator.machine import boot
from vmdump.emulator.migration import save_stream
from vmdump.errors import SourceError
for name in sys.argv[2:]:
    try:
        save_stream(boot(sys.argv[1], ["-M", name]))
    except SourceError:
        pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def compare_machine(quick: bool) -> Iterator[Comparison]:
    """Each machine, then devices and all types of x86_64."""
    for target, name in MACHINES:
        if binary := shutil.which(f"qemu-system-{target}"):
            yield _compare_boot(binary, target, name)
    if binary := shutil.which("qemu-system-x86_64"):
        yield _compare_devices(binary)
        if not quick:
            yield _compare_all_types(binary)


def _compare_boot(binary: str, target: str, name: str) -> Comparison:
    args = ["-M", name, "-accel", "tcg"]
    return Comparison(
        f"{target}: boot of {name}",
        [
            _timed(READY, lambda: boot(binary, args)),
            _native_case(binary, args),
            lambda: {MEMORY: float(_run_child(binary, [name]))},
        ],
        [
            Row(READY, NATIVE, READY_GOAL, promise=f"{target} {name}: {READY}, against {NATIVE}"),
            Row(NATIVE),
            Row(MEMORY, goal=MEMORY_GOAL, unit="B", promise=f"{target} {name}: {MEMORY}"),
        ],
        clock="CPU time of all threads; native: of the child",
    )


def _timed(name: str, run: Callable[[], object]) -> Case:
    def turn() -> dict[str, float]:
        start = time.process_time()
        run()
        return {name: time.process_time() - start}

    return turn


def _native_case(binary: str, args: list[str]) -> Case:
    command = [binary, *args, "-nodefaults", "-display", "none", "-no-user-config", "-S", "-monitor", "stdio"]

    def turn() -> dict[str, float]:
        before = os.times()
        subprocess.run(command, input=b"quit\n", capture_output=True, check=True)
        after = os.times()
        return {NATIVE: after.children_user - before.children_user + after.children_system - before.children_system}

    return turn


def _compare_devices(binary: str) -> Comparison:
    args = ["-M", "q35", "-accel", "tcg", "-blockdev", "null-co,node-name=disk"]
    template = boot_template(binary, args)

    def turn() -> dict[str, float]:
        start = time.process_time()
        for device in DEVICES:
            try:
                with template.boot(device):
                    pass
            except MachineError as error:
                raise SystemExit(str(error)) from None
        return {DEVICE: (time.process_time() - start) / len(DEVICES)}

    row = Row(DEVICE, goal=DEVICE_GOAL, promise=f"x86_64 q35: {DEVICE}")
    return Comparison(f"x86_64: {len(DEVICES)} devices, each from the snapshot", [turn], [row])


def _compare_all_types(binary: str) -> Comparison:
    names = [each["name"] for each in boot(binary, ["-M", "none"]).qmp("query-machines") if each["name"] != "x-remote"]

    def turn() -> dict[str, float]:
        start = time.monotonic()
        with ThreadPoolExecutor(2) as executor:
            list(executor.map(lambda half: _run_child(binary, half), (names[::2], names[1::2])))
        return {ALL_TYPES: time.monotonic() - start}

    row = Row(ALL_TYPES, goal=ALL_GOAL, promise=f"x86_64: {ALL_TYPES}")
    return Comparison(f"x86_64: {len(names)} machine types, booted and saved", [turn], [row], clock="elapsed time")


def _run_child(binary: str, names: list[str]) -> int:
    """Boot machine types in a child process; return its peak memory in bytes."""
    command = [sys.executable, "-c", _CHILD, binary, *names]
    return int(subprocess.run(command, capture_output=True, check=True, env=child_environ()).stdout) * 1024
