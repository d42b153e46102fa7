"""The cache of images: what it remembers, when it forgets, and that nothing that happens to it is an error."""

import json
import os
import stat
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import find_qemu, read_real_dump

import vmdump
from vmdump.cli import main
from vmdump.dump import tree as engine
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer
from vmdump.emulator import guest
from vmdump.errors import ModuleError, SourceError
from vmdump.sources.image_cache import cache
from vmdump.sources.image_cache import folder as cache_folder
from vmdump.sources.image_cache.folder import CacheFolder, find_folder
from vmdump.sources.qemu_image.machine_types import MachineType
from vmdump.sources.qemu_image.options import ImageOptions

DUMP = read_real_dump("7.2.22", "s390x")

MACHINES = [
    MachineType("none", None, "empty machine", None, None, False),
    MachineType("s390-ccw-virtio-7.2", "s390-ccw-virtio", "Virtual s390x machine", "", None, True),
    MachineType("s390-ccw-virtio-2.4", None, None, None, "too old", False),
]


class FakeImage:
    """An image as QemuImage has it, of a binary that holds anything, with modules that hold anything."""

    def __init__(self, path: Path, dirs: list[Path], report: Callable[[ModuleError], None] | None) -> None:
        self.path, self.search_dirs, self.machines = str(path), [str(each) for each in dirs], MACHINES
        self.modules = types.SimpleNamespace(states=lambda: [vmdump.ModuleInfo("hw-a"), vmdump.ModuleInfo("hw-b")])
        if report is not None:
            report(ModuleError("hw-b is of another build"))

    def dump(self, machine: str | None = None) -> DeviceDump:
        data = DUMP.replace(b'"none"', f'"{machine or "s390-ccw-virtio-7.2"}"'.encode(), 1)
        return DeviceDump(engine.parse(data), Producer("image", self.path, "QEMU emulator version 7.2.22"))


class House:
    """A binary and two directories for modules, the second of which is not there; and how often it was really read."""

    def __init__(self, root: Path) -> None:
        self.binary, self.dirs = root / "qemu-system-s390x", [root / "first", root / "second"]
        self.dirs[0].mkdir()
        self.binary.write_bytes(b"\x7fELF binary")
        (self.dirs[0] / "hw-a.so").write_bytes(b"module")
        self.reads, self.told = 0, []
        self.options = ImageOptions()

    def read(self, path: str, options: ImageOptions, report: Callable[[ModuleError], None] | None) -> FakeImage:
        self.reads += 1
        return FakeImage(self.binary, self.dirs, report)

    def open(self, **how: Any) -> "cache.Image":
        return cache.open_image(self.binary, self.options, report=lambda error: self.told.append(str(error)), **how)

    def is_hit(self) -> bool:
        """Whether a dump comes from the cache."""
        before = self.reads
        assert self.open().dump("none").to_bytes() == DUMP
        return self.reads == before


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose image has been read once. Files count as settled at once: this one has been made just now."""
    house = House(tmp_path)
    monkeypatch.setattr(cache, "_read_image", house.read)
    monkeypatch.setattr(cache, "RACY", 0)
    monkeypatch.delenv("QEMU_MODULE_DIR", raising=False)
    time.sleep(0.02)  # the grain of file systems' clocks
    assert not house.is_hit()
    return house


def folder_of() -> CacheFolder:
    """The folder of this test."""
    folder = find_folder()
    assert folder is not None
    return folder


# Hits -------------------------------------------------------------------------------------------------------------


def test_hit(house: House) -> None:
    """What is remembered is what was read: dump, machines, producer, reports."""
    image = house.open()
    assert house.reads == 1
    assert image.machines == MACHINES
    assert image.dump("none").to_bytes() == DUMP
    assert image.dump("none").producer == Producer("image", str(house.binary), "QEMU emulator version 7.2.22")
    assert house.told == ["hw-b is of another build"] * 2


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (None, "s390-ccw-virtio-7.2"), ("s390-ccw-virtio", "s390-ccw-virtio-7.2"), ("none", "none"),
        ("s390-ccw-virtio-2.4", "s390-ccw-virtio-2.4"),
    ],
)  # fmt: skip
def test_machines(machine: str | None, name: str, house: House) -> None:
    """Any machine comes from one entry, by name, by alias, or as the default."""
    dump = house.open().dump(machine)
    assert house.reads == 1
    assert dump.machine == name
    assert dump.to_bytes() == DUMP.replace(b'"none"', f'"{name}"'.encode(), 1)


def test_unknown_machine(house: House) -> None:
    """A machine that the image does not have, in the words of an image that is read."""
    with pytest.raises(SourceError) as caught:
        house.open().dump("bbc-micro")
    assert str(caught.value) == (
        f"{house.binary}: unsupported machine type 'bbc-micro'; use -M help to list supported machines"
    )


def test_not_wanted(house: House) -> None:
    """Without the cache the image is read, and what is remembered is left alone."""
    (path,) = Path(folder_of().path).iterdir()
    before = path.stat()
    assert house.open(cache=False).dump("none").to_bytes() == DUMP
    assert house.reads == 2
    assert path.stat() == before


def test_help_stores_nothing(house: House) -> None:
    """An image that is asked for its machines alone is no entry yet."""
    folder_of().clear()
    assert house.open().machines == MACHINES
    assert folder_of().entries() == []


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", "aarch64"])
def test_real_image(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real QEMU from the cache: its own bytes, with any machine."""
    qemu = find_qemu(target)
    monkeypatch.setattr(cache, "RACY", 0)
    vmdump.open(qemu)
    monkeypatch.setattr(cache, "_read_image", None)
    environ = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    for machine in ("none", {"x86_64": "q35", "aarch64": "virt"}[target]):
        native = tmp_path / "native.json"
        command = [qemu, "-nodefaults", "-display", "none", "-M", machine, "-dump-vmstate", str(native)]
        subprocess.run(command, check=True, capture_output=True, env=environ)
        assert vmdump.open(qemu, machine=machine).to_bytes() == native.read_bytes()


# Misses -----------------------------------------------------------------------------------------------------------


def change_binary(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.binary.write_bytes(b"\x7fELF BINARY")


def change_module(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    (house.dirs[0] / "hw-a.so").write_bytes(b"MODULE")


def change_with_old_mtime(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    status = house.binary.stat()
    house.binary.write_bytes(b"\x7fELF BINARY")
    os.utime(house.binary, ns=(status.st_atime_ns, status.st_mtime_ns))


def add_module(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    (house.dirs[0] / "hw-b.so").write_bytes(b"module")


def remove_module(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    (house.dirs[0] / "hw-a.so").unlink()


def add_directory(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.dirs[1].mkdir()


def change_option(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.options = ImageOptions(module_dirs=("mine",))


def change_directory(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.options = ImageOptions(module_dirs=("mine",))
    assert not house.is_hit()
    assert house.is_hit()
    monkeypatch.chdir(house.dirs[0])


def change_environment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QEMU_MODULE_DIR", "/opt/modules")


def change_version(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "__version__", "99.0")


@pytest.mark.parametrize(
    "change",
    [
        change_binary, change_module, change_with_old_mtime, add_module, remove_module, add_directory, change_option,
        change_directory, change_environment, change_version,
    ],
)  # fmt: skip
def test_miss(
    change: Callable[[House, pytest.MonkeyPatch], None], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changes a result makes it be read anew, and remembered anew."""
    assert house.is_hit()
    change(house, monkeypatch)
    time.sleep(0.02)
    assert not house.is_hit()
    assert house.is_hit()


@pytest.mark.parametrize("what", ["vmdump", "emulator"])
def test_other_code(what: str, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of vmdump's own code, or of the emulator, makes all be read anew: a checkout serves nothing stale."""
    code = tmp_path / "code"
    code.write_bytes(b"old")
    if what == "vmdump":
        monkeypatch.setitem(sys.modules, "vmdump.code", types.SimpleNamespace(__file__=str(code)))
    else:
        monkeypatch.setattr(guest, "libunicorn", lambda: os.fsencode(code))
    folder_of().clear()
    time.sleep(0.02)
    assert not house.is_hit()
    assert house.is_hit()
    code.write_bytes(b"new")
    time.sleep(0.02)
    assert not house.is_hit()


def test_touched(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with a new time stamp is hashed; if it is as it was, that is remembered and it is not hashed again."""
    house.binary.touch()
    time.sleep(0.02)
    assert house.is_hit()
    monkeypatch.setattr(cache, "hashed", None)
    assert house.is_hit()


def test_just_changed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were changed less than two seconds ago are not trusted: a change in the same tick goes unnoticed."""
    monkeypatch.setattr(cache, "RACY", 2_000_000_000)
    house.binary.write_bytes(b"\x7fELF new")
    assert not house.is_hit()
    assert not house.is_hit()
    old = time.time_ns() + 3_000_000_000  # three seconds later
    monkeypatch.setattr(time, "time_ns", lambda: old)
    assert not house.is_hit()
    assert house.is_hit()


def test_just_touched(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature that may not be trusted yet is not remembered: the file is hashed until it may."""
    monkeypatch.setattr(cache, "RACY", 2_000_000_000)
    (path,) = Path(folder_of().path).iterdir()
    before = path.read_bytes()
    house.binary.touch()
    assert house.is_hit()
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", ["binary", "module"])
def test_changed_meanwhile(what: str, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes while the image is read is not remembered as what was read."""
    folder_of().clear()
    image = house.open()
    time.sleep(0.02)
    (house.binary if what == "binary" else house.dirs[0] / "hw-a.so").write_bytes(b"newer")
    image.dump("none")
    assert folder_of().entries() == []


# Damage -----------------------------------------------------------------------------------------------------------


def entry_file() -> Path:
    """The file of the one entry."""
    (path,) = Path(folder_of().path).iterdir()
    return path


@pytest.mark.parametrize(
    "position", [0, 7, 8, 11, 12, 15, 16, 17, 100, 0.01, 0.02, 0.1, 0.5, 0.9, 0.999, -1]
)  # magic, checksum, size, header, payload
@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_flipped_bits(position: float, mask: int, house: House) -> None:
    """A byte that is wrong, wherever it is, makes the entry be read as none, and written anew."""
    good = entry_file().read_bytes()
    at = int(position * len(good)) if isinstance(position, float) else position
    data = bytearray(good)
    data[at] ^= mask
    entry_file().write_bytes(data)
    assert not house.is_hit()
    assert house.is_hit()


@pytest.mark.parametrize("size", [0, 1, 8, 11, 12, 15, 16, 40, 0.1, 0.5, 0.999])
def test_truncated(size: float, house: House) -> None:
    """An entry that ends too early."""
    good = entry_file().read_bytes()
    entry_file().write_bytes(good[: int(size * len(good)) if isinstance(size, float) else size])
    assert not house.is_hit()
    assert house.is_hit()


def test_longer(house: House) -> None:
    """An entry with more behind it."""
    with entry_file().open("ab") as file:
        file.write(b"\n")
    assert not house.is_hit()
    assert house.is_hit()


def test_damaged_is_removed(house: House) -> None:
    """What can't be read does not stay."""
    path = entry_file()
    path.write_bytes(b"?")
    assert folder_of().read(path.stem) is None
    assert not path.exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_no_file(make: Callable[[Path], None], house: House) -> None:
    """A directory, or a pipe that nobody writes to, in an entry's place: no entry and no error."""
    path = entry_file()
    path.unlink()
    make(path)
    assert not house.is_hit()
    assert main(["cache"]) == 0


@pytest.mark.parametrize("target", ["there", "missing", "an entry"])
def test_link_as_entry(target: str, house: House, tmp_path: Path) -> None:
    """A symbolic link in an entry's place is neither read nor written through: the next entry takes its place."""
    path, elsewhere = entry_file(), tmp_path / "elsewhere"
    content = {"there": b"precious", "missing": None, "an entry": path.read_bytes()}[target]
    if content is not None:
        elsewhere.write_bytes(content)
    path.unlink()
    path.symlink_to(elsewhere)
    assert not house.is_hit()
    assert (elsewhere.read_bytes() if elsewhere.exists() else None) == content
    assert not path.is_symlink()
    assert house.is_hit()


# Writers ----------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from vmdump.sources.image_cache.folder import CacheFolder
folder = CacheFolder(sys.argv[1])
for number in range(60):
    byte = sys.argv[2].encode()
    assert folder.write("same", {"byte": byte}, byte * 300_000)
    entry = folder.read("same")
    assert bytes(entry.payload) == entry.header["byte"] * 300_000
"""


def test_concurrent_writers(tmp_path: Path) -> None:
    """Processes that write and read one entry at the same time: each sees a whole one, whoever's it is."""
    folder = str(tmp_path / "vmdump")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, folder, str(n)], env=environ) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert [file.name for file in Path(folder).iterdir()] == ["same.image"]


def test_the_folder_is_made_by_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process makes the folder at the very moment: the entry is written all the same."""
    real_mkdir = os.mkdir

    def mkdir(path: str, mode: int = 0o777) -> None:
        """The other one was faster."""
        real_mkdir(path, mode)
        raise FileExistsError

    monkeypatch.setattr(os, "mkdir", mkdir)
    folder = CacheFolder(str(tmp_path / "vmdump"))
    assert folder.write("name", {}, b"payload")
    assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700


@pytest.mark.parametrize("home", ["/proc/nothing", "/dev/null", "FILE"])
def test_unwritable(home: str, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that can't be made: every read is a first one."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", home.replace("FILE", str(tmp_path / "file")))
    assert not house.is_hit()
    assert not house.is_hit()
    assert main(["cache"]) == 0


def test_full_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full: every read is a first one, and nothing is left behind."""
    real_open, refused = os.open, []

    def open_full(path: str, flags: int, mode: int = 0o777) -> int:
        """Of what is made in the folder, nothing can be written: ENOSPC."""
        if not path.endswith(".tmp"):
            return real_open(path, flags, mode)
        os.close(real_open(path, flags, mode))
        refused.append(path)
        return real_open("/dev/full", os.O_WRONLY)

    folder_of().clear()
    monkeypatch.setattr(os, "open", open_full)
    assert not house.is_hit()
    assert not house.is_hit()
    assert len(refused) == 2
    assert list(Path(folder_of().path).iterdir()) == []


def test_mode(house: House) -> None:
    """The folder is the user's alone."""
    assert Path(folder_of().path).stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720, 0o702])
def test_others_can_write(mode: int, house: House) -> None:
    """A folder that others can write to is neither read nor written."""
    path = Path(folder_of().path)
    path.chmod(mode)
    before = entry_file().stat()
    assert not house.is_hit()
    assert not house.is_hit()
    assert entry_file().stat() == before
    path.chmod(0o755)
    assert house.is_hit()


def test_link(house: House, tmp_path: Path) -> None:
    """A folder that is a symbolic link, to wherever, is not followed."""
    path = Path(folder_of().path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert not house.is_hit()
    assert not house.is_hit()
    assert folder_of().clear() == 0


def test_another_user(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder or entry of another user is left alone: root's reads leave no traces in a user's cache."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert not house.is_hit()
    assert not house.is_hit()


@pytest.mark.parametrize(("xdg", "home", "path"), [
    ("/x", "/h", "/x/vmdump"), ("", "/h", "/h/.cache/vmdump"), ("relative", "/h", "/h/.cache/vmdump"),
    ("", "", None), ("", "relative", None),
])  # fmt: skip
def test_place(xdg: str, home: str, path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the XDG specification has it; nowhere, for a user who has no place."""
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    monkeypatch.setenv("HOME", home)
    folder = find_folder()
    assert (folder and folder.path) == path


# Size -------------------------------------------------------------------------------------------------------------


def test_eviction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is too much, the entries go that were not used for longest; reading one is use."""
    folder = CacheFolder(str(tmp_path / "vmdump"))
    monkeypatch.setattr(cache_folder, "MAX_BYTES", 3500)
    for number, name in enumerate("abc"):
        assert folder.write(name, {}, bytes(1000))
        os.utime(tmp_path / "vmdump" / f"{name}.image", (1000 + number, 1000 + number))
    assert folder.read("a") is not None
    assert folder.write("d", {}, bytes(1000))
    assert {entry.name for entry in folder.entries()} == {"a", "c", "d"}
    assert folder.write("huge", {}, bytes(4000))
    assert folder.entries() == []


def test_leftovers(tmp_path: Path) -> None:
    """What a writer that was killed has left goes after an hour; what one may still be writing stays."""
    folder = CacheFolder(str(tmp_path / "vmdump"))
    assert folder.write("a", {}, b"")
    old, new, other = (tmp_path / "vmdump" / name for name in (".a.1-0.tmp", ".a.2-0.tmp", "README"))
    for path in (old, new, other):
        path.touch()
    os.utime(old, (0, time.time() - 3700))
    assert folder.write("b", {}, b"")
    assert [path.exists() for path in (old, new, other)] == [False, True, True]
    assert folder.clear() == 3
    assert list((tmp_path / "vmdump").iterdir()) == [other]


# Command line -----------------------------------------------------------------------------------------------------


def test_command(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """vmdump cache shows what there is, for people and for programs, and clears it."""
    path = folder_of().path
    size = entry_file().stat().st_size
    assert main(["cache"]) == 0
    heads, row, total = capsys.readouterr().out.splitlines()
    assert heads.split() == ["BINARY", "VERSION", "SIZE", "AGE", "UNUSED"]
    assert row.split() == [str(house.binary), "7.2.22", "0.0", "MiB", "0", "s", "0", "s"]
    assert total == f"{path}: 1 image, 0.0 MiB of at most 256.0 MiB"
    assert main(["cache", "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert {key: image[key] for key in ("binary", "version", "size")} == {
        "binary": str(house.binary), "version": "QEMU emulator version 7.2.22", "size": size,
    }  # fmt: skip
    assert 0 <= image["used"] - image["created"] < 60
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"{path}: 1 file removed\n"
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"{path}: 0 images, 0.0 MiB of at most 256.0 MiB\n"
    assert not house.is_hit()


def test_no_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], house: House) -> None:
    """A user without a home has no cache; whoever asks for it is told."""
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "")
    assert not house.is_hit()
    assert main(["cache"]) == 3
    assert capsys.readouterr().err == (
        "vmdump: no cache folder: neither $XDG_CACHE_HOME nor $HOME is an absolute path; set one of them\n"
    )


@pytest.mark.parametrize("command", [["dump"], ["dump", "-M", "help"], ["devices"], ["show"]])
def test_options(command: list[str], house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """All commands that read an image take it from the cache, and with --no-cache they do not."""
    argv = [*command, str(house.binary), *(["virtio-blk-device"] if command == ["show"] else [])]
    main(argv)
    remembered = capsys.readouterr()
    assert house.reads == 1
    main([*argv, "--no-cache"])
    assert capsys.readouterr() == remembered
    assert house.reads == 2
    assert "hw-b is of another build" in remembered.err


def test_python(house: House) -> None:
    """vmdump.open takes images from the cache unless it is told not to."""
    assert vmdump.open(house.binary, machine="none").to_bytes() == DUMP
    assert house.reads == 1
    assert vmdump.open(house.binary, machine="none", cache=False).to_bytes() == DUMP
    assert house.reads == 2
