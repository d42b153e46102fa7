"""Command lines that start a device on the bus that it was on."""

import pytest

from vmdump.explain.emulated_device import (
    Binary,
    EmulatedDevice,
    _board,
    _candidates,
    _command_line,
    as_option,
    start_device,
)


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
