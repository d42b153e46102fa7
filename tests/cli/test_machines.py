"""vmdump machines, properties and abi: output, JSON forms, errors and exit codes."""

import json
import os
import shutil
from pathlib import Path

import pytest
from support.commands import run, run_failing
from support.descriptions import desc, dump, field
from support.qemu import find_qemu

from vmdump.emulator.machine import Machine

IMAGES = Path(os.environ.get("VMDUMP_IMAGES", "/nonexistent"))

COMMANDS = [("machines",), ("properties", "e1000"), ("abi",)]


@pytest.fixture
def dump_file(tmp_path: Path) -> Path:
    """A dump file, which has no machines."""
    path = tmp_path / "dump.json"
    dump(dev=desc("dev", field("a"))).write(path)
    return path


def test_dump_files(dump_file: Path) -> None:
    """A dump file is a usage error of each command."""
    text = f"vmdump: {dump_file}: not a QEMU binary; other sources have no machines to emulate\n"
    assert run_failing(2, "machines", dump_file) == text
    assert run_failing(2, "machines", dump_file, dump_file) == text
    assert run_failing(2, "properties", dump_file, "e1000") == text
    assert run_failing(2, "abi", dump_file, dump_file) == text
    assert run_failing(2, "abi", "-M", "pc", "q35", dump_file, dump_file) == text


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is named as such."""
    path = tmp_path / "qemu-system-x86_64"
    text = f"vmdump: {path}: No such file or directory; give a QEMU binary\n"
    assert run_failing(3, "save", path, "-o", tmp_path / "x") == text
    assert run_failing(3, "explain", "Missing section footer for cpu", path) == text
    assert run_failing(3, "machines", "") == "vmdump: '': No such file or directory; give a QEMU binary\n"
    assert run_failing(3, "machines", tmp_path) == f"vmdump: {tmp_path}: Is a directory; give a QEMU binary\n"
    assert run_failing(3, "machines", path) == text
    assert run_failing(3, "properties", path, "e1000") == text
    assert run_failing(3, "abi", path, path) == text


def test_usage(dump_file: Path) -> None:
    """Missing and superfluous arguments are usage errors."""
    assert "required" in run_failing(2, "machines")
    assert "4 arguments" in run_failing(2, "machines", "a", "b", "c", "d")
    assert "required: TYPE" in run_failing(2, "properties", dump_file)
    assert "give two QEMU binaries" in run_failing(2, "abi", dump_file)
    assert "give two QEMU binaries" in run_failing(2, "abi", "-M", "q35", dump_file)
    assert "no option --devices; did you mean --device?" in run_failing(2, "abi", "a", "b", "--devices", "x")
    sarif = ("--statistics", "--format", "sarif")
    assert "--statistics does not apply" in run_failing(2, "abi", "/bin/true", "/bin/true", *sarif)


@pytest.mark.parametrize("command", ["machines", "properties", "abi"])
def test_help(command: str) -> None:
    """The help has examples."""
    result = run(command, "--help")
    assert result.code == 0
    assert "examples:" in result.stdout


@pytest.mark.parametrize("content", [b"\x7fELF", b"\x7fELF" + bytes(200), b""])
def test_hostile_files(tmp_path: Path, content: bytes) -> None:
    """A file that is no QEMU is an error of one line."""
    path = tmp_path / "qemu-system-x86_64"
    path.write_bytes(content)
    code = 3 if content else 2
    assert str(path) in run_failing(code, "machines", path)
    assert str(path) in run_failing(code, "properties", path, "e1000")
    assert str(path) in run_failing(code, "abi", path, path, "-M", "q35")


def test_another_program() -> None:
    """Another program than QEMU is refused."""
    true = shutil.which("true")
    assert true is not None
    assert "not a QEMU system emulator" in run_failing(3, "machines", os.path.realpath(true))


@pytest.mark.qemu
def test_machines(cache_home: Path) -> None:
    """The list, one machine as JSON and as text, and an unknown one; the second time from the cache."""
    qemu = find_qemu("x86_64")
    rows = json.loads(run("machines", qemu, "--json").stdout)
    assert list(rows[0]) == ["name", "alias", "default", "deprecated", "compat_props"]
    old = next(row for row in rows if row["name"] == "pc-i440fx-2.9")
    assert {"driver", "property", "value"} == set(old["compat_props"][0])
    assert sum(row["default"] for row in rows) == 1
    table = run("machines", qemu).stdout.splitlines()
    assert table[0].split()[:3] == ["NAME", "ALIAS", "DEFAULT"]
    names = [line.split()[0] for line in table[1:]]
    assert sorted(names) == sorted(row["name"] for row in rows)
    assert names.index("pc-q35-2.9") < names.index("pc-q35-2.10") < names.index("pc-q35-3.0")
    error = run_failing(3, "machines", qemu, "isapcc")
    assert error == f"vmdump: {qemu}: no machine type 'isapcc'; did you mean isapc?\n"
    known = json.loads(run("machines", qemu, "isapc", "--json").stdout)
    assert known["name"] == "isapc"
    assert known["compat_props"] == []
    assert {"path": "/machine/fw_cfg", "type": "fw_cfg_io"}.items() <= known["devices"][
        [each["path"] for each in known["devices"]].index("/machine/fw_cfg")
    ].items()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "qmp", None)  # only the cache can answer
        text = run("machines", qemu, "isapc").stdout
    assert text.splitlines()[0] == "isapc"
    assert "\nsections of the migration stream\n" in text
    assert run("machines", qemu, qemu).stdout.splitlines()[:2] == ["only OLD has: 0", "only NEW has: 0"]
    same = json.loads(run("machines", qemu, qemu, "isapc", "--json").stdout)
    assert same == {"name": "isapc", "differences": []}


@pytest.mark.qemu
def test_properties() -> None:
    """The table, its JSON form, and --changed; QEMU's arguments follow --."""
    arguments = ("properties", find_qemu("x86_64"), "isa-serial", "-M", "isapc")
    result = run(*arguments, "--json", "--", "-global", "isa-serial.wakeup=on")
    known = json.loads(result.stdout)
    assert list(known) == ["type", "machine", "path", "added", "why_unrealized", "properties"]
    rows = {each["name"]: each for each in known["properties"]}
    assert rows["wakeup"]["effective"] is True
    assert rows["wakeup"]["set_by"] == "-global isa-serial.wakeup=on"
    assert rows["realized"]["effective"] is True


@pytest.mark.slow
@pytest.mark.qemu
def test_machine_does_not_start() -> None:
    """QEMU's own message explains why a machine does not start; the exit code is 3."""
    error = run_failing(3, "properties", find_qemu("x86_64"), "e1000", "-M", "isapc", "--", "-device", "nosuch")
    assert "'nosuch' is not a valid device model name" in error


@pytest.mark.qemu
@pytest.mark.slow
def test_abi_of_equals(tmp_path: Path) -> None:
    """A QEMU does not differ from itself, in each format; the exit code is 0."""
    qemu = find_qemu("x86_64")
    arguments = ("abi", qemu, qemu, "-M", "isapc", "--device", "isa-serial")
    result = run(*arguments)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1
    assert "safe" in result.stdout
    known = json.loads(run(*arguments, "--format", "json").stdout)
    assert known["findings"] == []
    assert run_failing(3, "abi", qemu, qemu, "-M", "isapcc").endswith("no machine type 'isapcc'; did you mean isapc?\n")


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.skipif(not IMAGES.is_dir(), reason="needs $VMDUMP_IMAGES")
def test_abi(tmp_path: Path) -> None:
    """Two known changes under pc-q35-7.2, confirmed by qom-get of both QEMUs, are found; a baseline accepts them."""
    paths = [IMAGES / version / "usr/bin/qemu-system-x86_64" for version in ("7.2.22", "10.0.13")]
    devices = ("--device", "nec-usb-xhci", "--device", "pvpanic")
    arguments = ("abi", *paths, "-M", "pc-q35-7.2", *devices, "--timeout", 600)
    result = run(*arguments, "--format", "json")
    assert result.code == 1
    found = {
        (each["type"], each["path"]): (each["source"]["facts"], each["destination"]["facts"])
        for each in json.loads(result.stdout)["findings"]
        if each["rule"] == "abi-property-changed"
    }
    assert found["nec-usb-xhci", "streams"] == ("false", "true")
    assert found["pvpanic", "events"] == ("3", "7")
    baseline = tmp_path / "vmdump.toml"
    assert run(*arguments, "--write-baseline", baseline).code == 1
    assert run(*arguments, "--config", baseline, "--fail-on", "conditional").code == 0
    assert b"abi-property-changed" in run(*arguments, "--format", "sarif").bytes
    assert b"<testsuite" in run(*arguments, "--format", "junit").bytes


@pytest.mark.qemu
@pytest.mark.slow
def test_abi_timeout() -> None:
    """--timeout limits the machines of a machine type, which threads read."""
    qemu = find_qemu("x86_64")
    error = run_failing(3, "abi", qemu, qemu, "-M", "isapc", "--no-cache", "--timeout", "1.5")
    assert error.endswith(
        "not read within 1.5 seconds; allow more with --timeout, or add fewer devices with --device\n"
    )


@pytest.mark.qemu
def test_names_of_error_lines() -> None:
    """A type is also found by its section; a device that names nothing is an error with a suggestion."""
    qemu = find_qemu("x86_64")
    found = json.loads(run("properties", qemu, "'pckbd' 0", "-M", "isapc", "--json").stdout)
    assert found["type"] == "i8042"
    assert "types; give one: " in run_failing(2, "properties", qemu, "PCIDevice", "-M", "isapc")
    assert "did you mean isa-serial" in run_failing(3, "properties", qemu, "isa-serail", "-M", "isapc")
    error = run_failing(2, "abi", qemu, qemu, "-M", "isapc", "--device", "isa-serail")
    assert error == "vmdump: --device: no device type matches 'isa-serail'; did you mean isa-serial?\n"


@pytest.mark.qemu
def test_other_targets() -> None:
    """Binaries of different targets are refused, unless --any-target is given."""
    x86, arm = find_qemu("x86_64"), find_qemu("arm")
    text = f"vmdump: {x86} is for target x86_64, {arm} for target arm: a VM cannot migrate between targets; "
    for command in ("machines", "abi"):
        assert run_failing(2, command, x86, arm).startswith(text)
    assert run("machines", x86, arm, "--any-target").code == 0


@pytest.mark.parametrize("arguments", [("machines",), ("properties", "e1000")])
def test_other_programs(arguments: tuple[str, ...]) -> None:
    """Programs that are not QEMU system emulators are named as such."""
    program = Path(shutil.which("true") or "").resolve()
    error = run_failing(3, arguments[0], program, *arguments[1:])
    assert error == f"vmdump: {program}: not a QEMU system emulator, but another program; give a qemu-system-* binary\n"
