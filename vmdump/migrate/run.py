"""Tries migrations on several processes.

A process keeps the machines of its last setting, so that the cases of a task share their boots. When a process dies,
the tasks in the pool are repeated one case at a time; a case that kills its process again is undecided.
"""

from __future__ import annotations

import gc
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import TYPE_CHECKING, NamedTuple

from vmdump.activity import Step
from vmdump.emulator.machine import MEMORY as GUEST_MEMORY
from vmdump.errors import VmdumpError
from vmdump.migrate.cases import Case, Cases, Setting
from vmdump.migrate.pair import undecided
from vmdump.signals import starting_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Devices of a task: few, so that all processes have work to the end.
_DEVICES = 6

#: Guests of a process: a template of each side and a QEMU without a machine, twice for machines with more room.
_GUESTS = 6

#: Seconds between two checks for signals and dead processes.
_TICK = 0.2

#: Wall-clock time of a case, as a multiple of the CPU time that a machine may take: a busy host, and two machines.
_PATIENCE = 10

_CRASHED = "the emulator's process crashed, or needed more memory than its limit"
_HUNG = "the emulator's process hung and was killed"


class Task(NamedTuple):
    """Cases of a setting: device types; None: the board."""

    setting: Setting
    devices: tuple[str | None, ...]


class Result(NamedTuple):
    """A case of a setting."""

    setting: Setting
    case: Case


def run(tasks: Sequence[Task], jobs: int) -> dict[Setting, list[Case]]:
    """Try all cases and return them by setting, in the order of the tasks.

    Args:
        tasks: with any number of devices.
        jobs: processes; 1, or a single case: this process does all.
    """
    found: dict[Setting, dict[str | None, Case]] = {task.setting: {} for task in tasks}

    def done(results: Sequence[Result]) -> None:
        for result in results:
            found[result.setting][result.case.device] = result.case
            step.done += 1

    count = sum(len(task.devices) for task in tasks)
    with Step("trying migrations", count) as step:
        if jobs == 1 or count <= 1:
            _InProcess().run(tasks, done)
        else:
            _InPool(min(jobs, count)).run(list(_split(tasks)), done)
    return {
        task.setting: [found[task.setting][each] for each in task.devices if each in found[task.setting]]
        for task in tasks
    }


def _split(tasks: Sequence[Task]) -> Iterator[Task]:
    """Yield the tasks in small parts, the boards first."""
    for task in tasks:
        if None in task.devices:
            yield Task(task.setting, (None,))
    for task in tasks:
        types = [each for each in task.devices if each is not None]
        for at in range(0, len(types), _DEVICES):
            yield Task(task.setting, tuple(types[at : at + _DEVICES]))


def perform(task: Task, scratch: str) -> list[Result]:
    """Try the cases of a task, in a process of a pool. scratch: directory of its temporary files."""
    tempfile.tempdir = scratch
    return list(_of_process.results(task))


class _InProcess:
    """Tries cases in this process, and keeps the machines of one setting."""

    def __init__(self) -> None:
        self._setting: Setting | None = None
        self._cases: Cases | None = None

    def run(self, tasks: Sequence[Task], done: Callable[[Sequence[Result]], None]) -> None:
        """Try the cases of all tasks."""
        for task in tasks:
            for result in self.results(task):
                done([result])
        self._cases = None
        gc.collect()

    def results(self, task: Task) -> Iterator[Result]:
        """Yield the results of a task."""
        if self._cases is None or self._setting != task.setting:
            self._cases = None
            gc.collect()  # emulated machines are in reference cycles
            self._setting, self._cases = task.setting, Cases(task.setting)
        for device in task.devices:
            try:
                case = self._cases.board() if device is None else self._cases.device(device)
            except (VmdumpError, MemoryError) as error:
                case = Case(device, (), undecided(str(error) or "out of memory"))
            if case is not None:
                yield Result(task.setting, case)


#: Of a process of the pool.
_of_process = _InProcess()


class _InPool:
    """Tries cases on a pool of processes, which is replaced when one dies."""

    def __init__(self, jobs: int) -> None:
        from vmdump.bulk.process_pool import prepare_parent

        prepare_parent()
        self._jobs = jobs
        self._pool = self._make_pool()

    def _make_pool(self) -> ProcessPool:
        from vmdump.bulk.process_pool import MEMORY, ProcessPool

        return ProcessPool(self._jobs, MEMORY + _GUESTS * GUEST_MEMORY, ["vmdump.migrate.run"])

    def run(self, tasks: list[Task], done: Callable[[Sequence[Result]], None]) -> None:
        """Try the cases of all tasks. Removes the files that killed processes leave."""
        with tempfile.TemporaryDirectory(prefix="vmdump-", ignore_cleanup_errors=True) as scratch:
            try:
                self._run(tasks, done, scratch)
            finally:
                self._pool.kill()

    def _run(self, tasks: list[Task], done: Callable[[Sequence[Result]], None], scratch: str) -> None:
        waiting, suspects = tasks[::-1], list[Task]()
        running: dict[Future[list[Result]], tuple[Task, float]] = {}
        while waiting or suspects or running:
            limit = 1 if suspects else self._jobs + 1
            queue = suspects or waiting
            try:
                while queue and len(running) < limit:
                    with starting_processes():
                        future = self._pool.submit(perform, queue[-1], scratch)
                    running[future] = queue[-1], time.monotonic()
                    queue.pop()
            except BrokenExecutor:
                suspects += self._restart(running, done)
                continue
            finished, _ = wait(running, timeout=_TICK, return_when=FIRST_COMPLETED)
            broken = False
            for future in finished:
                if isinstance(future.exception(), BrokenExecutor):
                    broken = True
                    continue
                del running[future]
                done(future.result())
            if broken or (not finished and self._pool.has_dead_worker()):
                suspects += self._restart(running, done)
            elif any(self._is_hung(*each) for each in running.values()):
                suspects += self._restart(running, done, _HUNG)

    @staticmethod
    def _is_hung(task: Task, began: float) -> bool:
        return time.monotonic() - began > _PATIENCE * task.setting.seconds * (len(task.devices) + 1)

    def _restart(
        self,
        running: dict[Future[list[Result]], tuple[Task, float]],
        done: Callable[[Sequence[Result]], None],
        reason: str = _CRASHED,
    ) -> list[Task]:
        """Replace the pool; return the tasks to repeat, a case each. A case that ran alone is undecided."""
        lost = [task for task, _ in running.values()]
        running.clear()
        self._pool.kill()
        self._pool = self._make_pool()
        if len(lost) == 1 and len(lost[0].devices) == 1:
            (device,) = lost[0].devices
            done([Result(lost[0].setting, Case(device, (), undecided(reason)))])
            return []
        return [Task(task.setting, (device,)) for task in lost for device in reversed(task.devices)]


if TYPE_CHECKING:
    from vmdump.bulk.process_pool import ProcessPool
