"""Mach-O objects that LLVM's linker has made run as their C source says: fixups, imports, constructors, TLS, calls."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.requirements import require

from vmdump._core import ffi
from vmdump.emulator.guest import Guest
from vmdump.emulator.hosts.model import Platform
from vmdump.emulator.objects.macho import MachoFile
from vmdump.emulator.objects.model import MappedObject
from vmdump.files.elf_header import HostArch

SOURCE = """
typedef __builtin_va_list va_list;
typedef unsigned long size_t;
int snprintf(char *, size_t, const char *, ...);
int vsnprintf(char *, size_t, const char *, va_list);
size_t strlen(const char *);

static int order;
__attribute__((constructor)) static void first(void) { order = order * 10 + 1; }
__attribute__((constructor)) static void second(void) { order = order * 10 + 2; }

_Thread_local int initial = 7;
_Thread_local long zero;
static const char *const names[] = {"one", "two", "three"};
size_t (*volatile imported)(const char *) = strlen;

int constructors(void) { return order; }
long thread_local_data(void) { zero += 2; initial++; return initial * 10 + zero; }
const char *name(int i) { return names[i]; }
size_t length(int i) { return imported(names[i]); }
int variadic(char *to) { return snprintf(to, 64, "%d %s %g %lx", 5, names[1], 2.5, 0x123456789abcL); }

static int forward(char *to, const char *format, ...)
{
    va_list list;
    __builtin_va_start(list, format);
    int size = vsnprintf(to, 64, format, list);
    __builtin_va_end(list);
    return size;
}

int forwarded(char *to) { return forward(to, "%s %d %g %d", names[2], 1, 0.5, 2); }
int main(void) { return 0; }
"""

#: What libSystem exports, as far as it is needed.
LIBRARY = """--- !tapi-tbd
tbd-version: 4
targets: [ arm64-macos, x86_64-macos ]
install-name: '/usr/lib/libSystem.B.dylib'
exports:
  - targets: [ arm64-macos, x86_64-macos ]
    symbols: [ _snprintf, _vsnprintf, _strlen, ___stack_chk_guard, ___stack_chk_fail, __tlv_bootstrap,
               dyld_stub_binder ]
...
"""

#: The name of each CPU for Apple's tools.
CPUS = {HostArch.AARCH64: "arm64", HostArch.X86_64: "x86_64"}


#: Options of the linker for each form of fixups.
FIXUPS = {"opcodes": ["-no_fixup_chains"], "chains": ["-fixup_chains", "-init_offsets"]}


@pytest.fixture(scope="module")
def linker() -> str:
    """The newest ld64.lld, whose name has a version on Debian; chained fixups are of LLVM 16."""
    versions = {}
    for path in {each for folder in os.get_exec_path() for each in Path(folder).glob("ld64.lld*")}:
        shown = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
        versions[path] = int(re.search(r"LLD (\d+)", shown)[1])
    newest = max(versions, key=versions.get, default=None)
    require(newest and versions[newest] >= 16, "ld64.lld of LLVM 16 (Debian: lld-16)")
    return str(newest)


@pytest.fixture(params=FIXUPS)
def fixups(request: pytest.FixtureRequest) -> str:
    """A form of fixups."""
    return str(request.param)


@pytest.fixture(params=CPUS, ids=CPUS.values())
def mapped(request: pytest.FixtureRequest, fixups: str, linker: str, tmp_path: Path) -> MappedObject:
    """The program, compiled, linked and mapped; its constructors have run."""
    arch = CPUS[request.param]
    require(shutil.which("clang"), "clang")
    source, compiled, library, program = (tmp_path / name for name in ("a.c", "a.o", "libSystem.tbd", "a.out"))
    source.write_text(SOURCE)
    library.write_text(LIBRARY)
    target = f"--target={arch}-apple-macos11"
    subprocess.run(["clang", target, "-O1", "-ffreestanding", "-c", source, "-o", compiled], check=True)
    link = [
        linker, "-arch", arch, "-platform_version", "macos", "11.0", "11.0", *FIXUPS[fixups], "-o", str(program),
        str(compiled), str(library),
    ]  # fmt: skip
    subprocess.run(link, check=True)
    assert (b"\x34\0\0\x80" in program.read_bytes()[:4096]) == (fixups == "chains")
    guest = Guest("guest", request.param, platform=Platform.MACOS)
    with MachoFile(program.read_bytes(), "program") as file:
        assert file.arch == request.param
        found = file.map(guest, is_main=True)
    guest.call_all(found.constructors)
    return found


def test_program(mapped: MappedObject) -> None:
    """Each function returns what C says, so pointers, imports, constructors, TLS and variadic calls are right."""
    guest, function = mapped.guest, mapped.symbols
    assert guest.call(function["constructors"]) == 12
    assert [guest.call(function["thread_local_data"]) for _ in range(2)] == [82, 94]
    assert [guest.text(guest.call(function["name"], index)) for index in range(3)] == ["one", "two", "three"]
    assert guest.call(function["length"], 2) == len("three")
    buffer = guest.alloc(64)
    assert guest.call(function["variadic"], buffer) == len("5 two 2.5 123456789abc")
    assert guest.text(buffer) == "5 two 2.5 123456789abc"
    assert guest.call(function["forwarded"], buffer) == len("three 1 0.5 2")
    assert guest.text(buffer) == "three 1 0.5 2"


def test_tables(mapped: MappedObject) -> None:
    """The functions that the linker lists are those with symbols; pointers are among the slots."""
    functions = {mapped.symbols[name] for name in ("constructors", "name", "main", "variadic")}
    assert functions <= set(mapped.function_starts())
    assert mapped.symbol_at(mapped.symbols["variadic"] + 4) == "variadic"
    addresses, count = mapped.slots()
    slots = set(ffi.unpack(addresses, count))
    assert {mapped.symbols["names"] + 8 * index for index in range(3)} <= slots
    assert mapped.symbols["imported"] in slots
