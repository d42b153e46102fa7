"""Where work runs: processes of this machine, threads, Dask's engine, or any concurrent.futures.Executor that is given.

A process of the pool is bounded in memory, hears no Ctrl-C (its parent does), and ends when its parent does, however
that ends. A pool that a crash has broken is made anew.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmdump.bulk.worker import Outcome, Read, Unpack, perform
from vmdump.errors import VmdumpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Bytes of address space that a process of the pool may have. Reading a QEMU takes some 100 MB, most of what a
#: process has reserved without using it.
MEMORY = 4 << 30

#: Tasks after which a process is replaced by a new one, so that what one leaves behind does not add up.
_TASKS_PER_PROCESS = 200

#: Seconds that a pool's own thread has to notice that its processes are no more.
_PATIENCE = 5.0

DASK = "dask://"


class Workers:
    """An executor that lasts: what breaks it ends the tasks that are in it, and no more."""

    def __init__(self, make: Callable[[], Executor], jobs: int, stop: Callable[[Executor], None] | None = None) -> None:
        """Make makes an executor, jobs is how many tasks run at a time; stop ends it at once, with what runs in it."""
        self._make, self._stop = make, stop or _shut_down
        #: Whether stop ends what is stuck.
        self.can_end = stop is _kill
        #: How many tasks are worth having in it.
        self.jobs = jobs
        self._executor: Executor | None = None

    def submit(self, task: Unpack | Read) -> Future[Outcome]:
        """Has a task done."""
        with _uninterrupted():
            if self._executor is None:
                self._executor = self._make()
            return self._executor.submit(perform, task)

    def has_lost_one(self) -> bool:
        """Whether a process of the pool has ended before its time. The pool notices that itself, but for one case: a
        process that was killed in the middle of its result, for whose rest it waits.
        """
        processes = dict(getattr(self._executor, "_processes", None) or {}) if self.can_end else {}
        return any(process.exitcode for process in processes.values())

    def stop(self) -> None:
        """Ends it at once; the next task gets a new one."""
        executor, self._executor = self._executor, None
        if executor is not None:
            self._stop(executor)


def make_workers(name: str, jobs: int | None, *, memory: int = MEMORY) -> Workers:
    """The workers of a name: ``processes``, ``threads``, ``dask://HOST:PORT``; jobs: how many at a time, by default one
    a CPU that this process may use, and with Dask two a thread of its workers. Raises VmdumpError.
    """
    if name.startswith(DASK):
        return _make_dask(name.removeprefix(DASK), jobs)
    count = jobs or len(os.sched_getaffinity(0))
    if name == "threads":
        return Workers(lambda: ThreadPoolExecutor(count), count)
    if name == "processes":
        from multiprocessing.resource_tracker import ensure_running

        ensure_running()  # when it starts, it unblocks SIGINT, which then would not wait for `_uninterrupted`
        return Workers(lambda: _make_pool(count, memory), count, _kill)
    raise VmdumpError(f"no executor {name!r}; there are processes, threads and dask://HOST:PORT")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the body is done, so that the pool knows of each process that it has started; these, and the
    one that they are forked from, never hear it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _shut_down(executor: Executor) -> None:
    executor.shutdown(wait=True, cancel_futures=True)


# Processes --------------------------------------------------------------------------------------------------------


def _make_pool(jobs: int, memory: int) -> Executor:
    import multiprocessing

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["vmdump.bulk.worker", "vmdump.sources.qemu_image.image", "vmdump.sources.dump_file"]
    )
    return ProcessPoolExecutor(
        jobs, context, initializer=_begin, initargs=(memory,), max_tasks_per_child=_TASKS_PER_PROCESS
    )


def _begin(memory: int) -> None:
    """What a process of the pool does first."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_parent() -> None:
    """Waits until the process that the pool belongs to is no more, however it ended: nobody else would tell."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


def _kill(executor: Executor) -> None:
    """Ends a pool with all that runs in it.

    A process that is killed in the middle of its result leaves half of it in the pipe, and the pool's thread would wait
    for the rest for ever, as this process could write it: so that end of the pipe is closed first.
    """
    with _uninterrupted():
        thread = getattr(executor, "_executor_manager_thread", None)
        processes: dict[int, Any] = dict(getattr(executor, "_processes", None) or {})
        with contextlib.suppress(AttributeError, OSError):
            executor._result_queue._writer.close()  # type: ignore[attr-defined]
        for process in processes.values():
            with contextlib.suppress(OSError, ValueError):
                process.kill()
        executor.shutdown(wait=False, cancel_futures=True)
        if thread is not None:
            thread.join(_PATIENCE)


# Dask -------------------------------------------------------------------------------------------------------------


def _make_dask(address: str, jobs: int | None) -> Workers:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise VmdumpError(f"{DASK}{address}: needs a package: pip install 'vmdump[dask]'") from None
    try:
        client = distributed.Client(f"tcp://{address}", timeout=10, set_as_default=False)
        threads = sum(client.nthreads().values())
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VmdumpError(f"{DASK}{address}: {reason}; is a Dask scheduler listening there?") from error

    def stop(executor: Executor) -> None:
        executor.shutdown(wait=False)
        client.close()

    # Tasks are pure: a lost worker's are done again by the scheduler, and equal ones need not be told apart.
    return Workers(lambda: client.get_executor(pure=False), jobs or max(2, 2 * threads), stop)
