"""The VMSTATE_* constructors: a function for each macro of QEMU's vmstate.h, with the same name and parameters.

Member names are strings and types are ctypes types:

>>> from ctypes import Structure, c_uint8, c_uint32
>>> class NVRAMState(Structure):
...     _fields_ = [("addr", c_uint32), ("regs", c_uint8 * 16)]
>>> VMSTATE_UINT8("regs[3]", NVRAMState).offset
7

Parameters have the names of the macros':

- ``_field``, ``_f``: C designator of the member: ``"addr"``, ``"queue.rptr"``, ``"regs[3]"``. Also the field's name.
- ``_state``, ``_s``: the ctypes.Structure that holds the state. It provides offsets and types, which are checked as by
  QEMU's compiler. None: the struct is unknown; no offset, no check.
- ``_type``: ctypes type of one element, or its size in bytes.
- ``_version``, ``_v``: first version of the description that has the field.
- ``_test``, ``_t``: the field is sent if ``test(state, version_id)`` returns true; None: always.
- ``_num``, ``_n``, ``_n1``, ``_n2``: numbers of elements. ``_field_num``: the member that holds the number of elements.
  ``_field_size``: the member that holds the size.
- ``_info``: encoding of one element. ``_vmsd``: description of one element.
- ``_size``, ``_start`` of buffers: in bytes. ``_start`` of arrays: index of the first element.

In the docstrings, "Size" is the size of one element in bytes. All constructors raise VMStateError if the member does
not exist or has another type. Quirks of QEMU's macros are preserved, because they affect the stream.

Source: QEMU 8.2.2 include/migration/vmstate.h, and 10.0.13's for VMSTATE_FD.
"""

from vmdump.vmstate.constructors.arrays import *  # noqa: F403
from vmdump.vmstate.constructors.buffers import *  # noqa: F403
from vmdump.vmstate.constructors.lists import *  # noqa: F403
from vmdump.vmstate.constructors.no_member import *  # noqa: F403
from vmdump.vmstate.constructors.state_types import CPU_DoubleU as CPU_DoubleU
from vmdump.vmstate.constructors.state_types import QEMUTimer as QEMUTimer
from vmdump.vmstate.constructors.structs import *  # noqa: F403
from vmdump.vmstate.constructors.values import *  # noqa: F403
