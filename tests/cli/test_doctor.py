"""vmdump doctor, and vmdump without arguments: what works on this host, and what to try on it."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from vmdump.cli import main
from vmdump.cli.environment import Environment
from vmdump.emulator import unicorn_library
from vmdump.sources import installed


def run(*argv: str, path: Path) -> tuple[int, str, str]:
    """Run a command with a PATH; return exit code, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    environ = {**os.environ, "PATH": str(path)}
    return main(argv, Environment(stdout=out, stderr=err, environ=environ)), out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def only_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for QEMUs in the PATH alone."""
    monkeypatch.setattr(installed, "_DIRECTORIES", ())


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    """A directory with two executables that are called QEMU, a link to one, and other files."""
    for name, mode in (
        ("qemu-system-arm", 0o755),
        ("qemu-kvm", 0o755),
        ("qemu-system-ppc", 0o644),
        ("qemu-img", 0o755),
    ):
        (tmp_path / name).write_bytes(b"not a QEMU")
        (tmp_path / name).chmod(mode)
    (tmp_path / "qemu-system-armeb").symlink_to("qemu-system-arm")
    (tmp_path / "qemu-system-x86_64").symlink_to("missing")
    return tmp_path


def doctor(path: Path) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Return the exit code, and the checks by name."""
    code, out, _ = run("doctor", "--json", path=path)
    checks: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(out):
        checks.setdefault(each["check"], []).append(each)
    return code, checks


def test_everything_works(tmp_path: Path) -> None:
    """Here all packages are installed, and the emulator computes. A missing QEMU is reported."""
    code, checks = doctor(tmp_path)
    assert code == 0
    assert {name: each[0]["state"] for name, each in checks.items() if name != "QEMU"} == dict.fromkeys(
        ("vmdump", "C core", "unicorn", "zstandard", "pyarrow", "duckdb", "distributed", "emulator", "cache"), "ok"
    )
    assert [each["state"] for each in checks["QEMU"]] == ["missing"]


def test_a_qemu_that_cannot_be_read(binaries: Path) -> None:
    """Executables called QEMU are listed once each; the first is read, and its error is the detail."""
    code, checks = doctor(binaries)
    assert code == 1
    assert [each["state"] for each in checks["QEMU"]] == ["failed", "ok"]
    assert checks["QEMU"][0]["detail"].startswith(str(binaries / "qemu-kvm"))
    assert checks["QEMU"][1]["detail"] == str(binaries / "qemu-system-arm")


def test_missing_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is no failure; the command that installs it is given. So it is for the emulator."""
    import importlib.metadata
    from importlib.machinery import PathFinder

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(PathFinder, "find_spec", lambda name: None)
    monkeypatch.setattr(unicorn_library, "DIRECTORIES", ())
    code, checks = doctor(tmp_path)
    assert code == 0
    assert checks["duckdb"][0] == {
        "check": "duckdb",
        "state": "missing",
        "detail": "for query: pip install 'vmdump[bulk]'",
    }
    assert checks["emulator"][0]["state"] == "missing"
    assert "pip install 'vmdump[elf]'" in checks["emulator"][0]["detail"]


def test_first_steps(binaries: Path, tmp_path: Path) -> None:
    """Without arguments, vmdump prints commands with a QEMU of this host; each of them is a command line."""
    from vmdump.cli import build_parser

    code, out, err = run(path=binaries)
    assert (code, err) == (0, "")
    assert f"QEMU is installed here: {binaries / 'qemu-kvm'}, and 1 more." in out
    assert f"vmdump machines {binaries / 'qemu-kvm'} " in out
    lines = [line for line in out.splitlines() if line.startswith("  vmdump ")]
    assert len(lines) == 7
    for line in lines:
        command = line.strip().partition("  ")[0]
        build_parser().parse_args([each.strip('"') for each in command.split()[1:]])
    code, out, _ = run(path=tmp_path / "nowhere")
    assert code == 0
    assert "No QEMU is installed here" in out
