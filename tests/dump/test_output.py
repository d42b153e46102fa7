"""Output files are written completely or not at all."""

import errno
import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.lowering import lower
from vmdump.dump.output import open_output
from vmdump.dump.producer import Producer
from vmdump.errors import OutputError, VMStateError
from vmdump.vmstate import VMStateDescription, VMStateField


@pytest.fixture
def small_dump() -> DeviceDump:
    """A dump of one device."""
    vmsd = VMStateDescription("d", fields=[VMStateField("x", size=1)])
    return DeviceDump(lower("none", [("d", vmsd)]), Producer(kind="registry"))


def test_new_file(small_dump: DeviceDump, tmp_path: Path) -> None:
    """A new file has the dump and the mode given by umask; the directory has no other file."""
    before = os.umask(0o027)
    try:
        small_dump.write(tmp_path / "dump.json")
    finally:
        os.umask(before)
    assert (tmp_path / "dump.json").read_bytes() == small_dump.to_bytes()
    assert stat.S_IMODE((tmp_path / "dump.json").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["dump.json"]


def test_existing_file(small_dump: DeviceDump, tmp_path: Path) -> None:
    """An existing file is replaced and keeps its mode; open descriptors still see the old content."""
    path = tmp_path / "dump.json"
    path.write_text("old")
    path.chmod(0o604)
    with path.open() as reader:
        small_dump.write(str(path))
        assert reader.read() == "old"
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert path.read_bytes() == small_dump.to_bytes()


@pytest.mark.parametrize("mode", [0o444, 0o400, 0o000, 0o555])
def test_read_only(mode: int, small_dump: DeviceDump, tmp_path: Path) -> None:
    """A read-only file is not replaced, not even by root or through a link."""
    path = tmp_path / "dump.json"
    path.write_text("old")
    path.chmod(mode)
    (tmp_path / "link").symlink_to(path)
    for name in (path, tmp_path / "link"):
        with pytest.raises(OutputError) as caught:
            small_dump.write(name)
        assert str(caught.value) == f"{name}: the file is read-only; chmod u+w allows replacing it"
    path.chmod(0o600)
    assert path.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["dump.json", "link"]


def test_file_of_another_user(small_dump: DeviceDump) -> None:
    """Another user's file that only its owner may write is not replaced."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "dump.json")
        path.write_text("old")
        path.chmod(0o644)
        os.chmod(directory, 0o777)
        os.seteuid(65534)
        try:
            with pytest.raises(OutputError, match="the file is read-only"):
                small_dump.write(path)
        finally:
            os.seteuid(0)
        assert path.read_text() == "old"


def test_symbolic_link(small_dump: DeviceDump, tmp_path: Path) -> None:
    """A symbolic link is kept, and its target replaced."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/dump.json")
    small_dump.write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "dump.json").read_bytes() == small_dump.to_bytes()
    assert os.listdir(tmp_path / "real") == ["dump.json"]


def test_relative_path(small_dump: DeviceDump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is in the current directory; a name of 255 bytes still allows a temporary file."""
    monkeypatch.chdir(tmp_path)
    name = "x" * 255
    small_dump.write(name)
    assert os.listdir() == [name]


@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt(), VMStateError("bad"), OSError(errno.EIO, "Input/output error")]
)
@pytest.mark.parametrize("existing", [True, False])
def test_failure_leaves_nothing(failure: BaseException, existing: bool, tmp_path: Path) -> None:
    """An error during writing leaves the old file unchanged, or no file."""
    path = tmp_path / "dump.json"
    if existing:
        path.write_text("old")
    expected = OutputError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected), open_output(path) as fd:
        os.write(fd, b"half")
        raise failure
    assert os.listdir(tmp_path) == (["dump.json"] if existing else [])
    assert not existing or path.read_text() == "old"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("{tmp}/no/such/dir/x", "No such file or directory"),
        ("{tmp}", "Is a directory"),
        ("{tmp}/file/x", "Not a directory"),
        ("", "No such file or directory"),
        ("{tmp}/" + "x" * 256, "File name too long"),
        ("/dev/full", "No space left on device"),
        ("/proc/self/nothing", "No such file or directory"),
    ],
)
def test_errors_name_the_file(path: str, reason: str, small_dump: DeviceDump, tmp_path: Path) -> None:
    """Each failure is an OutputError and an OSError, with file and reason."""
    (tmp_path / "file").touch()
    name = path.format(tmp=tmp_path)
    with pytest.raises(OutputError) as caught:
        small_dump.write(name)
    assert str(caught.value) == f"{name}: {reason}"
    assert isinstance(caught.value, OSError)
    assert caught.value.errno
    assert os.listdir(tmp_path) == ["file"]


def test_nul_in_the_name(small_dump: DeviceDump) -> None:
    """A path with a NUL byte is the same kind of error."""
    with pytest.raises(OutputError, match="embedded null"):
        small_dump.write("a\0b")


def test_fifo(small_dump: DeviceDump, tmp_path: Path) -> None:
    """Files that are not regular are written to, not replaced."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    small_dump.write(path)
    reader.join()
    assert got == [small_dump.to_bytes()]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_file_objects(small_dump: DeviceDump, tmp_path: Path) -> None:
    """File objects with and without a descriptor are written from their current position."""
    import io

    memory = io.BytesIO()
    memory.write(b"before ")
    small_dump.write(memory)
    assert memory.getvalue() == b"before " + small_dump.to_bytes()
    with (tmp_path / "file").open("wb") as file:
        file.write(b"before ")
        small_dump.write(file)
        file.write(b" after")
    assert (tmp_path / "file").read_bytes() == b"before " + small_dump.to_bytes() + b" after"
