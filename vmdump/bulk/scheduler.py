"""Schedules tasks on the workers, and isolates the task that crashed one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Generic, Protocol, TypeVar

from vmdump.bulk.tasks import Outcome, Task
from vmdump.bulk.workers import Workers
from vmdump.errors import OutputError

#: Seconds after which `step` returns at the latest, so that Ctrl-C takes effect while all workers are busy.
_TICK = 0.2

#: Seconds of grace beyond a task's time limit, for its own timeout to take effect and for its wait for a worker.
_GRACE = 10

_CRASHED = (
    "the worker process crashed, or needed more memory than its limit; run vmdump dump on this source alone for details"
)
_HUNG = "the worker process hung and was killed; raise --timeout if the source only needs more time"


class _Job(Protocol):
    @property
    def task(self) -> Task:
        """The task to perform."""


Job = TypeVar("Job", bound=_Job)


class Scheduler(Generic[Job]):
    """Jobs that wait for a worker or run in one.

    When the executor breaks, every running job is a suspect. Suspects are repeated one at a time; a job with which the
    executor breaks again has crashed.
    """

    def __init__(self, workers: Workers, timeout: float) -> None:
        """Args: timeout: the time limit of each task, in seconds."""
        self._workers, self._limit = workers, 2 * timeout + _GRACE
        self._ready: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._retried: list[Job] = []
        self._running: dict[Future[Outcome], tuple[Job, float]] = {}

    @property
    def has_room(self) -> bool:
        """Whether fewer jobs are waiting than there are workers."""
        return len(self._ready) < self._workers.jobs

    def add(self, jobs: Iterable[Job]) -> None:
        """Append jobs to the queue."""
        self._ready.extend(jobs)

    def step(self) -> list[tuple[Job, Outcome]]:
        """Submit jobs to idle workers, wait up to _TICK, and return the finished jobs. Raises OutputError."""
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
            except Exception as error:  # from the executor itself, such as Dask's for a task it has given up
                lost = f"the executor lost this task: {type(error).__name__}: {error}"
                finished.append((job, Outcome(None, lost, 0.0)))
        if broken or (not done and self._workers.has_dead_worker()):
            finished += self._isolate(broken)
        elif self._workers.can_kill:
            finished += self._kill_hung()
        return finished

    def _submit(self) -> list[Job]:
        """Submit jobs to idle workers. Returns the job whose submission showed that the executor is broken, if any."""
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

    def _isolate(self, broken: list[Job]) -> list[tuple[Job, Outcome]]:
        """Replace the broken executor and make all jobs in it suspects; a single repeated job has crashed."""
        broken += [job for job, _ in self._running.values()]
        self._running.clear()
        self._workers.stop()
        if len(broken) == 1 and broken[0] in self._retried:
            return [(broken[0], Outcome(None, _CRASHED, 0.0))]
        self._retried += broken
        self._suspects.extend(sorted(broken, key=lambda job: job.task.path))
        return []

    def _kill_hung(self) -> list[tuple[Job, Outcome]]:
        """Kill the workers if a job is over its limit, and repeat the other jobs."""
        now = time.monotonic()
        hung = [job for job, began in self._running.values() if now - began > self._limit]
        if not hung:
            return []
        self._workers.stop()
        self._suspects.extend(job for job, _ in self._running.values() if job not in hung)
        self._running.clear()
        return [(job, Outcome(None, _HUNG, self._limit)) for job in hung]
