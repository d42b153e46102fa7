"""Changed fields of a load: misloaded if the destination keeps the sent value from a stream of its own."""

import lzma
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from support.paths import DATA

from vmdump.emulator.machine_errors import MachineError
from vmdump.migrate import compare as compare_module
from vmdump.migrate import trial as trial_module
from vmdump.migrate.compare import Comparison, compare
from vmdump.migrate.destination import Destination
from vmdump.migrate.incoming_stream import IncomingStream
from vmdump.migrate.trial import load_into
from vmdump.stream.saved_vm import SavedVM
from vmdump.stream.section_view import find_sections
from vmdump.stream.walk import read_saved_vm

#: A section, and a field of it with its offset in the body, as QEMU's description in the stream has them.
SECTION, FIELD, OFFSET = "i8259", "irr", 1

REFUSED = (
    "qemu-system-mips: Missing section footer for i8259\nqemu-system-mips: load of migration failed: Invalid argument\n"
)


#: A VM that a real QEMU has saved.
PATH = DATA / "streams" / "malta-7.2.xz"


@pytest.fixture
def vm() -> SavedVM:
    """The VM."""
    return read_saved_vm(str(PATH))


def changed(vm: SavedVM) -> bytes:
    """The stream of the VM with another value of the field. Source: migration/savevm.c save_section_header."""
    stream = bytearray(lzma.decompress(PATH.read_bytes()))
    section = find_sections(vm, SECTION, 0)[0]
    header = 1 + 4 + 1 + len(SECTION) + 4 + 4  # type, id, length, name, instance, version
    stream[section.offset + header + OFFSET] ^= 0xFF
    return bytes(stream)


@pytest.fixture
def comparison(vm: SavedVM, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Comparison]:
    """Compares the VM with what a destination saves, which has loaded another value of the field."""

    def run(load: Callable[[Any], int], control: bytes = b"") -> Comparison:
        saved = iter([changed(vm), control])
        machine = SimpleNamespace(name="qemu-system-mips", output="")
        destination = SimpleNamespace(machine=machine, rewind=lambda: None)
        monkeypatch.setattr(compare_module, "save_stream", lambda machine: next(saved))
        monkeypatch.setattr(compare_module, "load_stream", lambda machine, stream: load(machine))
        typed: Destination = destination  # type: ignore[assignment]
        return compare(typed, IncomingStream(vm))

    return run


def refuse(machine: Any) -> int:
    """Refuse a stream as QEMU does."""
    machine.output += REFUSED
    return -22


def crash(machine: Any) -> int:
    """End as QEMU does."""
    raise MachineError("qemu-system-mips: Assertion `x' failed.", "")


def test_a_value_that_the_destination_keeps(comparison: Callable[..., Comparison], vm: SavedVM) -> None:
    """The field is misloaded if the destination keeps the sent value from a stream of its own, else it is not."""
    kept = comparison(lambda machine: 0, lzma.decompress(PATH.read_bytes()))
    assert [(each.section, each.field, each.misloaded) for each in kept.changes] == [(SECTION, FIELD, True)]
    anew = comparison(lambda machine: 0, changed(vm))
    assert [(each.field, each.misloaded) for each in anew.changes] == [(FIELD, False)]
    assert kept.failure is anew.failure is None


@pytest.mark.parametrize(
    ("load", "words"), [(refuse, "refuses its own stream with the sent values: Missing section footer"), (crash, "`x'")]
)
def test_a_control_that_fails(load: Callable[[Any], int], words: str, comparison: Callable[..., Comparison]) -> None:
    """If the destination fails with its own stream, what has changed is not known to be loaded rightly or wrongly."""
    found = comparison(load)
    assert [(each.field, each.misloaded) for each in found.changes] == [(FIELD, False)]
    assert found.failure is not None
    assert words in found.failure


def test_a_load_that_was_not_compared(vm: SavedVM, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome is a load whose fields were not compared, with the reason: neither a failure nor a whole success."""
    machine = SimpleNamespace(name="qemu-system-mips", output="", missed_functions=())
    destination: Destination = SimpleNamespace(machine=machine, prepare=lambda action: None)  # type: ignore[assignment]
    monkeypatch.setattr(trial_module, "load_stream", lambda machine, stream: 0)
    monkeypatch.setattr(trial_module, "compare", lambda destination, incoming: Comparison((), "why"))
    trial = load_into(destination, IncomingStream(vm), ())
    assert (trial.outcome, trial.reason, trial.is_compared) == ("loads", "why", False)
