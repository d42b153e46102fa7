"""What a real QEMU prints when it refuses a stream is explained by its cause."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.native_qemu import NativeQemu
from support.qemu import find_qemu

from vmdump.explain.explainer import CAUSE, NOTE, WHERE, Explanation, explain

MACHINE = ["-M", "pc-q35-7.2", "-m", "16"]
DEVICES = ["virtio-rng-pci,addr=5", "e1000,addr=6", "VGA,addr=7"]


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The stream of a machine."""
    with NativeQemu(find_qemu("x86_64"), *MACHINE, *options(DEVICES)) as qemu:
        return qemu.save(tmp_path_factory.mktemp("stream") / "stream")


def options(devices: Sequence[str]) -> list[str]:
    """A command line's -device options."""
    return [word for device in devices for word in ("-device", device)]


def load(stream: bytes, machine: Sequence[str], devices: Sequence[str], directory: Path) -> list[Explanation]:
    """The explanations of what QEMU prints when it loads a stream that it refuses."""
    file = directory / "stream"
    file.write_bytes(stream)
    command = [find_qemu("x86_64"), "-S", "-nodefaults", "-display", "none", "-no-user-config", *machine]
    command += [*options(devices), "-incoming", f"exec:cat {file}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert run.returncode
    return explain(run.stderr)


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("machine", "old", "new", "key", "words"),
    [
        (["-M", "pc-q35-7.2", "-m", "32"], "", "", "ram_size", "source 16 MiB, destination 32 MiB"),
        (["-M", "pc-q35-7.1", "-m", "16"], "", "", "machine_type", "the source's type is newer"),
        (MACHINE, "e1000,", "e1000,romfile=,", "ram_unknown", "option ROM, of the device at 0000:00:06.0"),
        (MACHINE, "addr=6", "addr=0xa", "ram_unknown", "option ROM, of the device at 0000:00:06.0"),
        (MACHINE, "VGA,", "VGA,vgamem_mb=32,", "ram_size", "video memory, of the device at 0000:00:07.0"),
        (MACHINE, "virtio-rng-pci,", "virtio-rng-pci,vectors=0,", "pci_config", "0x34: Capabilities Pointer"),
        (MACHINE, "virtio-rng-pci,", "virtio-rng-pci,disable-legacy=on,", "pci_config", "0x2: Device ID, byte 0"),
    ],
)
def test_other_command_line(
    stream: bytes, machine: list[str], old: str, new: str, key: str, words: str, tmp_path: Path
) -> None:
    """A destination that is configured otherwise: the cause, with its values, is the only one that is found."""
    devices = [device.replace(old, new) for device in DEVICES]
    found = load(stream, machine, devices, tmp_path)
    assert {each.kind for each in found} <= {CAUSE, WHERE, NOTE}
    assert [each.key for each in found if each.kind == CAUSE] == [key]
    assert any(words in text for each in found for _, text in each.rows)


@pytest.mark.qemu
def test_other_streams(stream: bytes, tmp_path: Path) -> None:
    """What is no stream, and one that is truncated."""
    garbage = load(b"garbage" * 100, MACHINE, DEVICES, tmp_path)
    assert [each.key for each in garbage if each.kind == CAUSE] == ["not_a_stream"]
    truncated = load(stream[: len(stream) // 2], MACHINE, DEVICES, tmp_path)
    assert any("a file that ended" in text for each in truncated for _, text in each.rows)
