"""The image cache with a fake QEMU binary."""

import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vmdump
from support.dumps import read_real_dump
from vmdump.cache.folder import CacheFolder, find_folder
from vmdump.dump import tree as engine
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer
from vmdump.emulator.machine_types import MachineType
from vmdump.errors import ModuleError
from vmdump.files import fingerprint
from vmdump.sources import image_cache
from vmdump.sources.image_options import ImageOptions

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


class Setup:
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

    def open(self, **how: Any) -> "image_cache.Image":
        return image_cache.open_image(
            self.binary, self.options, report=lambda error: self.reported.append(str(error)), **how
        )

    def is_hit(self) -> bool:
        """Whether a dump comes from the cache."""
        before = self.reads
        assert self.open().dump("none").to_bytes() == DUMP
        return self.reads == before


def folder_of() -> CacheFolder:
    """The cache folder of this test."""
    folder = find_folder()
    assert folder is not None
    return folder


def entry_file() -> Path:
    """The file of the one entry."""
    (path,) = Path(folder_of().path).iterdir()
    return path


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """A setup whose image has been read once. Files count as settled at once, as this one is new."""
    setup = Setup(tmp_path)
    monkeypatch.setattr(image_cache, "_read_image", setup.read)
    monkeypatch.setattr(fingerprint, "GRANULARITY", 0)
    monkeypatch.delenv("QEMU_MODULE_DIR", raising=False)
    time.sleep(0.02)  # the granularity of file time stamps
    assert not setup.is_hit()
    return setup
