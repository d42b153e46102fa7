"""A QEMU binary as a source, run with -dump-vmstate under a time limit.

The dump is read from a pipe, so no temporary files remain. QEMU runs in a session of its own, so that a timeout or
Ctrl-C also kills its child processes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from vmdump.activity import Step
from vmdump.dump import tree as engine
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer
from vmdump.errors import SourceError
from vmdump.signals import deferred_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Default time limit in seconds. A dump takes about 0.1 s.
TIMEOUT = 60.0

#: Upper limit of timeouts, in seconds: system calls accept about twice that.
_MAX_TIMEOUT = 1e6

#: Limit of a dump, in bytes. Real ones have two million.
_MAX_DUMP = 1 << 30

#: Bytes kept of the end of QEMU's stderr, and characters of it quoted in errors.
_MAX_STDERR = 16 << 10
_QUOTE = 500

#: Options for a dump, without default devices, user configuration and display.
_DUMP_OPTIONS = (
    "-nodefaults", "-no-user-config", "-display", "none", "-dump-vmstate", "/dev/stdout",
)  # fmt: skip

_WRONG_BINARY = "it may not be a QEMU system emulator"

#: QEMU's error if there is no default machine. Source: QEMU 8.2.2 system/vl.c select_machine.
_NO_DEFAULT_MACHINE = "No machine specified"


def run_qemu(
    path: str | os.PathLike[str],
    *,
    machine: str | None = None,
    module_dirs: Sequence[str] = (),
    timeout: float = TIMEOUT,
    report: Callable[[str], object] | None = None,
) -> DeviceDump:
    """Run a QEMU binary with -dump-vmstate and return its dump.

    Args:
        path: of the binary, or its name in $PATH.
        machine: argument of -M, including properties (``"virt,accel=kvm"``); None: QEMU's default machine, or "none" if
            it has no default.
        module_dirs: at most one directory, passed as QEMU_MODULE_DIR.
        timeout: in seconds.
        report: called with each line that QEMU writes to stderr if it succeeds, such as warnings.

    Raises:
        SourceError: QEMU can't be run, fails (with the end of its stderr), times out, or does not write a dump.

    >>> run_qemu("/nonexistent/qemu-system-x86_64")
    Traceback (most recent call last):
    vmdump.errors.SourceError: /nonexistent/qemu-system-x86_64: can't be run: No such file or directory
    """
    qemu = _Qemu(path, module_dirs, timeout)
    with Step(f"running {os.path.basename(path)}"):
        ended = qemu.run(*(() if machine is None else ("-M", machine)), *_DUMP_OPTIONS)
    if machine is None and ended.returncode and _NO_DEFAULT_MACHINE in ended.stderr:
        ended = qemu.run("-M", "none", *_DUMP_OPTIONS)
    qemu.check(ended)
    if not ended.stdout.startswith(b"{"):
        raise SourceError(f"{qemu.name}: did not write a dump; {_WRONG_BINARY}. {_last_words(ended)}")
    tree = engine.parse(ended.stdout, f"{qemu.name} -dump-vmstate")
    if report is not None:
        for line in ended.stderr.splitlines():
            report(line)
    return DeviceDump(tree, Producer(kind="qemu", path=qemu.name, version=qemu.version()))


def list_machines(path: str | os.PathLike[str], *, module_dirs: Sequence[str] = (), timeout: float = TIMEOUT) -> str:
    """Return the output of -M help of the QEMU binary at path. Raises SourceError."""
    qemu = _Qemu(path, module_dirs, timeout)
    ended = qemu.run("-M", "help")
    qemu.check(ended)
    return ended.stdout.decode("utf-8", "backslashreplace")


class _Ended(NamedTuple):
    """Result of a run: exit status, stdout, and the end of stderr."""

    returncode: int
    stdout: bytes
    stderr: str


class _Qemu:
    """A QEMU binary with a time limit for all its runs together."""

    def __init__(self, path: str | os.PathLike[str], module_dirs: Sequence[str], timeout: float) -> None:
        self.name = os.path.abspath(shutil.which(path) or path)
        self._timeout = min(timeout, _MAX_TIMEOUT)
        self._deadline = time.monotonic() + self._timeout
        self._environ = dict(os.environ)
        if len(module_dirs) > 1:
            raise SourceError(f"{self.name}: --run accepts one module directory, not {len(module_dirs)}")
        if module_dirs:
            self._environ["QEMU_MODULE_DIR"] = os.path.abspath(module_dirs[0])

    def run(self, *options: str) -> _Ended:
        """Run QEMU to completion. Raises SourceError if it does not start or times out."""
        try:
            with _running([self.name, *options], self._environ) as process:
                stdout, stderr = self._read(process)
                returncode = process.wait(self._seconds_left())
        except (TimeoutError, subprocess.TimeoutExpired):
            raise SourceError(
                f"{self.name}: did not finish within {self._timeout:g} seconds, killed; allow more with --timeout"
            ) from None
        except PermissionError as error:
            raise SourceError(
                f"{self.name}: can't be run: {error.strerror}; to read a dump file, omit --run"
            ) from error
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.name}: can't be run: {getattr(error, 'strerror', None) or error}") from error
        return _Ended(returncode, stdout, stderr.decode("utf-8", "backslashreplace"))

    def check(self, ended: _Ended) -> None:
        """Raise SourceError if a run failed."""
        if ended.returncode:
            raise SourceError(f"{self.name}: {_how_it_ended(ended.returncode)}. {_last_words(ended)}")

    def version(self) -> str | None:
        """Return the first line of -version, or None if that fails."""
        try:
            ended = self.run("-version")
        except SourceError:
            return None
        line = ended.stdout.partition(b"\n")[0].decode("utf-8", "backslashreplace").strip()
        return line or None if ended.returncode == 0 else None

    def _seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _read(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        """Return stdout and stderr, read until both are closed. Raises TimeoutError, SourceError."""
        stdout, stderr = bytearray(), bytearray()
        with selectors.DefaultSelector() as selector:
            for stream, kept in ((process.stdout, stdout), (process.stderr, stderr)):
                assert stream is not None  # a pipe
                selector.register(stream, selectors.EVENT_READ, kept)
            while selector.get_map():
                ready = selector.select(self._seconds_left())
                if not ready or not self._seconds_left():
                    raise TimeoutError
                for key, _ in ready:
                    chunk = os.read(key.fd, 1 << 16)
                    key.data.extend(chunk)
                    if not chunk:
                        selector.unregister(key.fileobj)
                del stderr[:-_MAX_STDERR]
                if len(stdout) > _MAX_DUMP:
                    raise SourceError(f"{self.name}: wrote more than {_MAX_DUMP >> 20} MiB, killed; {_WRONG_BINARY}")
        return bytes(stdout), bytes(stderr)


@contextlib.contextmanager
def _running(command: list[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process with pipes. If it still runs when the body ends, kill it and its child processes."""
    with contextlib.ExitStack() as stack:
        with deferred_signals():  # in its middle an exception would lose a process just started
            process = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0, start_new_session=True,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(_kill, process)
        yield process


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group if the process has not been waited for."""
    if process.returncode is None:  # so the process group ID can't have been reused
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _how_it_ended(returncode: int) -> str:
    """Return an exit code, or the name of the signal, in words.

    >>> _how_it_ended(1), _how_it_ended(-11)
    ('exit code 1', 'crashed with SIGSEGV (Segmentation fault)')
    """
    if returncode > 0:
        return f"exit code {returncode}"
    number = -returncode
    try:
        return f"crashed with {signal.Signals(number).name} ({signal.strsignal(number)})"
    except ValueError:
        return f"ended by signal {number}"


def _last_words(ended: _Ended) -> str:
    """Return the end of stderr on one line."""
    words = " | ".join(line.strip() for line in ended.stderr.splitlines() if line.strip())
    return f"stderr: {words[-_QUOTE:]}" if words else "stderr is empty"
