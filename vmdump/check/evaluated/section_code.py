"""Calls QEMU's own code to save and load one section of a machine.

Source: migration/savevm.c vmstate_save, vmstate_load, check_section_footer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.emulator.migration import open_input, open_output, signed, written

if TYPE_CHECKING:
    from vmdump.check.evaluated.handlers import Handler
    from vmdump.emulator.machine import Machine

#: Initial size of the channel that receives a section, in bytes.
_CHANNEL = 1 << 16

#: QEMU_VM_SECTION_FOOTER, and what follows a section here: code may peek at the bytes after it.
_FOOTER = b"\x7e"
_BEHIND = _FOOTER + bytes(64)


def save_section(machine: Machine, handler: Handler) -> bytes | None:
    """Return the state of a section as the machine would send it; None: it is not needed. Raises MachineError."""
    with machine.out_parameters() as (_, errp):
        needed = "vmstate_section_needed" if machine.has("vmstate_section_needed") else "vmstate_save_needed"
        if machine.has(needed) and not machine.call(needed, handler.vmsd, handler.opaque) & 0xFF:
            return None
        output = open_output(machine, _CHANNEL)
        machine.call("vmstate_save_state", output.file, handler.vmsd, handler.opaque, 0, errp)
        machine.call("qemu_fflush", output.file)
        body = written(machine, output)
        _close(machine, output.file, output.channel)
        return body


def load_section(machine: Machine, handler: Handler, body: bytes, version: int) -> str | None:
    """Load the state of a section. Returns why QEMU refuses it, as it says; None: it is loaded. Raises MachineError."""
    machine.output = ""
    with machine.out_parameters() as (_, errp):
        file = open_input(machine, body + _BEHIND)
        code = signed(machine.call("vmstate_load_state", file, handler.vmsd, handler.opaque, version, errp))
        error = machine.take_error(errp)
        is_whole = code == 0 and machine.call("qemu_get_byte", file) & 0xFF == _FOOTER[0]
        _close(machine, file, 0)
    if code or error:
        lines = [each.partition(": ")[2] or each for each in machine.output.splitlines() if each.strip()]
        return "; ".join(filter(None, [*lines, error])) or f"error {code}"
    return None if is_whole else f"Missing section footer for {handler.idstr}"


def _close(machine: Machine, file: int, channel: int) -> None:
    machine.call("qemu_fclose", file)
    if channel:
        machine.call("object_unref", channel)
