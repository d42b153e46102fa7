"""The folder of the image cache: damage, concurrent and hostile writers, permissions, size."""

import hashlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.image_cache import Setup, entry_file, folder_of

from vmdump.cache import folder as cache_folder
from vmdump.cache.folder import CacheFolder, find_folder
from vmdump.cli import main


@pytest.mark.parametrize(
    "position", [0, 7, 8, 11, 12, 15, 16, 17, 100, 0.01, 0.02, 0.1, 0.5, 0.9, 0.999, -1]
)  # magic, checksum, size, header, payload
@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_flipped_bits(position: float, mask: int, setup: Setup) -> None:
    """A wrong byte anywhere in an entry is a miss, and the entry is rewritten."""
    good = entry_file().read_bytes()
    at = int(position * len(good)) if isinstance(position, float) else position
    data = bytearray(good)
    data[at] ^= mask
    entry_file().write_bytes(data)
    assert not setup.is_hit()
    assert setup.is_hit()


@pytest.mark.parametrize("size", [0, 1, 8, 11, 12, 15, 16, 40, 0.1, 0.5, 0.999])
def test_truncated(size: float, setup: Setup) -> None:
    """A truncated entry is a miss."""
    good = entry_file().read_bytes()
    entry_file().write_bytes(good[: int(size * len(good)) if isinstance(size, float) else size])
    assert not setup.is_hit()
    assert setup.is_hit()


def test_longer(setup: Setup) -> None:
    """An entry with trailing bytes is a miss."""
    with entry_file().open("ab") as file:
        file.write(b"\n")
    assert not setup.is_hit()
    assert setup.is_hit()


def test_damaged_is_removed(setup: Setup) -> None:
    """Unreadable entries are removed."""
    path = entry_file()
    path.write_bytes(b"?")
    assert folder_of().read(path.stem) is None
    assert not path.exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_no_file(make: Callable[[Path], None], setup: Setup) -> None:
    """A directory or FIFO in place of an entry is a miss, not an error."""
    path = entry_file()
    path.unlink()
    make(path)
    assert not setup.is_hit()
    assert main(["cache"]) == 0


@pytest.mark.parametrize("target", ["there", "missing", "an entry"])
def test_link_as_entry(target: str, setup: Setup, tmp_path: Path) -> None:
    """A symbolic link in place of an entry is neither read nor written through, but replaced."""
    path, elsewhere = entry_file(), tmp_path / "elsewhere"
    content = {"there": b"precious", "missing": None, "an entry": path.read_bytes()}[target]
    if content is not None:
        elsewhere.write_bytes(content)
    path.unlink()
    path.symlink_to(elsewhere)
    assert not setup.is_hit()
    assert (elsewhere.read_bytes() if elsewhere.exists() else None) == content
    assert not path.is_symlink()
    assert setup.is_hit()


# Writers ----------------------------------------------------------------------------------------------------------

WRITER = """
import sys
from vmdump.cache.folder import CacheFolder
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
def test_unwritable(home: str, setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the folder cannot be created, every read is a first one."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", home.replace("FILE", str(tmp_path / "file")))
    assert not setup.is_hit()
    assert not setup.is_hit()
    assert main(["cache"]) == 0


def test_full_disk(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert not setup.is_hit()
    assert not setup.is_hit()
    assert len(refused) == 2
    assert list(Path(folder_of().path).iterdir()) == []


def test_mode(setup: Setup) -> None:
    """Only the user can access the folder."""
    assert Path(folder_of().path).stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720, 0o702])
def test_others_can_write(mode: int, setup: Setup) -> None:
    """A folder that others can write to is not used."""
    path = Path(folder_of().path)
    path.chmod(mode)
    before = entry_file().stat()
    assert not setup.is_hit()
    assert not setup.is_hit()
    assert entry_file().stat() == before
    path.chmod(0o755)
    assert setup.is_hit()


def test_link(setup: Setup, tmp_path: Path) -> None:
    """A folder that is a symbolic link is not followed."""
    path = Path(folder_of().path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert not setup.is_hit()
    assert not setup.is_hit()
    assert folder_of().clear() == 0


def test_another_user(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders and entries of another user are not used, so root's reads do not change a user's cache."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert not setup.is_hit()
    assert not setup.is_hit()


# Planted entries ------------------------------------------------------------------------------------------------


def key_file() -> Path:
    """The user's key."""
    return Path(os.environ["XDG_STATE_HOME"], "vmdump", "cache.key")


def test_planted(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A valid entry made with another user's key, copied into the folder, is not used."""
    genuine = entry_file().read_bytes()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other-user"))
    assert not setup.is_hit()  # the other user's cache has no entry
    assert entry_file().read_bytes() != genuine  # now it has one, made with the other key
    assert setup.is_hit()
    entry_file().write_bytes(genuine)
    assert not setup.is_hit()


def test_planted_payload(setup: Setup) -> None:
    """An entry with a replaced payload and matching checksums needs the key."""
    whole = entry_file().read_bytes()
    payload = whole[40:] + b" "
    for digest in (whole[8:40], hashlib.blake2b(payload, digest_size=32).digest(), bytes(32)):
        entry_file().write_bytes(whole[:8] + digest + payload)
        assert not setup.is_hit()


def test_key_mode(setup: Setup) -> None:
    """Only the user can read the key; a key readable by others or of another size is refused and reported."""
    path = key_file()
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_size) == (0o600, 32)
    setup.reported.clear()
    path.chmod(0o640)
    assert not setup.is_hit()
    assert setup.reported[0] == (
        f"the cache of parsed QEMU binaries is not used: {path}: other users can read or write it (mode 640); "
        "--no-cache silences this"
    )
    path.chmod(0o600)
    assert setup.is_hit()
    path.write_bytes(b"short")
    assert not setup.is_hit()
    path.unlink()
    path.symlink_to("/dev/zero")
    assert not setup.is_hit()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.chmod(0o777), "other users can write to it (mode 777)"),
        (lambda path: (path.rename(f"{path}-"), path.touch()), "not a directory"),
        (lambda path: (path.rename(f"{path}-"), path.symlink_to(f"{path}-")), "not a directory"),
        (lambda path: os.chown(path, 65534, -1), "belongs to another user (uid 65534)"),
    ],
)
def test_unused_folder_is_reported(spoil: Callable[[Path], None], reason: str, setup: Setup) -> None:
    """An unusable folder is reported with the reason, once in a process."""
    if os.geteuid() and "another" in reason:
        pytest.skip("only root can give a folder away")
    path = Path(folder_of().path)
    spoil(path)
    setup.reported.clear()
    setup.open(cache=False)
    assert not any("cache" in line for line in setup.reported)
    for _ in range(3):
        assert not setup.is_hit()
    warnings = [line for line in setup.reported if "cache" in line]
    assert warnings == [f"the cache of parsed QEMU binaries is not used: {path}: {reason}; --no-cache silences this"]


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
