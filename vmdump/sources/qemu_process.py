"""A QEMU binary as a source, run on request: its own -dump-vmstate, under a time limit."""

import os
import subprocess
import tempfile

from vmdump.device_dump import DeviceDump, Producer
from vmdump.errors import SourceError
from vmdump.sources.dump_file import read_dump_file

#: Seconds that a QEMU has to write its dump. It takes a tenth of a second.
TIMEOUT = 60.0

#: How many characters of QEMU's stderr an error quotes.
_STDERR_CHARACTERS = 500


def run_qemu(
    path: str | os.PathLike[str], *, machine: str | None = None, module_dirs: tuple[str, ...] = (),
    timeout: float = TIMEOUT,
) -> DeviceDump:  # fmt: skip
    """Runs the QEMU binary at path with -dump-vmstate and reads what it writes.

    It runs without a display, default devices and user configuration. machine is its -M (None: its default machine;
    where it has none, "none"); module_dirs, of which QEMU takes one, goes to it as QEMU_MODULE_DIR; timeout is in
    seconds. Raises SourceError with the end of QEMU's stderr when it fails, and when it is not done in time.
    """
    name = os.path.abspath(path)
    if len(module_dirs) > 1:
        raise SourceError(f"{name}: a QEMU that is run takes one module directory, not {len(module_dirs)}")
    environment = dict(os.environ)
    if module_dirs:
        environment["QEMU_MODULE_DIR"] = module_dirs[0]
    with tempfile.TemporaryDirectory(prefix="vmdump-") as directory:
        target = os.path.join(directory, "dump.json")
        options = ["-nodefaults", "-no-user-config", "-display", "none", "-dump-vmstate", target]
        stderr, failed = _run(name, [*_machine_option(machine), *options], environment, timeout)
        if failed and machine is None and "no machine specified" in stderr.lower():
            stderr, failed = _run(name, ["-M", "none", *options], environment, timeout)
        if failed:
            raise SourceError(f"{name}: {failed}: {_last_words(stderr)}")
        with open(target, "rb") as file:
            dump = read_dump_file(file, f"{name} -dump-vmstate")
    version = _run_version(name, environment, timeout)
    return DeviceDump(dump.tree, Producer(kind="qemu", path=name, version=version))


def list_machines(path: str | os.PathLike[str], *, timeout: float = TIMEOUT) -> str:
    """What the QEMU binary at path prints for -M help. Raises SourceError."""
    name = os.path.abspath(path)
    process = _start(name, ["-M", "help"], dict(os.environ), timeout)
    if process.returncode:
        raise SourceError(f"{name}: exit code {process.returncode}: {_last_words(process.stderr)}")
    return process.stdout


def _machine_option(machine: str | None) -> list[str]:
    return [] if machine is None else ["-M", machine]


def _start(
    name: str, options: list[str], environment: dict[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [name, *options], env=environment, timeout=timeout, stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", errors="backslashreplace", check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SourceError(f"{name}: not done after {timeout:g} seconds, killed; try --timeout with more") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{name}: can't be run: {getattr(error, 'strerror', None) or error}") from error


def _run(name: str, options: list[str], environment: dict[str, str], timeout: float) -> tuple[str, str]:
    """QEMU's stderr, and how it failed or nothing."""
    process = _start(name, options, environment, timeout)
    if process.returncode < 0:
        return process.stderr, f"ended by signal {-process.returncode}"
    return process.stderr, f"exit code {process.returncode}" if process.returncode else ""


def _last_words(stderr: str) -> str:
    """The end of what QEMU said, on one line."""
    words = " | ".join(line.strip() for line in stderr.splitlines() if line.strip())
    return words[-_STDERR_CHARACTERS:] or "it said nothing"


def _run_version(name: str, environment: dict[str, str], timeout: float) -> str | None:
    process = _start(name, ["-version"], environment, timeout)
    return process.stdout.partition("\n")[0].strip() or None if process.returncode == 0 else None
