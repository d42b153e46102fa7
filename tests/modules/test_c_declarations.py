"""Declarations of C modules, read from ELF files without loading them."""

import contextlib
import os
import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.c_modules import CC, INCLUDE, is_loaded
from support.examples import EXAMPLES
from support.paths import TESTS

from vmdump.errors import ModuleError
from vmdump.modules.c_module import CModuleOpener
from vmdump.modules.elf_section import read_section
from vmdump.modules.model import ModuleInfo

# Declarations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "info",
    [
        ModuleInfo("tide-bus", kind="c", objs=("tide-device",)),
        ModuleInfo("tide-rtc", kind="c", objs=("tide-rtc", "tide-rtc-battery"), deps=("tide-bus",)),
        ModuleInfo("tide-uart", kind="c", objs=("tide-uart", "tide-uart-dma"), opts=("tide-uart",)),
        ModuleInfo("tide-ccw", kind="c", objs=("tide-ccw",), arch="s390x"),
    ],
    ids=lambda info: info.name,
)
def test_modinfo_is_read_without_loading(tide, info):
    """A module's declarations are read in order, without mapping its code."""
    file = tide / f"{info.name}.so"
    assert CModuleOpener().read_info(str(file)) == info
    assert not is_loaded(file)


def test_modinfo_survives_the_linker(tmp_path, tide):
    """Neither --gc-sections nor strip removes the declarations."""
    command = [CC, "-std=gnu11", "-O2", "-ffunction-sections", "-fdata-sections", "-fPIC", "-shared", f"-I{INCLUDE}"]
    source = TESTS / "c_modules" / "src" / "tide-ccw.c"
    file = tmp_path / "tide-ccw.so"
    subprocess.run([*command, "-Wl,--gc-sections", "-s", "-o", file, source], check=True)
    opener = CModuleOpener()
    assert opener.read_info(str(file)) == opener.read_info(str(tide / "tide-ccw.so"))


def test_module_that_provides_nothing(build):
    """VMDUMP_MODULE() alone makes a shared object a module."""
    file = build("idle", "#include <vmdump/module.h>\nVMDUMP_MODULE();\n")
    assert CModuleOpener().read_info(str(file)) == ModuleInfo("idle", kind="c")


def test_other_files_are_skipped(build, tmp_path):
    """A shared object without declarations and a file that is not ELF are skipped."""
    foreign = build("foreign", "int answer(void);\nint answer(void) { return 42; }\n")
    (tmp_path / "text.so").write_text("INPUT(libc.so)")
    (tmp_path / "empty.so").touch()
    opener = CModuleOpener()
    assert [opener.read_info(str(file)) for file in (foreign, tmp_path / "text.so", tmp_path / "empty.so")] == [
        None
    ] * 3


@pytest.mark.parametrize(
    ("records", "text"),
    [
        (b"obj=a\0obj\0", "at offset 0x46: .vmdump.modinfo has b'obj', which is not \"KEY=VALUE\""),
        (b"obj=\0", "at offset 0x40: .vmdump.modinfo has b'obj='"),
        (b"obj=\xff\0", "at offset 0x40: .vmdump.modinfo has b'obj=\\xff'"),
        (b"arch=arm\0arch=x86_64\0", "it is for arm and x86_64; keep one module_arch()"),
    ],
)
def test_malformed_declarations(tmp_path, records, text):
    """Errors name the file, the offset and the record."""
    file = tmp_path / "odd.so"
    file.write_bytes(make_elf(records))
    with pytest.raises(ModuleError) as caught:
        CModuleOpener().read_info(str(file))
    assert str(caught.value).startswith(f"failed to open module: {file}: {text}")


def test_declarations_of_later_headers_are_skipped(tmp_path):
    """Unknown keys and padding between object files are skipped."""
    file = tmp_path / "new.so"
    file.write_bytes(make_elf(b"\0\0obj=a\0\0\0kconfig=PCI\0obj=b\0obj=a\0"))
    assert CModuleOpener().read_info(str(file)) == ModuleInfo("new", kind="c", objs=("a", "b"))


# ELF --------------------------------------------------------------------------------------------------------------

#: Layout of the ELF files built here: modinfo, section names, section headers.
NAMES = b"\0.shstrtab\0.vmdump.modinfo\0"


def make_elf(data, *, bits=64, order="<", machine=62, name_at=11, names_index=2, sh_type=1, extended=False):
    """Return an ELF file with sections 0, 1 (the modinfo) and 2 (the names). Source: System V ABI, chapter 4."""
    word = {64: "Q", 32: "I"}[bits]
    header_size, entry_size = {64: (64, 64), 32: (52, 40)}[bits]
    data_at = header_size
    names_at = data_at + len(data)
    table_at = names_at + len(NAMES)
    ident = b"\x7fELF" + bytes([bits // 32, "<>".index(order) + 1, 1]) + bytes(9)
    count, index = (0, 0xFFFF) if extended else (3, names_index)
    header = struct.pack(
        f"{order}HHI3{word}I6H", 3, machine, 1, 0, 0, table_at, 0, header_size, 0, 0, entry_size, count, index
    )

    def section(name, type_, offset, size, link=0):
        return struct.pack(f"{order}II4{word}II2{word}", name, type_, 0, 0, offset, size, link, 0, 1, 0)

    first = section(0, 0, 0, 3, names_index) if extended else section(0, 0, 0, 0)
    table = first + section(name_at, sh_type, data_at, len(data)) + section(1, 3, names_at, len(NAMES))
    return ident + header + data + NAMES + table


@pytest.mark.parametrize("extended", [False, True], ids=["", "extended numbering"])
@pytest.mark.parametrize(("bits", "order", "machine"), [(64, "<", 183), (64, ">", 22), (32, "<", 40), (32, ">", 20)])
def test_section_of_any_machine(tmp_path, bits, order, machine, extended):
    """Modules for foreign architectures are read: aarch64, s390x, arm, ppc."""
    file = tmp_path / "far.so"
    file.write_bytes(make_elf(b"arch=s390x\0obj=a\0", bits=bits, order=order, machine=machine, extended=extended))
    assert CModuleOpener().read_info(str(file)) == ModuleInfo("far", kind="c", arch="s390x", objs=("a",))
    section = read_section(str(file), ".vmdump.modinfo")
    assert (section.offset, section.data) == ({64: 64, 32: 52}[bits], b"arch=s390x\0obj=a\0")


def test_section_names_are_compared_whole(tmp_path):
    """A section whose name has modinfo's as a prefix or suffix is another section."""
    file = tmp_path / "a.so"
    file.write_bytes(make_elf(b"obj=a\0"))
    assert read_section(str(file), ".vmdump") is None
    assert read_section(str(file), "modinfo") is None
    assert read_section(str(file), ".shstrtab").data == NAMES


def test_stripped_of_section_headers(tmp_path):
    """Without section headers there are no declarations."""
    elf = bytearray(make_elf(b"obj=a\0"))
    elf[40:48] = bytes(8)  # e_shoff
    (tmp_path / "bare.so").write_bytes(elf)
    assert CModuleOpener().read_info(str(tmp_path / "bare.so")) is None


def patched(at, *values):
    """Return the 64-bit ELF file with bytes replaced. Its data is at 0x40, its section headers at 0x61."""
    elf = bytearray(make_elf(b"obj=a\0"))
    elf[at : at + len(values)] = values
    return bytes(elf)


@pytest.mark.parametrize(
    ("elf", "text"),
    [
        (patched(4, 3), "at offset 0x4: unsupported ELF identification: class 3, byte order 1, version 1"),
        (patched(5, 0), "at offset 0x4: unsupported ELF identification: class 2, byte order 0, version 1"),
        (make_elf(b"")[:30], "at offset 0x10: the ELF header takes 48 bytes, but the file ends at 0x1e"),
        (patched(58, 43), "at offset 0x10: section headers of 43 bytes are too short"),
        (patched(60, 4), "at offset 0x61: the table of 4 section headers takes 256 bytes, but the file ends at 0x121"),
        (patched(62, 3), "at offset 0x61: the section names are in section 3, but the file has 3 sections"),
        (patched(0x61 + 64, 99), "at offset 0xa1: the name of section 1 is outside section 2"),
        (patched(0x61 + 64 + 4, 8), "at offset 0x40: section 1 (.vmdump.modinfo) has no bytes in the file"),
        (patched(0x61 + 64 + 32, 255, 255), "at offset 0x40: section 1 (.vmdump.modinfo) takes 65535 bytes, but"),
        (patched(0x61 + 64 + 24, *b"\xff" * 8), "at offset 0xffffffffffffffff: section 1 (.vmdump.modinfo) takes 6"),
        (make_elf(b"\0" * (1 << 22) + b"\0"), "takes 4194305 bytes, more than the limit of 4194304"),
    ],
)  # fmt: skip
def test_elf_files_that_contradict_themselves(tmp_path, elf, text):
    """Errors name what was read, its offset, and the conflict."""
    file = tmp_path / "odd.so"
    file.write_bytes(elf)
    with pytest.raises(ModuleError) as caught:
        read_section(str(file), ".vmdump.modinfo")
    assert str(caught.value).startswith(f"failed to open module: {file}: ")
    assert text in str(caught.value)


def test_truncated_everywhere(tmp_path):
    """A truncated file is either not an ELF file or an error with an offset."""
    elf = make_elf(b"obj=a\0", bits=32, order=">")
    file = tmp_path / "short.so"
    file.write_bytes(elf)
    for size in range(len(elf) - 1, 3, -1):
        os.truncate(file, size)
        with pytest.raises(ModuleError, match="at offset 0x"):
            read_section(str(file), ".vmdump.modinfo")
    os.truncate(file, 3)
    assert read_section(str(file), ".vmdump.modinfo") is None


@settings(max_examples=2 * EXAMPLES)
@given(st.data())
def test_hostile_elf_files(tmp_path_factory, data):
    """Any bytes give a section, none, or a ModuleError."""
    elf = bytearray(make_elf(b"obj=a\0", bits=data.draw(st.sampled_from([32, 64])), extended=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, len(elf) - 8))
        elf[at : at + 8] = data.draw(st.binary(min_size=8, max_size=8))
    file = tmp_path_factory.getbasetemp() / "hostile.so"
    file.write_bytes(elf)
    with contextlib.suppress(ModuleError):
        CModuleOpener().read_info(str(file))


def test_unreadable_file(tmp_path):
    """The error has the system's reason."""
    with pytest.raises(ModuleError) as caught:
        CModuleOpener().read_info(str(tmp_path / "absent.so"))
    assert str(caught.value) == f"failed to open module: {tmp_path}/absent.so: No such file or directory"
