"""The structs of "sample_c" in data/vmstate_macros.json, as ctypes structs."""

import ctypes
import json
from ctypes import POINTER, Structure

from support.paths import DATA
from vmdump.vmstate import constructors
from vmdump.vmstate.constructors import *  # noqa: F403
from vmdump.vmstate.constructors import CPU_DoubleU, QEMUTimer

FACTS = json.loads((DATA / "vmstate_macros.json").read_text())


class InnerState(Structure):
    _fields_ = (("word", ctypes.c_uint32), ("byte", ctypes.c_uint8), ("last", ctypes.c_uint32))


class LinkState(Structure):
    _fields_ = (("next", ctypes.c_void_p), ("prev", ctypes.c_void_p))


class ElementState(Structure):
    _fields_ = (("value", ctypes.c_uint64), ("link", LinkState))


class KeyState(Structure):
    _fields_ = (("low", ctypes.c_uint32), ("high", ctypes.c_uint32), ("extra", ctypes.c_uint16))


class LaneState(Structure):
    _fields_ = (("ctl", ctypes.c_uint8), ("credits", ctypes.c_uint16 * 3))


class QueueState(Structure):
    _fields_ = (("rptr", ctypes.c_uint32), ("lane", LaneState * 2))


class SampleState(Structure):
    _fields_ = (
        ("flag", ctypes.c_bool),
        ("i8", ctypes.c_int8),
        ("i16", ctypes.c_int16),
        ("i32", ctypes.c_int32),
        ("i64", ctypes.c_int64),
        ("u8", ctypes.c_uint8),
        ("u16", ctypes.c_uint16),
        ("u32", ctypes.c_uint32),
        ("u64", ctypes.c_uint64),
        ("linux_u8", ctypes.c_ubyte),
        ("linux_u16", ctypes.c_ushort),
        ("linux_u32", ctypes.c_uint),
        ("linux_u64", ctypes.c_ulonglong),
        ("fd", ctypes.c_int32),
        ("timer", QEMUTimer),
        ("timer_ptr", POINTER(QEMUTimer)),
        ("timer_array", QEMUTimer * 3),
        ("timer_ptr_array", POINTER(QEMUTimer) * 4),
        ("fpr", CPU_DoubleU * 5),
        ("flag_array", ctypes.c_bool * 2),
        ("i16_array", ctypes.c_int16 * 3),
        ("i32_array", ctypes.c_int32 * 5),
        ("i64_array", ctypes.c_int64 * 7),
        ("u8_array", ctypes.c_uint8 * 9),
        ("u16_array", ctypes.c_uint16 * 11),
        ("u32_array", ctypes.c_uint32 * 13),
        ("u64_array", ctypes.c_uint64 * 15),
        ("u8_2d", ctypes.c_uint8 * 3 * 2),
        ("u16_2d", ctypes.c_uint16 * 5 * 3),
        ("u32_2d", ctypes.c_uint32 * 7 * 5),
        ("u64_2d", ctypes.c_uint64 * 2 * 7),
        ("count_u8", ctypes.c_uint8),
        ("count_u16", ctypes.c_uint16),
        ("count_u32", ctypes.c_uint32),
        ("count_i32", ctypes.c_int32),
        ("u16_ptr", POINTER(ctypes.c_uint16)),
        ("u32_ptr", POINTER(ctypes.c_uint32)),
        ("size_i32", ctypes.c_int32),
        ("size_u32", ctypes.c_uint32),
        ("inner", InnerState),
        ("inner_ptr", POINTER(InnerState)),
        ("inner_array", InnerState * 4),
        ("inner_2d", InnerState * 6 * 2),
        ("inner_ptr_array", POINTER(InnerState) * 3),
        ("buffer", ctypes.c_uint8 * 32),
        ("vbuffer", POINTER(ctypes.c_uint8)),
        ("opaque_ptr", ctypes.c_void_p),
        ("bitmap", POINTER(ctypes.c_uint64)),
        ("tailq", LinkState),
        ("list", LinkState),
        ("tree", ctypes.c_void_p),
        ("queue", QueueState),
    )


def sample_test(state: SampleState, version_id: int) -> bool:
    return True


C = constructors
