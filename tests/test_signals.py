"""Deferred signals: delivered when the body ends in any way, with all handlers restored."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import pytest
from support.paths import TESTS

from vmdump.signals import deferred_signals, starting_processes

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler that raises, as the command line's does."""
    raise KeyboardInterrupt(number)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Make each signal raise."""
    before = [signal.signal(number, interrupt) for number in NUMBERS]
    yield
    for number, handler in zip(NUMBERS, before, strict=True):
        signal.signal(number, handler)


def check_handlers() -> None:
    assert [signal.getsignal(number) for number in NUMBERS] == [interrupt] * 3


@pytest.mark.parametrize("number", NUMBERS)
def test_delivered_after_the_body(number: signal.Signals) -> None:
    """The body completes, and the signal is delivered afterwards."""
    done = []
    with pytest.raises(KeyboardInterrupt), deferred_signals():
        signal.raise_signal(number)
        done.append(number)
    assert done == [number]
    check_handlers()


@pytest.mark.parametrize("number", NUMBERS)
def test_starting_processes(number: signal.Signals) -> None:
    """No signal interrupts the start of a process, which does not receive SIGINT."""
    done = []
    with pytest.raises(KeyboardInterrupt), starting_processes():
        os.kill(os.getpid(), number)
        done.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    assert done == [True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    check_handlers()


def test_delivered_behind_a_body_that_fails() -> None:
    """A signal is not lost because the body raises something else."""
    with pytest.raises(KeyboardInterrupt) as caught, deferred_signals():
        signal.raise_signal(signal.SIGINT)
        raise OSError
    assert isinstance(caught.value.__context__, OSError)
    check_handlers()


def test_suite_under_nohup() -> None:
    """Signals ignored under nohup are not ignored in the tests' processes."""
    script = "import conftest, signal; print([signal.getsignal(n) == signal.SIG_IGN for n in (1, 2)])"
    command = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh", sys.executable, "-c", script]
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "[False, False]\n"


def test_nothing_came() -> None:
    """Without a signal nothing happens, nested or in another thread, which has none to hold back."""
    with deferred_signals(), deferred_signals():
        thread = threading.Thread(target=lambda: deferred_signals().__enter__())
        thread.start()
        thread.join()
    check_handlers()
