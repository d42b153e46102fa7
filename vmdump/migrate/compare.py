"""Fields that a destination does not keep: its state after a load, saved again, against the loaded stream.

Clocks, and what a destination computes anew, change in each load. A changed field counts as misloaded only if the
destination keeps the sent value when it loads it from a stream of its own: then the streams disagree on its meaning.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from vmdump.emulator.machine_errors import MachineError
from vmdump.emulator.migration import load_stream, save_stream
from vmdump.migrate.failure import read_failure
from vmdump.migrate.incoming_stream import IncomingStream
from vmdump.stream.diff import differences
from vmdump.stream.section_view import find_sections, view
from vmdump.stream.values import walk
from vmdump.stream.walk import saved_vm_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmdump.migrate.destination import Destination
    from vmdump.stream.saved_vm import SavedVM, Section
    from vmdump.stream.values import Node


#: The section of QEMU's own state, which the load changes.
_RUN_STATE = ("globalstate", 0)


class Change(NamedTuple):
    """A field, subsection or section that the destination saves with a value other than the one loaded.

    Attributes:
        section: name of the section.
        instance_id: of the section.
        field: path of the field; "" for the whole section.
        sent: value in the loaded stream; None: not there.
        saved: value in the stream that the destination saves; None: not there.
        misloaded: whether the destination would keep the sent value, had it been sent in its own stream.
    """

    section: str
    instance_id: int | None
    field: str
    sent: str | None
    saved: str | None
    misloaded: bool = False


class Comparison(NamedTuple):
    """What became of the loaded stream.

    Attributes:
        changes: the fields that differ.
        failure: why it is not known which of them are misloaded; None: it is.
    """

    changes: tuple[Change, ...]
    failure: str | None = None


def compare(destination: Destination, incoming: IncomingStream) -> Comparison:
    """Return the fields that differ.

    Args:
        destination: has loaded the incoming stream.
        incoming: what was loaded.

    Raises:
        MachineError, SourceError: the machine cannot be saved.
    """
    vm, machine = incoming.vm, destination.machine
    with saved_vm_of(save_stream(machine)) as saved:
        changes = tuple(_changes(vm, saved))
        both = [each for each in changes if each.sent is not None and each.saved is not None and each.field]
        patched = _patched(vm, saved, incoming, both)
    if patched is None:
        return Comparison(changes)
    try:
        destination.rewind()
        machine.output = ""
        if (code := load_stream(machine, patched)) < 0:
            cause = read_failure(machine.output, os.path.basename(machine.name), {}, code).cause
            return Comparison(changes, f"the destination refuses its own stream with the sent values: {cause}")
        with saved_vm_of(save_stream(machine)) as control:
            still = {(each.section, each.instance_id, each.field) for each in _changes(vm, control)}
    except MachineError as error:
        text = str(error).removeprefix(f"{machine.name}: ")
        return Comparison(changes, f"the destination fails with its own stream and the sent values: {text}")
    misloaded = {each for each in both if each[:3] not in still and _is_field(saved, each)}
    return Comparison(tuple(each._replace(misloaded=each in misloaded) for each in changes))


def _changes(vm: SavedVM, saved: SavedVM) -> list[Change]:
    live = {(each.name, each.instance_id) for each in vm.sections if each.is_live}
    live.add(_RUN_STATE)
    return [
        Change(each.name, each.instance_id, each.path, each.old, each.new)
        for each in differences(vm, saved)
        if each.kind in ("section", "version", "field", "bytes") and (each.name, each.instance_id) not in live
    ]


def _patched(vm: SavedVM, saved: SavedVM, incoming: IncomingStream, changes: list[Change]) -> bytes | None:
    """Return the destination's own stream with the sent values of changed fields; None: there are none."""
    control = IncomingStream(saved, pages=incoming)
    control.order_like(incoming)  # a device that is loaded may act on one that was loaded before
    found = False
    for key in dict.fromkeys((each.section, each.instance_id) for each in changes):
        fields = {each.field for each in changes if (each.section, each.instance_id) == key}
        section = _section(saved, *key)
        body = bytearray(section.body)
        sent = dict(_leaves(vm, _section(vm, *key)))
        for path, node in _leaves(saved, section):
            other = sent.get(path)
            if path in fields and other is not None and other.size == node.size:
                old = _section(vm, *key).body
                body[node.offset : node.offset + node.size] = old[other.offset : other.offset + other.size]
                found = True
        control.set_body(section, bytes(body))
    return control.to_bytes() if found else None


def _is_field(saved: SavedVM, change: Change) -> bool:
    """Return whether a change is of a field of the vmdescription that is not opaque."""
    leaves = dict(_leaves(saved, _section(saved, change.section, change.instance_id)))
    return change.field in leaves and not isinstance(leaves[change.field].value, bytes)


def _section(vm: SavedVM, name: str, instance_id: int | None) -> Section:
    return find_sections(vm, name, instance_id)[0]


def _leaves(vm: SavedVM, section: Section) -> Iterator[tuple[str, Node]]:
    """Yield path and node of each field, as differences names them."""
    for path, node in walk(view(vm, section).nodes):
        if node.children is None:
            yield " / ".join(path), node
