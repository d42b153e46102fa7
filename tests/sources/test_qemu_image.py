"""QEMU binaries read without being run: results equal their own dumps; other binaries are refused."""

import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.elf_builder import DATA as AT
from support.elf_builder import DT_INIT_ARRAY, elf_object
from support.paths import DATA
from support.qemu import find_module, find_qemu

import vmdump
from vmdump.cli import main
from vmdump.emulator import guest as guest_module
from vmdump.emulator.objects.elf import ElfFile
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.image import QemuImage

# Real binaries ----------------------------------------------------------------------------------------------------


def run_dump(qemu: str, tmp_path: Path, *options: str) -> bytes:
    """Return the binary's own dump."""
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
    """The installed QEMU with its modules equals its own dump, also for the default machine."""
    qemu = find_qemu(target)
    options = () if machine is None and target == "x86_64" else ("-M", machine or "none")
    dump = vmdump.open(qemu, machine=machine)
    assert dump.to_bytes() == run_dump(qemu, tmp_path, *options)
    assert dump.producer.kind == "image"
    assert str(dump.producer.version).startswith("QEMU emulator version ")


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", "aarch64", "arm"])
def test_machine_help(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-M help equals QEMU's list."""
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
    """Binaries and modules from unpacked packages, of any version and target, equal their recorded dumps."""
    import lzma

    binary = IMAGES / version / "usr/bin" / f"qemu-system-{target}"
    if binary.read_bytes()[:4] != b"\x7fELF":
        pytest.skip("a shell script that starts a QEMU")
    expected = lzma.decompress((DATA / "dumps" / f"qemu-{version}" / f"{target}.json.xz").read_bytes())
    assert vmdump.open(binary, machine="none").to_bytes() == expected


def test_unpacked_qemus_are_there() -> None:
    """If CI has unpacked packages, they are found."""
    assert UNPACKED or "VMDUMP_IMAGES" not in os.environ


@pytest.mark.qemu
def test_wrong_machine() -> None:
    """An unknown machine is an error."""
    with pytest.raises(SourceError, match="unsupported machine type 'bbc-micro'; use -M help"):
        vmdump.open(find_qemu("x86_64"), machine="bbc-micro")


@pytest.mark.qemu
@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_qemu(part: float, tmp_path: Path) -> None:
    """A truncated QEMU is reported as such."""
    data = Path(find_qemu("aarch64")).read_bytes()
    path = tmp_path / "qemu-system-aarch64"
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(SourceError, match=f"^{path}: "):
        vmdump.open(path)


@pytest.mark.qemu
def test_names_of_types(tmp_path: Path) -> None:
    """A type's name that a dump can't have is named."""
    data = Path(find_qemu("x86_64")).read_bytes()
    assert data.count(b"\0e1000-82544gc\0") == 1
    path = tmp_path / "qemu-system-x86_64"
    path.write_bytes(data.replace(b"\0e1000-82544gc\0", b"\0e1000\xff82544gc\0"))
    with pytest.raises(
        SourceError, match=r"a type's name can't be printed in JSON: 'e1000\\\\xff82544gc'; the file may"
    ):
        vmdump.open(path)


@pytest.mark.qemu
def test_module_of_another_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A module with another build's stamp is reported with QEMU's hint, and the rest dumped."""
    qemu = find_qemu("x86_64")
    installed = find_module("hw-usb-redirect")
    data = installed.read_bytes()
    stamp = data[data.index(b"qemu_stamp_") :].partition(b"\0")[0]
    (tmp_path / installed.name).write_bytes(data.replace(stamp, stamp[:-1] + b"!"))
    assert main(["dump", qemu, "--module-dir", str(tmp_path), "-o", str(tmp_path / "x.json")]) == 0
    error = capsys.readouterr().err
    assert f"failed to initialize module: {tmp_path}/hw-usb-redirect.so. Only modules from the same build" in error
    assert "usb-redir" not in vmdump.open(tmp_path / "x.json")
    assert "usb-redir" in vmdump.open(qemu)


@pytest.mark.qemu
def test_module_with_avx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A module with unsupported instructions ends the reading, as its types are unknown."""
    qemu = find_qemu("x86_64")
    installed = find_module("hw-usb-redirect", "x86_64-linux-gnu")
    _, module = QemuImage(qemu)._opener.opened["hw-usb-redirect"]
    constructor = module.constructors[-1] - module.bias
    data = bytearray(installed.read_bytes())
    (segment,) = [each for each in ElfFile(bytes(data), "module").of_type(1) if each.flags & 1]
    at = constructor - segment.vaddr + segment.offset
    data[at : at + 6] = bytes.fromhex("c4e271dcc1c3")  # vaesenc %xmm1,%xmm1,%xmm0; ret
    (tmp_path / installed.name).write_bytes(data)
    assert main(["dump", qemu, "--module-dir", str(tmp_path), "-o", str(tmp_path / "x.json")]) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"vmdump: {tmp_path}/hw-usb-redirect.so: its code uses an AVX instruction "), last
    assert f" of the vaes group (at {constructor:#x})" in last, last
    assert not (tmp_path / "x.json").exists()


#: A function that clears the callee-saved registers and reads from NULL.
FAULT = {
    # xor %ebx,%ebx; xor %ebp,%ebp; xor %r12d,%r12d and so on to %r15d; xor %eax,%eax; mov (%rax),%rax
    "x86_64": bytes.fromhex("31db31ed4531e44531ed4531f64531ff31c0488b00"),
    # mov x19, #0 and so on to x29; ldr x0, [x19]
    "aarch64": struct.pack("<12I", *(0xD2800000 | register for register in range(19, 30)), 0xF9400260),
}


def arm64_qemu() -> str:
    """An unpacked QEMU for AArch64 hosts."""
    found = sorted(IMAGES.glob("roots/*-arm64/usr/bin/qemu-system-aarch64"))
    if not found:
        pytest.skip("no QEMU for AArch64 hosts in $VMDUMP_IMAGES")
    return str(found[-1])


@pytest.mark.qemu
@pytest.mark.parametrize(("host", "device"), [("x86_64", "isa-serial"), ("aarch64", "pl031")])
def test_class_init_that_faults(host: str, device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class_init that faults loses its own device only, which is reported."""
    qemu = find_qemu("x86_64") if host == "x86_64" else arm64_qemu()
    image = QemuImage(qemu)
    (klass,) = image._qemu.classes(device, include_abstract=True)
    class_init = image._guest.pointer(image._guest.pointer(klass) + 32) - image._guest.bias
    data = bytearray(Path(qemu).read_bytes())
    (segment,) = [each for each in ElfFile(bytes(data), qemu).of_type(1) if each.flags & 1]
    at = class_init - segment.vaddr + segment.offset
    data[at : at + len(FAULT[host])] = FAULT[host]
    broken = tmp_path / "qemu-system-broken"
    broken.write_bytes(data)
    dirs = [f"--module-dir={each}" for each in image.search_dirs]
    assert main(["dump", str(broken), *dirs, "--extended", "-o", str(tmp_path / "x.json")]) == 0
    error = capsys.readouterr().err
    assert f"{broken}: class_init failed: an access outside of its memory (at 0x0, device '{device}')" in error
    dump, whole = vmdump.open(tmp_path / "x.json"), vmdump.open(qemu)
    defects = [defect.device for defect in dump.producer.defects if "class_init" in defect.what]
    assert defects == [device]
    assert list(dump) == [name for name in whole if name != device]
    assert all(dump[name].vmsd == whole[name].vmsd for name in list(dump)[::20])


@pytest.mark.qemu
def test_missing_library_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A library function that start-up calls and the emulator lacks is reported on one line, also
    for a cached image.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    qemu = tmp_path / "qemu-system-x86_64"
    data = Path(find_qemu("x86_64")).read_bytes()
    assert b"\0pthread_mutex_lock\0" in data
    qemu.write_bytes(data.replace(b"\0pthread_mutex_lock\0", b"\0pthread_mutex_LOCK\0"))
    os.utime(qemu, (0, 0))
    outputs = []
    for _ in range(2):
        assert main(["dump", str(qemu), "-M", "none", "-o", str(tmp_path / "x.json")]) == 0
        outputs.append([line for line in capsys.readouterr().err.splitlines() if "library functions" in line])
    assert outputs[0] == outputs[1]
    (line,) = outputs[0]
    assert line.startswith(f"vmdump: {qemu}: start-up calls library functions that the emulator does not have (")
    assert "pthread_mutex_LOCK" in line


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", "aarch64"])
def test_no_missing_library_function(target: str) -> None:
    """All library functions that Debian's QEMU calls are emulated, or have no effect."""
    reports: list[str] = []
    vmdump.open(find_qemu(target), cache=False, report=lambda each: reports.append(str(each)))
    assert [each for each in reports if "library functions" in each] == []


# Hostile binaries -------------------------------------------------------------------------------------------------


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file that looks like a QEMU and whose constructor never returns."""
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


def test_endless(endless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless constructor is ended and reported with the function's address in the file."""
    monkeypatch.setattr(guest_module, "SECONDS", 0.2)
    with pytest.raises(SourceError) as caught:
        QemuImage(endless)
    assert f"{endless}: function at {AT:#x}: it does not come to an end" in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [["dump"], ["devices", "--no-cache"], ["check", "{}"], ["lint"], ["dump", "-M", "help"], ["dump", "-M", "none"]],
    ids=" ".join,
)
def test_endless_timeout(command: list[str], endless: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--timeout applies to a binary that is read, in every command."""
    name, *options = (each.format(endless) for each in command)
    assert main([name, str(endless), *options, "--timeout", "0.2"]) == 3
    error = capsys.readouterr().err
    assert re.search(r"did not finish within 0.2 seconds; .*--timeout|within 0.2 seconds \(--timeout\)", error)
    assert error.count("\n") == 1


def test_endless_interrupted(endless: Path) -> None:
    """SIGINT is handled during emulation."""
    with subprocess.Popen([sys.executable, "-m", "vmdump", "dump", endless], stderr=subprocess.PIPE) as process:
        while len(os.listdir(f"/proc/{process.pid}/task")) == 1:
            time.sleep(0.01)  # until a guest call has begun
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == b"vmdump: interrupted\n"
        assert process.wait(10) == 130
