"""Shows on a terminal what a command is doing, once that takes more than a second: a line that is overwritten."""

from __future__ import annotations

import contextlib
import os
from _thread import allocate_lock, start_new_thread  # threading takes longer to import
from time import monotonic, sleep

from vmdump import activity
from vmdump.report.characters import visible

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from vmdump.activity import Step

#: Seconds from the start of a command until its steps are shown, and between two updates.
DELAY, INTERVAL = 1.0, 0.2

_CLEAR = "\r\x1b[K"

#: Units of bytes, each a thousand times the one before.
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class ActivityDisplay:
    """Shows the steps of vmdump.activity, from a thread of its own, until it is stopped.

    A terminal that does not accept output (Ctrl-S, a slow connection) delays nothing: an update is lost. The display
    opens the terminal again for that, since O_NONBLOCK of stderr would apply to the shell, too.
    """

    def __init__(self, terminal: TextIO) -> None:
        """Start to show them on a terminal. Raises OSError: it cannot be opened."""
        self._descriptor = os.open(os.ttyname(terminal.fileno()), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        self._encoding = terminal.encoding
        self._lock = allocate_lock()
        self._began = monotonic()
        self._paused = 0
        self._is_drawn = False
        self._is_stopped = False
        start_new_thread(self._run, ())

    def stop(self) -> None:
        """Remove the line, for good."""
        with self._lock:
            self._is_stopped = True
            self._clear()
            self._is_drawn = False
            os.close(self._descriptor)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Remove the line while the body writes to the terminal."""
        with self._lock:
            self._paused += 1
            self._clear()
        try:
            yield
        finally:
            self._paused -= 1

    def _run(self) -> None:
        while not self._is_stopped:
            sleep(INTERVAL)
            with self._lock:
                if not (self._paused or self._is_stopped):
                    self._draw()

    def _draw(self) -> None:
        now, steps = monotonic(), activity.current()
        if not steps or now - self._began < DELAY:
            self._clear()
            return
        try:
            width = os.get_terminal_size(self._descriptor).columns or 80
        except OSError:
            width = 80
        if self._write(f"{_CLEAR}{visible(line(steps, now, self._began))[: width - 1]}\r"):
            self._is_drawn = True

    def _clear(self) -> None:
        if self._is_drawn and self._write(_CLEAR):
            self._is_drawn = False

    def _write(self, text: str) -> bool:
        """Write what the terminal accepts now; return whether that is anything."""
        try:
            return os.write(self._descriptor, text.encode(self._encoding, "replace")) > 0
        except OSError:
            return False


def line(steps: Sequence[Step], now: float, began: float) -> str:
    """Return the line that describes steps, outermost first, of a command that began at a time.

    >>> outer, inner = activity.Step("adding devices to q35", 225), activity.Step("booting q35")
    >>> outer.done = 30
    >>> line([outer, inner], 12.0, -1.0)
    '13 s: adding devices to q35: 30 of 225, 2.5/s: booting q35'
    """
    return ": ".join([f"{now - began:.0f} s", *(_described(step, now - step.began) for step in steps)])


def _described(step: Step, seconds: float) -> str:
    seconds = max(seconds, INTERVAL)
    parts = []
    if step.total:
        parts.append(f"{step.done} of {step.total}")
    if step.done and step.total:
        parts.append(f"{step.done / seconds:.1f}/s")
    if step.bytes:
        parts += [_size(step.bytes), f"{_size(step.bytes / seconds)}/s"]
    return f"{step.what}: {', '.join(parts)}" if parts else step.what


def _size(count: float) -> str:
    """Return a number of bytes in words.

    >>> _size(999), _size(1_250_000)
    ('999 bytes', '1.2 MB')
    """
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
