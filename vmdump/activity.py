"""What this process is doing: steps that may take long enter themselves here, and count; a display shows them.

with Step("reading QEMU binaries", len(paths)) as step:
for path in paths:
...
step.done += 1
"""

from __future__ import annotations

from _thread import get_ident  # threading takes longer to import
from time import monotonic

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeVar

    T = TypeVar("T")

#: The steps of all threads that have begun and not ended, in the order in which they began.
_steps: list[Step] = []


class Step:
    """A step of the current thread, from the beginning of a with block to its end. Steps nest.

    Attributes:
        what: what is done, as a present participle: "booting pc".
        done: number of items that are done.
        total: number of all items; 0: not known.
        bytes: number of bytes read so far; 0: they are not counted.
        began: when the step began, in seconds of time.monotonic.
    """

    __slots__ = ("_thread", "began", "bytes", "done", "total", "what")

    def __init__(self, what: str, total: int = 0) -> None:
        """Args: see the attributes."""
        self.what, self.total = what, total
        self.done = self.bytes = 0
        self.began, self._thread = 0.0, 0

    def __enter__(self) -> Step:
        self.began, self._thread = monotonic(), get_ident()
        _steps.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _steps.remove(self)

    @property
    def thread(self) -> int:
        """The thread that does it, as threading.get_ident returns it."""
        return self._thread


def counted(what: str, items: Sequence[T]) -> Iterator[T]:
    """Yield items, in a step that counts them.

    >>> for each in counted("adding devices", ["e1000", "rtl8139"]):
    ...     print(each, [(step.what, step.done, step.total) for step in current()])
    e1000 [('adding devices', 0, 2)]
    rtl8139 [('adding devices', 1, 2)]
    """
    with Step(what, len(items)) as step:
        for item in items:
            yield item
            step.done += 1


def count_bytes(count: int) -> None:
    """Add to the bytes of the innermost step of this thread, if there is one."""
    if steps := [step for step in _steps if step.thread == get_ident()]:
        steps[-1].bytes += count


def current() -> list[Step]:
    """Return the steps of the thread whose first step is the oldest, outermost first. Thread-safe."""
    steps = list(_steps)
    return [step for step in steps if step.thread == steps[0].thread]
