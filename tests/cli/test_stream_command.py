"""vmdump stream: text, JSON, exit codes."""

import json
from pathlib import Path

import pytest
from support.commands import Result, run_failing
from support.commands import run as run_command
from support.streams import real_stream, small_stream, write


def run(*argv: str) -> tuple[int, str, str]:
    """Exit code and output of a command line."""
    result: Result = run_command(*argv)
    return result.code, result.stdout, result.stderr


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A real stream."""
    return write(tmp_path / "vm.save", real_stream("m68kvirt72-7.2"))


def test_listing(path: str) -> None:
    """Container, machine, RAM and sections."""
    code, out, err = run("stream", path)
    assert (code, err) == (0, "")
    assert "machine       virt-7.2\n" in out
    assert "stream        44027 bytes, 15 sections, with footers, with vmdescription\n" in out
    assert ["m68k_virt.ram", "16777216", "4096"] in [line.split() for line in out.splitlines()]
    assert "goldfish_rtc" in out


def test_json(path: str) -> None:
    """The same as JSON."""
    found = json.loads(run("stream", path, "--json")[1])
    assert found["machine"] == "virt-7.2"
    assert found["run_state"] == "prelaunch"
    assert found["ram"][0]["name"] == "m68k_virt.ram"
    assert {"name", "instance_id", "version_id", "id", "size", "offset"} <= found["sections"][0].keys()


def test_section(path: str) -> None:
    """The fields of a section with values, as text and as JSON."""
    code, out, _ = run("stream", path, "timer")
    assert code == 0
    assert out.startswith("timer (instance 0, version 2, 24 bytes, described by vmdescription)\n")
    assert "cpu_clock_offset  int64" in out
    (found,) = json.loads(run("stream", path, "timer", "0", "--json")[1])
    assert [each["name"] for each in found["fields"]] == ["cpu_ticks_offset", "unused", "cpu_clock_offset"]


def test_analyze_migration(path: str) -> None:
    """--format analyze-migration is the script's JSON."""
    found = json.loads(run("stream", path, "--format", "analyze-migration")[1])
    assert found["ram (2)"] == {"section sizes": {"m68k_virt.ram": "0x0000000001000000"}}


def test_diff(path: str, tmp_path: Path) -> None:
    """--diff exits with 1 if there are differences."""
    other = write(tmp_path / "other", real_stream("m68kvirt72-10.0"))
    assert run("stream", "--diff", path, path)[:2] == (
        0,
        "no differences; the contents of RAM pages are not compared\n",
    )
    code, out, _ = run("stream", "--diff", path, other)
    assert code == 1
    assert "section globalstate (instance 0)\n" in out
    code, out, _ = run("stream", "--diff", path, other, "--json")
    assert {"kind", "name", "path", "old", "new"} <= json.loads(out)[0].keys()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothere"], 3, "nothere: No such file or directory"),
        (["{path}", "nosection"], 3, "no section 'nosection'"),
        (["{path}", "timer", "x"], 2, "'x' is not an instance id"),
        (["--diff", "{path}", "{path}", "timmer"], 3, "no section 'timmer'; did you mean timer?"),
        (["{path}", "--diff"], 2, "--diff needs two saved VMs"),
        (["{path}", "--snapshot", "a"], 3, "not a qcow2 image; --snapshot does not apply"),
        (["{path}", "timer", "--format", "analyze-migration"], 2, "leave out SECTION"),
        (["{path}", "--image", "nothere"], 2, "--image describes the fields of a SECTION"),
        (["{small}", "--format", "analyze-migration"], 3, "no vmdescription, which --format analyze-migration needs"),
        (["."], 3, "Is a directory"),
    ],
)
def test_errors(path: str, tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    """Errors are one line with the usual exit codes."""
    small = write(tmp_path / "small", small_stream(description=False))
    assert words in run_failing(code, "stream", *(each.format(path=path, small=small) for each in arguments))
