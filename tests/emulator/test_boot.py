"""Booting a QEMU binary in the emulator: its functions, machine types, modules, and the emulated host."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.elf_builder import elf_object
from support.machine_trees import loader_of
from support.mapped_code import object_with_functions
from support.qemu import find_qemu

import vmdump
from vmdump.cli import main
from vmdump.emulator import machine_code
from vmdump.emulator.find_functions import Functions
from vmdump.emulator.guest import Guest
from vmdump.emulator.host_profile import HostProfile
from vmdump.emulator.machine_code import Code
from vmdump.emulator.objects.elf import ElfFile
from vmdump.errors import SourceError, VmdumpError
from vmdump.files.sysroot import resolve
from vmdump.qom.machines import help_text
from vmdump.sources.qemu_image.image import QemuImage
from vmdump.sources.qemu_image.module_opener import search_dirs


def run_qemu(*command: str) -> str:
    """Return a real QEMU's output."""
    environ = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout


def run_dump(qemu: Path, tmp_path: Path, *wrapper: str) -> bytes:
    """Return the binary's own dump for machine none."""
    target = tmp_path / "native.json"
    run_qemu(*wrapper, str(qemu), "-M", "none", "-nodefaults", "-display", "none", "-dump-vmstate", str(target))
    return target.read_bytes()


def without_exports(data: bytes) -> bytes:
    """Return the binary without QEMU's exported symbols, as a build without modules has."""
    order = ">" if data[5] == 2 else "<"
    (shoff,), (shentsize, shnum) = struct.unpack_from(order + "Q", data, 40), struct.unpack_from(order + "HH", data, 58)
    changed = bytearray(data)
    for number in range(shnum):
        kind, offset, size = struct.unpack_from(order + "4xI16xQQ", data, shoff + number * shentsize)
        if kind != 11:  # SHT_DYNSYM
            continue
        for at in range(offset, offset + size, 24):
            _, info, _, section = struct.unpack_from(order + "IBBH", data, at)
            if section and info & 15 == 2:  # a defined STT_FUNC
                changed[at : at + 4] = bytes(4)
    return bytes(changed)


# Functions --------------------------------------------------------------------------------------------------------


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", pytest.param("aarch64", marks=pytest.mark.slow)])
def test_without_exports(target: str, tmp_path: Path) -> None:
    """A binary without exported symbols has the same dump and machine types."""
    plain, bare = tmp_path / f"qemu-system-{target}", tmp_path / "bare"
    shutil.copy(find_qemu(target), plain)
    bare.write_bytes(without_exports(plain.read_bytes()))
    image = QemuImage(bare)
    assert not image._qemu.functions.exported
    assert image.machines == QemuImage(plain).machines
    assert image.dump("none").to_bytes() == run_dump(plain, tmp_path)


@pytest.mark.qemu
@pytest.mark.parametrize("target", ["x86_64", "aarch64"])
def test_functions_by_what_they_do(target: str) -> None:
    """Functions found by their code have the same addresses as by symbol."""
    path = find_qemu(target)
    file = ElfFile(Path(path).read_bytes(), path)
    guest = Guest(path, file.arch)
    main = file.map(guest, is_main=True)
    functions = Functions(guest, main)
    functions.exported = False
    for name in ("object_class_get_list", "qemu_console_early_init", "qemu_init"):
        assert functions.find(name) == main.symbols[name]
    assert functions.find("target_info_qom_set_target") == main.symbols.get("target_info_qom_set_target")


#: qemu_console_early_init of Debian's QEMU 7.2 for AArch64 and x86-64 hosts, and 10.0 for others: address,
#: instructions, and the loaded and called addresses as in objdump's output.
CODE = {
    183: (
        0x424D00,
        "fd7bbfa9 802c0090 00003691 fd030091 e8870f94 600000b4 fd7bc1a8 c0035fd6 fd7bc1a8 604300d0 00403591 00800291 "
        "4c850f14",
        [0x9B4D80, 0xC92D50, 0xC92DF0],
        [0x806CB0, 0x806260],
    ),
    62: (
        0x418910,
        "4883ec08 488d3d40605800 e820fa3e00 4885c0 740b 4883c408 c3 660f1f440000 488d3dc9e18700 4883c408 e9d0f03e00",
        [0x99E95B, 0xC96B00],
        [0x808340, 0x807A10],
    ),
    # of QEMU 10.0
    243: (
        0x4F2F14,
        "4111 17155000 130525e2 06e4 97403500 e780c023 09c5 a260 4101 0145 8280 a260 17f58500 1305c598 4101 17433500 "
        "670043a1",
        [0x9F3D38, 0xD518C0],
        [0x84715C, 0x846952],
    ),
    22: (
        0x4FDB58,
        "ebeff0700024 c0200032dab4 e3f0ff60ff71 c0e50020f34b b9020022 a7840008 ebeff1100004 a7290000 07fe c020004d23fe "
        "ebeff1100004 c0f40020ee08",
        [0xB590C6, 0xEA2380],
        [0x91C200, 0x91B7A0],
    ),
}


@pytest.mark.parametrize("machine", CODE)
def test_instructions(machine: int) -> None:
    """The instruction forms of both hosts that load addresses and call functions are decoded."""
    address, text, loads, calls = CODE[machine]
    code = bytes.fromhex(text)
    found = object_with_functions(machine, address, code, calls)
    bias = found.mapped.bias
    function = found.function(bias + address + 4)
    assert function == (bias + address, bias + address + len(code))
    assert [each - bias for each in found.loads(function)] == loads
    assert [each - bias for each in found.calls(function)] == calls
    assert list(found.calls(function, second_is_1=True)) == []
    assert found.functions_that_load({bias + loads[0]}) == {function}
    assert found.function(bias) is None


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        # mov $1, %esi; mov %r12, %rdi; call, of dump_vmstate_json_to_file in QEMU 7.2
        (62, "be01000000 4c89e7 e815000000"),
        # add x0, x25, #0x50; mov w1, #1; bl
        (183, "20430191 21008052 14000094"),
        # lghi %r3, 1; larl %r2, ...; brasl
        (22, "a7390001 c0200021b1ed c0e5ff000000"),
        # li a1, 1; mv a0, s1; auipc and jalr ra
        (243, "8545 2685 97500000 e7802010"),
    ],
)
def test_second_argument(machine: int, text: str) -> None:
    """A call whose second argument is 1 is recognised; so is a byte read at an offset from a register."""
    code = bytes.fromhex(text)
    target = {
        62: 0x400000 + len(code) + 0x15,
        183: 0x400008 + 4 * 0x14,
        22: 0x40000A - 2 * 0x1000000,
        243: 0x400004 + 0x5102,
    }[machine]  # fmt: skip
    found = object_with_functions(machine, 0x400000, code, [target])
    function = found.function(found.mapped.bias + 0x400000)
    assert function
    assert list(found.calls(function, second_is_1=True)) == [found.mapped.bias + target]


@pytest.mark.parametrize(
    ("machine", "before", "text"),
    [
        (62, "90", "be01000000 e800010000"),
        (183, "1f2003d5", "21008052 40000094"),
        (22, "0707", "a7390001 c0e500000080"),
        (243, "13000000 0100 13000000", "8545 ef000010"),  # nop, c.nop, nop
    ],
)
def test_second_argument_in_long_functions(machine: int, before: str, text: str) -> None:
    """Arguments are recognised at any distance from the start of a function."""
    prefix, call = bytes.fromhex(before), bytes.fromhex(text)
    for count in range(0, 700 // len(prefix), 7):
        code = prefix * count + call
        at = 0x400000 + len(prefix) * count
        target = {62: at + 0x10A, 183: at + 4 + 0x100, 22: at + 4 + 0x100, 243: at + 2 + 0x100}[machine]
        found = object_with_functions(machine, 0x400000, code, [target])
        function = found.function(found.mapped.bias + 0x400000)
        assert function
        assert list(found.calls(function, second_is_1=True)) == [found.mapped.bias + target]


def test_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that call a function are found, up to a number of calls that no QEMU has."""
    code = b"".join(b"\xe8" + struct.pack("<i", 0x1000 - 16 * n - 5) + b"\xc3".ljust(11, b"\xcc") for n in range(4))
    starts = [0x400000 + 16 * n for n in range(1, 4)]
    for limit in (4, 3):
        monkeypatch.setattr(machine_code, "_CALLS_MAX", limit)
        found = object_with_functions(62, 0x400000, code, [*starts, 0x401000])
        bias = found.mapped.bias
        assert {start - bias for start, _ in found.callers(bias + 0x401000)} == {0x400000, *starts[: limit - 1]}


@given(st.lists(st.sampled_from([b"ab", b"a", b"b", b"\0", b"abab"]), max_size=30))
def test_strings_around(parts: list[bytes]) -> None:
    """The strings that contain a text, once each, at their start."""
    data = b"".join(parts)
    found = object_with_functions(62, 0x400000, data or b"\0", [])
    expected, at = set(), found.mapped.bias + 0x400000
    for string in data.split(b"\0"):
        if b"ab" in string:
            expected.add(at)
        at += len(string) + 1
    assert found.string_around(b"ab") == expected


def test_strings_around_in_one_long_string() -> None:
    """A text that is repeated in one long string is searched for in one pass."""
    found = object_with_functions(62, 0x400000, b"text" * (1 << 21), [])
    assert found.string_around(b"text") == {found.mapped.bias + 0x400000}


def test_second_argument_of_an_earlier_call() -> None:
    """In dense code an argument belongs to the next call only: li a1, 1; jal ra; mv a0, s1; jal ra."""
    found = object_with_functions(243, 0x400000, bytes.fromhex("8545 ef000010 2685 ef000010"), [0x400102, 0x400108])
    function = found.function(found.mapped.bias + 0x400000)
    assert function
    assert [each - found.mapped.bias for each in found.calls(function)] == [0x400102, 0x400108]
    assert [each - found.mapped.bias for each in found.calls(function, second_is_1=True)] == [0x400102]


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        # cmpb $0, 0xc6(%rbx); movzbl 0xc5(%rax), %eax
        (62, "80bbc600000000 0fb680c5000000"),
        # ldrb w0, [x1, #0xc6]; ldrb w2, [x3, #0xc5]; ldr x0, [x1, #0xc8]
        (183, "20184339 62144339 206440f9"),
        # cli 198(%r3), 0; llgc %r1, 197(%r2); lg %r5, 104(%r11); cli 219(%r15), 0, which is on the stack
        (22, "950030c6 e31020c50090 e350b0680004 9500f0db 0707"),
        # lbu a3, 198(a4); lbu a5, 197(s11); lbu a5, 8(sp); auipc a5, ...; lbu a5, 202(a5), a variable; c.nop
        (243, "8346670c 83c75d0c 83478100 97478000 83c7a70c 0100"),
    ],
)
def test_byte_reads(machine: int, text: str) -> None:
    """Bytes read at an offset from a register are found, wider reads are not."""
    found = object_with_functions(machine, 0x400000, bytes.fromhex(text), [])
    function = found.function(found.mapped.bias + 0x400000)
    assert function
    assert list(found.byte_reads(function)) == [0xC6, 0xC5]


@given(st.sampled_from([*CODE]), st.binary(min_size=1, max_size=300), st.binary(max_size=60), st.integers(0, 20))
def test_any_code(machine: int, code: bytes, table: bytes, at: int) -> None:
    """Invalid instructions and a damaged function table give no result or a SourceError."""
    found = object_with_functions(machine, 0x400000, code, [0x500000])
    found.guest.write(found.mapped.bias + 0x10000 + at, table)
    try:
        damaged = Code(found.mapped)
        function = damaged.function(found.mapped.bias + 0x400000)
        if function:
            assert all(isinstance(each, int) for each in (*damaged.loads(function), *damaged.byte_reads(function)))
            assert set(damaged.calls(function)) <= {damaged.function(each)[0] for each in damaged.calls(function)}
        assert damaged.functions_that_load({found.mapped.bias}) <= {function}
    except SourceError as error:
        assert "\n" not in str(error)


def test_compressed_jump() -> None:
    """A function of RISC-V that ends in a jump to another one, c.j +24, calls it; c.j -2 stays within."""
    found = object_with_functions(243, 0x400000, bytes.fromhex("0100 21a8 fdbf"), [0x40001A])
    function = found.function(found.mapped.bias + 0x400000)
    assert function
    assert [each - found.mapped.bias for each in found.calls(function)] == [0x40001A]


def test_no_functions_listed() -> None:
    """A binary without .eh_frame_hdr has no functions, and nothing fails."""
    found = object_with_functions(62, 0x400000, b"\xc3" * 16, [])
    empty = Code(ElfFile(elf_object(), "x").map(found.guest, is_main=True))
    assert empty.function(found.mapped.bias + 0x400000) is None
    assert empty.functions_that_load({1}) == set()


# Sysroots ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with links as in Debian's packages, some with another meaning on this system."""
    root = tmp_path / "root"
    for directory in ("usr/bin", "usr/lib/x/qemu", "run/qemu/1.0", "var", "etc"):
        (root / directory).mkdir(parents=True)
    for link, target in (
        ("bin", "usr/bin"), ("var/run", "/run"), ("up", "../../../../../../etc"), ("usr/bin/kvm", "/etc/alternative"),
        ("etc/alternative", "../usr/bin/qemu"), ("circle", "/circle2"), ("circle2", "circle"), ("abs", "/usr/lib/x"),
    ):  # fmt: skip
        (root / link).symlink_to(target)
    return root


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/usr/bin/qemu", "/usr/bin/qemu"),
        ("/bin/qemu", "/usr/bin/qemu"),
        ("/bin/kvm", "/usr/bin/qemu"),
        ("/var/run/qemu/1.0", "/run/qemu/1.0"),
        ("/up/x", "/etc/x"),
        ("/abs/../y/./qemu", "/usr/lib/y/qemu"),
        ("/../..", ""),
        ("/no/such/../file", "/no/file"),
    ],
)
def test_resolve(root: Path, path: str, expected: str) -> None:
    """Links are resolved within the sysroot, as under chroot; none leads outside."""
    assert resolve(path, str(root)) == f"{root}{expected}"


def test_root_errors(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Circular links, an invalid sysroot, and sources that have no sysroot are errors."""
    with pytest.raises(SourceError, match="/circle: too many levels of symbolic links below"):
        resolve("/circle", str(root))
    with pytest.raises(SourceError, match="nowhere: not a directory; give the one into which packages were unpacked"):
        vmdump.open("x", sysroot=root / "nowhere")
    with pytest.raises(VmdumpError, match="sysroot= does not apply to the built-in devices"):
        vmdump.open(sysroot=root)
    assert main(["dump", "--root", str(root)]) == 2
    assert "--root does not apply to the built-in devices" in capsys.readouterr().err
    (root / "x.json").write_text("{}")
    assert main(["dump", "--host", "memfd=off", str(root / "x.json")]) == 2
    assert "--host does not apply to dump files" in capsys.readouterr().err


def test_search_dirs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sysroot: the module dir relative to the binary, the configured one, the one for
    upgrades, all inside it.
    """
    monkeypatch.delenv("QEMU_MODULE_DIR", raising=False)
    data = b"\0/usr/lib/x/qemu\0QEMU emulator version 9 (1.0)\0/var/run/qemu/%s\0"
    (root / "opt/bin").mkdir(parents=True)
    expected = [f"{root}/usr/lib/x/qemu", f"{root}/run/qemu/1.0"]
    assert search_dirs(f"{root}/usr/bin/qemu", data, (), root) == expected
    assert search_dirs(f"{root}/opt/bin/qemu", data, ("/mine",), root) == ["/mine", f"{root}/opt/lib/x/qemu", *expected]
    assert search_dirs(str(tmp_path / "qemu"), data, (), root) == expected
    elsewhere = tmp_path.parent / "link"
    elsewhere.symlink_to(root)
    assert search_dirs(f"{elsewhere}/usr/bin/qemu", data, (), elsewhere) == expected
    assert search_dirs(f"{root}/usr/bin/qemu", data, ()) == [f"{root}/usr/lib/x/qemu", "/var/run/qemu/1.0"]


def test_module_dirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories of modules are strings with /lib that end in /qemu, or in RHEL's /qemu-kvm; some, in one pass."""
    monkeypatch.delenv("QEMU_MODULE_DIR", raising=False)
    data = b"\0/usr/lib64/qemu-kvm\0/usr/lib/qemu\0/usr/share/qemu\0/usr/share/qemu-kvm\0x/lib/qemu\0/usr/lib/qemu/a\0"
    assert search_dirs("/usr/bin/qemu", data, ()) == ["/usr/lib64/qemu-kvm", "/usr/lib/qemu"]
    assert search_dirs("/usr/bin/qemu", b"\0" + b"/lib" * (1 << 20) + b"\0", ()) == []
    many = b"".join(b"\0/usr/lib/%d/qemu" % number for number in range(100))
    assert len(search_dirs("/usr/bin/qemu", many + b"\0", ())) == 16


@pytest.mark.qemu
def test_root(root: Path, tmp_path: Path) -> None:
    """A QEMU outside a sysroot that has its modules gives the installed QEMU's dump."""
    qemu = Path(find_qemu("x86_64")).resolve()
    module_dir = next(iter(Path("/usr/lib").glob("*/qemu/hw-display-qxl.so"))).parent
    (root / module_dir.parent.relative_to("/")).mkdir(parents=True)
    (root / module_dir.relative_to("/")).symlink_to("/modules")
    shutil.copytree(module_dir, root / "modules")
    moved = tmp_path / "moved"
    shutil.copy(qemu, moved)
    shutil.copy(qemu, root / "usr/bin/qemu")
    native = run_dump(qemu, tmp_path)
    assert vmdump.open(moved, machine="none").to_bytes() != native
    assert vmdump.open(moved, machine="none", sysroot=root).to_bytes() == native
    # A link that leads nowhere on this system.
    assert main(["dump", str(root / "usr/bin/kvm"), "-M", "none", "--root", str(root), "-o", str(tmp_path / "x")]) == 0
    assert (tmp_path / "x").read_bytes() == native
    # So do the commands that compare.
    assert main(["classic", "-s", str(root / "usr/bin/kvm"), "-d", str(tmp_path / "x"), "--root", str(root)]) == 0
    assert main(["check", str(root / "usr/bin/kvm"), str(tmp_path / "x"), "-M", "none", "--root", str(root)]) == 0


# Hosts ------------------------------------------------------------------------------------------------------------

#: LD_PRELOAD library that simulates another host: no memfd_create, or a /dev/sgx_vepc.
PRELOAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#ifdef NO_MEMFD
int memfd_create(const char *name, unsigned flags) { errno = ENOSYS; return -1; }
#endif
#ifdef SGX_VEPC
static int open_it(const char *function, const char *path, int flags, int mode)
{
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, function);
    return real(strcmp(path, "/dev/sgx_vepc") ? path : "/dev/null", flags, mode);
}
int open(const char *path, int flags, int mode) { return open_it("open", path, flags, mode); }
int open64(const char *path, int flags, int mode) { return open_it("open64", path, flags, mode); }
int __open64_2(const char *path, int flags) { return open_it("open64", path, flags, 0); }
#endif
"""


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("target", "host", "define", "type_name"),
    [
        ("aarch64", "memfd=off", "NO_MEMFD", "memory-backend-memfd"),
        pytest.param("x86_64", "sgx_vepc=on", "SGX_VEPC", "memory-backend-epc", marks=pytest.mark.slow),
    ],
)
def test_hosts(target: str, host: str, define: str, type_name: str, tmp_path: Path) -> None:
    """On another host other types are registered and the order differs, as with QEMU there."""
    qemu = find_qemu(target)
    (tmp_path / "host.c").write_text(PRELOAD)
    library = tmp_path / "host.so"
    command = f"gcc -w -shared -fPIC -D{define} -o {library} {tmp_path}/host.c -ldl"
    subprocess.run(command.split(), check=True)
    native = run_dump(Path(qemu), tmp_path, "env", f"LD_PRELOAD={library}")
    profile = HostProfile.parse(host)
    assert vmdump.open(qemu, machine="none", host=profile).to_bytes() == native
    assert vmdump.open(qemu, machine="none").to_bytes() == run_dump(Path(qemu), tmp_path) != native
    there = QemuImage(qemu, host=profile)._qemu.has_type(type_name)
    assert there != QemuImage(qemu)._qemu.has_type(type_name)
    listed = run_qemu("env", f"LD_PRELOAD={library}", qemu, "-object", "help")
    assert (f"  {type_name}\n" in listed) == there


@pytest.mark.parametrize("machine", CODE)
def test_page_size(machine: int) -> None:
    """The guest gets the profile's page size from both interfaces."""
    guest = Guest("x", machine, HostProfile(page_size=65536))
    assert guest.call(guest.host_function("getpagesize")) == 65536
    assert guest.call(guest.host_function("sysconf"), os.sysconf_names["SC_PAGESIZE"]) == 65536


@pytest.mark.parametrize("text", ["memfd", "memfd=maybe", "page_size=4095", "kvm=maybe", "=on"])
def test_wrong_hosts(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Invalid host profiles are refused with an example of a valid one."""
    assert main(["dump", "qemu", "--host", text]) == 2
    error = capsys.readouterr().err
    assert f"{text!r} is not a host feature; use memfd, sgx_vepc, thp, kvm with =on or =off, " in error
    assert error.count("\n") == 1


# Packages of other releases and hosts ------------------------------------------------------------------------------

IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))

#: .ci/images: $VMDUMP_IMAGES/roots/RELEASE-ARCH, with all libraries.
UNPACKED = [
    (root, path.relative_to(root))
    for root in sorted(IMAGES.glob("roots/*"))
    for path in sorted([*root.glob("usr/bin/qemu-system-*"), *root.glob("usr/libexec/xen-qemu-system-*")])
    if not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"
]

#: Binaries that run without /dev/kvm and Xen only with this accelerator.
BARE = ("qemu-system-x86_64-microvm", "xen-qemu-system-i386")

#: QEMUs that crash in their own dump: vmstate_pmu's subsections have no terminator.
CRASHES = {("bullseye-amd64", "qemu-system-ppc"), ("bullseye-amd64", "qemu-system-ppc64")}


def run_in_root(root: Path, binary: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run a sysroot's binary with the sysroot's libraries and modules."""
    triplet, loader = loader_of(root, IMAGES)
    environ = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    environ["QEMU_MODULE_DIR"] = f"{root}/usr/lib/{triplet}/qemu"
    accel = ["-accel", "qtest"] if binary.name in BARE else []
    return subprocess.run(
        [*loader, str(root / binary), *accel, *options], capture_output=True, text=True, env=environ, check=False
    )


@pytest.mark.qemu
@pytest.mark.parametrize(("root", "binary"), UNPACKED, ids=[f"{root.name}-{path.name}" for root, path in UNPACKED])
def test_releases_and_hosts(root: Path, binary: Path, tmp_path: Path) -> None:
    """QEMU 5.2 to 11.1, for all hosts, with and without exported symbols: dump and -M help equal the
    binary's.
    """
    failures: list[object] = []
    image = QemuImage(root / binary, root=root, report=failures.append)
    assert failures == []
    native = run_in_root(root, binary, "-M", "help")
    assert (native.returncode, native.stdout) == (0, help_text(image.machines))
    target = tmp_path / "native.json"
    native = run_in_root(root, binary, "-M", "none", "-nodefaults", "-display", "none", "-dump-vmstate", str(target))
    if (root.name, binary.name) in CRASHES:
        assert native.returncode < 0
        dump = image.dump("none")
        defects = [(defect.what, defect.device) for defect in dump.producer.defects if defect.device]
        assert defects == [("a list of subsections has no terminator", "via-pmu")]
        # hw/misc/macio/pmu.c: vmstate_pmu.subsections = { &vmstate_pmu_adb }
        assert [each.name for each in dump["via-pmu"].vmsd.subsections or ()] == ["pmu/adb"]
        return
    if "Only modules from the same build can be loaded" in native.stderr:
        pytest.skip("the root lacks a module, which QEMU loads from this host instead")
    assert native.returncode == 0, native.stderr
    assert image.dump("none").to_bytes() == target.read_bytes()


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("root", "binary"),
    [each for each in UNPACKED if each[1].name.rpartition("-")[2] in ("x86_64", "aarch64", "riscv32", "s390x")],
)
def test_releases_and_hosts_without_exports(root: Path, binary: Path, tmp_path: Path) -> None:
    """Without exported symbols the results equal those with them."""
    plain, bare = tmp_path / "plain", tmp_path / "bare"
    shutil.copy(root / binary, plain)
    bare.write_bytes(without_exports(plain.read_bytes()))
    expected, image = QemuImage(plain), QemuImage(bare)
    assert (expected._qemu.functions.exported, image._qemu.functions.exported) == (True, False)
    assert image.machines == expected.machines
    assert image.dump("none").to_bytes() == expected.dump("none").to_bytes()
