"""Output files appear whole or not at all."""

import errno
import os
import stat
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
    """A new file gets the dump and the mode that umask leaves; nothing else is left in the directory."""
    before = os.umask(0o027)
    try:
        small_dump.write(tmp_path / "dump.json")
    finally:
        os.umask(before)
    assert (tmp_path / "dump.json").read_bytes() == small_dump.to_bytes()
    assert stat.S_IMODE((tmp_path / "dump.json").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["dump.json"]


def test_existing_file(small_dump: DeviceDump, tmp_path: Path) -> None:
    """An existing file is replaced, keeps its mode, and whoever has it open still sees the old content."""
    path = tmp_path / "dump.json"
    path.write_text("old")
    path.chmod(0o604)
    with path.open() as reader:
        small_dump.write(str(path))
        assert reader.read() == "old"
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert path.read_bytes() == small_dump.to_bytes()


def test_symbolic_link(small_dump: DeviceDump, tmp_path: Path) -> None:
    """A link stays a link: the file that it points to is replaced."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/dump.json")
    small_dump.write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "dump.json").read_bytes() == small_dump.to_bytes()
    assert os.listdir(tmp_path / "real") == ["dump.json"]


def test_relative_path(small_dump: DeviceDump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is a file in the current directory; a name of 255 bytes has room for the temporary one."""
    monkeypatch.chdir(tmp_path)
    name = "x" * 255
    small_dump.write(name)
    assert os.listdir() == [name]


@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt(), VMStateError("bad"), OSError(errno.EIO, "Input/output error")]
)
@pytest.mark.parametrize("existing", [True, False])
def test_failure_leaves_nothing(failure: BaseException, existing: bool, tmp_path: Path) -> None:
    """What goes wrong in the middle leaves the old file as it was, or none."""
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
    """Each failure is an OutputError that says which file and why, as an OSError too."""
    (tmp_path / "file").touch()
    name = path.format(tmp=tmp_path)
    with pytest.raises(OutputError) as caught:
        small_dump.write(name)
    assert str(caught.value) == f"{name}: {reason}"
    assert isinstance(caught.value, OSError)
    assert caught.value.errno
    assert os.listdir(tmp_path) == ["file"]


def test_nul_in_the_name(small_dump: DeviceDump) -> None:
    """A path that no file can have is an error of the same kind."""
    with pytest.raises(OutputError, match="embedded null"):
        small_dump.write("a\0b")


def test_fifo(small_dump: DeviceDump, tmp_path: Path) -> None:
    """What is no regular file is written to, not replaced."""
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
    """File objects with and without a descriptor, from where they stand."""
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
