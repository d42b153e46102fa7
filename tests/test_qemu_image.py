"""QEMU binaries, read without being run: as their own dumps, and what is no such binary is told so."""

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import DATA, find_qemu
from elf_builder import DATA as AT
from elf_builder import DT_INIT_ARRAY, X86_64, elf_object

import vmdump
from vmdump._core import ffi
from vmdump.cli import main
from vmdump.errors import SourceError
from vmdump.sources.qemu_image import guest as guest_module
from vmdump.sources.qemu_image.guest import Guest
from vmdump.sources.qemu_image.layout import LAYOUTS, Reader

# Real binaries ----------------------------------------------------------------------------------------------------


def run_dump(qemu: str, tmp_path: Path, *options: str) -> bytes:
    """What the binary writes itself."""
    target = tmp_path / "native.json"
    environ = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    command = [qemu, "-nodefaults", "-display", "none", *options, "-dump-vmstate", str(target)]
    subprocess.run(command, check=True, capture_output=True, env=environ)
    return target.read_bytes()


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("target", "machine"),
    [
        ("x86_64", None),
        ("x86_64", "q35"),
        ("x86_64", "microvm"),
        ("aarch64", None),
        ("aarch64", "virt"),
        ("arm", "none"),
    ],
)
def test_installed_qemu(target: str, machine: str | None, tmp_path: Path) -> None:
    """The installed QEMU, with its modules: byte for byte what it writes itself, the default machine included."""
    qemu = find_qemu(target)
    options = () if machine is None and target == "x86_64" else ("-M", machine or "none")
    dump = vmdump.open(qemu, machine=machine)
    assert dump.to_bytes() == run_dump(qemu, tmp_path, *options)
    assert dump.producer.kind == "image"
    assert str(dump.producer.version).startswith("QEMU emulator version ")


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", "aarch64", "arm"])
def test_machine_help(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-M help lists what QEMU lists, in its words."""
    qemu = find_qemu(target)
    environ = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    native = subprocess.run([qemu, "-M", "help"], check=True, capture_output=True, text=True, env=environ).stdout
    assert main(["dump", qemu, "-M", "help"]) == 0
    assert capsys.readouterr().out == native


#: Unpacked packages, nothing installed: .ci/images makes $VMDUMP_IMAGES/VERSION/usr/bin/qemu-system-TARGET.
IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))
UNPACKED = sorted(
    (path.parent.name.removeprefix("qemu-"), path.name.partition(".")[0])
    for path in (DATA / "dumps").glob("qemu-*/*.json.xz")
    if (
        IMAGES / path.parent.name.removeprefix("qemu-") / "usr/bin" / f"qemu-system-{path.name.partition('.')[0]}"
    ).exists()
)


@pytest.mark.qemu
@pytest.mark.parametrize(("version", "target"), UNPACKED)
def test_unpacked_qemu(version: str, target: str) -> None:
    """Binaries and modules of packages that are not installed, any version and target: as their known dumps."""
    import lzma

    binary = IMAGES / version / "usr/bin" / f"qemu-system-{target}"
    if binary.read_bytes()[:4] != b"\x7fELF" or target.endswith("-microvm"):
        pytest.skip("a shell script that starts a QEMU, or a QEMU without symbols")
    expected = lzma.decompress((DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz").read_bytes())
    assert vmdump.open(binary, machine="none").to_bytes() == expected


def test_unpacked_qemus_are_there() -> None:
    """Where CI says that it has unpacked some, there are some."""
    assert UNPACKED or "VMDUMP_IMAGES" not in os.environ


@pytest.mark.qemu
def test_wrong_machine() -> None:
    """A machine that the binary does not have."""
    with pytest.raises(SourceError, match="unsupported machine type 'bbc-micro'; use -M help"):
        vmdump.open(find_qemu("x86_64"), machine="bbc-micro")


@pytest.mark.qemu
@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_qemu(part: float, tmp_path: Path) -> None:
    """A part of a QEMU is told to be one."""
    data = Path(find_qemu("aarch64")).read_bytes()
    path = tmp_path / "qemu-system-aarch64"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(SourceError, match=f"^{path}: "):
        vmdump.open(path)


@pytest.mark.qemu
def test_module_of_another_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A module whose stamp is not the binary's is told, with QEMU's hint, and the rest is dumped."""
    qemu = find_qemu("x86_64")
    modules = [path for path in Path("/usr/lib").glob("*/qemu/hw-usb-redirect.so") if path.exists()]
    if not modules:
        pytest.skip("this QEMU comes without modules")
    data = modules[0].read_bytes()
    stamp = data[data.index(b"qemu_stamp_") :].partition(b"\0")[0]
    (tmp_path / modules[0].name).write_bytes(data.replace(stamp, stamp[:-1] + b"!"))
    assert main(["dump", qemu, "--module-dir", str(tmp_path), "-o", str(tmp_path / "x.json")]) == 0
    error = capsys.readouterr().err
    assert f"failed to initialize module: {tmp_path}/hw-usb-redirect.so. Only modules from the same build" in error
    assert "usb-redir" not in vmdump.open(tmp_path / "x.json")
    assert "usb-redir" in vmdump.open(qemu)


# Hostile binaries -------------------------------------------------------------------------------------------------


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """What looks like a QEMU, and whose constructor never ends."""
    path = tmp_path / "qemu-system-endless"
    path.write_bytes(
        elf_object(
            data=b"\xeb\xfe".ljust(64, b"\0"),  # jmp .
            symbols=[(b"register_module_init", 1, AT + 32)],
            rela=[(AT + 48, 8, 0, AT)],  # R_X86_64_RELATIVE
            init_array=[0],
            dynamic={DT_INIT_ARRAY: AT + 48},
        )
    )
    return path


def test_endless(endless: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is ended, and told with the function's address in the file."""
    monkeypatch.setattr(guest_module, "SECONDS", 0.2)
    assert main(["dump", str(endless)]) == 3
    error = capsys.readouterr().err
    assert f"{endless}: function at {AT:#x}: it does not come to an end" in error
    assert error.count("\n") == 1


def test_endless_interrupted(endless: Path) -> None:
    """Ctrl-C is answered while it runs."""
    with subprocess.Popen([sys.executable, "-m", "vmdump", "dump", endless], stderr=subprocess.PIPE) as process:
        while len(os.listdir(f"/proc/{process.pid}/task")) == 1:
            time.sleep(0.01)  # until a call of the guest has begun
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == b"vmdump: interrupted\n"
        assert process.wait(10) == 130


# Descriptions -----------------------------------------------------------------------------------------------------


class Structs:
    """Writes descriptions into a guest in a layout."""

    def __init__(self, layout: str) -> None:
        self.guest = Guest("guest", X86_64)
        self.layout = LAYOUTS[layout]
        self.reader = Reader(self.guest, layout)

    def desc(self, name: str | None, fields: int = 0, subsections: int = 0, version: int = 1, at: int = 0) -> int:
        """A VMStateDescription."""
        at = at or self.guest.alloc(128)
        layout = self.layout
        self.guest.write(
            at + layout["desc_name"], struct.pack("<Q", self.guest.string(name) if name is not None else 0)
        )
        self.guest.write(at + layout["desc_version_id"], struct.pack("<ii", version, version - 1))
        self.guest.write(at + layout["desc_fields"], struct.pack("<Q", fields))
        self.guest.write(at + layout["desc_subsections"], struct.pack("<Q", subsections))
        return at

    def fields(self, *fields: dict[str, int], end: int = 0x10000) -> int:
        """A list of VMStateField and its terminator."""
        size = self.layout["field_size"]
        at = self.guest.alloc(size * (len(fields) + 1))
        for index, field in enumerate(fields):
            for key, value in field.items():
                width = "<Q" if key in ("field_name", "field_bytes", "field_vmsd", "field_exists") else "<i"
                self.guest.write(at + index * size + self.layout[key], struct.pack(width, value))
        self.guest.write(at + len(fields) * size + self.layout["field_flags"], struct.pack("<i", end))
        return at

    def pointers(self, *addresses: int) -> int:
        """A list that ends in NULL."""
        at = self.guest.alloc(8 * (len(addresses) + 1))
        self.guest.write(at, struct.pack(f"<{len(addresses)}Q", *addresses))
        return at


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading(layout: str) -> None:
    """Every member that is printed, in every layout; what is shared is read once."""
    structs = Structs(layout)
    inner = structs.desc("inner")
    field = {
        "field_name": structs.guest.string("regs"), "field_bytes": 4, "field_num": -3, "field_flags": 12,
        "field_vmsd": inner, "field_version_id": 2, "field_exists": 1,
    }  # fmt: skip
    outer = structs.desc("outer", structs.fields(field), structs.pointers(inner, inner), version=5)
    desc = structs.reader.try_read(outer)
    assert desc is not None, structs.reader.why()
    assert (ffi.string(desc.name), desc.version_id, desc.minimum_version_id) == (b"outer", 5, 4)
    assert (desc.n_fields, desc.n_subsections) == (1, 2)
    got = desc.fields[0]
    assert (ffi.string(got.name), got.size, got.num, got.flags, got.version_id) == (b"regs", 4, -3, 12, 2)
    assert got.field_exists == 1
    assert got.vmsd == desc.subsections[0] == desc.subsections[1]
    assert desc.subsections[0].fields == ffi.NULL
    stub = structs.reader.try_read(structs.desc(None))
    assert ffi.string(stub.name) == b"(null)"


def test_defects() -> None:
    """Cycles, lists without an end, depth, names, pointers: told, with the address."""
    structs = Structs("QEMU 6 to 10")
    cycle = structs.guest.alloc(128)
    structs.desc("cycle", subsections=structs.pointers(cycle), at=cycle)
    deep = structs.desc("leaf")
    for _ in range(1001):
        deep = structs.desc("deep", subsections=structs.pointers(deep))
    name = {"field_name": structs.guest.string("a\nb")}
    for address, error in (
        (cycle, "a description contains itself"),
        (deep, "descriptions nest too deep"),
        (structs.desc("d", structs.fields(end=4)), "a list of fields has no terminator"),
        (structs.desc("d", 8), "a list of fields has no end"),
        (structs.desc("d", subsections=8), "a list of subsections has no end"),
        (structs.desc("d", structs.fields(name)), "a name can't be printed in JSON"),
        (structs.desc("d", structs.fields({"field_name": 8})), "a name is no string"),
        (8, "a description is outside of its memory"),
    ):
        assert structs.reader.try_read(address) is None
        assert structs.reader.why().startswith(error)
    assert structs.reader.try_read(structs.desc("fine")) is not None
