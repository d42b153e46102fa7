"""What must not be torn in two by Ctrl-C."""

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
