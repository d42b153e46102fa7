"""QEMU built in many ways, by .ci/builds: dumps and machines are the same as each binary's own."""

import os
import subprocess
from pathlib import Path

import pytest
from support.native_qemu import NativeQemu, ram_blocks, vmdescription

from vmdump.emulator.machine import boot
from vmdump.emulator.migration import load_stream, save_stream
from vmdump.errors import SourceError
from vmdump.qom.machines import help_text
from vmdump.sources.qemu_image.image import QemuImage

#: .ci/builds: $VMDUMP_BUILDS/binaries/VERSION/KIND/qemu-system-avr.
BUILDS = Path(os.environ.get("VMDUMP_BUILDS", "/nonexistent"))
BINARIES = sorted(BUILDS.glob("binaries/*/*/qemu-system-*"))

pytestmark = pytest.mark.qemu

each_build = pytest.mark.parametrize("binary", BINARIES, ids=["-".join(path.parts[-3:-1]) for path in BINARIES])

MACHINE = ["-M", "arduino-uno", "-accel", "tcg"]


def test_builds_are_there() -> None:
    """A directory that is given has binaries."""
    assert BINARIES or "VMDUMP_BUILDS" not in os.environ


def run(binary: Path, *args: str) -> str:
    """Run a real QEMU, which finds its modules beside it."""
    environ = os.environ | {"QEMU_MODULE_DIR": str(binary.parent)}
    return subprocess.run([str(binary), *args], check=True, capture_output=True, text=True, env=environ).stdout


@each_build
def test_dump(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dump is the one that the binary writes itself, and its machine types are those that it lists."""
    monkeypatch.setenv("QEMU_MODULE_DIR", str(binary.parent))
    reports: list[object] = []
    image = QemuImage(binary, report=reports.append)
    native = tmp_path / "native.json"
    run(binary, "-M", "none", "-nodefaults", "-display", "none", "-dump-vmstate", str(native))
    assert image.dump("none").to_bytes() == native.read_bytes()
    assert help_text(image.machines) == run(binary, "-M", "help")
    assert reports == []


@each_build
def test_machine(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine has the sections and RAM blocks of a real one, and loads what it has saved; a static one is refused.

    Link-time optimization may leave no function that saves it.
    """
    monkeypatch.setenv("QEMU_MODULE_DIR", str(binary.parent))
    if "static" in binary.parent.name.replace("glib-static", ""):
        with pytest.raises(SourceError, match="statically linked: its devices can be read"):
            boot(binary, MACHINE)
        return
    machine = boot(binary, MACHINE)
    if binary.parent.name.partition("-")[0] in ("cfi", "lto") and not machine.functions.can_save:
        assert machine.qmp("query-status")["running"] is False
        with pytest.raises(SourceError, match="its migration code was not found"):
            save_stream(machine)
        return
    with NativeQemu([str(binary)], *MACHINE) as native:
        assert machine.qmp("query-machines") == native.qmp("query-machines")
        expected = native.save(tmp_path / "stream")
    stream = save_stream(machine)
    assert vmdescription(stream) == vmdescription(expected)
    assert ram_blocks(stream) == ram_blocks(expected)
    assert machine.missed_functions == []
    loaded = boot(binary, [*MACHINE, "-incoming", "defer"])
    assert load_stream(loaded, stream) == 0
