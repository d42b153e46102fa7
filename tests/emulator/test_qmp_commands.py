"""The list of QMP commands in synthesised binaries, damaged ones among them."""

import struct

import pytest
from support.elf_builder import DATA as AT
from support.elf_builder import PHDR_LOAD, X86_64, Symbol, elf_object

from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.elf import ElfFile
from vmdump.emulator.qmp_commands import QmpCommands
from vmdump.errors import SourceError

#: Offsets in the data: three commands of 64 bytes, and their names.
COMMANDS, NAMES = 64, 256

#: Offsets of a command's links {next, previous}. Source: QEMU 7.2 include/qapi/qmp/dispatch.h QmpCommand.
NEXT, PREVIOUS = 32, 40


def commands(links: dict[int, tuple[int, int]]) -> QmpCommands:
    """Return the list of a binary whose head, at the start of its data, points to command 0.

    links: by the number of a command, those of the next and the previous one.
    """
    relocations = [(AT, 8, 0, AT + COMMANDS)]
    for number, (following, before) in links.items():
        at = AT + COMMANDS + 64 * number
        relocations += [(at, 8, 0, AT + NAMES + 8 * number), (at + 8, 8, 0, AT)]
        relocations += [(at + NEXT, 8, 0, AT + COMMANDS + 64 * following)]
        relocations += [(at + PREVIOUS, 8, 0, AT + COMMANDS + 64 * before + NEXT)]
    names = b"".join(struct.pack("8s", b"name-%d" % number) for number in range(8))
    data = bytes(NAMES) + names
    guest = Guest("guest", X86_64)
    file = ElfFile(elf_object(data=data, rela=relocations, symbols=[Symbol(b"qmp_commands", 1, AT)]), "file")
    return QmpCommands(guest, file.map(guest, is_main=True))


@pytest.mark.parametrize("n", [0, 4095, 4096])
def test_without_the_head(n: int) -> None:
    """The list is found by a command's name in the heap, behind pointers to the name that no command has."""
    guest = Guest("guest", X86_64)
    file = bytearray(elf_object(data=b"query-machines\0query-other\0".ljust(64)))
    file[PHDR_LOAD + 4] = 5  # not writable
    main = ElfFile(bytes(file), "file").map(guest, is_main=True)
    name, function = main.bias + AT, main.bias
    guest.write(guest.alloc(16 * n + 16), guest.pack("2Q", name, 0) * n)
    first, second = guest.alloc(64), guest.alloc(64)
    guest.write(first, guest.pack("6Q", name, function, 0, 0, second, first + NEXT))
    guest.write(second, guest.pack("6Q", name + 15, function, 0, 0, 0, first + NEXT))
    found = QmpCommands(guest, main)
    if n < 4096:
        assert found.names() == ["query-machines", "query-other"]
        return
    with pytest.raises(SourceError, match="its list of QMP commands was not found"):
        found.names()


@pytest.mark.parametrize(
    "links",
    [
        {0: (1, 2), 1: (2, 0), 2: (0, 1)},
        {0: (1, 0), 1: (2, 0), 2: (1, 1)},
        {0: (1, 1), 1: (2, 2), 2: (2, 2)},
    ],
    ids=["ring", "cycle without the start", "command that follows itself"],
)
def test_cycles(links: dict[int, tuple[int, int]]) -> None:
    """All commands are found, and walking ends, wherever the links lead."""
    assert commands(links).names() == ["name-0", "name-1", "name-2"]
