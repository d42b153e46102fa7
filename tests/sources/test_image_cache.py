"""The cache of parsed QEMU binaries: hits, invalidation, command line."""

import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from support.image_cache import DUMP, MACHINES, Setup, entry_file, folder_of
from support.qemu import find_qemu

import vmdump
from vmdump.cli import main
from vmdump.dump.producer import Producer
from vmdump.emulator import unicorn_library
from vmdump.emulator.machine_types import MachineType
from vmdump.errors import SourceError
from vmdump.files import fingerprint
from vmdump.sources import image_cache
from vmdump.sources.image_options import ImageOptions

# Hits -------------------------------------------------------------------------------------------------------------


def test_hit(setup: Setup) -> None:
    """A hit returns what was read: dump, machines, producer, reports."""
    image = setup.open()
    assert setup.reads == 1
    assert image.machines == MACHINES
    assert image.dump("none").to_bytes() == DUMP
    assert image.dump("none").producer == Producer("image", str(setup.binary), "QEMU emulator version 7.2.22")
    assert setup.reported == ["hw-b is of another build"] * 2


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (None, "s390-ccw-virtio-7.2"), ("s390-ccw-virtio", "s390-ccw-virtio-7.2"), ("none", "none"),
        ("s390-ccw-virtio-2.4", "s390-ccw-virtio-2.4"),
    ],
)  # fmt: skip
def test_machines(machine: str | None, name: str, setup: Setup) -> None:
    """Any machine is served from one entry, by name, by alias, or as the default."""
    dump = setup.open().dump(machine)
    assert setup.reads == 1
    assert dump.machine == name
    assert dump.to_bytes() == DUMP.replace(b'"none"', f'"{name}"'.encode(), 1)


def test_unknown_machine(setup: Setup) -> None:
    """An unknown machine gives the same error as without the cache."""
    with pytest.raises(SourceError) as caught:
        setup.open().dump("bbc-micro")
    assert str(caught.value) == (
        f"{setup.binary}: unsupported machine type 'bbc-micro'; use -M help to list supported machines"
    )


def test_not_wanted(setup: Setup) -> None:
    """Without the cache the image is read, and the entry left unchanged."""
    (path,) = Path(folder_of().path).iterdir()
    before = path.stat()
    assert setup.open(cache=False).dump("none").to_bytes() == DUMP
    assert setup.reads == 2
    assert path.stat() == before


def test_help_stores_nothing(setup: Setup) -> None:
    """Listing the machine types stores no entry."""
    folder_of().clear()
    assert setup.open().machines == MACHINES
    assert folder_of().entries() == []


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", "aarch64"])
def test_real_image(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real QEMU from the cache gives its own dump, for any machine."""
    qemu = find_qemu(target)
    monkeypatch.setattr(fingerprint, "GRANULARITY", 0)
    vmdump.open(qemu)
    monkeypatch.setattr(image_cache, "_read_image", None)
    environ = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    for machine in ("none", {"x86_64": "q35", "aarch64": "virt"}[target]):
        native = tmp_path / "native.json"
        command = [qemu, "-nodefaults", "-display", "none", "-M", machine, "-dump-vmstate", str(native)]
        subprocess.run(command, check=True, capture_output=True, env=environ)
        assert vmdump.open(qemu, machine=machine).to_bytes() == native.read_bytes()


# Misses -----------------------------------------------------------------------------------------------------------


def change_binary(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.binary.write_bytes(b"\x7fELF BINARY")


def change_module(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    (setup.dirs[0] / "hw-a.so").write_bytes(b"MODULE")


def change_with_old_mtime(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    status = setup.binary.stat()
    setup.binary.write_bytes(b"\x7fELF BINARY")
    os.utime(setup.binary, ns=(status.st_atime_ns, status.st_mtime_ns))


def add_module(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    (setup.dirs[0] / "hw-b.so").write_bytes(b"module")


def remove_module(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    (setup.dirs[0] / "hw-a.so").unlink()


def add_directory(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.dirs[1].mkdir()


def change_option(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.options = ImageOptions(module_dirs=("mine",))


def change_directory(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.options = ImageOptions(module_dirs=("mine",))
    assert not setup.is_hit()
    assert setup.is_hit()
    monkeypatch.chdir(setup.dirs[0])


def change_environment(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QEMU_MODULE_DIR", "/opt/modules")


def change_version(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_cache, "__version__", "99.0")


def change_checkout(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vmdump, "__file__", "/other/checkout/vmdump/__init__.py")


def change_producer(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Producer, "_fields", (*Producer._fields, "new"))


def change_machine_type(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MachineType, "_fields", (*MachineType._fields, "new"))


@pytest.mark.parametrize(
    "change",
    [
        change_binary, change_module, change_with_old_mtime, add_module, remove_module, add_directory, change_option,
        change_directory, change_environment, change_version, change_checkout, change_producer, change_machine_type,
    ],
)  # fmt: skip
def test_miss(
    change: Callable[[Setup, pytest.MonkeyPatch], None],
    setup: Setup,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Any change that affects the result causes a new read and a new entry."""
    assert setup.is_hit()
    change(setup, monkeypatch)
    time.sleep(0.02)
    assert not setup.is_hit()
    assert setup.is_hit()


@pytest.mark.parametrize("what", ["vmdump", "emulator"])
def test_other_code(what: str, setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of vmdump's code or of the emulator invalidates all entries."""
    code = tmp_path / "code"
    code.write_bytes(b"old")
    if what == "vmdump":
        monkeypatch.setitem(sys.modules, "vmdump.code", types.SimpleNamespace(__file__=str(code)))
    else:
        monkeypatch.setattr(unicorn_library, "libunicorn", lambda: os.fsencode(code))
    folder_of().clear()
    time.sleep(0.02)
    assert not setup.is_hit()
    assert setup.is_hit()
    code.write_bytes(b"new")
    time.sleep(0.02)
    assert not setup.is_hit()


def test_touched(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with a new time stamp is hashed; if unchanged, the new stamp is stored and it is not hashed again."""
    setup.binary.touch()
    time.sleep(0.02)
    assert setup.is_hit()
    monkeypatch.setattr(fingerprint, "fingerprint_of", None)
    assert setup.is_hit()


def test_just_changed(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were changed less than two seconds ago are not trusted: a change in the same tick goes unnoticed."""
    monkeypatch.setattr(fingerprint, "GRANULARITY", 2_000_000_000)
    setup.binary.write_bytes(b"\x7fELF new")
    assert not setup.is_hit()
    assert not setup.is_hit()
    old = time.time_ns() + 3_000_000_000  # three seconds later
    monkeypatch.setattr(time, "time_ns", lambda: old)
    assert not setup.is_hit()
    assert setup.is_hit()


def test_just_touched(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature that may not be trusted yet is not remembered: the file is hashed until it may."""
    monkeypatch.setattr(fingerprint, "GRANULARITY", 2_000_000_000)
    (path,) = Path(folder_of().path).iterdir()
    before = path.read_bytes()
    setup.binary.touch()
    assert setup.is_hit()
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", ["binary", "module"])
def test_changed_meanwhile(what: str, setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes while the image is read is not stored."""
    folder_of().clear()
    image = setup.open()
    time.sleep(0.02)
    (setup.binary if what == "binary" else setup.dirs[0] / "hw-a.so").write_bytes(b"newer")
    image.dump("none")
    assert folder_of().entries() == []


# Command line -----------------------------------------------------------------------------------------------------


def test_command(setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    """vmdump cache lists the entries, as text and JSON, and clears them."""
    path = folder_of().path
    size = entry_file().stat().st_size
    assert main(["cache"]) == 0
    heads, row, total = capsys.readouterr().out.splitlines()
    assert heads.split() == ["BINARY", "VERSION", "SIZE", "AGE", "UNUSED"]
    mebibytes = f"{size / 2**20:.1f}"
    assert row.split() == [str(setup.binary), "7.2.22", mebibytes, "MiB", "0", "s", "0", "s"]
    assert total == f"{path}: 1 image, {mebibytes} MiB of at most 256.0 MiB"
    assert main(["cache", "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert {key: image[key] for key in ("binary", "version", "size")} == {
        "binary": str(setup.binary), "version": "QEMU emulator version 7.2.22", "size": size,
    }  # fmt: skip
    assert 0 <= image["used"] - image["created"] < 60
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"{path}: 1 file removed\n"
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{path}: 0 images, 0.0 MiB of at most 256.0 MiB\n"
    assert not setup.is_hit()


def test_no_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setup: Setup) -> None:
    """For a user without a home vmdump cache reports that there is no cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "")
    assert not setup.is_hit()
    assert main(["cache"]) == 3
    assert capsys.readouterr().err == (
        "vmdump: no cache directory: neither $HOME nor $XDG_CACHE_HOME and $XDG_STATE_HOME are absolute paths; "
        "set $HOME\n"
    )


@pytest.mark.parametrize("command", [["dump"], ["dump", "-M", "help"], ["devices"], ["show"]])
def test_options(command: list[str], setup: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    """All commands that read images use the cache, and do not with --no-cache."""
    argv = [*command, str(setup.binary), *(["virtio-blk-device"] if command == ["show"] else [])]
    main(argv)
    remembered = capsys.readouterr()
    assert setup.reads == 1
    main([*argv, "--no-cache"])
    assert capsys.readouterr() == remembered
    assert setup.reads == 2
    assert "hw-b is of another build" in remembered.err


def test_python(setup: Setup) -> None:
    """vmdump.open uses the cache unless cache=False."""
    assert vmdump.open(setup.binary, machine="none").to_bytes() == DUMP
    assert setup.reads == 1
    assert vmdump.open(setup.binary, machine="none", cache=False).to_bytes() == DUMP
    assert setup.reads == 2
