"""The table of modules of a QEMU binary, as its code has it or damaged."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from support.elf_builder import AARCH64, X86_64, Symbol, elf_object
from support.elf_builder import DATA as AT

from vmdump.emulator.boot import Qemu
from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.elf import ElfFile
from vmdump.errors import ModuleError, SourceError
from vmdump.modules.model import ModuleInfo
from vmdump.qom import TypeTable
from vmdump.sources.qemu_image.module_opener import QemuModuleOpener, read_modinfo

#: QemuModinfo: name, arch, objs, deps, opts. Source: QEMU 8.2.2 include/qemu/module.h.
ROW = 5


def table(rows: int, strings: int) -> Qemu:
    """Return a QEMU with a table of modules: its rows, and the strings of each row's list of types."""
    guest = Guest("guest", X86_64)
    content = elf_object(data=bytes(8 * (ROW * rows + 1)), symbols=[Symbol(b"qemu_modinfo", 1, AT)])
    main = ElfFile(content, "file").map(guest, is_main=True)
    names = guest.alloc(8 * (strings + 1))
    guest.write(names, guest.pack(f"{strings}Q", *[guest.string("type")] * strings))
    row = guest.pack("5Q", guest.string("module"), guest.string("arm"), names, 0, 0)
    guest.write(main.symbols["qemu_modinfo"], row * rows)
    return cast(Qemu, SimpleNamespace(guest=guest, main=main))


def test_rows() -> None:
    """A table ends at a row without a name, a list of strings at a null pointer."""
    expected = ModuleInfo("module", kind="qemu", arch="arm", objs=("type",) * 3, deps=(), opts=())
    assert read_modinfo(table(2, 3)) == [expected] * 2
    assert read_modinfo(table(0, 0)) == []


def test_modules_of_other_hosts(tmp_path: Path) -> None:
    """A module for another CPU is not loaded."""
    (tmp_path / "module.so").write_bytes(elf_object(machine=AARCH64))
    opener = QemuModuleOpener(table(0, 0), b"")
    with pytest.raises(
        ModuleError, match=r"failed to open module: .*module.so: it is for AArch64 Linux, but guest for"
    ):
        opener.open("module", str(tmp_path / "module.so"), False, TypeTable())


@pytest.mark.parametrize(("rows", "strings"), [(1025, 1), (1, 65)])
def test_tables_that_never_end(rows: int, strings: int) -> None:
    """A table with more rows or strings than any QEMU has is refused."""
    with pytest.raises(SourceError, match=r"^guest: its table of modules has no end; the file may be corrupt"):
        read_modinfo(table(rows, strings))
