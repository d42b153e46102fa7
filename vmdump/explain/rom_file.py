"""The option ROM of a device type: which file QEMU loads for it, found by starting the device in the emulator."""

from __future__ import annotations

import os
import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

from vmdump.errors import SourceError
from vmdump.signals import TimeOut, time_limit

if TYPE_CHECKING:
    from vmdump.explain.emulated_device import Binary

#: QEMU's message about a ROM file that it does not find. Source: hw/pci/pci.c pci_add_option_rom.
_MISSING = re.compile(r'failed to find romfile "([^"]+)"')

#: Smallest RAM block of an option ROM: a page of the guest's.
_PAGE = 4096


class RomFile(NamedTuple):
    """A ROM file: its name in QEMU, its path (None: not in this system), and its size in bytes."""

    name: str
    path: str | None
    size: int

    @property
    def block_size(self) -> int:
        """Size of the RAM block: a power of two. Source: hw/pci/pci.c pci_add_option_rom."""
        return 1 << max(self.size - 1, _PAGE - 1).bit_length()


def find_rom(binary: Binary, typename: str) -> RomFile | None:
    """Return the ROM file of a PCI device type; None if it has none, or can't be started.

    Args:
        binary: the QEMU.
        typename: the QOM type, which is the name of its RAM block without .rom.
    """
    from vmdump.emulator.machine import boot

    board = ["-M", binary.machine] if binary.machine else []
    limit = nullcontext() if binary.timeout is None else time_limit(binary.timeout)
    try:
        with limit:
            with_device = boot(binary.path, [*board, "-device", typename], sysroot=binary.sysroot).files
            without = boot(binary.path, board, sysroot=binary.sysroot).files
    except TimeOut:
        return None
    except SourceError as error:
        missing = _MISSING.search(str(error))
        return RomFile(missing[1], None, 0) if missing else None
    found: dict[str, str | None] = {}
    for requested, where in with_device.items():
        if requested.endswith(".rom") and requested not in without:
            name = os.path.basename(requested)
            found[name] = where if os.path.isfile(where) else found.get(name)
    for name, where_ in found.items():
        return RomFile(name, where_, os.path.getsize(where_) if where_ else 0)
    return None
