"""The recipes for CI do what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import DATA

from vmdump.bulk.store import producers

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "examples" / "gate-qemu-update.sh"


def test_gate(tmp_path: Path) -> None:
    """The script reads both sides into one folder, has that checked, and ends as the check does."""
    for version in ("7.2.22", "10.0.13"):
        (tmp_path / version).mkdir()
        shutil.copy(DATA / "dumps" / f"qemu-{version}" / "m68k.json.xz", tmp_path / version)
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "vmdump").write_text(
        f'#!/bin/sh\nif [ "$1" = check ]; then echo "$@" >{tmp_path}/asked; exit 1; fi\n'
        f'exec "{sys.executable}" -m vmdump "$@"\n'
    )
    (bin_dir / "vmdump").chmod(0o755)
    environ = {**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = [SCRIPT, "7.2.22", "10.0.13", "dumps"]
    for _ in range(2):
        assert subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False).returncode == 1
        assert (tmp_path / "asked").read_text() == "check --matrix dumps\n"
        assert [each.label for each in producers(tmp_path / "dumps")] == ["7.2.22", "10.0.13"]
    (tmp_path / "asked").unlink()
    (tmp_path / "10.0.13" / "m68k.json.xz").write_bytes(b"\xfd7zXZ\0 broken")
    assert subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False).returncode == 3
    assert not (tmp_path / "asked").exists()


def test_recipes_call_it() -> None:
    """GitLab's and GitHub's recipes are in terms of the script, with its three arguments."""
    for name in ("gitlab-ci.yml", "github-workflow.yml"):
        calls = re.findall(
            r"examples/gate-qemu-update\.sh (\S+) (\S+) (\S+)$", (ROOT / "examples" / name).read_text(), re.M
        )
        assert len(calls) == 1
