"""ELF headers and section headers: 32 and 64 bits, both byte orders, any machine.

Every offset is checked against the file's size before it is read, and every size against a limit.
Source: System V ABI, chapter 4, "ELF Header" and "Sections"; the numbers are those of gABI and glibc elf.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

__all__ = [
    "MAX_BYTES", "SHF_EXECINSTR", "SHT_NOBITS", "ElfFormatError", "ElfHeader", "ElfReader", "HostArch",
    "SectionHeader", "elf_machine",
]  # fmt: skip

#: Limit of one read, in bytes: the section headers of 65,536 sections.
MAX_BYTES = 1 << 22

SHT_NOBITS = 8
SHF_EXECINSTR = 4
_SHN_XINDEX = 0xFFFF


class HostArch(IntEnum):
    """Host architectures whose QEMU binaries vmdump can read, by e_machine.

    >>> HostArch(183).qemu_name
    'aarch64'
    """

    S390X = 22
    X86_64 = 62
    AARCH64 = 183
    RISCV64 = 243

    @property
    def qemu_name(self) -> str:
        """The architecture's name in QEMU's configuration: ``x86_64``, ``aarch64``."""
        return self.name.lower()


_MACHINES = {
    0: "no machine", 2: "SPARC", 3: "i386", 4: "Motorola 68000", 8: "MIPS", 15: "PA-RISC", 18: "SPARC (32 bits, v8+)",
    20: "PowerPC", 21: "64-bit PowerPC", HostArch.S390X: "IBM Z (s390x)", 40: "ARM", 41: "Alpha", 42: "SuperH",
    43: "SPARC V9", 44: "TriCore", 50: "Itanium", HostArch.X86_64: "x86-64", 76: "CRIS", 83: "AVR", 87: "V850",
    92: "OpenRISC", 93: "ARC", 94: "Xtensa", 106: "Blackfin", 113: "Nios II", 164: "Hexagon", 173: "Renesas RX",
    HostArch.AARCH64: "AArch64", 189: "MicroBlaze", 195: "ARCv2", 224: "AMD GPU", HostArch.RISCV64: "RISC-V",
    247: "BPF", 252: "C-SKY", 258: "LoongArch", 0x9026: "Alpha",
}  # fmt: skip


def elf_machine(number: int) -> str:
    """Name of a CPU by e_machine, for messages.

    >>> elf_machine(22), elf_machine(999)
    ('IBM Z (s390x)', 'an unknown CPU (ELF machine 999)')
    """
    return _MACHINES.get(number, f"an unknown CPU (ELF machine {number})")


class ElfFormatError(Exception):
    """A malformed ELF file. ``offset``: of the malformed structure, in bytes; ``text``: what is wrong with it."""

    def __init__(self, offset: int, text: str) -> None:
        super().__init__(f"at offset {offset:#x}: {text}")
        self.offset, self.text = offset, text


class ElfHeader(NamedTuple):
    """An ELF header (Elf32_Ehdr, Elf64_Ehdr). ``bits``: 32 or 64; ``byte_order``: ``<`` or ``>``, as in struct."""

    bits: int
    byte_order: str
    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    ehsize: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class SectionHeader(NamedTuple):
    """A section header (Elf32_Shdr, Elf64_Shdr) up to sh_link. ``name``: offset in the section of names, in bytes."""

    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int


class _Layout(NamedTuple):
    """Formats of one ELF class: the header from e_type on (after e_ident), and a section header up to sh_link."""

    bits: int
    header: str
    section: str


_LAYOUTS = {1: _Layout(32, "HHIIIIIHHHHHH", "IIIIIII"), 2: _Layout(64, "HHIQQQIHHHHHH", "IIQQQQI")}
_BYTE_ORDERS = {1: "<", 2: ">"}

#: Bytes of e_ident.
_IDENT = 16


class ElfReader:
    """Bounded reads of an ELF file. Methods raise ElfFormatError, and whatever ``read_at`` raises."""

    def __init__(self, read_at: Callable[[int, int], bytes], size: int) -> None:
        """Args:

        read_at: returns ``size`` bytes from ``offset`` on, or fewer if the file has been truncated meanwhile.
        size: of the file, in bytes.
        """
        self._read_at = read_at
        self.size = size

    def read(self, offset: int, size: int, what: str) -> bytes:
        """Return exactly ``size`` bytes; ``what`` names them in errors."""
        if offset + size > self.size:
            raise ElfFormatError(offset, f"{what} takes {size} bytes, but the file ends at {self.size:#x}")
        if size > MAX_BYTES:
            raise ElfFormatError(offset, f"{what} takes {size} bytes, more than the limit of {MAX_BYTES}")
        data = self._read_at(offset, size)
        if len(data) != size:
            raise ElfFormatError(offset, f"{what} can't be read: the file changed while it was being read")
        return data

    def is_elf(self) -> bool:
        """Whether the file begins with ELF's magic number."""
        return self.read(0, min(4, self.size), "the magic number") == b"\x7fELF"

    def header(self) -> ElfHeader:
        """Return the ELF header."""
        elf_class, order, version = self.read(4, 3, "the ELF header")
        if elf_class not in _LAYOUTS or order not in _BYTE_ORDERS or version != 1:
            raise ElfFormatError(
                4, f"unsupported ELF identification: class {elf_class}, byte order {order}, version {version}"
            )
        layout, byte_order = _LAYOUTS[elf_class], _BYTE_ORDERS[order]
        header = struct.Struct(byte_order + layout.header)
        fields = header.unpack(self.read(_IDENT, header.size, "the ELF header"))
        return ElfHeader(layout.bits, byte_order, *fields)

    def sections(self, header: ElfHeader) -> tuple[list[SectionHeader], int]:
        """Return the section headers and the index of the section that holds their names, 0 if there is none.

        A stripped file may have no section headers.
        """
        if header.shoff == 0:
            return [], 0
        section = struct.Struct(header.byte_order + _LAYOUTS[header.bits // 32].section)
        if header.shentsize < section.size:
            raise ElfFormatError(_IDENT, f"section headers of {header.shentsize} bytes are too short")
        count, names = header.shnum, header.shstrndx
        if count == 0 or names == _SHN_XINDEX:  # section 0 holds numbers that do not fit into the header
            first = SectionHeader(*section.unpack(self.read(header.shoff, section.size, "section header 0")))
            count, names = count or first.size, first.link if names == _SHN_XINDEX else names
        table = self.read(header.shoff, count * header.shentsize, f"the table of {count} section headers")
        headers = [SectionHeader(*section.unpack_from(table, at)) for at in range(0, len(table), header.shentsize)]
        return headers, names

    def content(self, section: SectionHeader, what: str) -> bytes:
        """Return the bytes of a section; ``what`` names it in errors."""
        if section.type == SHT_NOBITS:
            raise ElfFormatError(section.offset, f"{what} has no bytes in the file (it is of type NOBITS)")
        return self.read(section.offset, section.size, what)
