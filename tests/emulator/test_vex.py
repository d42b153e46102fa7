"""VEX instructions on vectors, which the emulator executes in C: every supported form against this machine's CPU."""

import contextlib
import ctypes
import itertools
import mmap
import os
import platform
import random
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.elf_builder import X86_64

from vmdump._core import lib
from vmdump.emulator.guest import Guest, InstructionError
from vmdump.emulator.objects.elf import ElfFile
from vmdump.errors import SourceError

_CPUINFO = Path("/proc/cpuinfo")
_FLAGS = re.search(r"^flags.*", _CPUINFO.read_text() if _CPUINFO.exists() else "", re.MULTILINE)
HAS_AVX2 = platform.machine() == "x86_64" and _FLAGS is not None and {"avx2", "fma"} <= set(_FLAGS[0].split())

#: A state: 16 vectors; rax, rdx, r8 and r10 before and after; flags; 64 bytes of memory.
VECTORS, BEFORE, AFTER, FLAGS, MEMORY, STATE = 0, 512, 544, 576, 640, 704

#: CF, PF, ZF, SF and OF: others are undefined after some instructions.
_DEFINED = 0x8C5


class Form(NamedTuple):
    """Fields of a VEX instruction. ``vvvv`` None: unused. ``rm``: a register, or None for memory."""

    map: int
    pp: int
    opcode: int
    w: int
    is_256: bool
    reg: int
    vvvv: int | None
    rm: int | None
    imm: int

    def code(self) -> bytes:
        """Encode it, with three bytes of VEX; memory is at MEMORY(%rdi)."""
        vvvv = 15 - (self.vvvv or 0)
        first = (self.reg < 8) << 7 | 1 << 6 | ((self.rm or 0) < 8) << 5 | self.map
        code = bytes([0xC4, first, self.w << 7 | vvvv << 3 | self.is_256 << 2 | self.pp, self.opcode])
        if (self.map, self.opcode) == (1, 0x77):  # vzeroupper, vzeroall
            return code
        if self.rm is None:
            code += bytes([0x80 | (self.reg & 7) << 3 | 7]) + struct.pack("<i", MEMORY)
        else:
            code += bytes([0xC0 | (self.reg & 7) << 3 | self.rm & 7])
        has_imm = self.map == 3 or (self.map == 1 and (self.opcode in range(0x70, 0x74) or self.opcode in IMMEDIATES))
        return code + bytes([self.imm] if has_imm else [])


#: Opcodes of map 1 with an immediate, besides 70 to 73.
IMMEDIATES = (0xC2, 0xC4, 0xC5, 0xC6)


def forms() -> Iterator[Form]:
    """Yield all fields of opcodes that are executed: both sizes, low and high registers, memory."""
    rand = random.Random(4)
    for number, pp, opcode in itertools.product((1, 2, 3), range(4), range(256)):
        if not lib.vmd_vex_has_opcode(number, pp, opcode):
            continue
        is_group = number == 1 and opcode in (0x71, 0x72, 0x73)
        registers = [(digit, 5, 10) for digit in range(8)] if is_group else [(0, 1, 2), (8, 9, 10), (0, 1, None)]
        for w, is_256, (reg, vvvv, rm) in itertools.product((0, 1), (False, True), registers):
            for second in (None, vvvv):
                yield Form(number, pp, opcode, w, is_256, reg, second, rm, rand.randrange(256))


def wrap(instruction: bytes) -> bytes:
    """Code that loads the state at %rdi, executes an instruction, stores the state, and moves on to the next one."""

    def vectors(opcode: int) -> bytes:  # vmovdqu
        return b"".join(
            bytes([0xC5, 0xFE if i < 8 else 0x7E, opcode, 0x87 | (i & 7) << 3]) + struct.pack("<i", VECTORS + 32 * i)
            for i in range(16)
        )

    def registers(opcode: int, at: int) -> bytes:  # mov
        moves = (b"\x48%c\x87", b"\x48%c\x97", b"\x4c%c\x87", b"\x4c%c\x97")
        return b"".join(move % opcode + struct.pack("<i", at + 8 * i) for i, move in enumerate(moves))

    return (
        vectors(0x6F) + registers(0x8B, BEFORE) + b"\x31\xc9"  # xor %ecx, %ecx
        + instruction
        + b"\x9c\x59\x48\x89\x8f" + struct.pack("<i", FLAGS)  # pushf; pop %rcx; mov %rcx, FLAGS(%rdi)
        + registers(0x89, AFTER) + vectors(0x7F)
        + b"\x48\x81\xc7" + struct.pack("<i", STATE)  # add $STATE, %rdi
    )  # fmt: skip


#: Numbers at which floating-point instructions differ: zeros, infinities, NaNs, large and small ones, halves.
FLOATS = [0.0, -0.0, 1.0, -1.5, 2.5, 0.5, 3.0e9, -3.0e9, 1e19, 1e38, 1e-42, float("inf"), -float("inf"), float("nan")]


def operands(rand: random.Random) -> bytes:
    """Random words, and floating-point numbers of both sizes."""
    parts = []
    while sum(map(len, parts)) < 32:
        kind = rand.randrange(5)
        parts.append(
            rand.randbytes(8) if kind < 2
            else struct.pack("<d", rand.choice(FLOATS)) if kind == 2
            else struct.pack("<ff", rand.choice(FLOATS), rand.choice(FLOATS)) if kind == 3
            else struct.pack("<Q", rand.randrange(70))
        )  # fmt: skip
    return b"".join(parts)


def states(count: int, seed: int) -> bytearray:
    """Return the states of that many instructions."""
    rand, data = random.Random(seed), bytearray()
    for _ in range(count):
        state = bytearray(STATE)
        for at in (*range(VECTORS, BEFORE, 32), MEMORY, MEMORY + 32):
            state[at : at + 32] = operands(rand)
        state[BEFORE:AFTER] = rand.randbytes(AFTER - BEFORE)
        data += state
    return data


def emulate(codes: list[bytes], data: bytes) -> bytes:
    """Execute instructions one after the other in the emulator."""
    guest, code = Guest("guest", X86_64), b"".join(map(wrap, codes)) + b"\xc3"
    function, at = guest.alloc(len(code), 4096), guest.alloc(len(data) + 4096, 4096)
    guest.write(function, code)
    guest.write(at, data)
    guest.call(function, at)
    return guest.read(at, len(data))


def execute(codes: list[bytes], data: bytes) -> bytes:
    """Execute instructions one after the other natively, in a child process."""
    code = b"".join(map(wrap, codes)) + b"\xc5\xf8\x77\xc3"  # vzeroupper; ret
    shared = mmap.mmap(-1, len(data))
    shared.write(data)
    child = os.fork()
    if not child:
        area = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        area.write(code)
        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ctypes.addressof(ctypes.c_char.from_buffer(area)))
        function(ctypes.addressof(ctypes.c_char.from_buffer(shared)))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "this CPU refuses an instruction that the emulator executes"
    return shared[:]


def supported(step: int) -> list[Form]:
    """Return every step-th form that the emulator executes."""
    guest, found = Guest("guest", X86_64), []
    function, at = guest.alloc(4096, 4096), guest.alloc(2 * STATE, 4096)
    for number, form in enumerate(itertools.islice(forms(), 0, None, step)):
        if number % 3000 == 2999:
            guest = Guest("guest", X86_64)
            at = guest.alloc(2 * STATE, 4096)
        function = guest.alloc(32, 16)
        guest.write(function, form.code() + b"\xc3")
        try:
            guest.call(function, at)
        except InstructionError:
            raise
        except SourceError:
            continue
        found.append(form)
    return found


@pytest.mark.skipif(not HAS_AVX2, reason="needs a CPU with AVX2 and FMA")
@pytest.mark.parametrize(("step", "seeds"), [(7, 1), pytest.param(1, 3, marks=pytest.mark.slow)])
def test_against_the_cpu(step: int, seeds: int) -> None:
    """Every form gives what this machine's CPU gives: registers, flags and memory."""
    wrong, found = dict[str, int](), supported(step)
    assert len(found) > 5000 / step
    for seed in range(seeds):
        for start in range(0, len(found), 200):
            part = found[start : start + 200]
            codes = [form._replace(imm=form.imm ^ 85 * seed).code() for form in part]
            data = bytes(states(len(codes), 1000 * seed + start))
            ours, real = emulate(codes, data), execute(codes, data)
            for i, code in enumerate(codes):
                mine, theirs = (bytearray(each[STATE * i : STATE * (i + 1)]) for each in (ours, real))
                for each in (mine, theirs):
                    each[FLAGS : FLAGS + 8] = struct.pack("<Q", struct.unpack_from("<Q", each, FLAGS)[0] & _DEFINED)
                if mine != theirs:
                    wrong[code.hex()] = wrong.get(code.hex(), 0) + 1
    assert wrong == {}


SOURCE = """
#include <stdint.h>
#include <stddef.h>
static uint64_t mix(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x9e3779b97f4a7c15; }
uint64_t work(uint8_t *bytes, uint64_t n)
{
    static int32_t words[512];
    static float singles[512];
    static double doubles[512];
    uint64_t hash = 1, sum = 0;
    uint32_t most = 0;

    for (size_t i = 0; i < n; i++) { bytes[i] = bytes[i] >= 'a' && bytes[i] <= 'z' ? bytes[i] - 32 : bytes[i]; }
    for (size_t i = 0; i < n; i++) { sum += bytes[i] * bytes[n - 1 - i]; }
    for (size_t i = 0; i < 512; i++) { words[i] = (int32_t)(bytes[i % n] * 77773 - (int)i * 4711) >> (i % 5); }
    for (size_t i = 0; i < 512; i++) { singles[i] = (float)words[i] * 0.25f + (i & 3 ? singles[i] : 1.0f); }
    for (size_t i = 0; i < 512; i++) { doubles[i] = (double)singles[i] / (double)(words[511 - i] | 1); }
    for (size_t i = 0; i < 512; i++) { words[i] = (int32_t)(doubles[i] * 1e3) + (singles[i] > 0 ? words[i] : 7); }
    for (size_t i = 0; i < 512; i++) { most = (uint32_t)words[i] > most ? (uint32_t)words[i] : most; }
    for (size_t i = 0; i < 512; i++) { hash = mix(hash, (uint64_t)words[i] ^ (uint64_t)(int64_t)(doubles[i] * 64)); }
    return mix(mix(hash, sum), most) ^ (uint64_t)bytes[n / 2] << 56;
}
"""


@pytest.mark.skipif(not HAS_AVX2 or not shutil.which("gcc"), reason="needs gcc, and a CPU with AVX2 and FMA")
@pytest.mark.parametrize("flags", ["-O3", "-O2 -ffp-contract=off", "-O3 -mtune=haswell -mno-avx2 -mno-fma"])
def test_compiled_code(flags: str, tmp_path: Path) -> None:
    """Loops that GCC vectorizes for x86-64-v3 compute what they do natively."""
    source, library = tmp_path / "source.c", tmp_path / "library.so"
    source.write_text(SOURCE)
    command = [
        "gcc",
        "-march=x86-64-v3",
        *flags.split(),
        "-shared",
        "-fPIC",
        "-nostdlib",
        "-o",
        str(library),
        str(source),
    ]
    subprocess.run(command, check=True)
    data = random.Random(5).randbytes(333)
    native = ctypes.CDLL(str(library)).work
    native.restype, native.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_uint64]
    buffer = ctypes.create_string_buffer(data, len(data))
    guest = Guest("guest", X86_64)
    mapped = ElfFile(library.read_bytes(), "library").map(guest, is_main=True)
    at = guest.alloc(len(data))
    guest.write(at, data)
    for _ in range(2):
        assert guest.call(mapped.symbols["work"], at, len(data)) == native(buffer, len(data))
    assert guest.read(at, len(data)) == buffer.raw


def test_segments_and_faults() -> None:
    """Addresses are relative to a segment where a prefix says so; what is outside of the memory is an error."""
    guest = Guest("guest", X86_64)
    code, at = guest.alloc(64), guest.alloc(64)
    # vmovq %fs:0, %xmm0; vmovq %xmm0, %rax; ret: the thread pointer
    guest.write(code, bytes.fromhex("64c5fa7e042500000000 c4e1f97ec0 c3"))
    assert guest.call(code) == guest.pointer(guest.call(code))
    guest.write(code + 32, bytes.fromhex("c5fe6f07 c3"))  # vmovdqu (%rdi), %ymm0
    guest.call(code + 32, at)
    with pytest.raises(SourceError, match="an address outside of its memory"):
        guest.call(code + 32, 16)
    guest.write(code + 48, bytes.fromhex("c5fd6f07 c3"))  # vmovdqa (%rdi), %ymm0
    with pytest.raises(SourceError, match="a misaligned access of a vector"):
        guest.call(code + 48, at + 1)


def test_snapshot() -> None:
    """Code that was translated before or after a snapshot is executed right after a rewind."""
    guest = Guest("guest", X86_64, rewindable=True)
    first, second = guest.alloc(64), guest.alloc(64)
    add = bytes.fromhex("c4e1f96ec7 c4e1f96ece c5f9d4c1 c4e1f97ec0 c3")  # xmm0 = rdi + rsi, by vmovq and vpaddq
    guest.write(first, add)
    guest.write(second, add)
    assert guest.call(first, 3, 4) == 7
    guest.snapshot()
    for _ in range(2):
        assert [guest.call(each, 5, 6) for each in (first, second)] == [11, 11]
        guest.rewind()


#: Beginnings of VEX, EVEX and XOP instructions.
STARTS = [b"\xc5", b"\xc4\xe1", b"\xc4\xe2", b"\xc4\xe3", b"\x62", b"\x8f\xe8"]


@given(st.binary(min_size=1, max_size=14), st.sampled_from(STARTS))
@settings(max_examples=25, deadline=None)
def test_any_instruction(rest: bytes, start: bytes) -> None:
    """Any bytes after VEX are executed, refused, or an error."""
    guest = Guest("guest", X86_64, timeout=0.2)
    code = guest.alloc(64)
    guest.write(code, start + rest + b"\xc3" * 16)
    with contextlib.suppress(SourceError):
        guest.call(code, code, code)
