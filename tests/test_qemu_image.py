"""QEMU binaries, read without being run: as their own dumps, and what is no such binary is told so."""

import importlib.util
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA, find_qemu
from elf_builder import AARCH64, DT_HASH, DT_INIT_ARRAY, DT_RELA, DT_STRTAB, DT_SYMTAB, X86_64, elf_object
from elf_builder import DATA as AT
from hypothesis import given, settings
from hypothesis import strategies as st

import vmdump
from vmdump._core import ffi, lib
from vmdump.cli import main
from vmdump.errors import SourceError
from vmdump.sources.qemu_image import guest as guest_module
from vmdump.sources.qemu_image.elf import ElfFile, map_object
from vmdump.sources.qemu_image.guest import Guest
from vmdump.sources.qemu_image.image import QemuImage
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


# ELF --------------------------------------------------------------------------------------------------------------

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
        (changed(64 + 56, b"\0\0\0\0"), "no dynamic symbols"),
        (elf_object(), "no register_module_init is found in it: no QEMU system emulator"),
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
        map_object(Guest("x", elf.e_machine), elf, lambda name: 0, is_main=True)
    except SourceError as error:
        assert "\n" not in str(error)


R = {X86_64: (8, 1, 6, 7, 36), AARCH64: (1027, 257, 1025, 1026, 1031)}


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_relocations(machine: int) -> None:
    """RELATIVE, 64, GLOB_DAT, JUMP_SLOT, TLSDESC and RELR, of both hosts."""
    relative, absolute, glob_dat, jump_slot, descriptor = R[machine]
    data = elf_object(
        machine=machine,
        data=b"".join(struct.pack("<Q", 0x100 * i) for i in range(80)),
        symbols=[(b"mine", 1, AT + 64), (b"theirs", 0, 0)],
        rela=[
            (AT, relative, 0, 0x40),
            (AT + 8, absolute, 1, 5),
            (AT + 16, glob_dat, 2, 0),
            (AT + 24, jump_slot, 2, 0),
            (AT + 80, descriptor, 2, 0),
        ],
        relr=[AT + 32, 1 | 1 << 1 | 1 << 3],
    )
    asked: list[str] = []
    machine_ = Guest("x", machine)
    mapped = map_object(machine_, ElfFile(data, "x"), lambda name: asked.append(name) or 0x1234, is_main=True)
    bias = mapped.bias
    words = [machine_.pointer(bias + AT + 8 * i) for i in range(9)]
    assert words[:4] == [bias + 0x40, bias + AT + 64 + 5, 0x1234, 0x1234]
    # RELR: the word at AT + 32, and of those behind it the first and the third.
    assert words[4:9] == [bias + 0x400, bias + 0x500, 0x600, bias + 0x700, 0x800]
    assert machine_.pointer(bias + AT + 80) == machine_.host_function("__tlsdesc_resolver")
    assert mapped.symbols == {"mine": bias + AT + 64}
    assert asked == ["theirs"]


# Guests -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[X86_64, AARCH64], ids=["x86_64", "aarch64"])
def guest(request: pytest.FixtureRequest) -> Guest:
    """An empty guest of each host."""
    return Guest("guest", request.param)


def call(guest: Guest, name: str, *args: int | str) -> int:
    """Calls a function of the host as the guest would."""
    return guest.call(
        guest.host_function(name), *(guest.string(each) if isinstance(each, str) else each for each in args)
    )


def test_strings(guest: Guest) -> None:
    """libc's and GLib's functions on strings."""
    assert call(guest, "strlen", "virtio") == 6
    assert call(guest, "strcmp", "a", "a") == 0
    assert call(guest, "strcmp", "a", "b") >> 63 == 1
    assert call(guest, "strncmp", "virtio-net", "virtio-blk", 7) == 0
    assert call(guest, "g_strcmp0", 0, 0) == 0
    assert call(guest, "g_str_equal", "x", "x") == 1
    assert call(guest, "g_str_has_prefix", "pc-q35", "pc-") == 1
    assert call(guest, "g_str_has_suffix", "pc-machine", "-machine") == 1
    assert call(guest, "strspn", "abc1", "abc") == 3
    text = guest.string("one.two")
    assert call(guest, "strchr", text, ord(".")) == text + 3
    assert call(guest, "strrchr", text, ord("z")) == 0
    assert guest.text(call(guest, "g_strdup", "copy")) == "copy"
    assert call(guest, "g_strdup", 0) == 0
    assert guest.text(call(guest, "g_strconcat", "a", "b", "c", 0)) == "abc"
    assert (
        guest.text(call(guest, "g_strdup_printf", "%s-%d %#x %5u|%c%%", "q35", 7, 255, 42, 0x21))
        == "q35-7 0xff    42|!%"
    )
    assert guest.text(call(guest, "g_strdup_printf", "%-4s|%s|%p", "ab", 0, 16)) == "ab  |(null)|0x10"
    assert guest.text(call(guest, "g_strdup_printf", "%lx %*d", 2**40, 4, 2**32 - 1)) == "10000000000   -1"


def test_memory(guest: Guest) -> None:
    """malloc(0) is not NULL, g_malloc(0) is; memory is zeroed, realloc keeps what was there."""
    assert call(guest, "malloc", 0) != 0
    assert call(guest, "g_malloc", 0) == 0
    block = call(guest, "g_malloc0", 8)
    guest.write(block, b"12345678")
    assert guest.read(call(guest, "g_realloc", block, 16), 16) == b"12345678" + bytes(8)
    for name, *args in (("malloc", 1 << 60), ("calloc", 1 << 40, 1 << 40), ("g_malloc", 1 << 31)):
        with pytest.raises(SourceError, match=r"guest: its start-up uses more than \d+ MiB; is it a QEMU\?"):
            call(guest, name, *args)


def test_hash_table(guest: Guest) -> None:
    """A GHashTable of strings, in GLib's order."""
    table = call(guest, "g_hash_table_new", guest.host_function("g_str_hash"), guest.host_function("g_str_equal"))
    names = [f"type-{i}" for i in range(100)]
    keys = {guest.string(name): name for name in names}
    for number, key in enumerate(keys):
        assert call(guest, "g_hash_table_insert", table, key, number) == 1
    assert call(guest, "g_hash_table_insert", table, "type-3", 777) == 0
    assert call(guest, "g_hash_table_lookup", table, "type-3") == 777
    assert call(guest, "g_hash_table_size", table) == 100
    assert call(guest, "g_hash_table_contains", table, "no") == 0
    iterator, key = guest.alloc(64), guest.alloc(8)
    call(guest, "g_hash_table_iter_init", iterator, table)
    seen = []
    while call(guest, "g_hash_table_iter_next", iterator, key, 0):
        seen.append(guest.text(guest.pointer(key)))
    order = ffi.new("uint32_t[]", 100)
    lib.vmd_ghash_order(("\0".join(names) + "\0").encode(), 100, order)
    assert seen == [names[i] for i in order]
    assert call(guest, "g_hash_table_remove", table, "type-3") == 1
    assert call(guest, "g_hash_table_size", table) == 99


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("strlen", (8,)), ("strcmp", (0, 0)), ("memcpy", (8, 8, 1 << 40)), ("memset", (1 << 63, 0, 8)),
        ("g_hash_table_lookup", (8, 0)), ("g_slist_append", (8, 0)), ("g_strdup_printf", ("%s", 8)),
        ("g_strdup_printf", ("%q",)), ("abort", ()), ("__assert_fail", ("x > 0",)),
    ],
)  # fmt: skip
def test_wild_calls(guest: Guest, name: str, args: tuple[Any, ...]) -> None:
    """Pointers to nowhere, and a guest that gives up, are errors."""
    with pytest.raises(SourceError, match="guest: function at"):
        call(guest, name, *args)


CODE = {
    "loop": {X86_64: b"\xeb\xfe", AARCH64: b"\x00\x00\x00\x14"},
    "read from 0": {X86_64: b"\x48\x31\xc0\x48\x8b\x00\xc3", AARCH64: b"\x00\x00\x80\xd2\x00\x00\x40\xf9"},
    "invalid": {X86_64: b"\x0f\x0b", AARCH64: b"\x00\x00\x00\x00"},
    "jump to 0": {X86_64: b"\x48\x31\xc0\xff\xe0", AARCH64: b"\x00\x00\x80\xd2\x00\x00\x1f\xd6"},
}


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
@pytest.mark.parametrize("what", CODE)
def test_wild_code(what: str, machine: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that never ends, or runs wild, ends in an error in bounded time."""
    monkeypatch.setattr(guest_module, "SECONDS", 2)
    machine_ = Guest("guest", machine)
    code = machine_.alloc(64)
    machine_.write(code, CODE[what][machine])
    with pytest.raises(SourceError, match="guest: function at"):
        machine_.call(code)


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_wild_callbacks(machine: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of the host that call the guest: one that never returns, and one that calls the host for ever."""
    monkeypatch.setattr(guest_module, "SECONDS", 3)
    looping = Guest("guest", machine)
    table = call(looping, "g_hash_table_new", 0, 0)
    call(looping, "g_hash_table_insert", table, 1, 1)
    code = looping.alloc(64)
    looping.write(code, CODE["loop"][machine])
    with pytest.raises(SourceError, match="does not come to an end"):
        call(looping, "g_hash_table_foreach", table, code, 0)
    nested = Guest("guest", machine)
    table = call(nested, "g_hash_table_new", 0, 0)
    # foreach(key, value, user_data) where each key is the table itself, and the callback foreach: it calls itself.
    foreach = nested.host_function("g_hash_table_foreach")
    call(nested, "g_hash_table_insert", table, table, foreach)
    with pytest.raises(SourceError, match="call each other too deeply"):
        call(nested, "g_hash_table_foreach", table, foreach, 0)


def test_lists_that_never_end(guest: Guest) -> None:
    """A list in a circle, and more tables than memory is meant for."""
    link = guest.alloc(24)
    guest.write(link, struct.pack("<QQ", 1, link))
    for name in ("g_slist_append", "g_slist_length"):
        with pytest.raises(SourceError, match="a list that goes in a circle"):
            call(guest, name, link, 0)
    with pytest.raises(SourceError, match="its start-up uses more than"):
        for _ in range(1 << 15):
            call(guest, "g_hash_table_new", 0, 0)


def test_queue_of_init_functions(guest: Guest) -> None:
    """Init functions come out of the queue in order, all of them, once."""
    register = guest.host_function("register_dso_module_init")
    for number in range(3000):
        guest.call(register, number, number % 5)
    assert guest.take_typed_inits() == [(number, number % 5) for number in range(3000)]
    assert guest.take_typed_inits() == []


def test_time_counts_in_calls_only(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest may be kept for long: the limit is for what it does, not for how old it is."""
    clock = guest_module.time.monotonic
    monkeypatch.setattr(guest_module.time, "monotonic", lambda: clock() + 10_000)
    assert call(guest, "strlen", "later") == 5


def test_without_unicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Unicorn the error says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"pip install 'vmdump\[elf\]'"):
        Guest("x", X86_64)


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
