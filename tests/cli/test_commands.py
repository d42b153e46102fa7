"""The command line in this process: output, streams and exit codes."""

import errno
import gzip
import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import run, run_failing
from support.dumps import read_real_dump

from vmdump.cli import build_parser, main
from vmdump.cli import dump as dump_command
from vmdump.cli.environment import Environment
from vmdump.cli.terminal import device_tree as tree
from vmdump.version import __version__

COMMANDS = (
    "dump", "devices", "show", "modules", "check", "lint", "explain", "rules", "classic", "stream", "bulk", "query",
    "cache"
)  # fmt: skip

#: A module whose device has every construct that the device tree shows differently.
MODULE = """
VMDUMP_STAMP = 1
module_info = {"objs": ["my-device", "my-bridge"]}

import ctypes
from vmdump.qom import TypeInfo
from vmdump.vmstate import *

class Queue(ctypes.Structure):
    _fields_ = [("rptr", ctypes.c_uint16)]

class MyState(ctypes.Structure):
    _fields_ = [("mode", ctypes.c_uint8), ("regs", ctypes.c_uint32 * 4), ("queue", Queue), ("n", ctypes.c_int32),
                ("queues", ctypes.POINTER(Queue)), ("size", ctypes.c_uint32), ("buf", ctypes.POINTER(ctypes.c_uint8))]

def is_wide(state, version_id): return True
def mode_ok(state, version_id): return True
def extra_needed(state): return True

vmstate_queue = VMStateDescription("my/queue", version_id=2, minimum_version_id=1, fields=[
    VMSTATE_UINT16("rptr", Queue),
])
vmstate_extra = VMStateDescription("my/extra", version_id=1, minimum_version_id=1, needed=extra_needed, fields=[
    VMSTATE_UNUSED(2),
])
vmstate_my = VMStateDescription("my", version_id=3, minimum_version_id=2, unmigratable=True,
    priority=MigrationPriority.PCI_BUS, fields=[
        VMSTATE_UINT8_TEST("mode", MyState, is_wide),
        VMSTATE_VALIDATE("mode is known", mode_ok),
        VMSTATE_UINT32_ARRAY_V("regs", MyState, 4, 2),
        VMSTATE_STRUCT("queue", MyState, 1, vmstate_queue, Queue),
        VMSTATE_STRUCT_VARRAY_POINTER_INT32("queues", MyState, "n", vmstate_queue, Queue),
        VMSTATE_VBUFFER_UINT32("buf", MyState, 3, lambda state, version_id: True, "size"),
        VMSTATE_END_OF_LIST(),
    ], subsections=[vmstate_extra, VMStateDescription("my/nothing", version_id=1, minimum_version_id=1)])

def class_init(klass, data):
    klass.vmsd = vmstate_my
    klass.desc = "A \\x1b[31mred device"

def vmdump_module_init(types):
    types.type_register(TypeInfo("my-bridge", parent="device", abstract=True))
    types.type_register(TypeInfo("my-device", parent="my-bridge", class_init=class_init))
"""

TREE = """\
my-device < my-bridge < device < object, from module my-device
A \\x1b[31mred device

FIELD         BYTES  TYPE
my                   version 3, minimum 2, priority PCI_BUS, unmigratable
├─ mode           1  uint8, if is_wide
├─ mode is known     no data; loading fails unless mode_ok
├─ regs       4 x 4  uint32, since version 2
├─ queue          2  my/queue (version 2, minimum 1), since version 1
│  └─ rptr        2  uint16
├─ queues     n x 2  my/queue (version 2, minimum 1)
│  └─ rptr        2  uint16
├─ buf            n  buffer, since version 3, conditional
├─ my/extra          subsection, version 1, if extra_needed
│  └─ unused      2  unused_buffer
└─ my/nothing        subsection, version 1, no fields
"""


class Terminal(io.TextIOWrapper):
    """A standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def x86_64() -> bytes:
    """A real dump of QEMU 8.2."""
    return read_real_dump("8.2.2", "x86_64")


@pytest.fixture(scope="module")
def dump_file(x86_64: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dump of x86_64 as a file."""
    path = tmp_path_factory.mktemp("dump") / "x86_64.json"
    path.write_bytes(x86_64)
    return path


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MODULE as a file in a directory of its own."""
    path = tmp_path_factory.mktemp("modules") / "my-device.py"
    path.write_text(MODULE)
    return path


# Help and usage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help(argv: list[str]) -> None:
    """Help goes to stdout, has examples that parse, is ASCII, and fits 80 columns."""
    result = run(*argv)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.isascii()
    assert max(map(len, result.stdout.splitlines())) <= 80
    examples = re.findall(r"^  vmdump (.*?)(?:   .*| \|.*)?$", result.stdout, re.MULTILINE)
    assert examples
    for example in examples:
        if not example.startswith("-"):
            build_parser().parse_args(shlex.split(example))


def test_narrow_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help wraps to a terminal of 30 columns."""
    monkeypatch.setenv("COLUMNS", "30")
    result = run("dump", "--help")
    assert result.code == 0
    assert "\n  --timeout SECONDS\n" in result.stdout


def test_version() -> None:
    """--version prints vmdump's version."""
    assert run("--version").stdout == f"vmdump {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "COMMAND"),
        (["frobnicate"], "'frobnicate'"),
        ([""], "no command ''"),
        (["dump", "--frobnicate"], "no option --frobnicate; see vmdump dump --help"),
        (["dump", "a.json", "b.json"], "b.json"),
        (["dump", "--mach", "q35"], "--mach"),
        (["dump", "--engine", "slow"], "'slow'"),
        (["dump", "-o"], "-o/--output"),
        (["dump", "--run", "qemu", "--timeout", "soon"], "'soon' is not a number of seconds up to 1000000"),
        (["dump", "--run", "qemu", "--timeout", "0"], "'0' is not"),
        (["dump", "--run", "qemu", "--timeout", "-1"], "--timeout"),
        (["dump", "--run", "qemu", "--timeout", "nan"], "'nan' is not"),
        (["dump", "--run", "qemu", "--timeout", "inf"], "'inf' is not"),
        (["dump", "--run"], "--run does not apply to the built-in devices; give a QEMU binary as SOURCE"),
        (["dump", "--run", "-M", "help"], "--run does not apply to the built-in devices; give a QEMU binary as SOURCE"),
        (["dump", "--run", "qemu", "--module", "m.py"], "--module does not apply to QEMU binaries that are run"),
        (["dump", "--run", "qemu", "--arch", "arm"], "--arch does not apply to QEMU binaries that are run"),
        (["dump", "x.json", "-M", "q35"], "--machine does not apply to dump files"),
        (["dump", "x.json", "--module-dir", "."], "--module-dir does not apply to dump files"),
        (["devices", "x.json", "-M", "help"], "x.json: a dump file does not list machine types"),
        (["show"], "TYPE"),
        (["show", "x.json", "e1000", "e1000e"], "e1000e"),
        (["modules", "x.json"], "x.json"),
        (["-dump-vmstate"], "--output"),
        (["-M", "q35"], "no command 'q35'"),
    ],
)
def test_usage(argv: list[str], expected: str) -> None:
    """Invalid command lines end with exit code 2 and a message."""
    assert expected in run_failing(2, *argv)


def test_completion(tmp_path: Path) -> None:
    """shtab's scripts are valid bash and complete file names."""
    shtab = pytest.importorskip("shtab")
    script = tmp_path / "vmdump.bash"
    script.write_text(shtab.complete(build_parser(), "bash"))
    probe = (
        'source "$1"; _shtab_vmdump vmdump d vmdump; echo "${COMPREPLY[@]}"; echo "$_shtab_vmdump_dump_pos_0_COMPGEN"'
    )
    done = subprocess.run(
        ["bash", "-c", f"COMP_WORDS=(vmdump d) COMP_CWORD=1; {probe}", "bash", script], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("dump devices\n_shtab_compgen_files\n", "")


def test_man_page() -> None:
    """argparse-manpage makes a man page from the parser."""
    manpage = pytest.importorskip("argparse_manpage.manpage")
    text = str(manpage.Manpage(build_parser()))
    assert text.startswith(".TH VMDUMP")
    for command in COMMANDS:
        assert rf"\fI\,'vmdump {command}'\/\fR" in text


# dump -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["fast", "stdio"])
@pytest.mark.parametrize("source", ["plain", "gzip", "stdin", "gzip on stdin"])
def test_dump_file(source: str, engine: str, x86_64: bytes, dump_file: Path, tmp_path: Path) -> None:
    """A dump file is written back unchanged, from file or stdin, by both engines."""
    compressed = tmp_path / "x86_64"
    compressed.write_bytes(gzip.compress(x86_64, 1))
    result = {
        "plain": lambda: run("dump", dump_file, "--engine", engine),
        "gzip": lambda: run("dump", "--engine", engine, compressed),
        "stdin": lambda: run("dump", "-", "--engine", engine, stdin=x86_64),
        "gzip on stdin": lambda: run("dump", "-", "--engine", engine, stdin=compressed.read_bytes()),
    }[source]()
    assert (result.code, result.stderr) == (0, "")
    assert result.bytes == x86_64


def test_dump_output(x86_64: bytes, dump_file: Path, tmp_path: Path) -> None:
    """-o writes to a file, which may be the source; - is stdout."""
    target = tmp_path / "copy.json"
    assert run("dump", dump_file, "-o", target).bytes == b""
    assert target.read_bytes() == x86_64
    assert run("dump", target, "--output", target).code == 0
    assert target.read_bytes() == x86_64
    assert run("dump", target, "-o", "-").bytes == x86_64


@pytest.mark.parametrize(
    "argv",
    [
        ["-dump-vmstate", "-", "-M", "q35"],
        ["--dump-vmstate", "-", "--machine", "q35"],
        ["-M", "q35", "-dump-vmstate", "-"],
        ["-machine", "q35", "-dump-vmstate", "-"],
        ["dump", "-M", "q35"],
    ],
)
def test_qemu_spelling(argv: list[str]) -> None:
    """QEMU's own option spelling equals vmdump dump. The alias q35 is resolved, as by QEMU."""
    result = run(*argv)
    assert (result.code, result.stderr) == (0, "")
    dump = json.loads(result.bytes)
    assert dump["vmschkmachine"] == {"Name": "pc-q35-10.0"}
    assert dump["e1000"]["Description"]["name"] == "e1000"


def test_default_machine() -> None:
    """Without -M the default machine is used, as by QEMU."""
    default = re.search(r"^(\S+).*\(default\)", run("dump", "-M", "help").stdout, re.MULTILINE)
    assert default is not None
    assert json.loads(run("dump").bytes)["vmschkmachine"] == {"Name": default[1]}


@pytest.mark.parametrize("argv", [["dump"], ["devices"], ["show", "e1000"], ["-dump-vmstate", "x"]])
@pytest.mark.parametrize("word", ["help", "?"])
def test_machine_help(argv: list[str], word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """-M help lists the machine types for any command, which is not run."""
    monkeypatch.chdir(tmp_path)
    result = run(*argv, "-M", word)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.startswith("Supported machines are:\n")
    assert "\nnone                 empty machine\n" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["dump", "-M", "q36"], "unsupported machine type 'q36'; use -M help"),
        (["dump", "{tmp}/missing.json"], "{tmp}/missing.json: No such file or directory"),
        (["dump", ""], "No such file or directory"),
        (["dump", "{tmp}"], "{tmp}: Is a directory"),
        (["dump", "{tmp}/cut.json"], "{tmp}/cut.json:"),
        (["dump", "{tmp}/cut.json", "-o", "{tmp}/new.json"], "{tmp}/cut.json:"),
        (["dump", "-"], "<stdin>:1:1: "),
        (["dump", "-o", "{tmp}/no/such.json"], "{tmp}/no/such.json: No such file or directory"),
        (["dump", "-o", "{tmp}"], "{tmp}: Is a directory"),
        (["dump", "-o", ""], "No such file or directory"),
        (["dump", "-o", "/dev/full"], "/dev/full: No space left on device"),
        (["dump", "--module", "{tmp}/missing.py"], "{tmp}/missing.py: No such file or directory"),
        (["dump", "--run", "{tmp}/missing"], "{tmp}/missing: can't be run: No such file or directory"),
        (["devices", "{tmp}/missing.json"], "{tmp}/missing.json: No such file or directory"),
        (["show", "{tmp}/missing.json", "e1000"], "{tmp}/missing.json: No such file or directory"),
        (["show", "x\ny\x1b[31m"], "device types is called 'x\\ny\\x1b[31m'"),
        (["dump", "x\ny\x1b[31m"], "vmdump: x y\\x1b[31m: No such file"),
    ],
)
def test_failure(argv: list[str], expected: str, x86_64: bytes, tmp_path: Path) -> None:
    """A failure gives exit code 3, one line with the place, nothing on stdout, and no file."""
    (tmp_path / "cut.json").write_bytes(x86_64[:5000])
    assert expected.format(tmp=tmp_path) in run_failing(3, *(arg.format(tmp=tmp_path) for arg in argv))
    assert [path.name for path in tmp_path.iterdir()] == ["cut.json"]


# devices ----------------------------------------------------------------------------------------------------------


def test_devices(x86_64: bytes, dump_file: Path) -> None:
    """The table has a line for each device, sorted; metadata that a dump file lacks has no column."""
    head, *lines = run("devices", dump_file).stdout.splitlines()
    assert head.split() == ["TYPE", "DESCRIPTION", "VERSION", "MIN", "FIELDS", "SUBS"]
    start, end = head.index("DESCRIPTION"), head.index("VERSION")
    for number in ("VERSION", "MIN", "FIELDS", "SUBS"):  # right-aligned
        assert all(line[head.index(number) + len(number) - 1].isdigit() for line in lines)
    written = json.loads(x86_64)
    del written["vmschkmachine"]
    assert [(line[:start].rstrip(), line[start:end].rstrip(), *line[end:].split()) for line in lines] == [
        (
            name,
            device["Description"]["name"],
            str(device["version_id"]),
            str(device["minimum_version_id"]),
            str(json.dumps(device).count('"field"')),
            str(len(device["Description"].get("Subsections", []))),
        )
        for name, device in sorted(written.items())
    ]


def test_devices_of_modules(module: Path) -> None:
    """For vmdump's own devices the table has the parent, for modules' devices the module."""
    result = run("devices", "--module", module)
    assert (result.code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][-3:] == ["SUBS", "PARENT", "MODULE"]
    assert ["my-device", "my", "3", "2", "8", "2", "my-bridge", "my-device"] in lines
    assert ["VGA", "vga"] in [line[:2] for line in lines if line[-2:] == ["pci-vga", "-"]]


def test_devices_json(x86_64: bytes, dump_file: Path, module: Path) -> None:
    """--json has the documented keys in the order of the dump; unknown values are null."""
    devices = json.loads(run("devices", "--json", dump_file).stdout)
    written = json.loads(x86_64)
    assert [device["type"] for device in devices] == list(written)[1:]
    (e1000,) = (device for device in devices if device["type"] == "e1000")
    assert e1000 == {
        "type": "e1000", "description": "e1000", "version_id": 2, "minimum_version_id": 1,
        "fields": json.dumps(written["e1000"]).count('"field"'), "subsections": 3,
        "abstract": None, "parents": None, "desc": None, "module": None,
    }  # fmt: skip
    documented = re.findall(r"\w+", run("devices", "--help").stdout.partition("the keys are\n")[2])
    assert set(e1000) <= set(documented)
    (mine,) = (
        device
        for device in json.loads(run("devices", "--json", "--module", module).stdout)
        if device["type"] == "my-device"
    )
    assert (mine["abstract"], mine["parents"], mine["module"]) == (
        False,
        ["my-bridge", "device", "object"],
        "my-device",
    )


# show -------------------------------------------------------------------------------------------------------------


def test_show(module: Path) -> None:
    """The tree of a device with every construct."""
    result = run("show", "my-device", "--module", module)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout == TREE


def test_show_ascii(module: Path) -> None:
    """If the encoding lacks box characters, branches are ASCII."""
    result = run("show", "my-device", "--module", module, encoding="ascii")
    assert result.stdout == TREE.replace("├─", "|-").replace("└─", "`-").replace("│", "|")


@pytest.mark.parametrize("command", ["show", "devices"])
@pytest.mark.parametrize(
    ("environ", "is_coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colours(command: str, environ: dict[str, str], is_coloured: bool, module: Path) -> None:
    """A terminal gets the same text with colours; names cannot add escape sequences."""
    argv = (command, *(["my-device"] if command == "show" else []), "--module", module)
    plain, drawn = run(*argv).stdout, run(*argv, stdout=Terminal, **environ).stdout
    assert ("\x1b[" in drawn) == is_coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", drawn) == plain


@pytest.mark.parametrize(
    "argv", [["SOURCE", "e1000"], ["SOURCE", "--timeout", "9", "e1000"], ["--timeout", "9", "SOURCE", "e1000"]]
)
def test_show_of_a_file(argv: list[str], dump_file: Path) -> None:
    """The tree of a dump file shows what the file has; options may be anywhere."""
    result = run("show", *(str(dump_file) if arg == "SOURCE" else arg for arg in argv))
    lines = result.stdout.splitlines()
    assert lines[0] == "e1000"
    assert [line.split() for line in lines[3:8]] == [
        ["e1000", "version", "2,", "minimum", "1"],
        ["├─", "parent_obj", "2608", "PCIDevice", "(version", "2,", "minimum", "1)"],
        ["│", "├─", "version_id", "4"],
        ["│", "├─", "config", "256", "conditional"],
        ["│", "├─", "config", "4096", "conditional"],
    ]
    assert ["├─", "mac_reg", "128", "x", "4"] in [line.split() for line in lines]


def test_show_without_description(module: Path) -> None:
    """A device type without a description is reported without an error."""
    result = run("show", "my-bridge", "--module", module)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout == "my-bridge: no VMStateDescription, so no state is migrated\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "e1001",
            "is called 'e1001', nor is a section or description; did you mean e1000",
        ),
        ("E100", "did you mean e1000"),
        ("zzzzzz", "vmdump devices lists the types"),
    ],
)
def test_show_unknown(name: str, expected: str, dump_file: Path) -> None:
    """An unknown type is an error with the nearest names."""
    assert expected in run_failing(3, "show", dump_file, name)


def test_show_no_device() -> None:
    """A type that is no device is unknown here, description or not."""
    assert "device types is called 'none-machine'" in run_failing(3, "show", "none-machine")


def nested(depth: int, times: int) -> str:
    """A module with a device whose description nests others, each several times."""
    return f"""
VMDUMP_STAMP = 1
module_info = {{"objs": ["deep"]}}
from vmdump.qom import TypeInfo
from vmdump.vmstate import *
vmsd = VMStateDescription("leaf", fields=[VMStateField("x", size=1)])
for level in range({depth}):
    vmsd = VMStateDescription("d", fields=[VMStateField("f", flags=VMStateFlags.STRUCT, vmsd=vmsd)] * {times})
def class_init(klass, data): klass.vmsd = vmsd
def vmdump_module_init(types): types.type_register(TypeInfo("deep", parent="device", class_init=class_init))
"""


def test_show_deep(tmp_path: Path) -> None:
    """Descriptions nested deeper than Python's stack are shown."""
    (tmp_path / "deep.py").write_text(nested(900, 1))
    result = run("show", "deep", "--module", tmp_path / "deep.py")
    assert result.code == 0
    assert len(result.stdout.splitlines()) == 3 + 1 + 900 + 1


def test_show_endless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tree that expands exponentially is refused at once."""
    (tmp_path / "deep.py").write_text(nested(30, 2))
    monkeypatch.setattr(tree, "MAX_LINES", 1000)
    assert "deep: more than 1000 lines, the limit" in run_failing(3, "show", "deep", "--module", tmp_path / "deep.py")


# modules ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A directory of modules: a working one, one for another target, and several that fail."""
    directory = tmp_path / "modules"
    directory.mkdir()
    (directory / "my-device.py").write_text(MODULE)
    (directory / "no-module.py").write_text("import os\n")
    (directory / "bad-table.py").write_text('VMDUMP_STAMP = 1\nmodule_info = {"objects": []}\n')
    (directory / "bad-init.py").write_text(
        'VMDUMP_STAMP = 1\nmodule_info = {"objs": ["bad"], "deps": ["my-device"]}\n'
        "def vmdump_module_init(types): raise SystemExit(7)\n"
    )
    (directory / "ccw.py").write_text('VMDUMP_STAMP = 1\nmodule_info = {"objs": ["ccw"], "arch": "s390x"}\n')
    return directory


def test_modules(modules: Path) -> None:
    """The table lists what each module provides and needs; unreadable modules are reported on stderr."""
    result = run("modules", "--module-dir", modules)
    assert result.code == 0
    assert result.stdout == (
        "NAME       KIND    ARCH   OBJS                 DEPS       STATE          FILE\n"
        f"bad-init   python  -      bad                  my-device  not loaded     {modules}/bad-init.py\n"
        f"ccw        python  s390x  ccw                  -          arch mismatch  {modules}/ccw.py\n"
        f"my-device  python  -      my-device,my-bridge  -          not loaded     {modules}/my-device.py\n"
    )
    assert result.stderr.startswith(f"vmdump: failed to open module: {modules}/bad-table.py:2: ")
    assert result.stderr.count("\n") == 1


def test_modules_load(modules: Path) -> None:
    """--load reports the result for each module."""
    result = run("modules", "--load", "--json", "--module-dir", modules)
    assert result.code == 0
    table = {row["name"]: row for row in json.loads(result.stdout)}
    assert {name: row["state"] for name, row in table.items()} == {
        "bad-init": "failed",
        "ccw": "arch mismatch",
        "my-device": "loaded",
    }
    assert table["my-device"] == {
        "name": "my-device", "kind": "python", "arch": None, "objs": ["my-device", "my-bridge"], "deps": [],
        "opts": [], "state": "loaded", "file": f"{modules}/my-device.py", "error": None,
    }  # fmt: skip
    assert "SystemExit: 7" in table["bad-init"]["error"]
    assert "SystemExit: 7" in result.stderr.splitlines()[1]
    assert run("modules", "--arch", "s390x", "--json", "--module-dir", modules).stdout.count('"not loaded"') == 3


def test_failing_modules(modules: Path) -> None:
    """Each failing module is reported on stderr, the rest is dumped, and the exit code is 0."""
    result = run("dump", "--module-dir", modules)
    assert result.code == 0
    assert {"my-device", "e1000"} <= set(json.loads(result.bytes))
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == [
        " failed to open module", " failed to initialize module",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["missing", "file"])
def test_missing_module_dir(name: str, tmp_path: Path) -> None:
    """A missing --module-dir is reported but not a failure."""
    (tmp_path / "file").touch()
    result = run("dump", "--module-dir", tmp_path / name)
    assert result.code == 0
    assert "e1000" in json.loads(result.bytes)
    assert result.stderr == (f"vmdump: {tmp_path / name}: --module-dir is not a directory; it provides no modules\n")


def test_no_modules(tmp_path: Path) -> None:
    """Without modules the table has only its header, and the JSON list is empty."""
    assert run("modules", "--module-dir", tmp_path).stdout == "NAME  KIND  ARCH  OBJS  DEPS  STATE  FILE\n"
    assert json.loads(run("modules", "--json", "--module-dir", tmp_path).stdout) == []


def test_strange_file_names(tmp_path: Path) -> None:
    """File names that are not UTF-8 or contain control characters are escaped in the table and exact in JSON."""
    name = b"a\xff\n\x1b[31m".decode("utf-8", "surrogateescape")
    (tmp_path / f"{name}.py").write_text('VMDUMP_STAMP = 1\nmodule_info = {"objs": ["bad"]}\n')
    lines = run("modules", "--module-dir", tmp_path).stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(r"a\xff\x0a\x1b[31m  python")
    assert lines[1].index("python") == lines[0].index("KIND")
    (row,) = json.loads(run("modules", "--json", "--module-dir", tmp_path).stdout)
    assert row["name"] == name


# Streams and failures ---------------------------------------------------------------------------------------------


class Refusing(io.TextIOWrapper):
    """A stream whose write fails."""

    error = errno.ENOSPC

    def write(self, text: str) -> int:
        raise OSError(self.error, "it refuses")


class ClosedPipe(Refusing):
    """A pipe without a reader."""

    error = errno.EPIPE


def test_full_stdout(dump_file: Path) -> None:
    """A failing stdout is an error, for results and for help."""
    for argv in (["devices", dump_file], ["--help"], ["modules", "--json"], ["dump", "-M", "help"]):
        assert run_failing(3, *argv, stdout=Refusing) == "vmdump: <stdout>: it refuses\n"


def test_closed_pipe(dump_file: Path) -> None:
    """If the reader closes the pipe, there is no message but exit code 3."""
    result = run("devices", dump_file, stdout=ClosedPipe)
    assert (result.code, result.stderr) == (3, "")


def test_no_streams(monkeypatch: pytest.MonkeyPatch, dump_file: Path, tmp_path: Path) -> None:
    """Without stdin, stdout and stderr, commands that need none of them work."""
    errors = io.StringIO()
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["dump", str(dump_file), "-o", str(tmp_path / "copy.json")], Environment()) == 0
    assert main(["dump", str(dump_file)], Environment(stderr=errors)) == 3
    assert main(["--help"], Environment(stderr=errors)) == 3
    assert main(["dump", "-", "-o", "/dev/null"], Environment(stderr=errors)) == 3
    assert main(["dump", "--frobnicate"], Environment()) == 2
    assert errors.getvalue().splitlines() == [
        "vmdump: stdout is closed; redirect it, or use -o FILE",
        "vmdump: stdout is closed; redirect it, or use -o FILE",
        "vmdump: stdin is closed; give the source as a file",
    ]


def test_full_stderr() -> None:
    """A failing stderr does not change the exit code."""
    environment = Environment(stderr=Refusing(io.BytesIO()), stdout=io.StringIO(), environ={"VMDUMP_DEBUG": "1"})
    assert main(["dump", "/nonexistent"], environment) == 3


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 3, "out of memory"),
        (RecursionError("deep"), 3, "the source nests too deeply for this command; vmdump dump and show have no limit"),
        (OSError(errno.EIO, "Input/output error"), 3, "Input/output error"),
        (OSError(errno.EPERM, "Operation not permitted", "x.json"), 3, "x.json: Operation not permitted"),
        (SystemExit(0), 3, "internal error: SystemExit: 0; please report this (VMDUMP_DEBUG=1 prints a traceback)"),
        (ValueError("two\nlines"), 3, "internal error: ValueError: two lines; please report this"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 3, "internal error: BrokenPipeError"),
    ],
)
@pytest.mark.parametrize("debug", ["", "1"])
def test_errors(
    error: BaseException, code: int, expected: str, debug: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Any exception ends in one line and an exit code; VMDUMP_DEBUG adds the traceback."""

    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(dump_command, "open_source", fail)
    result = run("dump", "-o", tmp_path / "x", VMDUMP_DEBUG=debug)
    *traceback, line = result.stderr.splitlines()
    assert result.code == code
    assert line.startswith(f"vmdump: {expected}")
    assert ("Traceback (most recent call last):" in traceback) == bool(debug)
    assert bool(traceback) == bool(debug)


def test_debug() -> None:
    """VMDUMP_DEBUG shows the traceback of vmdump's own errors, too."""
    result = run("dump", "/nonexistent", VMDUMP_DEBUG="1")
    assert result.code == 3
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert result.stderr.endswith("\nvmdump: /nonexistent: No such file or directory\n")


def test_module_errors_are_not_raised(tmp_path: Path) -> None:
    """A module whose class_init raises ends the command with one line, whatever the exception."""
    (tmp_path / "m.py").write_text(
        'VMDUMP_STAMP = 1\nmodule_info = {"objs": ["m"]}\nfrom vmdump.qom import TypeInfo\n'
        "def class_init(klass, data): raise SystemExit('no\\nway')\n"
        'def vmdump_module_init(types): types.type_register(TypeInfo("m", parent="device", class_init=class_init))\n'
    )
    assert "no way" in run_failing(3, "dump", "--module", tmp_path / "m.py")


@pytest.mark.parametrize("make", [lambda: Environment(environ={}), Environment])
def test_own_streams(
    make: Callable[[], Environment], capsys: pytest.CaptureFixture[str], dump_file: Path, x86_64: bytes
) -> None:
    """Without an Environment the process's own streams are used."""
    assert main(["show", str(dump_file), "e1001"], make()) == 3
    assert main(["show", str(dump_file), "isa-serial"], make()) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("isa-serial\n")
    assert captured.err.startswith("vmdump: none of the 213 device types is called 'e1001'")


@pytest.mark.parametrize(
    "argv", [["dump"], ["devices"], ["show", "my-device"], ["modules", "--load"], ["dump", "-M", "help"]]
)
def test_modules_are_finished(argv: list[str], tmp_path: Path) -> None:
    """Every command that loads modules calls their finish entry points once."""
    mark = tmp_path / "finished"
    finish = f"\ndef vmdump_module_finish():\n    with open({str(mark)!r}, 'a') as file: file.write('x')\n"
    (tmp_path / "mine.py").write_text(
        "from vmdump import TypeInfo\nfrom vmdump.vmstate import VMStateDescription\nVMDUMP_STAMP = 1\n"
        'module_info = {"objs": ["my-device"]}\ndef class_init(klass, data): klass.vmsd = VMStateDescription("d")\n'
        "def vmdump_module_init(types):\n"
        '    types.type_register(TypeInfo("my-device", parent="device", class_init=class_init))\n' + finish
    )
    assert run(*argv, "--module", str(tmp_path / "mine.py")).code == 0
    assert mark.read_text() == "x"
