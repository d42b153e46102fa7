"""The tables of host architectures: relocations, calls, variadic arguments, code."""

import struct

import pytest
from support.elf_builder import AARCH64, HOSTS, RISCV64, S390X, STT_TLS, X86_64, Symbol, elf_object
from support.elf_builder import DATA as AT
from support.guests import call

from vmdump.emulator.guest import Guest
from vmdump.emulator.objects.elf import ElfFile
from vmdump.errors import SourceError
from vmdump.files.elf_header import HostArch

#: Types of relocations: RELATIVE, of a symbol's address, TLS offset from the thread pointer, module and offset of TLS.
#: Source: glibc elf.h.
RELOCATIONS = {
    X86_64: (8, 1, 18, 16, 17),
    AARCH64: (1027, 257, 1030, 1028, 1029),
    RISCV64: (3, 2, 11, 7, 9),
    S390X: (12, 22, 56, 54, 55),
}


@pytest.fixture(params=HOSTS, ids=HOSTS.values())
def guest(request: pytest.FixtureRequest) -> Guest:
    """An empty guest of each architecture."""
    return Guest("guest", request.param)


def test_names() -> None:
    """Each architecture has a table, and the name that QEMU gives it."""
    assert {arch: arch.qemu_name for arch in HostArch} == HOSTS


def test_relocations(guest: Guest) -> None:
    """An object in the host's byte order is relocated; TLS data is where the ABI has it."""
    relative, address, tp_offset, module, offset = RELOCATIONS[guest.arch]
    symbols = [Symbol(b"f", 1, AT + 0x80), Symbol(b"t", 1, 8, STT_TLS)]
    rela = [(AT, relative, 0, AT + 0x40), (AT + 8, address, 1, 4), (AT + 16, tp_offset, 2, 0)]
    rela += [(AT + 24, module, 2, 0), (AT + 32, offset, 2, 0)]
    data = struct.pack("8s", b"tls data").ljust(256, b"\0")
    elf = elf_object(machine=guest.arch, data=data, symbols=symbols, rela=rela, relr=[AT + 40], tls=(8, 16, 8))
    mapped = ElfFile(elf, "x").map(guest, is_main=True)
    at = mapped.bias + AT
    assert mapped.symbols["f"] == at + 0x80
    assert guest.words(at, 2) == (at + 0x40, at + 0x84)
    assert guest.pointer(at + 40) == mapped.bias
    assert guest.pointer(at + 24) == 1
    # Both ways lead to the same variable: 8 bytes after the initialised ones.
    block = guest.call(guest.host_function("__tls_get_addr"), at + 24) - 8
    assert guest.read(block, 8) == b"tls data"
    begin = {X86_64: -16, AARCH64: 16, RISCV64: 0, S390X: -16}[guest.arch]
    assert guest.number(at + 16, 8, signed=True) == begin + 8
    assert guest.pointer(at + 32) == (8 - 0x800) % 2**64 if guest.arch == RISCV64 else 8


def test_unknown_relocation(guest: Guest) -> None:
    """Relocations of other architectures are refused by their place."""
    with pytest.raises(SourceError, match=r"relocation 0 at .*: unknown relocation type"):
        elf = elf_object(machine=guest.arch, rela=[(AT, 9999, 0, 0)])
        ElfFile(elf, "x").map(guest, is_main=True)


def test_arguments(guest: Guest) -> None:
    """Six arguments are passed, in registers or on the stack; and the result."""
    out = guest.alloc(64)
    assert call(guest, "snprintf", out, 64, "%d %s %lx", 2**64 - 5, "five", 2**63) == len("-5 five 8000000000000000")
    assert guest.text(out) == "-5 five 8000000000000000"


def lists(guest: Guest) -> int:
    """Return a va_list with the integers 1 to 9 and the doubles 0.5 to 9.5, in this order by pairs."""
    room = guest.alloc(1024)
    integers, doubles = list(range(1, 10)), [each + 0.5 for each in range(9)]
    pairs = [word for pair in zip(integers, doubles, strict=True) for word in pair]
    pack = guest.pack
    if guest.arch == RISCV64:
        guest.write(room, b"".join(pack("q" if isinstance(word, int) else "d", word) for word in pairs))
        return room
    n_integers, n_doubles = {X86_64: (3, 4), AARCH64: (2, 3), S390X: (2, 1)}[guest.arch]
    stack, saved = room + 256, room + 640
    rest = [word for i, word in enumerate(pairs) if i // 2 >= (n_doubles if i % 2 else n_integers)]
    guest.write(stack, b"".join(pack("q" if isinstance(word, int) else "d", word) for word in rest))
    if guest.arch == X86_64:  # registers end at 48 and 176
        begin, fp = 48 - 8 * n_integers, 176 - 16 * n_doubles
        guest.write(room, pack("IIQQ", begin, fp, stack, saved))
        guest.write(saved + begin, pack(f"{n_integers}q", *integers[:n_integers]))
        for i, value in enumerate(doubles[:n_doubles]):
            guest.write(saved + fp + 16 * i, pack("d", value))
    elif guest.arch == AARCH64:
        guest.write(room, pack("QQQii", stack, saved, saved + 256, -8 * n_integers, -16 * n_doubles))
        guest.write(saved - 8 * n_integers, pack(f"{n_integers}q", *integers[:n_integers]))
        for i, value in enumerate(doubles[:n_doubles]):
            guest.write(saved + 256 - 16 * (n_doubles - i), pack("d", value))
    else:
        guest.write(room, pack("QQQQ", 5 - n_integers, 4 - n_doubles, stack, saved))
        guest.write(saved + 16 + 8 * (5 - n_integers), pack(f"{n_integers}q", *integers[:n_integers]))
        guest.write(saved + 128 + 8 * (4 - n_doubles), pack(f"{n_doubles}d", *doubles[:n_doubles]))
    return room


def test_va_list(guest: Guest) -> None:
    """Arguments of a va_list come from saved registers, then from the stack."""
    out = guest.alloc(256)
    text = " ".join(f"{each} {each - 0.5:.1f}" for each in range(1, 10))
    assert call(guest, "vsnprintf", out, 256, " ".join(["%d %.1f"] * 9), lists(guest)) == len(text)
    assert guest.text(out) == text


def test_facilities_of_z() -> None:
    """stfle stores the facilities that QEMU's start-up asks for, whatever room there is."""
    guest = Guest("guest", S390X)
    code, out = guest.alloc(64), guest.alloc(64)
    # lghi %r0, 2; stfle 8(%r2); lgr %r2, %r0; br %r14
    guest.write(code, bytes.fromhex("a7090002 b2b02008 b9040020 07fe"))
    for _ in range(2):
        assert guest.call(code, out) == 0
        assert guest.pointer(out) == 0
        assert all(guest.pointer(out + 8) >> 63 - bit & 1 for bit in (2, 18, 21, 34, 45))
        assert guest.pointer(out + 16) == 0
        guest.write(out, bytes(64))


def test_time_of_riscv() -> None:
    """rdtime gives a time that moves."""
    guest = Guest("guest", RISCV64)
    code = guest.alloc(64)
    # rdtime s0; rdtime a0; sub a0, a0, s0; rdtime zero; ret
    guest.write(code, bytes.fromhex("732410c0 732510c0 33058540 732010c0 8280"))
    assert guest.call(code) > 0


def test_riscv_hwprobe() -> None:
    """The emulated CPU is RV64GC: base and extensions are reported, unknown keys are marked."""
    guest = Guest("guest", RISCV64)
    pairs = guest.alloc(64)
    guest.write(pairs, guest.pack("QQQQQQ", 3, 9, 4, 9, 99, 9))
    assert call(guest, "syscall", 258, pairs, 3, 0, 0, 0) == 0
    assert guest.words(pairs, 6) == (3, 1, 4, 3, 2**64 - 1, 0)
