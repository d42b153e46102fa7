"""x86-64 instructions: their lengths, and those that Unicorn executes wrong: executed in C (test_vex.py) or refused."""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.elf_builder import X86_64

from vmdump._core import ffi, lib
from vmdump.cli import main
from vmdump.emulator.guest import Guest, InstructionError
from vmdump.errors import SourceError
from vmdump.sources.qemu_image.image import QemuImage

RET = "c3"
VECTOR = {
    "vpaddd %xmm2,%xmm1,%xmm0": "c5f1fec2",
    "vpxor %xmm1,%xmm1,%xmm0": "c5f1efc1",
    "vpaddd %ymm2,%ymm1,%ymm0": "c5f5fec2",
    "vzeroupper": "c5f877",
    "vfmadd213ps %xmm2,%xmm1,%xmm0": "c4e271a8c2",
    "vpextrq $1,%xmm0,%rax": "c4e3f916c001",
    "kmovw %eax,%k1": "c5f892c8",
    "vaesenc %xmm2,%xmm1,%xmm0": "c4e271dcc2",
    "VEX of map 5": "c4e571dcc2",
    "vpaddd %zmm2,%zmm1,%zmm0": "62f17548fec2",
    "vpcomd $0,%xmm2,%xmm1,%xmm0 (XOP)": "8fe870cec200",
}

#: Those that are refused, and how the message names them.
REFUSED = {
    "kmovw %eax,%k1": r"an AVX instruction kmov \(AVX-512\)",
    "vaesenc %xmm2,%xmm1,%xmm0": "an AVX instruction of the vaes group",
    "vpaddd %zmm2,%zmm1,%zmm0": "an AVX-512 instruction",
    "vpcomd $0,%xmm2,%xmm1,%xmm0 (XOP)": "an XOP instruction",
}
OTHER = {
    "andn %ebx,%eax,%ecx": "c4e278f2cb",
    "blsr %rcx,%rax": "c4e2f8f3c9",
    "shlx %rcx,%rdx,%rax": "c4e2f1f7c2",
    "mulx %rcx,%rdx,%rax": "c4e2ebf6c1",
    "rorx $5,%rcx,%rax": "c4e3fbf0c105",
    "pop (%rax)": "8f00",
    "paddd %xmm2,%xmm0": "660ffec2",
    "pop %r8": "418fc0",
    "movabs $0xc5c5c5c5c5c5c5c5,%rax": "48b8c5c5c5c5c5c5c5c5",
}


def is_vector(code: str) -> bool:
    """Whether the first instruction is refused."""
    return bool(lib.vmd_x86_64_is_vector(bytes.fromhex(code), len(code) // 2))


def test_which_are_refused() -> None:
    """VEX, EVEX and XOP instructions on vectors and masks are refused; BMI1, BMI2 (VEX-encoded too) and SSE are not."""
    assert [name for name, code in VECTOR.items() if not is_vector(code)] == []
    assert [name for name, code in OTHER.items() if is_vector(code)] == []
    for code in OTHER.values():
        data = bytes.fromhex(code)
        assert lib.vmd_x86_64_length(data + b"\x90" * 8, len(data) + 8) == len(data)
        assert lib.vmd_x86_64_length(data, len(data) - 1) == 0  # not complete


def test_finding() -> None:
    """Only instruction boundaries within the block count."""

    def find(code: str, block: int | None = None) -> int:
        data = bytes.fromhex(code)
        return int(lib.vmd_x86_64_find_vector(data, len(data) if block is None else block, len(data)))

    none = 2**64 - 1
    movabs, vpxor = OTHER["movabs $0xc5c5c5c5c5c5c5c5,%rax"], VECTOR["vpxor %xmm1,%xmm1,%xmm0"]
    assert find(movabs + RET) == none
    assert find(movabs + vpxor) == 10
    assert find(movabs + vpxor, 10) == none
    assert find("06" + vpxor) == none  # invalid: bytes after it are not reached


#: Prefixes, as objdump prints them before the instruction.
PREFIXES = re.compile(
    r"(?:(?:rep[nz]*|lock|notrack|bnd|data16|addr32|[cdefgs]s|xacquire|xrelease|rex[.WRXB]*)\s+)*(\S+)"
)
#: Older instructions whose names begin like those of AVX and AVX-512.
OLD = ("verr", "verw", "vmcall", "vmlaunch", "vmread", "vmwrite", "vmresume", "vmxoff", "vmptrld")


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("objdump"), reason="no x86-64 code to compare")
@pytest.mark.slow
def test_as_objdump() -> None:
    """Every instruction of libc, which has AVX2 and AVX-512 variants, has the length that objdump prints."""
    libc = next(Path("/lib").glob("x86_64-linux-gnu/libc.so.6"), None)
    if libc is None:
        pytest.skip("no libc where Debian has it")
    command = ["objdump", "-d", "-w", "--insn-width=16", str(libc)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    code = ffi.new("uint8_t[32]")
    vectors, wrong = 0, []
    lines = dict(re.findall(r"^ *[0-9a-f]+:\t((?:[0-9a-f]{2} )+)\s*(.*)$", text, re.MULTILINE))
    for hexadecimal, name in lines.items():
        data = bytes.fromhex(hexadecimal)
        found = PREFIXES.match(name)
        if found is None or found[1] == "(bad)":
            continue
        is_avx = (found[1][0] == "v" and found[1] not in OLD) or (found[1][0] == "k" and data[0] in (0xC4, 0xC5))
        ffi.memmove(code, data, len(data))
        vectors += is_avx
        length = 0 if is_avx else int(lib.vmd_x86_64_length(code, 32))
        if lib.vmd_x86_64_is_vector(code, 32) != is_avx or (not is_avx and length != len(data)):
            wrong.append((hexadecimal, name))
    assert vectors > 1000
    assert wrong == []


def guest_with(*blocks: str) -> tuple[Guest, list[int]]:
    """A guest, and the addresses of functions in it."""
    guest = Guest("guest", X86_64)
    addresses = []
    for block in blocks:
        addresses.append(guest.alloc(64))
        guest.write(addresses[-1], bytes.fromhex(block))
    return guest, addresses


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_it_is_executed(name: str) -> None:
    """In the first code of a guest or later code, the instruction is an error with its address and the reason."""
    nop, code = "90", VECTOR[name]
    for before in ([], [nop + RET]):
        guest, (*earlier, function) = guest_with(*before, nop + code + RET)
        for each in earlier:
            guest.call(each)
        with pytest.raises(
            InstructionError, match=f"guest: its code uses {REFUSED[name]} .at {function + 1 - guest.bias:#x}."
        ) as caught:
            guest.call(function)
        assert caught.value.address == function + 1


def test_instructions_that_are_not_executed_are_allowed() -> None:
    """Refused instructions in code that is never executed are allowed: jz over one."""
    guest, (function,) = guest_with("31c0" + "7404" + VECTOR["kmovw %eax,%k1"] + RET)
    assert guest.call(function) == 0


def test_bmi_is_executed() -> None:
    """BMI1 and BMI2 instructions give the right result: andn, shlx."""
    # andn %rsi,%rdi,%rax; shlx %rsi,%rdi,%rax
    guest, (andn, shlx) = guest_with("c4e2c0f2c6" + RET, "c4e2c9f7c7" + RET)
    assert guest.call(andn, 0b1100, 0b1010) == 0b0010
    assert guest.call(shlx, 3, 4) == 48


def test_refused_within_a_class_init() -> None:
    """A class_init that faults loses one device; one with a refused instruction ends the dump."""
    guest, (function,) = guest_with(VECTOR["kmovw %eax,%k1"] + RET)
    table = guest.call(guest.host_function("g_hash_table_new"), 0, 0)
    guest.call(guest.host_function("g_hash_table_insert"), table, 1, 1)
    with pytest.raises(InstructionError):
        guest.call(guest.host_function("g_hash_table_foreach"), table, function, 0)
    assert guest.faults() == []


SOURCE = """
int numbers[64];
__attribute__((constructor)) static void begin(void)
{
    for (int i = 0; i < 64; i++) {
        numbers[i] += i;
    }
}
void register_module_init(void (*fn)(void), int type) {}
const char dump[] = "  \\"vmschkmachine\\": {\\n";
"""


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("gcc"), reason="no compiler for x86-64")
@pytest.mark.parametrize("level", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_compiled(level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """GCC's code up to RHEL 10's baseline is executed; code for AVX-512 is refused."""
    source, binary = tmp_path / "source.c", tmp_path / "qemu-system-x86_64"
    source.write_text(SOURCE)
    command = ["gcc", f"-march={level}", "-mprefer-vector-width=512", "-O3", "-shared", "-fPIC", "-nostartfiles"]
    subprocess.run([*command, "-o", str(binary), str(source)], check=True)
    if level != "x86-64-v4":
        with pytest.raises(SourceError, match="its constructors register no init functions"):
            QemuImage(binary)
        return
    assert main(["dump", str(binary)]) == 3
    error = capsys.readouterr().err
    assert f"{binary}: its code uses an AVX-512 instruction (at 0x" in error
    assert "built for a CPU with more than x86-64-v3" in error
    assert error.count("\n") == 1
