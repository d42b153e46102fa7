"""Signals: sections that Ctrl-C must not interrupt, and limits of time."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Signals that a process is ended by, whoever sends them.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Delivers signals that end a process when the body has ended, which is to be short.

    A mask would do the same, but processes that the body starts would inherit it, and a signal could come through
    another thread: Python runs handlers in its main thread alone, whichever got it. In other threads there is nothing
    to hold back.
    """
    came: list[int] = []

    def deliver() -> None:
        for number in came:
            signal.raise_signal(number)

    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: handler for number in _ENDING if callable(handler := signal.getsignal(number))}
    with contextlib.ExitStack() as stack:  # each handler comes back, whatever the body or another handler raises
        stack.callback(deliver)
        for number, handler in handlers.items():
            stack.callback(signal.signal, number, handler)
            signal.signal(number, lambda number, frame: came.append(number))
        yield


class TimeOut(BaseException):
    """The time of a `time_limit` is over. No code catches it on the way."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeOut in the body after so many seconds of wall-clock time.

    Only a main thread in which SIGALRM is not used otherwise can do that; elsewhere there is no limit.
    """
    is_free = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGALRM) in (
        signal.SIG_DFL,
        signal.SIG_IGN,
    )
    if not is_free:
        yield
        return

    def give_up(number: int, frame: object) -> None:
        raise TimeOut

    before = signal.signal(signal.SIGALRM, give_up)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
