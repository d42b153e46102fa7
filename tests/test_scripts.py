"""Scripts of developers and CI, run with stand-ins for the commands that install things."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.paths import ROOT

#: A sudo that resets the environment, as sudoers(5) has it by default; apt-get records what it is asked for.
STAND_INS = {
    "id": "echo 1000",
    "sudo": 'exec env -i PATH="$PATH" LOG="$LOG" "$@"',
    "apt-get": """case $1 in
        indextargets) echo http://deb.debian.org/debian ;;
        *) echo "${DEBIAN_FRONTEND:-unset} $*" >>"$LOG" ;;
    esac""",
    "apt-cache": "exit 1",
    "dpkg-query": "exit 1",
    "no-python": "exit 1",
}


def stand_in(directory: Path, **commands: str) -> None:
    """Write shell scripts for commands."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, script in commands.items():
        path = directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@pytest.mark.parametrize("command", [["bootstrap"], [".ci/run"], [".ci/builds", "out"]], ids=" ".join)
def test_packages_are_installed(command: list[str], tmp_path: Path) -> None:
    """apt-get has its lists before it installs, and asks nothing, although sudo resets the environment."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / command[0], tmp_path / command[0])
    stand_in(tmp_path / "bin", **STAND_INS)
    log = tmp_path / "log"
    environ = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "LOG": str(log), "PYTHON": "no-python"}
    subprocess.run([f"./{command[0]}", *command[1:]], cwd=tmp_path, env=environ, capture_output=True, check=False)
    update, install = log.read_text().splitlines()[:2]
    assert update == "unset -qq update"
    assert install.startswith("noninteractive -qq install -y ")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with .ci/check-ci, whose linters are stand-ins."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/check-ci", tmp_path / ".ci")
    linters = ("zizmor", "check-jsonschema", "pre-commit", "hadolint", "actionlint")
    stand_in(tmp_path / "build/ci-tools/bin", **dict.fromkeys(linters, ":"), shellcheck='printf "%s\\n" "$@"')
    (tmp_path / "build/ci-tools/done").touch()
    os.utime(tmp_path / ".ci/check-ci", (1, 1))
    (tmp_path / ".gitignore").write_text("build/\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def test_every_shell_script_is_checked(checkout: Path) -> None:
    """Scripts are found by their first line, whatever they are called, before they are added."""
    contents = {
        "a b": "#!/bin/sh -eu\n", "one": "#!/usr/bin/env bash\n", "two": "#!/bin/bash\n", "dash": "#!/usr/bin/dash\n",
        "code.py": "#!/usr/bin/env python3\n", "text.md": "text\n#!/bin/sh\n", "fish": "#!/usr/bin/fish\n", "empty": "",
        "data": b"\x7fELF\0".decode("latin-1"),
    }  # fmt: skip
    for name, content in contents.items():
        (checkout / name).write_text(content)
    done = subprocess.run([checkout / ".ci/check-ci"], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == sorted(
        ["--severity", "warning", ".ci/check-ci", "a b", "dash", "one", "two"]
    )


def test_linters_are_those_of_the_script(checkout: Path) -> None:
    """After a change of the script, which names the linters, they are installed anew."""
    stand_in(checkout / "bin", python3="exit 9")
    os.utime(checkout / "build/ci-tools/done", (0, 0))
    environ = {**os.environ, "PATH": f"{checkout}/bin:{os.environ['PATH']}"}
    assert subprocess.run([checkout / ".ci/check-ci"], env=environ, capture_output=True, check=False).returncode == 9
    assert not (checkout / "build/ci-tools/bin").exists()


def test_what_ci_run_does() -> None:
    """CONTRIBUTING.md names each target of make and each script of .ci/ that .ci/run runs."""
    described = re.search(r"^    \.ci/run .*\n(?: {20}# .*\n)*", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert described
    script = (ROOT / ".ci/run").read_text()
    names = re.findall(r"(?:^make (?!-)|^\.ci/|\$\(\.ci/)([\w-]+)", script, re.MULTILINE)
    assert len(names) >= 7
    assert [name for name in names if name not in described[0]] == []
