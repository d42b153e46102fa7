"""A QEMU binary that is run natively and emulated, and what is compared between the two."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from support.machine_trees import binary_of, native_command
from support.native_qemu import NativeQemu
from support.stream_comparison import FIXED_CLOCK, compare_streams, first_difference
from vmdump.emulator.machine import Machine, QmpError, boot
from vmdump.emulator.migration import save_stream
from vmdump.errors import SourceError

IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))

#: A second emulated run has other bytes in its heap, and addresses 4 GiB further, which changes their upper half.
_OTHER_MEMORY = {"fill": 0xA5, "shift": (4 << 30) + (3 << 16)}


class Result(NamedTuple):
    """Outcome of one comparison.

    Attributes:
        version, target: of the binary.
        what: what was compared.
        outcome: "equal", "differs", "not emulated", "lacks a file", "refused by both", "refused by native only",
            "native crashed", "native too slow" or "failed".
        detail: the reason if it is not "equal"; of "equal", functions that the emulator lacks.
        accepted: fields whose difference is accepted, and why.
    """

    version: str
    target: str
    what: str
    outcome: str
    detail: str = ""
    accepted: tuple[tuple[str, str], ...] = ()


class Pair:
    """A binary, run natively and emulated."""

    def __init__(self, version: str, target: str, tree: Path) -> None:
        self.version, self.target, self.tree = version, target, tree
        self._command, self._environ = native_command(tree, target, IMAGES)

    @property
    def binary(self) -> Path:
        """Path of the binary."""
        return binary_of(self.tree, self.target)

    def native(self, *args: str, seconds: float = 300) -> NativeQemu:
        """Start the real QEMU, which is killed after some seconds."""
        return NativeQemu(self._command, *args, environ=self._environ, seconds=seconds)

    def native_stream(self, *args: str) -> bytes:
        """Return the stream of the real QEMU. Raises RuntimeError, OSError."""
        with tempfile.TemporaryDirectory() as directory, self.native(*args) as native:
            return native.save(Path(directory, "stream"))

    def emulated(self, *args: str, **memory: int) -> Machine:
        """Boot the machine in the emulator; ``memory``: fill and shift of vmdump.emulator.machine.boot."""
        return boot(self.binary, args, sysroot=self.tree, **memory)

    def result(self, what: str, outcome: str, detail: str = "", accepted: Sequence[tuple[str, str]] = ()) -> Result:
        """Make a result of this binary."""
        return Result(self.version, self.target, what, outcome, detail, tuple(accepted))


#: Commands whose answers are compared, order included.
_ANSWERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("query-machines", {}),
    ("qom-list-types", {"abstract": True}),
)


def compare_answers(pair: Pair) -> Iterator[Result]:
    """Compare QMP answers of a QEMU without a machine."""
    machine = pair.emulated("-M", "none")
    native = pair.native("-M", "none", seconds=1800)
    with contextlib.ExitStack() as stack:
        stack.enter_context(native)
        for command, arguments in _ANSWERS:
            expected, answer = native.qmp(command, **arguments), machine.qmp(command, **arguments)
            detail = "" if answer == expected else first_difference(expected, answer)
            yield pair.result(command, "equal" if answer == expected else "differs", detail)
        types = [each["name"] for each in native.qmp("qom-list-types", implements="device", abstract=False)]
        for name in types:
            yield _compare_properties(pair, machine, native, name)
            if native.has_ended():
                native = stack.enter_context(pair.native("-M", "none", seconds=1800))
                machine = pair.emulated("-M", "none")


def _compare_properties(pair: Pair, machine: Machine, native: NativeQemu, name: str) -> Result:
    """Compare device-list-properties of one type; errors, and words with which QEMU exits, must be the same."""
    what = f"device-list-properties {name}"
    try:
        expected: Any = native.qmp("device-list-properties", typename=name)
    except RuntimeError as error:
        expected = str(error)
    if native.has_ended():
        expected = expected.strip()
    try:
        answer: Any = machine.qmp("device-list-properties", typename=name)
    except QmpError as error:
        answer = str(error).rpartition("device-list-properties: ")[2]
    except SourceError as error:
        answer = str(error).partition(": ")[2]
    if answer == expected:
        return pair.result(what, "equal")
    has_crashed = native.has_ended() and native.process.returncode < 0
    return pair.result(what, "native crashed" if has_crashed else "differs", first_difference(expected, answer))


def compare_machine(
    pair: Pair,
    *args: str,
    emulated: Callable[[], tuple[bytes, Sequence[str]]] | None = None,
) -> Result:
    """Start and save a machine on both sides.

    Args:
        pair: the binary.
        args: QEMU's arguments; a clock is added to them.
        emulated: returns the stream and the missed functions of the emulated machine; default: it is booted.
    """
    what, argv = " ".join(args), (*args, *FIXED_CLOCK)

    def booted(**memory: int) -> tuple[bytes, Sequence[str]]:
        machine = pair.emulated(*argv, **memory)
        return save_stream(machine), machine.missed_functions

    try:
        expected = pair.native_stream(*argv)
    except TimeoutError as error:
        return pair.result(what, "native too slow", str(error))
    except (RuntimeError, OSError) as error:
        return _compare_refusal(pair, what, emulated or booted, str(error))
    try:
        stream, missed = (emulated or booted)()
    except SourceError as error:
        words = str(error).replace("\n", " ")[-300:]  # a real QEMU also finds files of the host that it runs on
        return pair.result(what, "lacks a file" if "is missing from the tree" in words else "not emulated", words)
    compared = compare_streams(
        expected,
        stream,
        native_again=lambda: pair.native_stream(*argv),
        emulated_again=lambda: booted(**_OTHER_MEMORY)[0],
    )
    lacking = f"not implemented: {', '.join(missed)}" if missed else ""
    if compared.problem:
        return pair.result(what, "differs", "; ".join(filter(None, (compared.problem, lacking))), compared.accepted)
    return pair.result(what, "equal", lacking, compared.accepted)


def _compare_refusal(pair: Pair, what: str, emulated: Callable[[], tuple[bytes, Sequence[str]]], reason: str) -> Result:
    """Compare a machine that the real QEMU refuses to start or to save."""
    words = " ".join(reason.split())[-200:]
    try:
        emulated()
    except SourceError as error:
        return pair.result(what, "refused by both", f"{words} | {' '.join(str(error).split())[-200:]}")
    if reason == "it ended" or "Broken pipe" in reason:
        return pair.result(what, "native crashed")
    return pair.result(what, "refused by native only", words)
