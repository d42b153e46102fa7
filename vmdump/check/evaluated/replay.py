"""Compares the code of two QEMUs that saves and loads a section, by what it does with varied states.

The source's VM saves the section at reset. Bytes of it are changed, and the source's own code loads the result: what it
loads, and saves again unchanged, is a state that the source may send. The destination's code then loads each state, and
must save it again unchanged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from vmdump.check.evaluated.section_code import load_section, save_section
from vmdump.emulator.machine_errors import MachineError
from vmdump.emulator.migration import save_stream
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from vmdump.check.evaluated.handlers import Handler
    from vmdump.emulator.machine import Machine

#: Bits that are flipped in each changed byte.
_MASKS = (0x01, 0x80)

#: Limits of the loads for one section: their number, at least and at most, and the bytes of all.
_LOADS_MIN, _LOADS_MAX, _BYTES = 12, 64, 1 << 19

#: Further loads for each field that is varied first.
_LOADS_A_FIELD = 2

#: QEMU_VM_SUBSECTION, the first byte of a subsection, and the length of its name at most.
_SUBSECTION, _NAME_MAX = b"\5", 256

#: Start of the reasons why states are not compared.
_NOT_COMPARED = "not compared in a VM"

#: Limit of the CPU time of one load of a state, in seconds. A varied count may make a device allocate or loop.
_SECONDS = 1

#: Limit of states that crash the source, or exceed the time limit.
_CRASHES_MAX = 4

#: Limits of a section's size, in bytes, and of the size of the first range that is changed.
_SIZE_MAX, _FIRST = 1 << 22, 16


@dataclass(frozen=True, slots=True)
class Sent:
    """A section as a VM sends it, and states that it may send.

    Attributes:
        idstr, instance, version: of the section.
        arguments: of -device, of the VM.
        backends: whether the VM has backends for devices.
        body: the state at reset.
        states: other states, each as start, end and mask of the changed bytes.
        unsteady: offsets of bytes that the source itself changes when it loads them.
        varied: names of fields of which at least one byte is changed.
        why: why there is no state; None: there is.
    """

    idstr: str = ""
    instance: int = 0
    version: int = 0
    arguments: tuple[str, ...] = ()
    backends: bool = False
    body: bytes = b""
    states: tuple[tuple[int, int, int], ...] = ()
    unsteady: tuple[int, ...] = ()
    varied: tuple[str, ...] = ()
    why: str | None = None

    def digest(self) -> str:
        """Return a digest of the whole."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    def bodies(self) -> Iterator[bytes]:
        """Iterate over the varied states."""
        for start, end, mask in self.states:
            yield _varied(self.body, start, end, mask)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a destination does with the states of a section.

    Attributes:
        refused: QEMU's message if it refuses the state at reset; None: it loads it.
        changed: number of bytes of the state at reset that it saves with other values.
        refused_states, changed_states: numbers of varied states that it refuses, or saves with other values.
        words: QEMU's message about the first refused state; None if there are none.
        why: why it was not tried; None: it was.
    """

    refused: str | None = None
    changed: int = 0
    refused_states: int = 0
    changed_states: int = 0
    words: str | None = None
    why: str | None = None

    @property
    def is_alike(self) -> bool:
        """Whether all states are loaded and saved unchanged."""
        return self.why is None and self.refused is None and not (
            self.changed or self.refused_states or self.changed_states
        )  # fmt: skip


def find_states(machine: Machine, handler: Handler, fields: Sequence[str]) -> Sent:
    """Save a section, and find states that its VM may send. fields: names of fields, which are varied first."""
    try:
        body = save_section(machine, handler)
        if body is None or not 0 < len(body) <= _SIZE_MAX:
            return Sent(why=f"{_NOT_COMPARED}: it is not sent at reset")
        refused = load_section(machine, handler, body, handler.version)
        unsteady = None if refused is not None else _differing(body, save_section(machine, handler))
        if unsteady is None:
            return Sent(why=f"{_NOT_COMPARED}: the source does not load its own state at reset")
        places = _places(machine, handler, fields)
        states = tuple(_accepted(machine, handler, body, unsteady, [place for _, *place in places]))
    except MachineError as error:
        return Sent(why=f"{_NOT_COMPARED}: {_reason(error, machine)}")
    varied = [name for name, start, end in places if any(start < stop and at < end for at, stop, _ in states)]
    return Sent(
        handler.idstr, handler.instance, handler.version, body=body, states=states, unsteady=tuple(sorted(unsteady)),
        varied=tuple(sorted(set(varied))),
    )  # fmt: skip


def _places(machine: Machine, handler: Handler, fields: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return name, start and end of fields in the section."""
    from vmdump.stream.section_view import find_sections, view
    from vmdump.stream.values import walk
    from vmdump.stream.walk import saved_vm_of

    try:
        with saved_vm_of(save_stream(machine)) as vm:
            nodes = list(walk(view(vm, find_sections(vm, handler.idstr, handler.instance)[0]).nodes))
    except VmdumpError:
        return []
    return [
        (name, node.offset, node.offset + node.size)
        for path, node in nodes
        if node.children is None and (name := path[-1].partition("[")[0]) in fields and node.size
    ]


def _accepted(
    machine: Machine, handler: Handler, body: bytes, unsteady: frozenset[int], places: Sequence[Sequence[int]]
) -> Iterator[tuple[int, int, int]]:
    """Yield changes of the state that the source loads, and saves again as they are. Refused ones are halved.

    It ends if states have crashed the source too often, or if it does not load the unchanged state any more.
    """
    crashes = 0
    left = min(max(_BYTES // len(body), _LOADS_MIN), _LOADS_MAX) + _LOADS_A_FIELD * len(places)
    by_place = [_ranges(*place) for place in (*places, (0, len(body)))]
    ranges = dict.fromkeys(each for one_of_each in zip_longest(*by_place) for each in one_of_each if each is not None)
    todo = [(start, end, mask) for mask in _MASKS for start, end in ranges]
    while todo and left:
        start, end, mask = todo.pop(0)
        left -= 1
        state = _varied(body, start, end, mask)
        try:
            machine.guest.set_time(_SECONDS)
            refused = load_section(machine, handler, state, handler.version)
            is_kept = refused is None and not _changed(state, save_section(machine, handler), unsteady)
        except MachineError:
            crashes += 1
            if crashes >= _CRASHES_MAX or not _is_usable(machine, handler, body, unsteady):
                return
            is_kept = False
        if is_kept:
            yield start, end, mask
        elif end - start > 1:
            middle = (start + end) // 2
            todo += [(start, middle, mask), (middle, end, mask)]


def _is_usable(machine: Machine, handler: Handler, body: bytes, unsteady: frozenset[int]) -> bool:
    """Return whether the source still loads its state at reset, after a crash."""
    try:
        machine.guest.set_time(_SECONDS)
        refused = load_section(machine, handler, body, handler.version)
        return refused is None and not _changed(body, save_section(machine, handler), unsteady)
    except MachineError:
        return False


def _ranges(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Divide a range into ranges of increasing size: counts and configuration are at the start of most states."""
    size = _FIRST
    while start < end:
        yield start, min(start + size, end)
        start, size = start + size, 2 * size


def _varied(body: bytes, start: int, end: int, mask: int) -> bytes:
    return b"".join((body[:start], bytes(each ^ mask for each in body[start:end]), body[end:]))


def replay(machine: Machine, handler: Handler, sent: Sent) -> Replayed:
    """Load states into a destination, and save them again.

    Bytes that the destination changes in a state of its own, such as timers, are not compared.
    """
    try:
        own = save_section(machine, handler)
        if own is None or load_section(machine, handler, own, handler.version) is not None:
            return Replayed(why=f"{_NOT_COMPARED}: the destination does not load its own state at reset")
        unsteady = _differing(own, save_section(machine, handler))
        if unsteady is None:
            return Replayed(why=f"{_NOT_COMPARED}: the destination's state at reset changes its size")
        unsteady |= set(sent.unsteady)
        refused = load_section(machine, handler, sent.body, sent.version)
        if refused is not None:
            return Replayed(refused=refused)
        changed = _changed(sent.body, save_section(machine, handler), unsteady)
        refusals, changes = list[str](), 0
        for state in sent.bodies():
            machine.guest.set_time(_SECONDS)
            refused = load_section(machine, handler, state, sent.version)
            if refused is not None:
                refusals.append(refused)
            else:
                changes += bool(_changed(state, save_section(machine, handler), unsteady))
    except MachineError as error:
        return Replayed(why=f"{_NOT_COMPARED}: {_reason(error, machine)} in the destination")
    return Replayed(None, changed, len(refusals), changes, refusals[0] if refusals else None)


def _reason(error: MachineError, machine: Machine) -> str:
    return " ".join(str(error).removeprefix(f"{machine.name}: ").split())


def _differing(one: bytes, other: bytes | None) -> frozenset[int] | None:
    """Return the offsets of bytes that differ; None: the sizes do. A further subsection in the other is left out."""
    if other is not None and len(one) < len(other):
        other = _without_added(one, other)
    if other is None or len(one) != len(other):
        return None
    if one == other:
        return frozenset()
    return frozenset(at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)


def _without_added(one: bytes, other: bytes) -> bytes | None:
    """Return the other without the bytes that it has in addition, if they are subsections; else None."""
    added = len(other) - len(one)
    equal = next(at for at, byte in enumerate((*one, None)) if byte is None or byte != other[at])
    for start in range(equal, max(equal - _NAME_MAX, -1), -1):
        name = other[start + 2 : start + 2 + other[start + 1]] if start + 1 < len(other) else b""
        if other[start : start + 1] == _SUBSECTION and b"/" in name and other[start + added :] == one[start:]:
            return one
    return None


def _changed(loaded: bytes, saved: bytes | None, unsteady: frozenset[int]) -> int:
    """Return the number of bytes that a destination changes; all of them if it saves another number."""
    differing = _differing(loaded, saved)
    return len(loaded) if differing is None else len(differing - unsteady)
