"""Templates of machines: a board that is booted once, to which devices are added, one block at a time.

The boot is paused where QEMU has created the devices of its command line, and a snapshot taken. Each block adds its
devices there, as -device does, and completes the machine.

Source: QEMU 7.2, 10.0 and 11.1 system/vl.c.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vmdump.activity import Step
from vmdump.emulator.host_profile import HostProfile
from vmdump.emulator.machine import ARGUMENTS, SECONDS, Machine, boot, booting, prepare
from vmdump.emulator.machine_errors import MachineError

__all__ = ["MachineTemplate", "boot_template"]

#: FW_CFG_ORDER_OVERRIDE_DEVICE. Source: include/hw/nvram/fw_cfg.h.
_ROM_ORDER_DEVICE = 110

#: The first function that qemu_init calls after it has created the devices of the command line. Source: system/vl.c
#: qemu_machine_creation_done.
_DEVICES_DONE = "drive_check_orphaned"


class MachineTemplate:
    """A machine with its board and the devices of its command line, to which devices can be added.

    ``with template.boot("e1000e,id=nic") as machine:`` adds devices, as -device does, and completes the machine, which
    is valid inside the block. Each block starts from the template and costs the devices and the reset only.
    """

    def __init__(self, machine: Machine) -> None:
        """Use boot_template instead."""
        self._machine = machine

    @property
    def files(self) -> Mapping[str, str]:
        """See Machine.files."""
        return self._machine.files

    def set_time(self, seconds: float) -> None:
        """Set the limit of the CPU time of all further blocks."""
        self._machine.guest.set_time(seconds)

    def forget_missed_functions(self) -> None:
        """Let missed_functions of machines name only what they call from now on."""
        self._machine.guest.forget_missed_functions()

    @property
    def machine(self) -> Machine:
        """The incomplete machine; its state must not be changed outside of boot. Blocks of boot complete it, or have a
        machine of their own if the binary does not export QEMU's functions.
        """
        return self._machine

    @contextlib.contextmanager
    def boot(self, *devices: str) -> Iterator[Machine]:
        """Complete the machine with further devices.

        Args:
            *devices: arguments of -device, in the key=value form.

        Raises:
            MachineError: QEMU refuses a device.
        """
        machine = self._machine
        try:
            self._add(devices)
            machine.resume()
            yield machine
        finally:
            machine.rewind()

    def restart(self, *devices: str) -> None:
        """Inside a block of boot: complete the machine once more, from the template on. Raises MachineError."""
        self._machine.rewind()
        self._add(devices)
        self._machine.resume()

    def _add(self, devices: Sequence[str]) -> None:
        """Source: system/vl.c qemu_create_cli_devices, device_init_func."""
        machine = self._machine
        orders_roms = machine.has("rom_set_order_override")  # until 10.2
        if orders_roms:
            machine.call("rom_set_order_override", _ROM_ORDER_DEVICE)
        machine.add_directories(devices)
        for device in devices:
            options = machine.call("qemu_find_opts", machine.text("device"))
            parsed = machine.call("qemu_opts_parse_noisily", options, machine.text(device), 1)
            with machine.out_parameters() as (_, errp):
                added = machine.call("qdev_device_add", parsed, errp) if parsed else 0
                error = machine.take_error(errp)
            if not added:
                reason = error or machine.output.strip()
                raise MachineError(f"{machine.name}: -device {device}: {reason}", machine.output)
            machine.call("object_unref", added)
        if orders_roms:
            machine.call("rom_reset_order_override")


class _Reboots(MachineTemplate):
    """A template of a binary that does not export QEMU's functions: each block boots a machine of its own."""

    def __init__(self, boot_with: Callable[[Sequence[str], float], Machine]) -> None:
        self._boot_with, self._seconds = boot_with, SECONDS
        super().__init__(boot_with((), SECONDS))

    def set_time(self, seconds: float) -> None:
        self._seconds = seconds

    def forget_missed_functions(self) -> None:
        pass

    @contextlib.contextmanager
    def boot(self, *devices: str) -> Iterator[Machine]:
        gc.collect()  # frees refused machines, which are in reference cycles and reserve address space
        yield self._boot_with([word for each in devices for word in ("-device", each)], self._seconds)


def boot_template(
    image: str | os.PathLike[str],
    argv: Sequence[str] = (),
    *,
    sysroot: str | os.PathLike[str] | None = None,
    host: HostProfile = HostProfile(),  # noqa: B008
    defaults: Sequence[str] = ARGUMENTS,
    fill: int = 0,
) -> MachineTemplate:
    """Boot a machine to the point where devices can be added. Arguments and errors as for boot."""
    with Step(booting(image, argv)):
        machine, arguments = prepare(image, argv, sysroot, host, defaults, fill)
        if not machine.functions.exported:
            options: Any = {"sysroot": sysroot, "host": host, "defaults": defaults, "fill": fill}
            return _Reboots(lambda more, seconds: boot(image, [*argv, *more], seconds=seconds, **options))
        with machine.starting():
            machine.call_until("qemu_init", *arguments, pause_at=_DEVICES_DONE)
        machine.snapshot()
    return MachineTemplate(machine)
