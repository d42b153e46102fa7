"""What a command is doing is shown on a terminal, after a second, and nowhere else."""

import io
import os
import pty
import re
import select
import subprocess
import sys
import termios
import tty
from collections.abc import Callable
from threading import Semaphore

import pytest
from support.dumps import read_real_dump
from support.paths import DATA, ROOT

from vmdump import activity
from vmdump.cli import main
from vmdump.cli.environment import Environment
from vmdump.cli.terminal import activity as display
from vmdump.cli.terminal.activity import line

#: Seconds after which a test that waits for something has failed.
LIMIT = 60


def read_until(terminal: int, text: bytes) -> bytes:
    """Return what is drawn on a terminal, until it has a text."""
    drawn = b""
    while text not in drawn:
        assert select.select([terminal], [], [], LIMIT)[0]
        drawn += os.read(terminal, 65536)
    return drawn


def read_rest(terminal: int) -> bytes:
    """Return what is drawn on a terminal that no process has open any more."""
    drawn = b""
    try:
        while some := os.read(terminal, 65536):
            drawn += some
    except OSError:
        pass
    return drawn


def run_on_terminal(
    *argv: str, block: Callable[[int], None] = lambda slave: None
) -> tuple[str, "subprocess.CompletedProcess[bytes]"]:
    """Run a command on a dump that comes once the line is shown, and block has been called with the terminal.

    Returns what was drawn on the terminal, which is stderr, and the completed process.
    """
    master, slave = pty.openpty()
    tty.setraw(slave)
    process = subprocess.Popen(
        [sys.executable, "-m", "vmdump", *argv],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=slave, cwd=ROOT, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    try:
        drawn = read_until(master, b": reading <stdin>")
        block(slave)
        shown, _ = process.communicate(read_real_dump("10.0.13", "m68k"), timeout=LIMIT)
    finally:
        process.kill()
        os.close(slave)
    drawn += read_rest(master)
    os.close(master)
    return drawn.decode(), subprocess.CompletedProcess(argv, process.returncode, shown)


@pytest.fixture
def step() -> activity.Step:
    """A step of ten items, of which four are done after two seconds, and 3 MB were read."""
    step = activity.Step("reading", 10)
    step.done, step.bytes = 4, 3_000_000
    return step


def test_line(step: activity.Step) -> None:
    """The line has the time, each step, what is done and the rates."""
    assert line([step], 2.0, 0.0) == "2 s: reading: 4 of 10, 2.0/s, 3.0 MB, 1.5 MB/s"
    assert line([step, activity.Step("booting q35")], 2.0, 0.0).endswith(": booting q35")
    assert line([activity.Step("booting q35")], 2.0, 0.0) == "2 s: booting q35"


def test_steps_nest_and_end() -> None:
    """Steps are listed from the outermost on, and leave when they end, also by an exception."""
    with activity.Step("a") as outer:
        with pytest.raises(KeyError), activity.Step("b") as inner:
            assert activity.current() == [outer, inner]
            activity.count_bytes(5)
            raise KeyError
        assert activity.current() == [outer]
        assert (outer.bytes, inner.bytes) == (0, 5)
    assert activity.current() == []


def test_terminal() -> None:
    """On a terminal the line appears after a second, is updated in place, and is removed at the end."""
    drawn, done = run_on_terminal("show", "-", "nubus-macfb")
    assert (done.returncode, b"nubus-macfb" in done.stdout) == (0, True)
    lines = re.findall(r"\r\x1b\[K(\d+) s: reading <stdin>", drawn)
    assert min(map(int, lines)) >= 1
    assert drawn.endswith("\r\x1b[K")
    assert "\n" not in drawn


@pytest.mark.parametrize(
    ("environ", "is_shown"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ],
)
def test_environments(environ: dict[str, str], is_shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TERM=dumb or NO_COLOR there is no line."""
    master, slave = pty.openpty()
    terminals: list[object] = []
    monkeypatch.setattr(display, "ActivityDisplay", terminals.append)
    stdout = io.TextIOWrapper(io.BytesIO())
    with open(slave, "w") as terminal:
        environment = Environment(stdout=stdout, stderr=terminal, environ=environ)
        assert main(["devices", str(DATA / "dumps" / "qemu-10.0.13" / "avr.json.xz")], environment) == 0
        assert terminals == ([terminal] if is_shown else [])
    os.close(master)


def test_an_error_is_not_mixed_with_the_line() -> None:
    """An error replaces the line."""
    drawn, done = run_on_terminal("show", "-", "no-such-type")
    assert done.returncode == 3
    assert re.search(r"<stdin>\r\r\x1b\[Kvmdump: [^\r]*no-such-type[^\r]*\n$", drawn)


def stop(terminal: int) -> None:
    """Stop the output of a terminal, as Ctrl-S does."""
    termios.tcflow(terminal, termios.TCOOFF)


def fill(terminal: int) -> None:
    """Write to a terminal that nobody reads, until it accepts nothing more."""
    descriptor = os.open(os.ttyname(terminal), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(descriptor, b"x")
    os.close(descriptor)


@pytest.mark.parametrize("block", [stop, fill])
def test_a_terminal_that_accepts_nothing_delays_nothing(block: Callable[[int], None]) -> None:
    """If the terminal stops while the line is shown, the command does its work and ends."""
    _, done = run_on_terminal("show", "-", "nubus-macfb", block=block)
    assert (done.returncode, b"nubus-macfb" in done.stdout) == (0, True)


def test_the_first_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the command has run for a second, nothing is drawn."""
    now, asleep, awake = [100.0], Semaphore(0), Semaphore(0)

    def sleep(seconds: float) -> None:
        asleep.release()
        awake.acquire(timeout=LIMIT)

    def update(seconds: float) -> None:
        """Let the display draw once, so many seconds after its start."""
        now[0] = 100.0 + seconds
        awake.release()
        assert asleep.acquire(timeout=LIMIT)

    monkeypatch.setattr(display, "monotonic", lambda: now[0])
    monkeypatch.setattr(display, "sleep", sleep)
    master, slave = pty.openpty()
    tty.setraw(slave)
    with open(slave, "w") as terminal:
        shown = display.ActivityDisplay(terminal)
        assert asleep.acquire(timeout=LIMIT)
        with activity.Step("reading"):
            update(0.9)
            update(1.1)
        shown.stop()
        awake.release()
    assert read_rest(master) == b"\r\x1b[K1 s: reading\r\r\x1b[K"
    os.close(master)
