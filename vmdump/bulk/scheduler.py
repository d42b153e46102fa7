"""Keeps workers busy, and finds out which task it was that has broken them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Generic, Protocol, TypeVar

from vmdump.bulk.worker import Outcome, Read, Unpack
from vmdump.bulk.workers import Workers
from vmdump.errors import OutputError

#: Seconds after which `step` returns, so that Ctrl-C is answered while all workers work.
_TICK = 0.2

#: Seconds that a task may take beyond its time limit, by which it should have given up, and its wait for a worker.
_GRACE = 10

_CRASHED = "the process that read it ended: a crash, or more memory than it may have; vmdump dump shows more"
_HANGS = "the process that read it was stuck, and was ended; --timeout gives it more time"


class _Job(Protocol):
    @property
    def task(self) -> Unpack | Read:
        """What is to be done."""


Job = TypeVar("Job", bound=_Job)


class Dispatch(Generic[Job]):
    """Jobs on their way through workers.

    When an executor breaks, all that were in it are suspects: each is done once more, alone, and the one with which it
    breaks then is told to have crashed.
    """

    def __init__(self, workers: Workers, timeout: float) -> None:
        """timeout, in seconds, is that of the tasks."""
        self._workers, self._limit = workers, 2 * timeout + _GRACE
        self._ready: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._tried_again: list[Job] = []
        self._running: dict[Future[Outcome], tuple[Job, float]] = {}

    @property
    def has_room(self) -> bool:
        """Whether more jobs are wanted."""
        return len(self._ready) < self._workers.jobs

    def add(self, jobs: Iterable[Job]) -> None:
        """Has jobs done, after those that are there."""
        self._ready.extend(jobs)

    def step(self) -> list[tuple[Job, Outcome]]:
        """Hands out what workers can take, waits for a moment, and returns what is done. Raises OutputError."""
        broken = self._submit()
        finished: list[tuple[Job, Outcome]] = []
        done, _ = wait(self._running, timeout=0 if broken else _TICK, return_when=FIRST_COMPLETED)
        for future in done:
            job, _ = self._running.pop(future)
            try:
                finished.append((job, future.result()))
            except BrokenExecutor:
                broken.append(job)
            except OutputError:
                raise
            except Exception as error:  # what an executor of others raises for a task that it has given up
                lost = f"lost by its workers: {type(error).__name__}: {error}"
                finished.append((job, Outcome(None, lost, 0.0)))
        if broken or (not done and self._workers.has_lost_one()):
            finished += self._suspect(broken)
        elif self._workers.can_end:
            finished += self._end_what_hangs()
        return finished

    def _submit(self) -> list[Job]:
        """Hands out jobs; those with which it turned out that the executor is broken."""
        is_alone = bool(self._suspects)
        queue = self._suspects or self._ready
        while queue and len(self._running) < (1 if is_alone else self._workers.jobs + 1):
            job = queue.popleft()
            try:
                self._running[self._workers.submit(job.task)] = job, time.monotonic()
            except BrokenExecutor:
                return [job]
            if is_alone:
                break
        return []

    def _suspect(self, broken: list[Job]) -> list[tuple[Job, Outcome]]:
        broken += [job for job, _ in self._running.values()]
        self._running.clear()
        self._workers.stop()
        if len(broken) == 1 and broken[0] in self._tried_again:
            return [(broken[0], Outcome(None, _CRASHED, 0.0))]
        self._tried_again += broken
        self._suspects.extend(sorted(broken, key=lambda job: job.task.path))
        return []

    def _end_what_hangs(self) -> list[tuple[Job, Outcome]]:
        """Ends the workers where one is stuck; what else was with them is done again."""
        now = time.monotonic()
        hanging = [job for job, began in self._running.values() if now - began > self._limit]
        if not hanging:
            return []
        self._workers.stop()
        self._suspects.extend(job for job, _ in self._running.values() if job not in hanging)
        self._running.clear()
        return [(job, Outcome(None, _HANGS, self._limit)) for job in hanging]
