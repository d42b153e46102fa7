"""QObjects in a guest's memory, compared with QEMU's own functions."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.elf_builder import X86_64
from support.qemu import find_qemu

from vmdump.emulator.guest import Guest
from vmdump.emulator.machine import Machine, boot
from vmdump.emulator.qobject import QObjects
from vmdump.errors import SourceError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcdefghijklmnopqrstuvwxyz-", max_size=12), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(VALUES)
@settings(max_examples=20)
def test_round_trip(value: object) -> None:
    """Read returns what make has made."""
    objects = QObjects(Guest("guest", X86_64, memory=64 << 20))
    assert objects.read(objects.make(value)) == value


@pytest.fixture(scope="module")
def machine() -> Machine:
    """A real QEMU."""
    return boot(find_qemu("x86_64"), ["-M", "none"])


@pytest.mark.qemu
def test_layout_is_qemus(machine: Machine) -> None:
    """QEMU prints a QObject made here as the same JSON; an object that QEMU has parsed reads the same."""
    value = {"a": [1, -1, 2**64 - 1, 2.5, "text", None, True, False, {}, []], "b": {str(i): i for i in range(40)}}
    objects = QObjects(machine.guest)
    text = machine.call("qobject_to_json", objects.make(value))
    data = machine.guest.read(machine.guest.pointer(text), machine.guest.pointer(text + 8))
    assert json.loads(data) == value
    parsed = machine.call("qobject_from_json", machine.text(json.dumps(value)), 0)
    assert objects.read(parsed) == value
    made = objects.make(value)
    for key in ("b", "a"):
        machine.call("qdict_del", made, machine.text(key))
    assert objects.read(made) == {}


def test_hostile_objects() -> None:
    """Cyclic, deep and malformed objects end in an error."""
    guest = Guest("guest", X86_64, memory=64 << 20)
    objects = QObjects(guest)
    cycle = objects.make([0])
    guest.write(guest.pointer(cycle + 16), cycle.to_bytes(8, "little"))
    endless = objects.make([0])
    entry = guest.pointer(endless + 16)
    guest.write(entry + 8, entry.to_bytes(8, "little"))
    unknown = objects.make(None)
    guest.write(unknown, b"\x63")
    bucket = objects.make({"key": 0})
    at = next(at for at in range(bucket + 24, bucket + 24 + 8 * 512, 8) if guest.pointer(at))
    guest.write_number(guest.pointer(at) + 16, guest.pointer(at))
    long = objects.make("x" * (1 << 20))
    texts = objects.make([0] * 65)
    entry = guest.pointer(texts + 16)
    while entry:
        guest.write_number(entry, long)
        entry = guest.pointer(entry + 8)
    for address in (cycle, endless, unknown, bucket, texts):
        with pytest.raises(SourceError, match="not a QObject of a known layout"):
            objects.read(address)
    string = objects.make("text")
    end = guest.base + guest.size
    guest.write(end - 3, b"end")
    for text in (8, end - 3, end, end + 100, end + 8192):
        guest.write_number(string + 16, text)
        with pytest.raises(SourceError, match="outside of its memory"):
            objects.read(string)
    with pytest.raises(SourceError, match="outside of its memory"):
        objects.read(8)
