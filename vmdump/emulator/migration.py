"""Save and load an emulated machine with QEMU's own migration code.

The calls and their order are those of QEMU's migration thread up to the devices, without RAM pages; function names
differ between versions.

Source: migration/savevm.c, migration/migration.c of QEMU 5.2, 7.2, 10.0 and 11.1.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from vmdump.emulator.machine_errors import MachineError

if TYPE_CHECKING:
    from vmdump.emulator.machine import Machine

#: Initial size of a channel's buffer, in bytes.
_BUFFER = 1 << 20

#: Possible offsets of QIOChannelBuffer's {capacity, usage, offset, data}, which follow the members of QIOChannel.
_CHANNEL_OFFSETS = range(48, 400, 8)


#: Header of the section "ram": its name, instance 0, version 4; flags in the low bits of the total size that follows.
_RAM_SECTION, _RAM_FLAGS = b"\x03ram\0\0\0\0\0\0\0\4", 0xFFF


#: QEMU_VM_SECTION_FULL and QEMU_VM_SECTION_FOOTER; QEMU_VM_EOF, QEMU_VM_VMDESCRIPTION and its size in bytes.
_FULL, _FOOTER, _DESCRIPTION = b"\x04", b"\x7e", re.compile(rb"\0\x06(?=(....))", re.DOTALL)


#: The largest page size of a target, in bytes.
_PAGE_MAX = 1 << 16


class Output(NamedTuple):
    """A QEMUFile that writes to memory: to a QIOChannelBuffer, whose {capacity, usage, offset, data} are at buffer."""

    file: int
    channel: int
    buffer: int


class MigrationBlockedError(MachineError):
    """QEMU refuses to migrate this machine; the message is its reason."""


def save_stream(machine: Machine) -> bytes:
    """Return the migration stream of a machine, without RAM pages.

    Raises:
        MigrationBlockedError: QEMU refuses to migrate this machine.
        MachineError: QEMU failed to save it.
        SourceError: the functions that save it are not found.
    """
    machine.functions.check_can_save()
    output = open_output(machine, _BUFFER)
    file = output.file
    with machine.out_parameters() as (_, errp):
        for name in ("qemu_savevm_state_blocked", "migration_is_blocked"):
            if machine.has(name) and machine.call(name, errp) & 0xFF:
                raise MigrationBlockedError(f"{machine.name}: {machine.take_error(errp)}", machine.output)
        state = machine.call("migrate_get_current") if machine.has("migrate_get_current") else 0
        if machine.has("migrate_init"):  # a machine that was not saved before is in this state
            machine.call("migrate_init", state, errp)
        if machine.has("global_state_store"):
            machine.call("global_state_store")
        machine.call("qemu_savevm_state_header", file)
        _set_up(machine, file, errp)
        _check(machine, errp)
        if machine.has("qemu_savevm_maybe_send_switchover_start"):
            machine.call("qemu_savevm_maybe_send_switchover_start", file)
        _send_devices(machine, output, state, errp)
        _check(machine, errp)
        machine.call("qemu_fflush", file)
    stream = written(machine, output)
    if not _is_ended(stream):
        raise MachineError(f"{machine.name}: QEMU wrote no end of the saved VM", machine.output)
    return stream


def _is_ended(stream: bytes) -> bool:
    """Return whether a stream ends with QEMU_VM_EOF, or with the vmdescription, which machines may suppress.

    Without an end, it ends with the footer of its last section, if the machine sends footers.
    """
    sizes = ((match.end() + 4, int.from_bytes(match[1], "big")) for match in _DESCRIPTION.finditer(stream))
    if any(start + size == len(stream) for start, size in sizes):
        return True
    has_footer_last = stream[-5:-4] == _FOOTER and _FULL + stream[-4:] in stream
    return stream.endswith(b"\0") and not has_footer_last


def first_function(machine: Machine, *names: str) -> str:
    """Return the first of these functions that the binary has; by default, the last name."""
    return next((name for name in names if machine.has(name)), names[-1])


def _check(machine: Machine, errp: int) -> None:
    if (error := machine.take_error(errp)) is not None:
        raise MachineError(f"{machine.name}: {error}", machine.output)


def _set_up(machine: Machine, file: int, errp: int) -> None:
    """Write the names and sizes of RAM blocks. Up to QEMU 8.2 the function acquires the big lock itself."""
    if not machine.has("qemu_savevm_state_setup"):
        machine.call("qemu_savevm_state_do_setup", file, errp)
        return
    locks_itself = machine.has("qemu_mutex_unlock_iothread")
    if locks_itself:
        machine.call("qemu_mutex_unlock_iothread")
    machine.call("qemu_savevm_state_setup", file, errp)
    if locks_itself:
        machine.call("qemu_mutex_lock_iothread_impl", machine.text("migration.c"), 1)


def _send_devices(machine: Machine, output: Output, state: int, errp: int) -> None:
    file = output.file
    if machine.has("qemu_savevm_state_complete_precopy_non_iterable"):  # 7.2, 10.0
        result = machine.call("qemu_savevm_state_complete_precopy_non_iterable", file, 0, 0)
    elif machine.has("qemu_savevm_state_non_iterable"):  # 11.1
        machine.call("qemu_savevm_state_non_iterable", file, errp)
        machine.call("qemu_savevm_state_end_precopy", state, file)
        result = 0
    else:  # 5.2: sends dirty RAM pages, too
        _set_outgoing_channel(machine, state, output.channel)
        _mark_ram_clean(machine, _ram_blocks(written(machine, output)))
        result = machine.call("qemu_savevm_state_complete_precopy", file, 0, 0)
    if (code := signed(result)) < 0:
        raise MachineError(f"{machine.name}: QEMU failed to save a device: {os.strerror(-code)}", machine.output)


def _set_outgoing_channel(machine: Machine, state: int, channel: int) -> None:
    """Set the migration state's channel, which RAM code uses, without starting a migration thread.

    Source: QEMU 5.2 migration/channel.c migration_channel_connect.
    """
    machine.call_until("migration_channel_connect", state, channel, 0, 0, pause_at="migrate_fd_connect")
    machine.abandon()


def _mark_ram_clean(machine: Machine, names: list[str]) -> None:
    """Mark pages as not to be sent, but those at the end of the first block, with the function of free page hinting.

    Without any dirty page, find_dirty_block of QEMU 5.2 does not end. Source: migration/ram.c.
    """
    for index, name in enumerate(names):
        block = machine.call("qemu_ram_block_by_name", machine.text(name))
        start, size = (machine.call(f"qemu_ram_get_{what}", block) for what in ("host_addr", "used_length"))
        machine.call("qemu_guest_free_page_hint", start, size if index else max(size - _PAGE_MAX, 0))


def _ram_blocks(stream: bytes) -> list[str]:
    """Return the names of RAM blocks: the section starts with their total size. Source: migration/ram.c."""
    at = stream.find(_RAM_SECTION) + len(_RAM_SECTION)
    if at < len(_RAM_SECTION):
        return []
    left = int.from_bytes(stream[at : at + 8], "big") & ~_RAM_FLAGS
    at += 8
    names = []
    while left > 0 and at < len(stream):
        end = at + 1 + stream[at]
        names.append(stream[at + 1 : end].decode(errors="surrogateescape"))
        left -= int.from_bytes(stream[end : end + 8], "big")
        at = end + 8
    return names


def written(machine: Machine, output: Output) -> bytes:
    """Return the bytes that were written to a file and flushed."""
    _, size, _, data = machine.guest.words(output.buffer, 4)
    return machine.guest.read(data, size) if size else b""


def load_stream(machine: Machine, stream: bytes) -> int:
    """Load a migration stream into a machine that was booted with ``-incoming defer``.

    Returns the result of qemu_loadvm_state: negative on failure, with the reason in the machine's output. Raises
    MachineError, and SourceError as save_stream.
    """
    machine.functions.check_can_save()
    with machine.out_parameters() as (_, errp):
        result = signed(machine.call("qemu_loadvm_state", open_input(machine, stream), errp))
        if (error := machine.take_error(errp)) is not None:  # since 10.2; process_incoming_migration_co prints it
            machine.output += f"load of migration failed: {os.strerror(-result)}: {error}\n"
        return result


def open_input(machine: Machine, data: bytes) -> int:
    """Return a QEMUFile that reads data."""
    capacity = len(data) + _PAGE_MAX
    channel, buffer = _new_channel(machine, capacity)
    machine.guest.write(machine.guest.pointer(buffer + 24), data)
    machine.guest.write_number(buffer + 8, len(data))
    return machine.call(first_function(machine, "qemu_file_new_input", "qemu_fopen_channel_input"), channel)


def open_output(machine: Machine, size: int) -> Output:
    """Return a new QEMUFile that writes to memory, of a size that grows as needed."""
    channel, buffer = _new_channel(machine, size)
    new_output = first_function(machine, "qemu_file_new_output", "qemu_fopen_channel_output")
    return Output(machine.call(new_output, channel), channel, buffer)


def _new_channel(machine: Machine, size: int) -> tuple[int, int]:
    """Return a new QIOChannelBuffer, and the address of its {capacity, usage, offset, data}."""
    channel = machine.call("qio_channel_buffer_new", size)
    for offset in _CHANNEL_OFFSETS:
        capacity, usage, position, data = machine.guest.words(channel + offset, 4)
        if (capacity, usage, position) == (size, 0, 0) and machine.guest.holds(data, size):
            return channel, channel + offset
    raise MachineError(f"{machine.name}: QIOChannelBuffer has an unknown layout", machine.output)


def signed(result: int) -> int:
    """Return the int that a function has returned."""
    result &= 0xFFFFFFFF
    return result - (1 << 32) if result >> 31 else result
