"""Command lines that start a device on the bus that it was on."""

import time
from typing import Any

import pytest

from vmdump.emulator.machine_errors import MachineError
from vmdump.errors import SourceError
from vmdump.explain.emulated_device import (
    Binary,
    EmulatedDevice,
    _board,
    _candidates,
    _command_line,
    as_option,
    start_device,
)
from vmdump.explain.rom_file import RomFile, find_rom


@pytest.mark.parametrize(
    ("board", "behind_port", "expected"),
    [
        (None, False, "-device x,id=explained"),
        ("q35", False, "-M q35 -device x,id=explained"),
        (
            "pc-q35-7.2",
            True,
            "-M pc-q35-7.2 -device pcie-root-port,id=behind,chassis=1 -device x,id=explained,bus=behind",
        ),
        ("pc", True, "-M pc -device pci-bridge,id=behind,chassis_nr=1 -device x,id=explained,bus=behind"),
        (None, True, "-device pci-bridge,id=behind,chassis_nr=1 -device x,id=explained,bus=behind"),
    ],
)
def test_command_line(board: str | None, behind_port: bool, expected: str) -> None:
    """A device behind a port gets a port of the board's kind of bus."""
    assert " ".join(_command_line("x", board, behind_port=behind_port)) == expected


def test_board() -> None:
    """A board with a PCI Express bus is chosen only where one is needed."""
    assert _board(["pc-i440fx-7.2", "pc-q35-7.2"], express=True) == "q35"
    assert _board(["virt-7.2", "raspi0"], express=True) == "virt"
    assert _board(["isapc"], express=True) is None
    assert _board(["pc-q35-7.2"], express=False) is None


def test_candidates() -> None:
    """A virtio device is tried as the PCI device that wraps it first."""
    assert _candidates(["virtio-net-device", "e1000"]) == ["virtio-net-pci", "virtio-net-device", "e1000"]


def test_reasons() -> None:
    """Without a type, or without a binary, there is a reason instead of a device."""
    assert start_device(Binary("/nonexistent"), "x", []) == "no type has this section"
    reason = start_device(Binary("/nonexistent/qemu"), "x", ["e1000"])
    assert not isinstance(reason, EmulatedDevice)
    assert "No such file" in reason


@pytest.mark.parametrize(("value", "text"), [(True, "on"), (False, "off"), (12, "12"), ("a" * 100, "a" * 64)])
def test_as_option(value: object, text: str) -> None:
    """Values are printed as -device takes them."""
    assert as_option(value) == text


def test_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A boot beyond the time limit is a reason, and QEMU's failure to answer is no list of properties."""
    monkeypatch.setattr("vmdump.emulator.machine.boot", lambda *_, **__: time.sleep(5))
    reason = start_device(Binary("/nonexistent/qemu", timeout=0.05), "x", ["e1000"])
    assert reason == "it did not start within 0.05 seconds; allow more with --timeout"
    assert find_rom(Binary("/nonexistent/qemu", timeout=0.05), "e1000") is None


def test_missing_rom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a ROM file that the system lacks is QEMU's."""

    def boot(*_: object, **__: object) -> None:
        raise SourceError('qemu: -device e1000: failed to find romfile "efi-e1000.rom"')

    monkeypatch.setattr("vmdump.emulator.machine.boot", boot)
    assert find_rom(Binary("/nonexistent/qemu"), "e1000") == RomFile("efi-e1000.rom", None, 0)


def test_properties_of_a_machine_that_crashes() -> None:
    """Nothing is known of a device whose properties can't be read."""

    class Crashing:
        def qmp(self, command: str, **arguments: object) -> None:
            raise MachineError("qemu crashed")

    machine: Any = Crashing()
    device = EmulatedDevice("e1000", [], machine)
    assert (device.properties(), device.values(["a"])) == (frozenset(), {})
