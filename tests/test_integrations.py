"""What users of CI systems copy: the GitHub action, the GitLab template, the hook of pre-commit."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.paths import DATA, ROOT

ACTION = (ROOT / "action.yml").read_text()

#: In place of the Python that makes a virtual environment: makes one with this vmdump, whose pip does nothing.
PYTHON = f"""\
#!/bin/sh
test "$1 $2" = "-m venv" || exit 99
mkdir -p "$3/bin"
printf '#!/bin/sh\\n' >"$3/bin/pip"
printf '#!/bin/sh\\nexec "{sys.executable}" -P -m vmdump "$@"\\n' >"$3/bin/vmdump"
chmod +x "$3/bin/pip" "$3/bin/vmdump"
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the directories old and new; the current directory."""
    for name, version in (("old", "7.2.22"), ("new", "10.0.13")):
        (tmp_path / name).mkdir()
        shutil.copy(DATA / "extended" / f"qemu-{version}-m68k.json.xz", tmp_path / name / "m68k.json.xz")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text(PYTHON)
    (tmp_path / "bin/python3").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_action(directory: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the shell step of action.yml as a runner does, with its inputs."""
    script = textwrap.dedent(re.search(r"      run: \|\n((?:        .*\n)+)", ACTION)[1])  # type: ignore[index]
    environ = dict(re.findall(r"^        (\w+): \$\{\{ inputs\.([\w-]+) \}\}$", ACTION, re.MULTILINE))
    defaults = dict(re.findall(r"^  ([\w-]+):\n    description: .*\n    default: (.*)$", ACTION, re.MULTILINE))
    values = {name: inputs.get(name.replace("-", "_"), defaults.get(name)) for name in environ.values()}
    assert None not in values.values()
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        capture_output=True, text=True, cwd=directory,
        env={
            **os.environ, **{name: str(values[given]) for name, given in environ.items()},
            "PATH": f"{directory / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(directory / "temp"), "GITHUB_STEP_SUMMARY": str(directory / "step-summary.md"),
        },
    )  # fmt: skip


def test_action(directory: Path) -> None:
    """The action fails if a device breaks, annotates the run, writes its summary, and leaves what it uploads."""
    done = run_action(directory, old="old", new="new")
    assert done.returncode == 1
    assert done.stdout.startswith("::error title=")
    assert "| `7.2.22 -> 10.0.13` |" in (directory / "step-summary.md").read_text()
    paths = re.findall(r"\$\{\{ inputs\.output \}\}/([\w./-]+)", ACTION)
    assert {"dumps", "pages", "check.sarif", "check.json", "summary.md"} == set(paths)
    for path in paths:
        assert (directory / "migration" / path).exists(), path


def test_action_with_inputs(directory: Path) -> None:
    """Inputs are arguments, not shell code; the exit code is vmdump's."""
    (directory / "a b; false").mkdir()
    shutil.copy("old/m68k.json.xz", "a b; false")
    done = run_action(directory, old="a b; false", new="old", output="out $(exit 9)")
    assert (done.returncode, done.stderr.count("\n")) == (0, 2)
    assert (directory / "out $(exit 9)/pages/index.html").exists()
    missing = run_action(directory, old="absent", new="new", output="none")
    assert missing.returncode == 3
    assert "absent" in missing.stderr


def test_gitlab(directory: Path) -> None:
    """The command of the GitLab template writes the artifacts and reports that the template names."""
    template = (ROOT / "examples/gitlab-ci.yml").read_text()
    (command,) = re.findall(r"^    - venv/bin/vmdump (gate .*)$", template, re.MULTILINE)
    subprocess.run(
        [sys.executable, "-P", "-m", "vmdump", *command.split()],
        check=False, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    named = re.findall(r"migration/[\w./-]+", template)
    assert len(named) >= 5
    for path in named:
        assert (directory / path).exists(), path


def test_pre_commit_hook(directory: Path) -> None:
    """The hook's command accepts the files that its pattern matches, and fails for a broken one."""
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text()
    entry, files = (re.search(rf"^  {key}: (.*)$", hook, re.MULTILINE)[1] for key in ("entry", "files"))  # type: ignore[index]
    for name, is_matched in (
        ("vmstate-8.2.json", True), ("tests/x86-vmstate.json.xz", True), ("a/vmstate.json.zst", True),
        ("vmstate.txt", False), ("vmstate/README.json.md", False), ("package.json", False),
    ):  # fmt: skip
        assert bool(re.search(files, name)) is is_matched, name
    shutil.copy("old/m68k.json.xz", "vmstate.json.xz")
    Path("broken-vmstate.json").write_text("{")
    command = [sys.executable, "-P", "-m", *entry.split()]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([*command, "vmstate.json.xz"], env=environ, capture_output=True, check=False).returncode == 0
    done = subprocess.run(
        [*command, "vmstate.json.xz", "broken-vmstate.json"], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.startswith("vmdump: broken-vmstate.json:")
