"""A Python module with a sample device, and its tree as vmdump show prints it."""

#: A module whose device has every construct that the device tree shows differently.
MODULE = """
VMDUMP_STAMP = 1
module_info = {"objs": ["my-device", "my-bridge"]}

import ctypes
from vmdump.qom import TypeInfo
from vmdump.vmstate import *

class Queue(ctypes.Structure):
    _fields_ = [("rptr", ctypes.c_uint16)]

class MyState(ctypes.Structure):
    _fields_ = [("mode", ctypes.c_uint8), ("regs", ctypes.c_uint32 * 4), ("queue", Queue), ("n", ctypes.c_int32),
                ("queues", ctypes.POINTER(Queue)), ("size", ctypes.c_uint32), ("buf", ctypes.POINTER(ctypes.c_uint8))]

def is_wide(state, version_id): return True
def mode_ok(state, version_id): return True
def extra_needed(state): return True

vmstate_queue = VMStateDescription("my/queue", version_id=2, minimum_version_id=1, fields=[
    VMSTATE_UINT16("rptr", Queue),
])
vmstate_extra = VMStateDescription("my/extra", version_id=1, minimum_version_id=1, needed=extra_needed, fields=[
    VMSTATE_UNUSED(2),
])
vmstate_my = VMStateDescription("my", version_id=3, minimum_version_id=2, unmigratable=True,
    priority=MigrationPriority.PCI_BUS, fields=[
        VMSTATE_UINT8_TEST("mode", MyState, is_wide),
        VMSTATE_VALIDATE("mode is known", mode_ok),
        VMSTATE_UINT32_ARRAY_V("regs", MyState, 4, 2),
        VMSTATE_STRUCT("queue", MyState, 1, vmstate_queue, Queue),
        VMSTATE_STRUCT_VARRAY_POINTER_INT32("queues", MyState, "n", vmstate_queue, Queue),
        VMSTATE_VBUFFER_UINT32("buf", MyState, 3, lambda state, version_id: True, "size"),
        VMSTATE_END_OF_LIST(),
    ], subsections=[vmstate_extra, VMStateDescription("my/nothing", version_id=1, minimum_version_id=1)])

def class_init(klass, data):
    klass.vmsd = vmstate_my
    klass.desc = "A \\x1b[31mred device"

def vmdump_module_init(types):
    types.type_register(TypeInfo("my-bridge", parent="device", abstract=True))
    types.type_register(TypeInfo("my-device", parent="my-bridge", class_init=class_init))
"""
