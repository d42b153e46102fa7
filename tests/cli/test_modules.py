"""vmdump modules."""

import json
from pathlib import Path

import pytest
from support.commands import run
from support.sample_module import MODULE


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
