"""ELF objects: mapped, relocated, or refused with the place in the file; damaged ones too."""

import struct
from pathlib import Path

import pytest
from elf_builder import AARCH64, DT_HASH, DT_INIT_ARRAY, DT_RELA, DT_STRTAB, DT_SYMTAB, X86_64, elf_object
from elf_builder import DATA as AT
from hypothesis import given, settings
from hypothesis import strategies as st

from vmdump.errors import SourceError
from vmdump.sources.qemu_image.elf import ElfFile, map_object
from vmdump.sources.qemu_image.guest import Guest
from vmdump.sources.qemu_image.image import QemuImage

GOOD = elf_object()


def changed(offset: int, data: bytes) -> bytes:
    """A good object with some bytes of its header replaced."""
    return GOOD[:offset] + data + GOOD[offset + len(data) :]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "not an ELF file"),
        (b"{}", "not an ELF file"),
        (GOOD[:40], "shorter than an ELF header"),
        (changed(4, b"\x01"), "not a 64-bit little-endian"),
        (changed(5, b"\x02"), "not a 64-bit little-endian"),
        (changed(18, b"\xf3\x00"), r"for a host \(ELF machine 243\) other than x86-64 and AArch64"),
        (changed(16, b"\x02"), "not position-independent"),
        (changed(32, b"\xff" * 8), "program headers are outside of the file"),
        (changed(56, b"\xff\xff"), "program headers are outside of the file"),
        (changed(64 + 32, b"\xff" * 8), "a segment of 18446744073709551615 bytes is outside of the file"),
        (changed(64 + 16, b"\xff" * 8), "is outside of the file"),
        (GOOD[:-1], "is outside of the file"),
        (changed(64, b"\0\0\0\0"), "nothing to load"),
        (changed(64 + 56, b"\0\0\0\0"), "no dynamic section"),
        (elf_object(), "exports no register_module_init"),
        (elf_object(dynamic={DT_SYMTAB: 1 << 40}), "outside of its memory"),
        (elf_object(dynamic={DT_HASH: 1 << 40}), "outside of its memory"),
        (elf_object(dynamic={DT_STRTAB: 1 << 40}), "outside of its memory"),
        (elf_object(rela=[(AT, 8, 0, 0)], dynamic={DT_RELA: 1 << 40}), "the relocations are outside of the file"),
        (elf_object(rela=[(1 << 40, 8, 0, 0)]), "a relocation is outside of the file"),
        (elf_object(rela=[(AT, 6, 9, 0)]), "a relocation is outside of the file"),
        (elf_object(rela=[(AT, 37, 0, 0)]), "relocation 0 at .*: a relocation of a type that is not known"),
        (elf_object(relr=[1 << 40]), "a relocation is outside of the file"),
        (elf_object(init_array=[1], dynamic={DT_INIT_ARRAY: 1 << 40}), "outside of its memory"),
    ],
)
def test_wrong_files(data: bytes, error: str, tmp_path: Path) -> None:
    """What is no QEMU that can be read is told, with its name."""
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=error) as caught:
        QemuImage(path)
    assert str(caught.value).startswith(f"{path}: ")


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 300), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4))
def test_damaged_files(changes: list[tuple[int, bytes]]) -> None:
    """An object with bytes overwritten at random: mapped, or refused; nothing else, however it is broken."""
    data = GOOD
    for at, new in changes:
        data = data[:at] + new + data[at + len(new) :]
    try:
        elf = ElfFile(data, "x")
        map_object(Guest("x", elf.e_machine), elf, is_main=True)
    except SourceError as error:
        assert "\n" not in str(error)


R = {X86_64: (8, 1, 6, 7, 18), AARCH64: (1027, 257, 1025, 1026, 1030)}


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_relocations(machine: int) -> None:
    """RELATIVE, 64, GLOB_DAT, JUMP_SLOT and RELR, of both hosts."""
    relative, absolute, glob_dat, jump_slot, _ = R[machine]
    data = elf_object(
        machine=machine,
        data=b"".join(struct.pack("<Q", 0x100 * i) for i in range(80)),
        symbols=[(b"mine", 1, AT + 64), (b"theirs", 0, 0)],
        rela=[(AT, relative, 0, 0x40), (AT + 8, absolute, 1, 5), (AT + 16, glob_dat, 2, 0), (AT + 24, jump_slot, 2, 0)],
        relr=[AT + 32, 1 | 1 << 1 | 1 << 3],
    )
    machine_ = Guest("x", machine)
    mapped = map_object(machine_, ElfFile(data, "x"), is_main=True)
    theirs = machine_.host_function("theirs")
    bias = mapped.bias
    words = [machine_.pointer(bias + AT + 8 * i) for i in range(9)]
    assert words[:4] == [bias + 0x40, bias + AT + 64 + 5, theirs, theirs]
    # RELR: the word at AT + 32, and of those behind it the first and the third.
    assert words[4:9] == [bias + 0x400, bias + 0x500, 0x600, bias + 0x700, 0x800]
    assert mapped.symbols == {"mine": bias + AT + 64}
