"""QEMU binaries, read without being run: as their own dumps, and what is no such binary is told so."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import DATA, find_qemu
from elf_builder import DATA as AT
from elf_builder import DT_INIT_ARRAY, elf_object

import vmdump
from vmdump.cli import main
from vmdump.emulator import guest as guest_module
from vmdump.emulator.elf import ElfFile
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.image import QemuImage

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
    if binary.read_bytes()[:4] != b"\x7fELF":
        pytest.skip("a shell script that starts a QEMU")
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


@pytest.mark.qemu
def test_class_init_that_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class_init that goes wrong costs its own device: it is named, and all others are as they were."""
    qemu = find_qemu("x86_64")
    image = QemuImage(qemu)
    (klass,) = image._qemu.classes("isa-serial", include_abstract=True)
    class_init = image._guest.pointer(image._guest.pointer(klass) + 32) - image._guest.bias
    data = bytearray(Path(qemu).read_bytes())
    (segment,) = [each for each in ElfFile(bytes(data), qemu).of_type(1) if each.flags & 1]
    at = class_init - segment.vaddr + segment.offset
    data[at : at + 8] = b"\x31\xc0\x48\x8b\x00\xc3\x90\x90"  # xor %eax,%eax; mov (%rax),%rax
    broken = tmp_path / "qemu-system-x86_64"
    broken.write_bytes(data)
    (module_dir,) = {os.path.dirname(str(state.file)) for state in image.modules.states() if state.file}
    assert main(["dump", str(broken), "--module-dir", module_dir, "--extended", "-o", str(tmp_path / "x.json")]) == 0
    error = capsys.readouterr().err
    assert f"{broken}: a class_init goes wrong: an access outside of its memory (at 0x0, device 'isa-serial')" in error
    dump, whole = vmdump.open(tmp_path / "x.json"), vmdump.open(qemu)
    assert [defect.device for defect in dump.producer.defects] == ["isa-serial"]
    assert list(dump) == [name for name in whole if name != "isa-serial"]
    assert all(dump[name].vmsd == whole[name].vmsd for name in list(dump)[::20])


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
