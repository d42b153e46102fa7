"""Files that are not a source: each command prints one line with the file's kind and the remedy, and exits with 3."""

import platform
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest
from support.elf_builder import elf_object

from vmdump.cli import main
from vmdump.errors import SourceError
from vmdump.files import file_kind
from vmdump.files.file_kind import describe_file
from vmdump.sources import open as open_source
from vmdump.sources.dump_file import open_dump_file


def pe(machine: int) -> bytes:
    """Return a PE file's headers."""
    return (b"MZ".ljust(60, b"\0") + struct.pack("<I", 128)).ljust(128, b"\0") + b"PE\0\0" + struct.pack("<H", machine)


FILES = {
    "x86-64.exe": (pe(0x8664), "PE header at 0x80: there is none, or it is incomplete; the file may be"),
    "arm64.exe": (pe(0xAA64), "PE header at 0x80: there is none, or it is incomplete; the file may be"),
    "other.exe": (pe(0x1234), "a Windows program (PE, machine 0x1234); write the dump"),
    "dos.com": (b"MZ\x90\0", "a DOS or Windows program; write the dump"),
    "arm64-macho": (bytes.fromhex("cffaedfe0c000001"), "its header is outside of the file; the file may be truncated"),
    "x86-64-macho": (bytes.fromhex("cffaedfe07000001") + bytes(24), "a Mach-O file of an unknown type (0)"),
    "ppc-macho": (bytes.fromhex("feedface00000012") + bytes(24), "a Mach-O file for PowerPC, which can't be emulated"),
    "fat-macho": (bytes.fromhex("cafebabe00000002"), "the table of CPUs is outside of the file"),
    "A.class": (bytes.fromhex("cafebabe00000041"), "a Java class, not a dump"),
    "lib.a": (b"!<arch>\n/               0", "a static library (ar archive), not a dump"),
    "qemu.deb": (b"!<arch>\ndebian-binary   1", "a Debian package, not a dump; vmdump bulk reads packages"),
    "qemu.rpm": (b"\xed\xab\xee\xdb\3\0", "an RPM package, not a dump; vmdump bulk reads packages"),
    "qemu.tar": (b"qemu/".ljust(257, b"\0") + b"ustar\00000", "a tar archive, not a dump; vmdump bulk reads packages"),
    "disk.qcow2": (b"QFI\xfb\0\0\0\3", "the qcow2 image ends within the header (at 0x0); the file may be truncated"),
    "vm.state": (b"QEVM\0\0\0\3", "the stream ends at byte 8, before its first section"),
    "vm.save": (b"LibvirtQemudSave\2\0\0\0", "ends within libvirt's header of 92 bytes"),
    "bom.json": (b'\xef\xbb\xbf{"a": 1}', "text with a byte order mark, not a dump; write it in UTF-8 without"),
    "le.json": ('\ufeff{"a": 1}'.encode("utf-16-le"), "text in UTF-16, as PowerShell's > writes it, not a dump"),
    "be.json": ('\ufeff{"a": 1}'.encode("utf-16-be"), "text in UTF-16, not a dump"),
    "script": (b"#!/bin/sh\nexec qemu-system-i386\n", "a script, not a dump; if it starts QEMU, give that binary"),
    "core": (elf_object()[:16] + b"\4\0" + elf_object()[18:], "a core file, the memory of a process that crashed"),
    "ppc64": (
        b"\x7fELF\2\2\1".ljust(16, b"\0") + b"\0\3\0\x15".ljust(48, b"\0"),
        "a 64-bit ELF file for 64-bit PowerPC, big-endian, which can't be emulated",
    ),
    "armhf": (
        b"\x7fELF\1\1\1".ljust(16, b"\0") + b"\3\0\x28\0".ljust(48, b"\0"),
        "a 32-bit ELF file for ARM, which can't be emulated",
    ),
    "qemu-img": (
        elf_object(is_qemu=False, data=b"\0qemu-img version 10.0\0"),
        "but qemu-img, one of QEMU's tools; give a",
    ),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["dump", "devices", "lint", "check"])
def test_kinds(name: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and exit code 3 in every command that reads sources."""
    content, expected = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert main([command, *[str(path)] * (2 if command == "check" else 1)]) == 3
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"vmdump: {path}: ")
    assert expected in output.err
    assert output.err.count("\n") == 1


def test_zip(tmp_path: Path) -> None:
    """A wheel is reported as a zip archive, with a hint to vmdump bulk."""
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("qemu", "x")
    with pytest.raises(SourceError, match=r"x\.whl: a zip archive, or a wheel, not a dump; vmdump bulk reads packages"):
        open_dump_file(tmp_path / "x.whl")


def test_bytes_to_identify_a_file() -> None:
    """vmdump.open reads as many bytes of a file as it takes to recognise executables."""
    assert open_source._START == file_kind.OBJECT_START


def test_dumps_are_left_to_their_readers() -> None:
    """Possible dumps, damaged or not, and ELF files are left to their readers."""
    for start in (
        b"",
        b"{",
        b'{\n  "vmschkmachine": {',
        b" \n{",
        b"[]",
        b"M",
        b"\x7fELF",
        b"\x1f\x8b",
    ):
        assert describe_file(start) is None


def run(*command: str) -> None:
    """Run a tool of binutils or GCC."""
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64") or not shutil.which("gcc") or not shutil.which("objcopy"),
    reason="no compiler for 64-bit objects",
)
def test_compiler_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real object files, static libraries, programs and separate debug information are recognised."""
    source, linked = tmp_path / "a.c", tmp_path / "a.out"
    source.write_text("int main(void) { return 0; }\n")
    run("gcc", "-g", "-c", "-o", f"{tmp_path}/a.o", str(source))
    run("gcc", "-g", "-pie", "-fPIE", "-o", str(linked), str(source))
    run("gcc", "-no-pie", "-o", f"{tmp_path}/fixed", str(source))
    run("objcopy", "--only-keep-debug", str(linked), f"{tmp_path}/a.debug")
    run("ar", "rc", f"{tmp_path}/a.a", f"{tmp_path}/a.o")
    for name, expected in (
        ("a.o", "a relocatable object, not linked; give a QEMU system emulator"),
        ("a.out", "not a QEMU system emulator, but another program; give a qemu-system-"),
        ("fixed", "not a QEMU system emulator, but another program; give a qemu-system-"),
        ("a.debug", "separate debug information, without code; give the binary that it belongs to"),
        ("a.a", "a static library (ar archive), not a dump"),
    ):
        assert main(["dump", f"{tmp_path}/{name}"]) == 3
        assert f"vmdump: {tmp_path}/{name}: {expected}" in capsys.readouterr().err
