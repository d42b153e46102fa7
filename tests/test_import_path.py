"""Neither vmdump nor its child processes import from the current directory or a source's directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from support.dumps import read_real_dump
from support.qemu import find_qemu

import vmdump

ROOT = Path(vmdump.__file__).parent.parent

#: Modules of the standard library, and of required and optional packages.
NAMES = (
    "argparse", "ast", "cffi", "concurrent", "contextlib", "ctypes", "datetime", "distributed", "fnmatch",
    "gzip", "hashlib", "importlib", "json", "logging", "lzma", "msgspec", "multiprocessing", "pickle",
    "pyarrow", "random", "re", "rich", "runpy", "selectors", "shutil", "signal", "socket", "struct",
    "subprocess", "tempfile", "threading", "tomllib", "unicorn", "uuid", "weakref", "zstandard",
)  # fmt: skip

#: Their code, which leaves a mark when executed.
TRAP = "import os\nopen(os.path.join(os.environ['MARKS'], f'{__name__}-{os.getpid()}'), 'w').close()\n"

#: As pip installs the command.
SCRIPT = "import sys\nfrom vmdump.__main__ import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A directory with modules of these names and a dump."""
    directory = tmp_path / "hostile"
    directory.mkdir()
    for name in NAMES:
        (directory / f"{name}.py").write_text(TRAP)
    info = directory / "trap-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trap\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[vmdump.modules]\ntrap = trap_module\n")
    (directory / "trap_module.py").write_text(f"VMDUMP_STAMP = 1\n{TRAP}def vmdump_module_init(types): pass\n")
    (directory / "avr.json.zst").write_bytes(zstandard.compress(read_real_dump("10.0.13", "avr")))
    return directory


def run(hostile: Path, how: str, *args: object) -> "subprocess.CompletedProcess[str]":
    """Run vmdump in the directory, as a script or with python -m. Imported modules leave a file in $MARKS."""
    installed = hostile.parent / "bin"
    installed.mkdir(exist_ok=True)
    (installed / "vmdump").write_text(SCRIPT)
    command = {"script": [str(installed / "vmdump")], "module": ["-m", "vmdump"]}[how]
    if how == "module":  # Python itself imports these from there at start-up
        (hostile / "importlib.py").unlink()
        (hostile / "contextlib.py").unlink()
    marks = hostile.parent / "marks"
    marks.mkdir(exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = [str(ROOT), *(os.path.abspath(each) for each in sys.path if each)]
    environ |= {"MARKS": str(marks), "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *command, *map(str, args)]
    return subprocess.run(command, cwd=hostile, env=environ, capture_output=True, text=True, check=False)


def imported(hostile: Path) -> list[str]:
    """Return the modules of the directory that were executed."""
    return sorted({path.name.partition("-")[0] for path in (hostile.parent / "marks").iterdir()})


@pytest.mark.parametrize("how", ["script", "module"])
def test_bulk(how: str, hostile: Path) -> None:
    """vmdump bulk, its forkserver, resource tracker and workers import nothing from the current directory."""
    done = run(hostile, how, "bulk", "avr.json.zst", "-o", "out", "--format", "json.zst")
    assert (done.returncode, imported(hostile)) == (0, []), done.stderr
    assert "1 read" in done.stdout


@pytest.mark.qemu
def test_bulk_binary(hostile: Path) -> None:
    """Workers that emulate a QEMU import Unicorn, but nothing from the current directory."""
    done = run(hostile, "script", "bulk", find_qemu("x86_64"), "-o", "out")
    assert (done.returncode, imported(hostile)) == (0, []), done.stderr


@pytest.mark.qemu
def test_migrate(hostile: Path) -> None:
    """Processes that try migrations import nothing from the current directory."""
    qemu = find_qemu("x86_64")
    done = run(
        hostile, "script", "migrate", qemu, qemu, "-M", "microvm", "--device", "virtio-rng-device", "--jobs", "2"
    )
    assert (done.returncode, imported(hostile)) == (0, []), done.stderr


def test_bulk_in_a_checkout(hostile: Path) -> None:
    """In a checkout without a built C core the installed vmdump is used."""
    (hostile / "vmdump").mkdir()
    (hostile / "vmdump" / "__init__.py").write_text(TRAP)
    done = run(hostile, "script", "bulk", "avr.json.zst", "-o", "out")
    assert (done.returncode, imported(hostile)) == (0, []), done.stderr


@pytest.mark.parametrize(
    ("how", "args"),
    [
        ("script", ["dump", "avr.json.zst", "-o", "x.json"]),
        ("module", ["dump", "avr.json.zst", "-o", "x.json"]),
        ("module", ["modules", "--load"]),
        ("module", ["--help"]),
        ("script", ["check", "avr.json.zst", "avr.json.zst", "--format", "junit"]),
        ("module", ["classic", "-s", "avr.json.zst", "-d", "avr.json.zst"]),
    ],
)
def test_commands(how: str, args: list[str], hostile: Path) -> None:
    """No command imports from the current directory, or loads modules from entry points declared there."""
    done = run(hostile, how, *args)
    assert (done.returncode, imported(hostile)) == (0, []), done.stderr


def test_script_beside_sources(hostile: Path) -> None:
    """A script installed beside the sources does not import from there either."""
    (hostile / "vmdump-command").write_text(SCRIPT)
    (hostile.parent / "bin").symlink_to(hostile)
    for name in ("signal", "re"):  # modules that pip's script imports before vmdump's
        (hostile / f"{name}.py").unlink()
    done = run(hostile, "script", "bulk", "avr.json.zst", "-o", hostile.parent / "out")
    assert done.returncode == 0, done.stderr
    assert set(imported(hostile)) == set()


def test_dash_e(hostile: Path) -> None:
    """If PYTHON* variables are ignored (-E), vmdump bulk reports the danger and the remedy."""
    code = "from vmdump.bulk.workers import make_workers; make_workers('processes', 1)"
    prelude = f"import sys; sys.path[:0] = {[str(ROOT), *sys.path]!r}; "
    for flags, expected in ((["-E"], "use python -I, or -P"), (["-I"], ""), (["-E", "-P"], "")):
        command = [sys.executable, *flags, "-c", prelude + code]
        done = subprocess.run(command, cwd=hostile.parent, capture_output=True, text=True, check=False)
        assert expected in done.stderr
        assert (done.returncode != 0) == bool(expected)
