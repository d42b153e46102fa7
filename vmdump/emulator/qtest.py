"""Commands of QEMU's qtest protocol for an emulated machine: accesses of a guest to ports, memory and devices.

QEMU's own code executes them, as with ``-qtest``: a port or an address reaches the functions of the device behind it.
Then the machine's main loop runs until no event is left, so that what a device does behind its registers is done.

Source: softmmu/qtest.c, later system/qtest.c, and util/main-loop.c of QEMU 5.2 to 11.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vmdump.emulator.machine_errors import MachineError

if TYPE_CHECKING:
    from vmdump.emulator.machine import Machine

#: Limit of iterations of the main loop for one command. QEMU's own loop does not end.
_ITERATIONS = 100

#: Functions that return why the machine is to be reset or ended, and what it is.
_REQUESTS = (("qemu_reset_requested_get", "a reset"), ("qemu_shutdown_requested_get", "a shutdown"))

#: Where a function failed, in messages of the emulator.
_FUNCTION = re.compile(r"^function at 0x[0-9a-f]+: ")

#: Limit of an answer, in bytes: it may have the memory that a command reads, in hex.
_ANSWER_MAX = 64 << 20

#: Start of the commands that other accelerators refuse.
_CLOCK = "clock_"


class QtestError(MachineError):
    """A command failed; the message says why."""


class Qtest:
    """Executes commands in a machine, which must not run."""

    def __init__(self, machine: Machine) -> None:
        """Raises MachineError: the machine has no qtest."""
        self._machine = machine
        if not machine.has("qtest_server_inproc_recv"):
            raise MachineError(f"{machine.name}: the binary does not export its qtest functions")
        self._answer = self._host("g_string_new", 0)
        machine.call("qtest_server_set_send_handler", machine.guest.host_function("g_string_append"), self._answer)

    def execute(self, command: str) -> str:
        """Execute a command and return QEMU's answer without ``OK``.

        Raises QtestError: QEMU refuses the command, ends, or is to be reset.
        """
        machine = self._machine
        try:
            answer = self._send(command)
            self._run_main_loop()
        except MachineError as error:
            text = _FUNCTION.sub("", str(error).removeprefix(f"{machine.name}: "))
            raise QtestError(f"QEMU ends: {text}", error.output) from error
        if not answer.startswith("OK"):
            is_clock = command.startswith(_CLOCK) and "Unknown command" in answer
            hint = "; commands for the clock need -accel qtest" if is_clock else ""
            raise QtestError(f"QEMU refuses it: {answer or 'no answer'}{hint}", machine.output)
        for function, request in _REQUESTS:
            if machine.has(function) and machine.call(function) & 0xFFFFFFFF:
                raise QtestError(f"it requests {request} of the machine; leave it out", machine.output)
        return answer[2:].strip()

    def _send(self, command: str) -> str:
        """Return the line that answers a command; lines about interrupts may precede it."""
        guest = self._machine.guest
        self._host("g_string_truncate", self._answer, 0)
        data = f"{command}\n\0".encode()
        line = self._host("malloc", len(data))
        guest.write(line, data)
        self._machine.call("qtest_server_inproc_recv", 0, line)
        self._host("free", line)
        address, size = guest.words(self._answer, 2)
        text = guest.read(address, min(size, _ANSWER_MAX)).decode(errors="replace")
        lines = [each for each in text.splitlines() if each and not each.startswith("IRQ ")]
        return lines[-1] if lines else ""

    def _run_main_loop(self) -> None:
        for _ in range(_ITERATIONS):
            self._machine.call("main_loop_wait", 1)
            if not self._host("g_main_context_pending", 0) & 0xFFFFFFFF:
                return

    def _host(self, name: str, *args: int) -> int:
        return self._machine.call(self._machine.guest.host_function(name), *args)
