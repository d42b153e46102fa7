"""Compare the stream of an emulated machine with the one that the real QEMU sends, field by field.

The descriptions, the RAM blocks and the bytes of each section must be equal. A field may differ if it has no
determined value, which is found out and not assumed:

- two runs of the real QEMU send different values: clocks of the host, host pointers;
- it changes with the bytes in the emulator's heap, or its addresses: uninitialised memory, host pointers.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from support.native_qemu import ram_blocks, vmdescription
from vmdump.errors import VmdumpError
from vmdump.stream.saved_vm import SavedVM, Section
from vmdump.stream.section_view import view
from vmdump.stream.values import walk
from vmdump.stream.walk import read_saved_vm

#: Clocks that start at the same time and do not run while a machine is stopped. Both sides get these arguments.
FIXED_CLOCK = ("-rtc", "base=2026-02-03T04:05:06,clock=vm")

#: Bytes of a clock or an address in a field of many bytes.
_WORD = 8


class Field(NamedTuple):
    """A field whose bytes differ.

    Attributes:
        section: name and instance.
        path: of the field; "bytes" for what no description covers.
        native: the bytes that the real QEMU sends.
        emulated: those of the emulated one.
    """

    section: tuple[str, int]
    path: str
    native: bytes
    emulated: bytes

    def offsets(self) -> list[int]:
        """Return the offsets of the bytes that differ."""
        return [i for i, (a, b) in enumerate(zip(self.native, self.emulated, strict=False)) if a != b]

    def __str__(self) -> str:
        at = next(iter(self.offsets()), 0)
        values = (f"{each[at : at + 8].hex()}" for each in (self.native, self.emulated))
        return f"{self.section[0]}:{self.section[1]} {self.path}+{at} {' '.join(values)}"


class Comparison(NamedTuple):
    """Result of a comparison.

    Attributes:
        problem: what differs and must not; "" if nothing does.
        accepted: section and field of each difference that is accepted, and why.
    """

    problem: str
    accepted: tuple[tuple[str, str], ...] = ()


def compare_streams(
    native: bytes, emulated: bytes, *, native_again: Callable[[], bytes], emulated_again: Callable[[], bytes]
) -> Comparison:
    """Compare two streams.

    Args:
        native: of the real QEMU.
        emulated: of the emulated one.
        native_again: returns the stream of a second run of the real QEMU.
        emulated_again: returns the stream of the emulated QEMU with other bytes in its heap, and other addresses.
    """
    if vmdescription(native) != vmdescription(emulated):
        return Comparison("description: " + description_difference(native, emulated))
    if ram_blocks(native) != ram_blocks(emulated):
        return Comparison(f"RAM blocks: {ram_blocks(native)}, {ram_blocks(emulated)}"[:300])
    differing = list(_differing_fields(native, emulated))
    accepted: dict[tuple[str, str], str] = {}
    if differing:
        undetermined = list(_differing_fields(native, native_again()))
        differing = _accept(differing, accepted, "differs in two runs of the real QEMU", undetermined)
    if differing:
        by_memory = list(_differing_fields(emulated, emulated_again()))
        differing = _accept(differing, accepted, "uninitialised memory or an address", by_memory)
    problem = f"{len(differing)} fields: {'; '.join(map(str, differing[:4]))}" if differing else ""
    return Comparison(problem, tuple((f"{section} {path}", why) for (section, path), why in accepted.items()))


def _accept(fields: list[Field], accepted: dict[tuple[str, str], str], why: str, others: list[Field]) -> list[Field]:
    """Add the fields that others explain to the accepted ones and return the rest."""
    known = {(each.section, each.path): each for each in others}
    rest = []
    for each in fields:
        other = known.get((each.section, each.path))
        if other is not None and _is_explained(each, other):
            accepted[_short(each.section[0]), each.path] = why
        else:
            rest.append(each)
    return rest


def _is_explained(field: Field, other: Field) -> bool:
    """Return whether each byte that differs is in a word that differs in the other pair of streams."""
    if len(field.native) != len(other.native):
        return False
    changed = {at // _WORD for at in other.offsets()}
    return all({at // _WORD - 1, at // _WORD, at // _WORD + 1} & changed for at in field.offsets())


def _short(section: str) -> str:
    """Return the name of a section without the path of its device."""
    return section.rpartition("/")[2]


def _differing_fields(native: bytes, emulated: bytes) -> Iterator[Field]:
    one, other = saved_vm(native), saved_vm(emulated)
    left, right = (
        {(each.name, each.instance_id): each for each in vm.sections if not each.is_live} for vm in (one, other)
    )
    for key in dict.fromkeys((*left, *right)):
        mine, yours = left.get(key), right.get(key)
        if mine is None or yours is None:
            yield Field(key, "section", bytes(mine.body) if mine else b"", bytes(yours.body) if yours else b"")
        elif bytes(mine.body) != bytes(yours.body):
            yield from _fields_of(key, one, mine, other, yours)


def _fields_of(key: tuple[str, int], one: SavedVM, left: Section, other: SavedVM, right: Section) -> Iterator[Field]:
    """Yield the fields of two sections that differ; all bytes if the description divides them differently."""
    fields, others = (_leaves(vm, section) for vm, section in ((one, left), (other, right)))
    mine, yours = bytes(left.body), bytes(right.body)
    if fields != others or len(mine) != len(yours):
        yield Field(key, "bytes", mine, yours)
        return
    rest = bytearray(mine), bytearray(yours)  # the bytes of no field
    for path, offset, size in fields:
        a, b = mine[offset : offset + size], yours[offset : offset + size]
        for each in rest:
            each[offset : offset + size] = bytes(size)
        if a != b:
            yield Field(key, path, a, b)
    if rest[0] != rest[1]:
        yield Field(key, "bytes", bytes(rest[0]), bytes(rest[1]))


def _leaves(vm: SavedVM, section: Section) -> list[tuple[str, int, int]]:
    """Return path, offset and size of each field of a section."""
    return [
        (".".join(path), node.offset, node.size)
        for path, node in walk(view(vm, section).nodes)
        if node.children is None
    ]


def saved_vm(stream: bytes) -> SavedVM:
    """Return a stream that is divided into sections."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(stream)
        try:
            return read_saved_vm(file.name)
        except VmdumpError as error:
            raise RuntimeError(f"the stream can't be read: {error}") from error


def description_difference(native: bytes, emulated: bytes) -> str:
    """Return the devices that only one description has, or the first that differs."""
    one, other = ((vmdescription(each) or {"devices": []})["devices"] for each in (native, emulated))
    names, others = ([(each["name"], each["instance_id"]) for each in devices] for devices in (one, other))
    if names != others:
        lacking = [name for name in names if name not in others]
        surplus = [name for name in others if name not in names]
        return f"native only {lacking}, emulated only {surplus}" if lacking or surplus else "order of devices"
    return first_difference(one, other)


def first_difference(expected: Any, answer: Any) -> str:
    """Return the first elements that differ, as short text."""
    if isinstance(expected, list) and isinstance(answer, list):
        for one, other in zip(expected, answer, strict=False):
            if one != other:
                return f"native {json.dumps(one)[:200]}, emulated {json.dumps(other)[:200]}"
        return f"native has {len(expected)} elements, emulated {len(answer)}"
    return f"native {str(expected)[:200]!r}, emulated {str(answer)[:200]!r}"
