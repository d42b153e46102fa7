"""Whole machines in the emulator, compared with a real QEMU: QMP answers, saved streams, RAM blocks."""

import errno
import gc
import json
import os
import weakref
from pathlib import Path

import pytest
from support.native_qemu import NativeQemu, ram_blocks, vmdescription
from support.qemu import find_qemu

from vmdump.emulator.guest import Guest
from vmdump.emulator.machine import Machine, MachineError, QmpError, boot
from vmdump.emulator.migration import _is_ended, load_stream, open_output, save_stream, written
from vmdump.emulator.template import boot_template
from vmdump.errors import SourceError

pytestmark = pytest.mark.qemu


@pytest.fixture(scope="module")
def machine() -> Machine:
    """A pc machine, just booted."""
    return boot(find_qemu("x86_64"), ["-M", "q35", "-accel", "tcg"])


@pytest.fixture(scope="module")
def native():
    """The real one."""
    with NativeQemu(find_qemu("x86_64"), "-M", "q35", "-accel", "tcg") as qemu:
        yield qemu


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("query-machines", {}),
        ("qom-list-types", {"abstract": True}),
        ("query-status", {}),
        ("query-pci", {}),
        ("device-list-properties", {"typename": "e1000e"}),
        ("device-list-properties", {"typename": "virtio-blk-pci"}),
        ("qom-list", {"path": "/machine"}),
        ("query-memory-size-summary", {}),
        ("query-qmp-schema", {}),
    ],
)
def test_qmp(machine, native, command, arguments):
    """QMP answers are the real one's, order included."""
    assert machine.qmp(command, **arguments) == native.qmp(command, **arguments)


def test_qmp_errors(machine, native):
    """An error has QEMU's own message; what is no command is a KeyError."""
    with pytest.raises(QmpError, match="Device 'nosuch' not found"):
        machine.qmp("device-list-properties", typename="nosuch")
    with pytest.raises(RuntimeError, match="Device 'nosuch' not found"):
        native.qmp("device-list-properties", typename="nosuch")
    with pytest.raises(KeyError):
        machine.qmp("no-such-command")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b'"\xe9"', rb'"\ud800"'])
def test_qmp_results_that_are_not_json(machine, text, monkeypatch):
    """What a binary returns for JSON need not be JSON, nor UTF-8: that is an error of the machine."""
    guest = machine.guest
    data, string = guest.alloc(len(text) + 1), guest.alloc(16)
    guest.write(data, text)
    guest.write(string, guest.pack("QQ", data, len(text)))
    monkeypatch.setattr(machine, "call", lambda *_: string)
    with pytest.raises(MachineError, match="a result of QMP is not JSON"):
        machine.to_python(0)
    guest.write(string, guest.pack("QQ", data, 1 << 40))
    with pytest.raises(SourceError):
        machine.to_python(0)


def test_device_add(machine, native):
    """device_add, which has no marshaller up to 7.2, adds a device, or fails with QEMU's message."""
    for add, error in ((machine.qmp, QmpError), (native.qmp, RuntimeError)):
        with pytest.raises(error, match="'nosuch' is not a valid device model name"):
            add("device_add", driver="nosuch")
        with pytest.raises(error, match=r"Bus 'pcie\.0' does not support hotplugging"):
            add("device_add", driver="e1000e", id="added", bus="pcie.0")
    assert machine.commands.names() == sorted(each["name"] for each in native.qmp("query-commands"))


MACHINES = {"x86_64": ["q35", "pc", "microvm", "none"], "aarch64": ["virt"]}
MORE_MACHINES = {
    "x86_64": ["pc-i440fx-2.0", "pc-q35-5.2", "isapc"],
    "aarch64": ["virt-6.0", "raspi3b", "sbsa-ref", "vexpress-a15"],
}


@pytest.mark.parametrize(
    ("target", "name"),
    [(target, name) for target, names in MACHINES.items() for name in names]
    + [pytest.param(target, name, marks=pytest.mark.slow) for target, names in MORE_MACHINES.items() for name in names],
)
def test_save(target, name, tmp_path):
    """The saved stream has the devices and the RAM blocks that the real one sends."""
    args = ["-M", name, "-accel", "tcg"] if name != "none" else ["-M", name]
    with NativeQemu(find_qemu(target), *args) as native:
        expected = native.save(tmp_path / "stream")
    booted = boot(find_qemu(target), args)
    stream = save_stream(booted)
    assert vmdescription(stream) == vmdescription(expected)
    assert ram_blocks(stream) == ram_blocks(expected)
    assert booted.missed_functions == []


def test_load(tmp_path):
    """An emulated machine loads what it has saved, and what a real one has, and refuses another machine's."""
    args = ["-M", "pc", "-accel", "tcg"]
    stream = save_stream(boot(find_qemu("x86_64"), args))
    loaded = boot(find_qemu("x86_64"), [*args, "-incoming", "defer"])
    assert load_stream(loaded, stream) == 0
    save_stream(loaded)  # vCPU threads run the work that the load has queued
    other = boot(find_qemu("x86_64"), ["-M", "q35", "-accel", "tcg", "-incoming", "defer"])
    assert load_stream(other, stream) < 0
    assert "Machine type received is 'pc-i440fx-7.2' and local is 'pc-q35-7.2'" in other.output


def test_real_qemu_loads_an_emulated_save(tmp_path: Path):
    """A stream of the emulator is one for a real QEMU."""
    args = ["-M", "q35", "-accel", "tcg"]
    path = tmp_path / "stream"
    path.write_bytes(save_stream(boot(find_qemu("x86_64"), args)))
    with NativeQemu(find_qemu("x86_64"), *args, "-incoming", "defer") as native:
        native.qmp("migrate-incoming", uri=f"exec:cat {path}")
        while (status := native.qmp("query-status")["status"]) == "inmigrate":
            pass
        assert status in ("paused", "prelaunch")


def test_output():
    """What QEMU writes to a file is in its buffer once it is flushed: nothing, four bytes, and more than it holds."""
    machine = boot(find_qemu("x86_64"), ["-M", "none"])
    output = open_output(machine, 4096)
    assert written(machine, output) == b""
    for count in range(2000):
        machine.call("qemu_put_be32", output.file, count)
        if not count:
            machine.call("qemu_fflush", output.file)
            assert written(machine, output) == bytes(4)
    machine.call("qemu_fflush", output.file)
    assert written(machine, output) == b"".join(count.to_bytes(4, "big") for count in range(2000))


@pytest.mark.parametrize(
    ("result", "message"), [(-errno.EINVAL, "failed to save a device: Invalid argument"), (0, "wrote no end")]
)
def test_devices_that_fail(result: int, message: str, monkeypatch: pytest.MonkeyPatch):
    """A device whose state QEMU fails to save, and a stream that it leaves without an end, are errors."""
    call = Machine.call

    def failing(machine: Machine, function: str | int, *args: int) -> int:
        is_last = function == "qemu_savevm_state_complete_precopy_non_iterable"
        return result & 0xFFFFFFFF if is_last else call(machine, function, *args)

    machine = boot(find_qemu("x86_64"), ["-M", "q35", "-accel", "tcg"])
    monkeypatch.setattr(Machine, "call", failing)
    with pytest.raises(MachineError, match=message):
        save_stream(machine)


@pytest.mark.parametrize("machine", ["pc", "pc,suppress-vmdesc=on", "pc-i440fx-2.3", "pc-i440fx-2.1"])
def test_end_of_a_stream(machine: str, tmp_path: Path) -> None:
    """Streams of a real QEMU have an end: with a vmdescription or not, and with footers of sections or not."""
    with NativeQemu(find_qemu("x86_64"), "-M", machine, "-accel", "tcg") as qemu:
        stream = qemu.save(tmp_path / "stream")
    assert _is_ended(stream)
    description = json.dumps(vmdescription(stream)) if vmdescription(stream) else ""
    assert bool(description) == ("suppress" not in machine and machine != "pc-i440fx-2.1")
    if description:  # QEMU_VM_EOF, QEMU_VM_VMDESCRIPTION, size
        assert not _is_ended(stream[:-1])
        stream = stream[: -len(description) - 5]
        assert stream[-1] == 0
    if machine.startswith("pc,") or machine == "pc":  # the machine sends footers
        assert not _is_ended(stream[:-1])


def test_template(tmp_path):
    """A device that is added to a template is there as if it had been on the command line; templates don't change."""
    args = ["-M", "q35", "-accel", "tcg"]
    template = boot_template(find_qemu("x86_64"), args)
    with template.boot() as machine:
        alone = save_stream(machine)
    for device in ("e1000e,id=dut", "nec-usb-xhci,id=dut"):
        with NativeQemu(find_qemu("x86_64"), *args, "-device", device) as native:
            expected = native.save(tmp_path / "stream")
        with template.boot(device) as machine:
            stream = save_stream(machine)
            assert vmdescription(stream) == vmdescription(expected)
            assert ram_blocks(stream) == ram_blocks(expected)
    with pytest.raises(MachineError, match="'nosuch' is not a valid device model name"), template.boot("nosuch"):
        pass
    with template.boot() as machine:
        assert save_stream(machine) == alone


def test_template_without_exports():
    """If QEMU's functions are not exported, each block has a machine of its own; refused ones are freed."""
    template = boot_template(find_qemu("x86_64-microvm"), ["-M", "microvm", "-accel", "qtest"])
    gc.disable()
    gc.collect()  # frees what earlier tests have left
    before = guests()
    try:
        with pytest.raises(MachineError, match="'nosuch' is not a valid device model name"), template.boot("nosuch"):
            pass
        with template.boot("virtio-rng-device") as machine:
            assert machine is not template.machine
            assert guests() == before + 1
    finally:
        gc.enable()


def guests() -> int:
    """The number of guests that exist."""
    return sum(isinstance(each, Guest) for each in gc.get_objects())


def test_snapshot():
    """A machine is again what it was, also after an error."""
    machine = boot(find_qemu("x86_64"), ["-M", "q35", "-accel", "tcg"])
    machine.snapshot()
    stream = save_stream(machine)
    machine.rewind()
    with pytest.raises(MachineError):
        machine.call("object_get_typename", 1)
    machine.rewind()
    assert save_stream(machine) == stream


def test_kvm():
    """With KVM a machine has what KVM's profile gives it: its clock, and the CPU's frequency."""
    machine = boot(find_qemu("x86_64"), ["-M", "q35", "-accel", "kvm"])
    assert machine.qmp("query-kvm") == {"enabled": True, "present": True}
    description = vmdescription(save_stream(machine))
    names = [device["name"] for device in description["devices"]]
    assert "kvmclock" in names
    assert "kvm-tpr-opt" in names
    assert machine.missed_functions == []


def test_refusals():
    """What QEMU refuses is an error with its message; the exit status of the process does not matter."""
    with pytest.raises(MachineError, match="unsupported machine type"):
        boot(find_qemu("x86_64"), ["-M", "nosuch"])
    with pytest.raises(MachineError, match="unsupported machine type"):
        boot(find_qemu("x86_64"), ["-M", os.fsdecode(b"nosuch\xff")])
    with pytest.raises(MachineError, match="'nosuch' is not a valid device model name"):
        boot(find_qemu("x86_64"), ["-M", "q35", "-accel", "tcg", "-device", "nosuch"])
    with pytest.raises(SourceError, match="not an ELF file"):
        boot(__file__)


def test_files(machine):
    """Files come from the binary's own tree, and each that was asked for is named; nothing else of the host is read."""
    assert any(path.endswith("/bios-256k.bin") for path in machine.files)
    prefix = str(Path(find_qemu("x86_64")).resolve().parent.parent)
    assert all(where in ("missing", "stand-in") or where.startswith(prefix) for where in machine.files.values())


def test_memory_is_freed():
    """A machine that is no longer used frees its memory at once, not when the garbage collector runs."""
    machine = boot(find_qemu("x86_64"), ["-M", "none"])
    machine.qmp("query-version")
    guest = weakref.ref(machine.guest)
    gc.disable()
    try:
        del machine
        assert guest() is None
    finally:
        gc.enable()
