"""Signals: deferring those that end the process, and time limits."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Signals that end a process, and that a user or the system sends.
_TERMINATING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer termination signals until the end of the body, which has to be short.

    A signal mask would not do: processes that the body starts inherit it, and another thread may receive the signal,
    while Python runs handlers in the main thread. In other threads nothing is deferred.
    """
    received: list[int] = []

    def deliver() -> None:
        for number in received:
            signal.raise_signal(number)

    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: handler for number in _TERMINATING if callable(handler := signal.getsignal(number))}
    with contextlib.ExitStack() as stack:  # restores each handler, whatever the body or another handler raises
        stack.callback(deliver)
        for number, handler in handlers.items():
            stack.callback(signal.signal, number, handler)
            signal.signal(number, lambda number, frame: received.append(number))
        yield


@contextlib.contextmanager
def starting_processes() -> Iterator[None]:
    """Defer termination signals while the body starts or ends worker processes; they inherit a mask that blocks SIGINT.

    In its middle an exception would lose a process just started, which would print a traceback of its own.
    """
    with deferred_signals():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class TimeOut(BaseException):
    """The limit of `time_limit` has passed. A BaseException, so that no handler for errors catches it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeOut in the body after this many seconds of wall-clock time.

    Works in the main thread if SIGALRM has no handler; elsewhere there is no limit.
    """
    is_free = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGALRM) in (
        signal.SIG_DFL,
        signal.SIG_IGN,
    )
    if not is_free:
        yield
        return

    def raise_time_out(number: int, frame: object) -> None:
        raise TimeOut

    before = signal.signal(signal.SIGALRM, raise_time_out)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
