"""The process pool of vmdump bulk: worker processes with bounded memory that can be killed.

Workers ignore Ctrl-C, which the parent handles, end with their parent however it ends, and never import from the
current directory.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from vmdump.errors import VmdumpError
from vmdump.import_path import safe_path
from vmdump.signals import starting_processes

#: Address space of a worker in bytes. Reading a QEMU takes about 100 MB; most of the rest is reserved, not used.
MEMORY = 4 << 30

#: The same for workers that boot machines: up to three guests of 12 GiB each (vmdump.emulator.machine.MEMORY), whose
#: own limit bounds what they allocate.
MEMORY_WITH_MACHINES = MEMORY + 3 * (12 << 30)

#: Tasks after which a worker is replaced, so that leaks do not add up.
_TASKS_PER_PROCESS = 200

#: Seconds that the pool's own thread gets to notice that its workers were killed.
_PATIENCE = 5.0

#: Modules that the fork server imports, so that workers start with all that a task needs.
_PRELOAD = (
    "concurrent.futures.process", "vmdump.bulk.process_pool", "vmdump.bulk.worker", "vmdump.sources.qemu_image.image",
    "vmdump.sources.dump_file",
)  # fmt: skip


class ProcessPool(ProcessPoolExecutor):
    """A ProcessPoolExecutor that reports dead workers and can be killed.

    Only this class uses private names of CPython: _processes and _executor_manager_thread of the executor, _writer of
    multiprocessing's SimpleQueue. Python's public interface cannot kill workers before 3.14, nor unblock the thread
    that waits for the rest of a result which a killed worker has written in part. pebble 5.2 blocks there as well.
    """

    def __init__(self, jobs: int, memory: int, preload: Sequence[str] = ()) -> None:
        """Make a pool of jobs workers, each limited to memory bytes of address space. preload: further modules that
        the fork server imports.
        """
        import multiprocessing

        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*_PRELOAD, *preload])
        super().__init__(
            jobs, context, initializer=_initialize, initargs=(memory, safe_path()),
            max_tasks_per_child=_TASKS_PER_PROCESS,
        )  # fmt: skip

    def _workers(self) -> list[Any]:
        processes: dict[int, Any] | None = getattr(self, "_processes", None)  # None after shutdown
        return list((processes or {}).values())

    def has_dead_worker(self) -> bool:
        """Return whether a worker has failed.

        The executor reports that itself, except for a worker that was killed while it wrote a result.
        """
        return any(process.exitcode for process in self._workers())

    def kill(self) -> None:
        """Kill the workers, with the tasks that run in them, and shut the pool down."""
        with starting_processes():
            thread = getattr(self, "_executor_manager_thread", None)
            workers = self._workers()
            # The manager thread may wait for the second half of a result. It sees the end of the pipe only when this
            # process, too, has closed the writing end.
            with contextlib.suppress(AttributeError, OSError):
                self._result_queue._writer.close()  # type: ignore[attr-defined]
            for process in workers:
                with contextlib.suppress(OSError, ValueError):
                    process.kill()
            self.shutdown(wait=False, cancel_futures=True)
            if thread is not None:
                thread.join(_PATIENCE)


def prepare_parent() -> None:
    """Set up this process for a ProcessPool. Raises VmdumpError if workers would import from the current directory."""
    _exclude_current_directory()
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # now, as it unblocks SIGINT when it starts, which `starting_processes` relies on being blocked


def _exclude_current_directory() -> None:
    """Keep the ``python -c`` processes of multiprocessing from importing from the current directory.

    This applies to every Python that this process starts from now on, since multiprocessing may restart its helpers at
    any time. Raises VmdumpError if the environment is ignored.
    """
    if sys.flags.safe_path:
        return  # multiprocessing passes it on
    if sys.flags.ignore_environment:
        raise VmdumpError("python -E lets worker processes import from the current directory; use python -I, or -P")
    os.environ["PYTHONSAFEPATH"] = "1"


def _initialize(memory: int, path: list[str]) -> None:
    """Set up a worker. path: its sys.path, in place of the parent's, which multiprocessing has copied."""
    sys.path[:] = path
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup applies to the whole run
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_parent() -> None:
    """Wait for the parent to end, then kill this worker, which nothing else would end."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)
