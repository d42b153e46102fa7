"""The cache of parsed QEMU binaries: hits, invalidation, and tolerance of any damage."""

import hashlib
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
from support.dumps import read_real_dump
from support.qemu import find_qemu

import vmdump
from vmdump.cli import main
from vmdump.dump import tree as engine
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer
from vmdump.emulator import guest
from vmdump.errors import ModuleError, SourceError
from vmdump.files import fingerprint
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
    """A stand-in for QemuImage, for a binary and modules with arbitrary contents."""

    def __init__(self, path: Path, dirs: list[Path], report: Callable[[ModuleError], None] | None) -> None:
        self.path, self.search_dirs, self.machines = str(path), [str(each) for each in dirs], MACHINES
        self.modules = types.SimpleNamespace(states=lambda: [vmdump.ModuleInfo("hw-a"), vmdump.ModuleInfo("hw-b")])
        if report is not None:
            report(ModuleError("hw-b is of another build"))

    def dump(self, machine: str | None = None) -> DeviceDump:
        data = DUMP.replace(b'"none"', f'"{machine or "s390-ccw-virtio-7.2"}"'.encode(), 1)
        return DeviceDump(engine.parse(data), Producer("image", self.path, "QEMU emulator version 7.2.22"))


class House:
    """A binary, two module directories, the second of which is missing, and a count of real reads."""

    def __init__(self, root: Path) -> None:
        self.binary, self.dirs = root / "qemu-system-s390x", [root / "first", root / "second"]
        self.dirs[0].mkdir()
        self.binary.write_bytes(b"\x7fELF binary")
        (self.dirs[0] / "hw-a.so").write_bytes(b"module")
        self.reads, self.reported = 0, []
        self.options = ImageOptions()

    def read(
        self, path: str, options: ImageOptions, report: Callable[[ModuleError], None] | None, timeout: float | None
    ) -> FakeImage:
        self.reads += 1
        return FakeImage(self.binary, self.dirs, report)

    def open(self, **how: Any) -> "cache.Image":
        return cache.open_image(self.binary, self.options, report=lambda error: self.reported.append(str(error)), **how)

    def is_hit(self) -> bool:
        """Whether a dump comes from the cache."""
        before = self.reads
        assert self.open().dump("none").to_bytes() == DUMP
        return self.reads == before


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose image has been read once. Files count as settled at once, as this one is new."""
    house = House(tmp_path)
    monkeypatch.setattr(cache, "_read_image", house.read)
    monkeypatch.setattr(fingerprint, "GRANULARITY", 0)
    monkeypatch.delenv("QEMU_MODULE_DIR", raising=False)
    time.sleep(0.02)  # the granularity of file time stamps
    assert not house.is_hit()
    return house


def folder_of() -> CacheFolder:
    """The cache folder of this test."""
    folder = find_folder()
    assert folder is not None
    return folder


# Hits -------------------------------------------------------------------------------------------------------------


def test_hit(house: House) -> None:
    """A hit returns what was read: dump, machines, producer, reports."""
    image = house.open()
    assert house.reads == 1
    assert image.machines == MACHINES
    assert image.dump("none").to_bytes() == DUMP
    assert image.dump("none").producer == Producer("image", str(house.binary), "QEMU emulator version 7.2.22")
    assert house.reported == ["hw-b is of another build"] * 2


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (None, "s390-ccw-virtio-7.2"), ("s390-ccw-virtio", "s390-ccw-virtio-7.2"), ("none", "none"),
        ("s390-ccw-virtio-2.4", "s390-ccw-virtio-2.4"),
    ],
)  # fmt: skip
def test_machines(machine: str | None, name: str, house: House) -> None:
    """Any machine is served from one entry, by name, by alias, or as the default."""
    dump = house.open().dump(machine)
    assert house.reads == 1
    assert dump.machine == name
    assert dump.to_bytes() == DUMP.replace(b'"none"', f'"{name}"'.encode(), 1)


def test_unknown_machine(house: House) -> None:
    """An unknown machine gives the same error as without the cache."""
    with pytest.raises(SourceError) as caught:
        house.open().dump("bbc-micro")
    assert str(caught.value) == (
        f"{house.binary}: unsupported machine type 'bbc-micro'; use -M help to list supported machines"
    )


def test_not_wanted(house: House) -> None:
    """Without the cache the image is read, and the entry left unchanged."""
    (path,) = Path(folder_of().path).iterdir()
    before = path.stat()
    assert house.open(cache=False).dump("none").to_bytes() == DUMP
    assert house.reads == 2
    assert path.stat() == before


def test_help_stores_nothing(house: House) -> None:
    """Listing the machine types stores no entry."""
    folder_of().clear()
    assert house.open().machines == MACHINES
    assert folder_of().entries() == []


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", "aarch64"])
def test_real_image(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real QEMU from the cache gives its own dump, for any machine."""
    qemu = find_qemu(target)
    monkeypatch.setattr(fingerprint, "GRANULARITY", 0)
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


def change_checkout(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vmdump, "__file__", "/other/checkout/vmdump/__init__.py")


def change_producer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Producer, "_fields", (*Producer._fields, "new"))


def change_machine_type(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MachineType, "_fields", (*MachineType._fields, "new"))


@pytest.mark.parametrize(
    "change",
    [
        change_binary, change_module, change_with_old_mtime, add_module, remove_module, add_directory, change_option,
        change_directory, change_environment, change_version, change_checkout, change_producer, change_machine_type,
    ],
)  # fmt: skip
def test_miss(
    change: Callable[[House, pytest.MonkeyPatch], None], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any change that affects the result causes a new read and a new entry."""
    assert house.is_hit()
    change(house, monkeypatch)
    time.sleep(0.02)
    assert not house.is_hit()
    assert house.is_hit()


@pytest.mark.parametrize("what", ["vmdump", "emulator"])
def test_other_code(what: str, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of vmdump's code or of the emulator invalidates all entries."""
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
    """A file with a new time stamp is hashed; if unchanged, the new stamp is stored and it is not hashed again."""
    house.binary.touch()
    time.sleep(0.02)
    assert house.is_hit()
    monkeypatch.setattr(fingerprint, "fingerprint_of", None)
    assert house.is_hit()


def test_just_changed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were changed less than two seconds ago are not trusted: a change in the same tick goes unnoticed."""
    monkeypatch.setattr(fingerprint, "GRANULARITY", 2_000_000_000)
    house.binary.write_bytes(b"\x7fELF new")
    assert not house.is_hit()
    assert not house.is_hit()
    old = time.time_ns() + 3_000_000_000  # three seconds later
    monkeypatch.setattr(time, "time_ns", lambda: old)
    assert not house.is_hit()
    assert house.is_hit()


def test_just_touched(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature that may not be trusted yet is not remembered: the file is hashed until it may."""
    monkeypatch.setattr(fingerprint, "GRANULARITY", 2_000_000_000)
    (path,) = Path(folder_of().path).iterdir()
    before = path.read_bytes()
    house.binary.touch()
    assert house.is_hit()
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", ["binary", "module"])
def test_changed_meanwhile(what: str, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes while the image is read is not stored."""
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
    """A wrong byte anywhere in an entry is a miss, and the entry is rewritten."""
    good = entry_file().read_bytes()
    at = int(position * len(good)) if isinstance(position, float) else position
    data = bytearray(good)
    data[at] ^= mask
    entry_file().write_bytes(data)
    assert not house.is_hit()
    assert house.is_hit()


@pytest.mark.parametrize("size", [0, 1, 8, 11, 12, 15, 16, 40, 0.1, 0.5, 0.999])
def test_truncated(size: float, house: House) -> None:
    """A truncated entry is a miss."""
    good = entry_file().read_bytes()
    entry_file().write_bytes(good[: int(size * len(good)) if isinstance(size, float) else size])
    assert not house.is_hit()
    assert house.is_hit()


def test_longer(house: House) -> None:
    """An entry with trailing bytes is a miss."""
    with entry_file().open("ab") as file:
        file.write(b"\n")
    assert not house.is_hit()
    assert house.is_hit()


def test_damaged_is_removed(house: House) -> None:
    """Unreadable entries are removed."""
    path = entry_file()
    path.write_bytes(b"?")
    assert folder_of().read(path.stem) is None
    assert not path.exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_no_file(make: Callable[[Path], None], house: House) -> None:
    """A directory or FIFO in place of an entry is a miss, not an error."""
    path = entry_file()
    path.unlink()
    make(path)
    assert not house.is_hit()
    assert main(["cache"]) == 0


@pytest.mark.parametrize("target", ["there", "missing", "an entry"])
def test_link_as_entry(target: str, house: House, tmp_path: Path) -> None:
    """A symbolic link in place of an entry is neither read nor written through, but replaced."""
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
folder = CacheFolder(sys.argv[1], sys.argv[1] + ".key")
for number in range(60):
    byte = sys.argv[2].encode()
    assert folder.write("same", {"byte": byte}, byte * 300_000)
    entry = folder.read("same")
    assert bytes(entry.payload) == entry.header["byte"] * 300_000
"""


def test_concurrent_writers(tmp_path: Path) -> None:
    """Concurrent writers and readers of an entry each see a complete one."""
    folder = str(tmp_path / "vmdump")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, folder, str(n)], env=environ) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert [file.name for file in Path(folder).iterdir()] == ["same.image"]


def test_folder_created_concurrently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another process creates the folder at the same time, the entry is written."""
    real_mkdir = os.mkdir

    def mkdir(path: str, mode: int = 0o777) -> None:
        """Create the folder as the other process, then fail."""
        real_mkdir(path, mode)
        raise FileExistsError

    monkeypatch.setattr(os, "mkdir", mkdir)
    folder = CacheFolder(str(tmp_path / "vmdump"), str(tmp_path / "key"))
    assert folder.write("name", {}, b"payload")
    assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700


@pytest.mark.parametrize("home", ["/proc/nothing", "/dev/null", "FILE"])
def test_unwritable(home: str, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the folder cannot be created, every read is a first one."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", home.replace("FILE", str(tmp_path / "file")))
    assert not house.is_hit()
    assert not house.is_hit()
    assert main(["cache"]) == 0


def test_full_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a full disk every read is a first one, and no files are left."""
    real_open, refused = os.open, []

    def open_full(path: str, flags: int, mode: int = 0o777) -> int:
        """Fail with ENOSPC for files in the folder."""
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
    """Only the user can access the folder."""
    assert Path(folder_of().path).stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720, 0o702])
def test_others_can_write(mode: int, house: House) -> None:
    """A folder that others can write to is not used."""
    path = Path(folder_of().path)
    path.chmod(mode)
    before = entry_file().stat()
    assert not house.is_hit()
    assert not house.is_hit()
    assert entry_file().stat() == before
    path.chmod(0o755)
    assert house.is_hit()


def test_link(house: House, tmp_path: Path) -> None:
    """A folder that is a symbolic link is not followed."""
    path = Path(folder_of().path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert not house.is_hit()
    assert not house.is_hit()
    assert folder_of().clear() == 0


def test_another_user(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders and entries of another user are not used, so root's reads do not change a user's cache."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert not house.is_hit()
    assert not house.is_hit()


# Planted entries ------------------------------------------------------------------------------------------------


def key_file() -> Path:
    """The user's key."""
    return Path(os.environ["XDG_STATE_HOME"], "vmdump", "cache.key")


def test_planted(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A valid entry made with another user's key, copied into the folder, is not used."""
    genuine = entry_file().read_bytes()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other-user"))
    assert not house.is_hit()  # the other user's cache has no entry
    assert entry_file().read_bytes() != genuine  # now it has one, made with the other key
    assert house.is_hit()
    entry_file().write_bytes(genuine)
    assert not house.is_hit()


def test_planted_payload(house: House) -> None:
    """An entry with a replaced payload and matching checksums needs the key."""
    whole = entry_file().read_bytes()
    payload = whole[40:] + b" "
    for digest in (whole[8:40], hashlib.blake2b(payload, digest_size=32).digest(), bytes(32)):
        entry_file().write_bytes(whole[:8] + digest + payload)
        assert not house.is_hit()


def test_key_mode(house: House) -> None:
    """Only the user can read the key; a key readable by others or of another size is refused and reported."""
    path = key_file()
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_size) == (0o600, 32)
    house.reported.clear()
    path.chmod(0o640)
    assert not house.is_hit()
    assert house.reported[0] == (
        f"the cache of parsed QEMU binaries is not used: {path}: other users can read or write it (mode 640); "
        "--no-cache silences this"
    )
    path.chmod(0o600)
    assert house.is_hit()
    path.write_bytes(b"short")
    assert not house.is_hit()
    path.unlink()
    path.symlink_to("/dev/zero")
    assert not house.is_hit()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.chmod(0o777), "other users can write to it (mode 777)"),
        (lambda path: (path.rename(f"{path}-"), path.touch()), "not a directory"),
        (lambda path: (path.rename(f"{path}-"), path.symlink_to(f"{path}-")), "not a directory"),
        (lambda path: os.chown(path, 65534, -1), "belongs to another user (uid 65534)"),
    ],
)
def test_unused_folder_is_reported(spoil: Callable[[Path], None], reason: str, house: House) -> None:
    """An unusable folder is reported with the reason, once in a process."""
    if os.geteuid() and "another" in reason:
        pytest.skip("only root can give a folder away")
    path = Path(folder_of().path)
    spoil(path)
    house.reported.clear()
    house.open(cache=False)
    assert not any("cache" in line for line in house.reported)
    for _ in range(3):
        assert not house.is_hit()
    told = [line for line in house.reported if "cache" in line]
    assert told == [f"the cache of parsed QEMU binaries is not used: {path}: {reason}; --no-cache silences this"]


@pytest.mark.parametrize(("xdg", "home", "path"), [
    ("/x", "/h", "/x/vmdump"), ("", "/h", "/h/.cache/vmdump"), ("relative", "/h", "/h/.cache/vmdump"),
    ("", "", None), ("", "relative", None),
])  # fmt: skip
def test_place(xdg: str, home: str, path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder follows the XDG specification; a user without a home has none."""
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    monkeypatch.setenv("HOME", home)
    folder = find_folder()
    assert (folder and folder.path) == path


# Size -------------------------------------------------------------------------------------------------------------


def test_eviction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the size limit the least recently used entries are removed; reading counts as use."""
    folder = CacheFolder(str(tmp_path / "vmdump"), str(tmp_path / "key"))
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
    """Temporary files of killed writers are removed after an hour, newer ones kept."""
    folder = CacheFolder(str(tmp_path / "vmdump"), str(tmp_path / "key"))
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
    """vmdump cache lists the entries, as text and JSON, and clears them."""
    path = folder_of().path
    size = entry_file().stat().st_size
    assert main(["cache"]) == 0
    heads, row, total = capsys.readouterr().out.splitlines()
    assert heads.split() == ["BINARY", "VERSION", "SIZE", "AGE", "UNUSED"]
    mebibytes = f"{size / 2**20:.1f}"
    assert row.split() == [str(house.binary), "7.2.22", mebibytes, "MiB", "0", "s", "0", "s"]
    assert total == f"{path}: 1 image, {mebibytes} MiB of at most 256.0 MiB"
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
    """For a user without a home vmdump cache reports that there is no cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "")
    assert not house.is_hit()
    assert main(["cache"]) == 3
    assert capsys.readouterr().err == (
        "vmdump: no cache directory: neither $HOME nor $XDG_CACHE_HOME and $XDG_STATE_HOME are absolute paths; "
        "set $HOME\n"
    )


@pytest.mark.parametrize("command", [["dump"], ["dump", "-M", "help"], ["devices"], ["show"]])
def test_options(command: list[str], house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """All commands that read images use the cache, and do not with --no-cache."""
    argv = [*command, str(house.binary), *(["virtio-blk-device"] if command == ["show"] else [])]
    main(argv)
    remembered = capsys.readouterr()
    assert house.reads == 1
    main([*argv, "--no-cache"])
    assert capsys.readouterr() == remembered
    assert house.reads == 2
    assert "hw-b is of another build" in remembered.err


def test_python(house: House) -> None:
    """vmdump.open uses the cache unless cache=False."""
    assert vmdump.open(house.binary, machine="none").to_bytes() == DUMP
    assert house.reads == 1
    assert vmdump.open(house.binary, machine="none", cache=False).to_bytes() == DUMP
    assert house.reads == 2
