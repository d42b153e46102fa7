"""Executors that perform tasks: processes, threads, Dask, or any concurrent.futures.Executor."""

from __future__ import annotations

import os
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmdump.bulk.process_pool import MEMORY, ProcessPool, prepare_parent
from vmdump.bulk.tasks import Outcome, Task
from vmdump.bulk.worker import perform
from vmdump.errors import VmdumpError
from vmdump.signals import starting_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DASK = "dask://"


class Workers:
    """An executor that is replaced when it breaks: a crash ends the tasks that run in it, and nothing else."""

    def __init__(self, make: Callable[[], Executor], jobs: int, stop: Callable[[Executor], None] | None = None) -> None:
        """Args: make returns a new executor; jobs: tasks that run at a time; stop: shuts an executor down."""
        self._make, self._stop = make, stop or _shut_down
        #: How many tasks run at a time.
        self.jobs = jobs
        self._executor: Executor | None = None

    def submit(self, task: Task) -> Future[Outcome]:
        """Schedule a task. Raises BrokenExecutor."""
        with starting_processes():
            if self._executor is None:
                self._executor = self._make()
            return self._executor.submit(perform, task)

    @property
    def can_kill(self) -> bool:
        """Whether stop ends tasks that hang."""
        return isinstance(self._executor, ProcessPool)

    def has_dead_worker(self) -> bool:
        """Return whether a worker has failed; False for executors that cannot tell."""
        return isinstance(self._executor, ProcessPool) and self._executor.has_dead_worker()

    def stop(self) -> None:
        """End the executor at once. The next task gets a new one."""
        executor, self._executor = self._executor, None
        if isinstance(executor, ProcessPool):
            executor.kill()
        elif executor is not None:
            self._stop(executor)


def make_workers(name: str, jobs: int | None, *, memory: int = MEMORY, preload: Sequence[str] = ()) -> Workers:
    """Return the workers of an --executor: ``processes``, ``threads`` or ``dask://HOST:PORT``.

    Args:
        name: see above.
        jobs: tasks at a time; None: one for each CPU that this process may use, with Dask two for each thread of its
            workers.
        memory: address space of each process, in bytes.
        preload: further modules that each process needs, imported once for all of them.

    Raises:
        VmdumpError: no such executor, or it cannot be used.
    """
    if name.startswith(DASK):
        return _make_dask(name.removeprefix(DASK), jobs)
    count = jobs or len(os.sched_getaffinity(0))
    if name == "threads":
        return Workers(lambda: ThreadPoolExecutor(count), count)
    if name == "processes":
        prepare_parent()
        return Workers(lambda: ProcessPool(count, memory, preload), count)
    raise VmdumpError(f"no executor {name!r}; choose processes, threads or dask://HOST:PORT")


def _shut_down(executor: Executor) -> None:
    executor.shutdown(wait=True, cancel_futures=True)


def _make_dask(address: str, jobs: int | None) -> Workers:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise VmdumpError(f"{DASK}{address}: the package distributed is missing: pip install 'vmdump[dask]'") from None
    try:
        client = distributed.Client(f"tcp://{address}", timeout=10, set_as_default=False)
        threads = sum(client.nthreads().values())
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VmdumpError(f"{DASK}{address}: {reason}; check that a Dask scheduler listens there") from error

    def stop(executor: Executor) -> None:
        executor.shutdown(wait=False)
        client.close()

    # Tasks are pure: the scheduler may repeat those of a lost worker, and equal tasks need no distinct keys.
    return Workers(lambda: client.get_executor(pure=False), jobs or max(2, 2 * threads), stop)
