"""vmdump explain: arguments, streams, formats, exit codes."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.qemu import find_qemu

from vmdump.cli import main
from vmdump.cli.environment import Environment

FEATURES = "Features 0x1c0010130afffaf unsupported. Allowed features: 0x10179bfffef"


class Run:
    """The exit code and output of vmdump explain."""

    def __init__(self, *args: object, stdin: bytes = b"") -> None:
        out, err = io.StringIO(), io.StringIO()
        environment = Environment(
            stdin=io.TextIOWrapper(io.BytesIO(stdin)), stdout=out, stderr=err, environ={"HOME": "/nonexistent"}
        )
        self.code = main(["explain", *map(str, args)], environment)
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.out)
        return rows


def test_text() -> None:
    """The message comes first, then what it means, its values by name, the remedy and the place in QEMU."""
    run = Run(FEATURES)
    assert (run.code, run.err) == (0, "")
    first, *lines = run.out.splitlines()
    assert first == FEATURES
    assert all(line.startswith("  ") and len(line) <= 100 for line in lines)
    labels = [line.strip().partition(": ")[0] for line in lines if line[2] != " "]
    assert labels[-1] == "in QEMU"
    assert {"device", "refused", "properties", "remedy"} <= set(labels)
    assert "virtio-net-pci,guest_uso4=off,guest_uso6=off,host_uso=off" in run.out


def test_log() -> None:
    """Lines from standard input are explained in order; the rest is counted."""
    log = (
        b"starting up\nqemu: "
        + FEATURES.encode()
        + b"\nqemu: load of migration failed: Operation not permitted\n\xff\n"
    )
    run = Run("-", stdin=log)
    assert run.code == 0
    assert run.out.index(FEATURES) < run.out.index("load of migration failed: Operation not permitted\n")
    assert run.out.endswith("2 other lines are not known\n")


def test_json() -> None:
    """The same as JSON: one object for each explanation."""
    (row,) = Run(FEATURES, "--json").rows
    assert row["kind"] == "cause"
    assert row["key"] == "virtio_features"
    assert row["arguments"] == {"wanted": "1c0010130afffaf", "allowed": "10179bfffef"}
    assert {"label": "device", "text": "virtio-net, judging by the bits"} in row["details"]
    (row,) = Run("Missing section footer for x/e1000", "--json").rows
    assert "field-added" in row["rules"]
    assert row["type"] == "x/e1000"
    (row,) = Run("hello world", "--json").rows
    assert row["kind"] == "unknown"


def test_nearest() -> None:
    """A line that is nearly known gets the nearest one, and exit code 1."""
    run = Run("Mising section foter for foo")
    assert run.code == 1
    assert "the nearest is: Missing section footer for SECTION" in run.out


def test_rule_as_json() -> None:
    """A rule as JSON has what the text says, which is broken at the terminal's width."""
    (row,) = Run("field-added", "--json").rows
    out = Run("field-added").out
    assert max(map(len, out.splitlines())) <= 100
    text = " ".join(out.split())
    assert (row["rule"], row["command"], row["verdict"], row["level"]) == ("field-added", "check", "breaks", None)
    assert row["lines"]
    parts = [row[key] for key in ("what", "why", "example", "remedy", "remedy_nested")]
    assert all(part in text for part in (*parts, *(each["form"] for each in row["lines"]), *row["source"]))


def test_unknown() -> None:
    """Text far from every line is an error of one line, with the exit code of a line that is not known."""
    run = Run("hello out there, how are you")
    assert (run.code, run.out) == (1, "")
    assert run.err.count("\n") == 1
    assert "give the QEMU binary that printed it as IMAGE" in run.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([""], "LINE is empty"),
        ([FEATURES, "-M", "q35"], "--machine applies to IMAGE only"),
        ([FEATURES, __file__], "not a QEMU binary"),
        (["Missing", "section", "footer"], "unrecognized arguments: footer"),
    ],
)
def test_usage(args: list[str], words: str) -> None:
    """Mistakes of the command line are one line, exit code 2."""
    run = Run(*args)
    assert (run.code, run.out) == (2, "")
    assert words in run.err
    assert run.err.count("\n") == 1


def test_not_a_qemu(tmp_path: Path) -> None:
    """A binary that is no QEMU is an error that says so."""
    broken = tmp_path / "qemu"
    broken.write_bytes(b"\x7fELF" + bytes(100))
    run = Run(FEATURES, broken)
    assert (run.code, run.out) == (3, "")
    assert str(broken) in run.err
    missing = Run(FEATURES, tmp_path / "none")
    assert (missing.code, missing.err) == (
        3,
        f"vmdump: {tmp_path}/none: No such file or directory; give a QEMU binary\n",
    )


def test_control_characters() -> None:
    """Names in a line can't reorder or control the terminal."""
    run = Run("Missing section footer for \u202egpj\x1b]0;x\x07/\u2066e1000")
    assert run.code == 0
    assert all(each.isprintable() for each in run.out.splitlines())
    assert "\\u202egpj" in run.out


def test_large_input() -> None:
    """Input is limited."""
    run = Run("-", stdin=b"x" * (17 << 20))
    assert run.code == 3
    assert "16 MiB" in run.err


@pytest.mark.qemu
def test_image() -> None:
    """With the binary come its format and function; what it does not print is reported."""
    qemu = find_qemu("x86_64")
    run = Run(FEATURES, qemu)
    assert run.code == 0
    assert 'format: "Features 0x%lx unsupported. Allowed features: 0x%lx", in virtio_load\n' in run.out
    assert "property guest_uso4, which qemu-system-x86_64 does not have" in " ".join(run.out.split())


@pytest.mark.qemu
def test_machines() -> None:
    """-M help lists the machine types; an unknown one gets a suggestion."""
    qemu = find_qemu("x86_64")
    assert "pc-q35-7.2" in Run("-", qemu, "-M", "help").out
    run = Run(FEATURES, qemu, "-M", "pc-q35-7.22")
    assert (run.code, run.out) == (3, "")
    assert "did you mean pc-q35-7.2" in run.err
