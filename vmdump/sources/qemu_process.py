"""A QEMU binary as a source, run on request: its own -dump-vmstate, under a time limit.

The dump comes through a pipe, so no file is ever left behind; and QEMU gets a session of its own, so that what ends the
wait for it early, the time limit or Ctrl-C, ends all that it started.
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

from vmdump.dump import tree as engine
from vmdump.dump.device_dump import DeviceDump
from vmdump.dump.producer import Producer
from vmdump.errors import SourceError
from vmdump.signals import held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Seconds that a QEMU has to write its dump. It takes a tenth of one.
TIMEOUT = 60.0

#: The longest wait, in seconds: the system calls take no more than twice that.
_MAX_TIMEOUT = 1e6

#: The largest dump that is taken, in bytes. Real ones have two million.
_MAX_DUMP = 1 << 30

#: How much of QEMU's stderr is kept, its end, and how much of that an error quotes, in bytes and characters.
_MAX_STDERR = 16 << 10
_QUOTE = 500

#: What makes QEMU write its dump: neither devices that are not asked for, nor files of the user, nor a window.
_DUMP_OPTIONS = (
    "-nodefaults", "-no-user-config", "-display", "none", "-dump-vmstate", "/dev/stdout",
)  # fmt: skip

#: How QEMU says that it wants -M. Source: QEMU 8.2.2 system/vl.c select_machine.
_NO_DEFAULT_MACHINE = "No machine specified"


def run_qemu(
    path: str | os.PathLike[str],
    *,
    machine: str | None = None,
    module_dirs: Sequence[str] = (),
    timeout: float = TIMEOUT,
    report: Callable[[str], object] | None = None,
) -> DeviceDump:
    """Runs the QEMU binary at path, or of that name in $PATH, with -dump-vmstate, and reads what it writes.

    machine is its -M, properties and all (``"virt,accel=kvm"``); None: its default machine, or "none" where it has no
    default. module_dirs, of which QEMU takes one, goes to it as QEMU_MODULE_DIR. timeout is in seconds. report is told
    each line that a QEMU which succeeds writes to stderr: that a module does not load, that a machine is deprecated.

    Raises SourceError when QEMU can't be run, fails (with the end of its stderr), is not done in time, or writes
    something else than a dump.

    >>> run_qemu("/nonexistent/qemu-system-x86_64")
    Traceback (most recent call last):
    vmdump.errors.SourceError: /nonexistent/qemu-system-x86_64: can't be run: No such file or directory
    """
    qemu = _Qemu(path, module_dirs, timeout)
    ended = qemu.run(*(() if machine is None else ("-M", machine)), *_DUMP_OPTIONS)
    if machine is None and ended.returncode and _NO_DEFAULT_MACHINE in ended.stderr:
        ended = qemu.run("-M", "none", *_DUMP_OPTIONS)
    qemu.check(ended)
    if not ended.stdout.startswith(b"{"):
        raise SourceError(f"{qemu.name}: wrote no dump; is it a QEMU system emulator? {_last_words(ended)}")
    tree = engine.parse(ended.stdout, f"{qemu.name} -dump-vmstate")
    if report is not None:
        for line in ended.stderr.splitlines():
            report(line)
    return DeviceDump(tree, Producer(kind="qemu", path=qemu.name, version=qemu.version()))


def list_machines(path: str | os.PathLike[str], *, module_dirs: Sequence[str] = (), timeout: float = TIMEOUT) -> str:
    """What the QEMU binary at path prints for -M help. Raises SourceError."""
    qemu = _Qemu(path, module_dirs, timeout)
    ended = qemu.run("-M", "help")
    qemu.check(ended)
    return ended.stdout.decode("utf-8", "backslashreplace")


class _Ended(NamedTuple):
    """How a run ended, and what it wrote: all to stdout, the end to stderr."""

    returncode: int
    stdout: bytes
    stderr: str


class _Qemu:
    """A QEMU binary and how long it may take, all its runs together."""

    def __init__(self, path: str | os.PathLike[str], module_dirs: Sequence[str], timeout: float) -> None:
        self.name = os.path.abspath(shutil.which(path) or path)
        self._timeout = min(timeout, _MAX_TIMEOUT)
        self._deadline = time.monotonic() + self._timeout
        self._environ = dict(os.environ)
        if len(module_dirs) > 1:
            raise SourceError(f"{self.name}: a QEMU that is run takes one module directory, not {len(module_dirs)}")
        if module_dirs:
            self._environ["QEMU_MODULE_DIR"] = os.path.abspath(module_dirs[0])

    def run(self, *options: str) -> _Ended:
        """Runs it to its end. Raises SourceError when it does not start or is not done in time."""
        try:
            with _running([self.name, *options], self._environ) as process:
                stdout, stderr = self._read(process)
                returncode = process.wait(self._seconds_left())
        except (TimeoutError, subprocess.TimeoutExpired):
            raise SourceError(
                f"{self.name}: not done after {self._timeout:g} seconds, killed; --timeout gives it more"
            ) from None
        except PermissionError as error:
            raise SourceError(
                f"{self.name}: can't be run: {error.strerror}; is it a dump file? It is read without --run"
            ) from error
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.name}: can't be run: {getattr(error, 'strerror', None) or error}") from error
        return _Ended(returncode, stdout, stderr.decode("utf-8", "backslashreplace"))

    def check(self, ended: _Ended) -> None:
        """Raises SourceError for a run that failed, saying how."""
        if ended.returncode:
            raise SourceError(f"{self.name}: {_how_it_ended(ended.returncode)}. {_last_words(ended)}")

    def version(self) -> str | None:
        """The first line of what it says of itself; None when it does not."""
        try:
            ended = self.run("-version")
        except SourceError:
            return None
        line = ended.stdout.partition(b"\n")[0].decode("utf-8", "backslashreplace").strip()
        return line or None if ended.returncode == 0 else None

    def _seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _read(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        """What it writes to stdout and stderr until both are closed. Raises TimeoutError, SourceError."""
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
                    raise SourceError(f"{self.name}: wrote more than {_MAX_DUMP >> 20} MiB, killed; is it a QEMU?")
        return bytes(stdout), bytes(stderr)


@contextlib.contextmanager
def _running(command: list[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with pipes. If nobody has waited for it when the body ends, it is killed, with all that it started."""
    with contextlib.ExitStack() as stack:
        with held_back():  # in its middle an exception would lose a process just started
            process = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0, start_new_session=True,
            )  # fmt: skip
            stack.enter_context(process)
            stack.callback(_kill, process)
        yield process


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends what nobody has waited for."""
    if process.returncode is None:  # so the number of its group is still its own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _how_it_ended(returncode: int) -> str:
    """An exit code, or the signal of a crash by name.

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
    """The end of what it wrote to stderr, on one line."""
    words = " | ".join(line.strip() for line in ended.stderr.splitlines() if line.strip())
    return f"It said: {words[-_QUOTE:]}" if words else "It said nothing"
