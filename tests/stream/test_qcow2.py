"""VM state in qcow2 images: built ones with every kind of cluster, and images of a real QEMU."""

import shutil
import struct
import zlib
from pathlib import Path

import pytest
from support.native_environ import native_environ
from support.native_qemu import NativeQemu
from support.qemu import find_qemu
from support.requirements import require
from support.streams import real_stream, small_stream, write

from vmdump.errors import SourceError
from vmdump.stream.qcow2 import Qcow2
from vmdump.stream.walk import read_saved_vm


@pytest.fixture
def qemu_img() -> None:
    """Require qemu-img."""
    require(shutil.which("qemu-img"), "qemu-img (Debian: qemu-utils)")


BITS = 12
CLUSTER = 1 << BITS


class Image:
    """A qcow2 image of version 3 with one snapshot, after docs/interop/qcow2.rst; its virtual size is one L2 table."""

    def __init__(self, state: bytes, *, extended: bool = False, compressed: bool = False) -> None:
        self.data = bytearray(CLUSTER)
        self.extended, self.compressed = extended, compressed
        self.entry = 16 if extended else 8
        self.disk_size = CLUSTER * CLUSTER // self.entry
        clusters = [state[at : at + CLUSTER].ljust(CLUSTER, b"\0") for at in range(0, len(state), CLUSTER)]
        l2 = b"".join(self._cluster(each) for each in clusters)
        l1 = self._add(struct.pack(">QQ", 0, self._add(l2)))
        extra = struct.pack(">QQ", len(state), self.disk_size)
        table = struct.pack(">QIHHIIQII", l1, 2, 1, 5, 1700000000, 0, 5, 0, len(extra)) + extra + b"1snap1"
        self.table = self._add(table)
        self._header()

    def _add(self, content: bytes) -> int:
        at = len(self.data)
        self.data += content.ljust((len(content) + CLUSTER - 1) // CLUSTER * CLUSTER, b"\0")
        return at

    def _cluster(self, content: bytes) -> bytes:
        """Write a cluster and return its L2 entry; clusters of zeros are not allocated."""
        if not any(content):
            return bytes(self.entry)
        if self.compressed:
            packer = zlib.compressobj(9, zlib.DEFLATED, -12)
            packed = packer.compress(content) + packer.flush()
            at = self._add(packed)
            sectors = (len(packed) + 511) // 512 - 1
            return struct.pack(">Q", 1 << 62 | sectors << (62 - (BITS - 8)) | at).ljust(self.entry, b"\0")
        entry = struct.pack(">Q", 1 << 63 | self._add(content))
        if not self.extended:
            return entry
        part = CLUSTER // 32
        allocated = sum(1 << n for n in range(32) if any(content[n * part : (n + 1) * part]))
        return entry + struct.pack(">II", ~allocated & 0xFFFFFFFF, allocated)

    def _header(self, crypt: int = 0, version: int = 3, features: int = 0) -> None:
        features |= 16 if self.extended else 0
        struct.pack_into(
            ">4sIQIIQIIQQIIQ", self.data, 0, b"QFI\xfb", version, 0, 0, BITS, self.disk_size, crypt, 0, 0, 0, 0, 1,
            self.table,
        )  # fmt: skip
        struct.pack_into(">QQQII", self.data, 72, features, 0, 0, 4, 104)


@pytest.mark.parametrize("kind", ["plain", "extended", "compressed"])
def test_clusters(tmp_path: Path, kind: str) -> None:
    """VM state in plain clusters, subclusters and compressed clusters; not allocated ones are zeros."""
    image = Image(small_stream(), extended=kind == "extended", compressed=kind == "compressed")
    vm = read_saved_vm(write(tmp_path / "disk", bytes(image.data)))
    assert (vm.machine, vm.size) == ("pc-test-1.0", len(small_stream()))
    assert (vm.container.kind, vm.container.snapshot, vm.container.saved_at) == ("qcow2 snapshot", "snap1", 1700000000)
    assert read_saved_vm(str(tmp_path / "disk"), snapshot="1").machine == "pc-test-1.0"


def test_refused(tmp_path: Path) -> None:
    """Encryption, unknown snapshots, other versions and features are refused with the reason."""
    image = Image(small_stream())
    path = write(tmp_path / "disk", bytes(image.data))
    with pytest.raises(SourceError, match=r"no snapshot 'x'; its snapshots: snap1$"):
        read_saved_vm(path, snapshot="x")
    for arguments, words in (
        ({"crypt": 2}, r"an encrypted qcow2 image \(LUKS\), which vmdump can't decrypt; load the snapshot in QEMU"),
        ({"version": 4}, "a qcow2 image of version 4"),
        ({"features": 64}, "features that are not known"),
        ({"features": 4}, "a data file without a name"),
    ):
        image._header(**arguments)
        with pytest.raises(SourceError, match=words):
            read_saved_vm(write(tmp_path / "disk", bytes(image.data)))


def test_every_truncation(tmp_path: Path) -> None:
    """A truncated image is reported in one line."""
    data = bytes(Image(small_stream()).data)
    for size in range(0, len(data) - CLUSTER, 61):
        with pytest.raises(SourceError) as raised:
            read_saved_vm(write(tmp_path / "disk", data[:size]))
        assert "\n" not in str(raised.value)


def test_data_file_outside(tmp_path: Path) -> None:
    """A data file in another directory is refused: the name comes from the image."""
    image = Image(small_stream())
    image._header(features=4)
    name = b"/etc/passwd"
    image.data[104 : 104 + 8 + len(name)] = struct.pack(">II", 0x44415441, len(name)) + name
    with pytest.raises(SourceError, match="is in another directory"):
        read_saved_vm(write(tmp_path / "disk", bytes(image.data)))


@pytest.mark.usefixtures("qemu_img")
@pytest.mark.qemu
@pytest.mark.parametrize(
    "options",
    [
        (), ("-o", "compat=0.10"), ("-c",), ("-c", "-o", "compression_type=zstd"), ("-o", "extended_l2=on"),
        ("-c", "-o", "extended_l2=on,cluster_size=128k"), ("-o", "cluster_size=512"), ("-o", "data_file=disk.raw"),
    ],
)  # fmt: skip
def test_disks_of_qemu_img(tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream at the beginning of a disk, as in state volumes of Proxmox, in all clusters that qemu-img writes."""
    import subprocess

    find_qemu("x86_64")
    monkeypatch.chdir(tmp_path)
    stream = real_stream("malta-7.2")
    write(tmp_path / "raw", stream + bytes(1 << 20))
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, "raw", "disk.qcow2"],
        check=True,
        env=native_environ(),
    )
    vm = read_saved_vm("disk.qcow2")
    assert (vm.machine, vm.size, vm.container.kind) == ("malta", len(stream), "qcow2 disk")


@pytest.mark.usefixtures("qemu_img")
@pytest.mark.qemu
@pytest.mark.parametrize("options", ["", "compat=0.10", "cluster_size=2M", "cluster_size=512", "extended_l2=on"])
def test_snapshots_of_a_real_qemu(tmp_path: Path, options: str) -> None:
    """The VM state of savevm in images of several formats is the one that migration sends."""
    import subprocess

    binary = find_qemu("x86_64")
    disk = tmp_path / "disk.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", *(["-o", options] if options else []), disk, "5M"],
        check=True,
        env=native_environ(),
    )
    drive = f"if=none,id=d0,file={disk},format=qcow2"
    with NativeQemu(binary, "-M", "pc", "-m", "16", "-drive", drive) as qemu:
        sent = qemu.save(tmp_path / "stream")
    with NativeQemu(binary, "-M", "pc", "-m", "16", "-drive", drive) as qemu:
        assert not qemu.qmp("human-monitor-command", command_line="savevm first")
        assert not qemu.qmp("human-monitor-command", command_line="savevm second")
    path = write(tmp_path / "plain", sent)
    expected = [(each.name, each.size) for each in read_saved_vm(path).sections if not each.is_live]
    vm = read_saved_vm(str(disk))
    assert vm.container.snapshot == "second"
    assert [(each.name, each.size) for each in vm.sections if not each.is_live] == expected
    with disk.open("rb") as file:
        assert [each.name for each in Qcow2(file.fileno(), str(disk)).snapshots()] == ["first", "second"]
