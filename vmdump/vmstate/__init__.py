"""Model of device state: VMStateDescription, VMStateField, and a constructor for each VMSTATE_* macro of QEMU.

>>> import ctypes
>>> from vmdump.vmstate import VMSTATE_END_OF_LIST, VMSTATE_UINT8_ARRAY, VMSTATE_UINT32, VMStateDescription
>>> class NVRAMState(ctypes.Structure):
...     _fields_ = [("addr", ctypes.c_uint32), ("regs", ctypes.c_uint8 * 16)]
>>> vmstate_nvram = VMStateDescription("nvram", version_id=1, minimum_version_id=1, fields=[
...     VMSTATE_UINT32("addr", NVRAMState),
...     VMSTATE_UINT8_ARRAY("regs", NVRAMState, 16),
...     VMSTATE_END_OF_LIST(),
... ])
>>> [(field.name, field.offset, field.size, field.num) for field in vmstate_nvram.fields]
[('addr', 0, 4, 0), ('regs', 4, 1, 16)]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmdump.vmstate.model import *  # noqa: F403

if TYPE_CHECKING:
    from vmdump.vmstate.constructors import *  # noqa: F403
else:
    _EXPORTED = ("VMSTATE_", "VMState", "vmstate_info_", "MigrationPriority", "FieldTest", "Hook", "QEMUTimer", "CPU_")

    def __getattr__(name: str) -> Any:
        """Import the constructors on first use: they need ctypes, which dumps of other sources do not."""
        constructors = import_module("vmdump.vmstate.constructors")
        if name == "__all__":
            return [n for n in {**globals(), **vars(constructors)} if n.startswith(_EXPORTED)]
        return getattr(constructors, name)
