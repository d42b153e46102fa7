"""What a command is doing is shown on a terminal, after a second, and nowhere else."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Callable

import pytest
from support.paths import DATA, ROOT

from vmdump import activity
from vmdump.cli.terminal import activity as display
from vmdump.cli.terminal.activity import line

#: A dump.
DUMP = DATA / "extended" / "qemu-10.0.13-m68k.json.xz"


def run_on_terminal(*argv: str, environ: dict[str, str] | None = None, seconds: float = 2.0) -> tuple[str, int]:
    """Run a command with stderr on a terminal and a dump that comes late; return what was drawn, and the exit code."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "vmdump", *argv],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=slave, cwd=ROOT,
        env={**os.environ, "TERM": "xterm", **(environ or {})},
    )  # fmt: skip
    os.close(slave)
    assert process.stdin is not None
    drawn, until, is_sent = b"", time.monotonic() + seconds, False
    while True:
        if not is_sent and time.monotonic() > until:
            subprocess.run(["xz", "-dc", DUMP], stdout=process.stdin, check=False)
            process.stdin.close()
            is_sent = True
        if select.select([master], [], [], 0.05)[0]:
            try:
                drawn += os.read(master, 65536)
            except OSError:
                break
        elif process.poll() is not None:
            break
    os.close(master)
    return drawn.decode(), process.wait()


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
    drawn, code = run_on_terminal("show", "-", "nubus-macfb")
    assert code == 0
    lines = re.findall(r"\r\x1b\[K(\d+) s: reading <stdin>", drawn)
    assert lines
    assert min(map(int, lines)) >= 1
    assert drawn.endswith("\r\x1b[K")
    assert "\n" not in drawn


def test_nothing_is_drawn_without_a_terminal_for_it() -> None:
    """With TERM=dumb or NO_COLOR there is no line."""
    for environ in ({"TERM": "dumb"}, {"NO_COLOR": "1"}):
        assert run_on_terminal("show", "-", "nubus-macfb", environ=environ, seconds=1.5) == ("", 0)


def test_an_error_is_not_mixed_with_the_line() -> None:
    """An error replaces the line."""
    drawn, code = run_on_terminal("show", "-", "no-such-type")
    assert code == 3
    assert re.search(r"<stdin>\r\r\x1b\[Kvmdump: [^\r]*no-such-type[^\r]*\r\n$", drawn)


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
    master, slave = pty.openpty()
    tty.setraw(slave)
    dump = subprocess.run(["xz", "-dc", DUMP], stdout=subprocess.PIPE, check=True).stdout
    with subprocess.Popen(
        [sys.executable, "-m", "vmdump", "show", "-", "nubus-macfb"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=slave, cwd=ROOT, env={**os.environ, "TERM": "xterm"},
    ) as process:  # fmt: skip
        drawn = b""
        while b"reading <stdin>" not in drawn:
            drawn += os.read(master, 65536)
        block(slave)
        try:
            shown, _ = process.communicate(dump, timeout=60)
        finally:
            process.kill()
            os.close(slave)
            os.close(master)
    assert process.returncode == 0
    assert b"nubus-macfb" in shown


def test_the_first_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the command has run for a while, nothing is drawn."""
    monkeypatch.setattr(display, "DELAY", 1000.0)
    monkeypatch.setattr(display, "INTERVAL", 0.01)
    master, slave = pty.openpty()
    with open(slave, "w") as terminal:
        shown = display.ActivityDisplay(terminal)
        with activity.Step("reading"):
            time.sleep(0.1)
        shown.stop()
        assert not select.select([master], [], [], 0)[0]
    os.close(master)
