"""Every VMSTATE_* constructor makes the fields of QEMU's macro, and the type check refuses
mismatches.

The expected fields are in data/vmstate_macros.json: a C compiler made them from QEMU's own header.
"""

import ctypes
import inspect
import json
from ctypes import POINTER, Structure
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import DATA

from vmdump.errors import VMStateError
from vmdump.vmstate import constructors, model
from vmdump.vmstate.constructors import *  # noqa: F403
from vmdump.vmstate.constructors import CPU_DoubleU, QEMUTimer
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo

FACTS = json.loads((DATA / "vmstate_macros.json").read_text())

# The structs of the facts' "sample_c".


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


class TmpState(Structure):
    _fields_ = (("parent", POINTER(SampleState)), ("word", ctypes.c_uint32))


STRUCTS = MappingProxyType(
    {
        struct.__name__: struct
        for struct in (InnerState, LinkState, ElementState, KeyState, LaneState, QueueState, SampleState, TmpState)
    }
)
TYPES = MappingProxyType(
    {
        **STRUCTS,
        "uint16_t": ctypes.c_uint16,
        "uint32_t": ctypes.c_uint32,
        "uint16_t *": POINTER(ctypes.c_uint16),
        "QEMUTimer *": POINTER(QEMUTimer),
    }
)
VMSDS = MappingProxyType(
    {
        name: tuple(map(VMStateDescription, what)) if isinstance(what, list) else VMStateDescription(what)
        for name, what in FACTS["vmsds"].items()
    }
)


def sample_test(state: SampleState, version_id: int) -> bool:
    return True


def sample_arguments(fact: dict) -> list:
    """Return the recorded arguments as Python objects."""

    def python(argument):
        match argument:
            case {"struct": name}:
                return STRUCTS[name]
            case {"type": name}:
                return TYPES[name]
            case {"vmsd": name}:
                return VMSDS[name]
            case {"info": name}:
                return getattr(model, name)
            case {"test": "sample_test"}:
                return sample_test
            case {"member": text} | {"string": text}:
                return text
        assert argument is None or isinstance(argument, int), argument
        return argument

    return [python(argument) for argument in fact["args"]]


VARRAY = VMStateFlags.VARRAY_INT32 | VMStateFlags.VARRAY_UINT8 | VMStateFlags.VARRAY_UINT16 | VMStateFlags.VARRAY_UINT32


def as_fact(field: VMStateField) -> dict:
    """Return the field's attributes in the recorded form; an offset that C leaves at 0 must be None."""
    assert (field.num_offset is None) == (not field.flags & VARRAY)
    assert (field.size_offset is None) == (not field.flags & VMStateFlags.VBUFFER)
    return {
        "name": field.name,
        "offset": field.offset,
        "size": field.size,
        "num": field.num,
        "flags": int(field.flags),
        "version_id": field.version_id,
        "struct_version_id": field.struct_version_id,
        "info": field.info and field.info.name,
        "vmsd": field.vmsd and field.vmsd.name,
        "field_exists": field.field_exists is not None,
        "start": field.start,
        "num_offset": field.num_offset or 0,
        "size_offset": field.size_offset or 0,
        "err_hint": field.err_hint,
    }


every_fact = pytest.mark.parametrize("fact", FACTS["fields"], ids=lambda fact: fact["c"].replace("SampleState", "S"))


@pytest.mark.parametrize("name", FACTS["structs"])
def test_sample_structs_are_laid_out_as_in_c(name):
    """The ctypes structs above have the recorded layout."""
    expected = FACTS["structs"][name]
    members = [(field[0], getattr(STRUCTS[name], field[0])) for field in STRUCTS[name]._fields_]
    assert ctypes.sizeof(STRUCTS[name]) == expected["size"]
    assert [(member, at.offset, at.size) for member, at in members] == [
        (member["name"], member["offset"], member["size"]) for member in expected["members"]
    ]


def test_there_is_a_constructor_for_every_macro_and_no_other():
    """Names and numbers of parameters equal the header's."""
    ours = {name: f for name, f in vars(constructors).items() if name.startswith("VMSTATE_")}
    assert {name: len(inspect.signature(f).parameters) for name, f in ours.items()} == {
        name: len(parameters) for name, parameters in FACTS["macros"].items()
    }
    assert {fact["macro"] for fact in FACTS["fields"]} == set(FACTS["macros"])


def test_constructors_know_their_names():
    """Constructors generated from a shared body have their macro's name in help() and tracebacks."""
    for name in FACTS["macros"]:
        function = getattr(constructors, name)
        assert (function.__name__, function.__qualname__, function.__code__.co_name) == (name, name, name)
        assert function.__doc__


@pytest.mark.parametrize("name", FACTS["infos"])
def test_infos_have_qemus_names(name):
    """Every VMStateInfo of the header exists."""
    assert getattr(model, name) == VMStateInfo(FACTS["infos"][name])


@every_fact
def test_constructor_makes_what_qemus_macro_makes(fact):
    """All attributes equal those computed by a C compiler."""
    field = getattr(constructors, fact["macro"])(*sample_arguments(fact))
    assert as_fact(field) == fact["field"]


@every_fact
def test_type_may_be_a_size(fact):
    """A size in place of a type makes the same field, except for attributes that need the type."""
    arguments = [
        ctypes.sizeof(python) if isinstance(given, dict) and "type" in given else python
        for python, given in zip(sample_arguments(fact), fact["args"], strict=True)
    ]
    expected = dict(fact["field"])
    if fact["macro"] in ("VMSTATE_QTAILQ_V", "VMSTATE_QLIST_V"):
        expected["start"] = 0
    assert as_fact(getattr(constructors, fact["macro"])(*arguments)) == expected


BUFFERS_OF_THE_MEMBERS_SIZE = {
    "VMSTATE_BUFFER",
    "VMSTATE_BUFFER_V",
    "VMSTATE_BUFFER_TEST",
    "VMSTATE_BUFFER_START_MIDDLE",
    "VMSTATE_BUFFER_START_MIDDLE_V",
}
NO_MEMBER = {name for name, parameters in FACTS["macros"].items() if not {"_field", "_f"} & set(parameters)}


@every_fact
def test_struct_may_be_unknown(fact):
    """With None for the struct all offsets are None and all else is equal."""
    arguments = [None if python is SampleState else python for python in sample_arguments(fact)]
    constructor = getattr(constructors, fact["macro"])
    if fact["macro"] in BUFFERS_OF_THE_MEMBERS_SIZE:
        with pytest.raises(VMStateError, match=rf'^{fact["macro"]}\("buffer", None\): .* which requires the struct$'):
            constructor(*arguments)
        return
    field = constructor(*arguments)
    assert field.offset == (0 if fact["macro"] in NO_MEMBER else None)
    assert (field.num_offset, field.size_offset) == (None, None)
    same = ("name", "size", "num", "flags", "version_id", "struct_version_id", "start", "err_hint")
    assert {name: getattr(field, name) for name in same} == {name: fact["field"][name] for name in same}


# What is refused. Each row: the call, and the message in full.


class Outer(Structure):
    class Halves(Structure):
        _fields_ = (("low", ctypes.c_uint16), ("high", ctypes.c_uint16))

    _anonymous_ = ("halves",)
    _fields_ = (
        ("head", ctypes.c_uint8),
        ("halves", Halves),
        ("bits", ctypes.c_uint32, 3),
        ("mac_reg", ctypes.c_int32 * 8),
    )
    CTRL = 5
    FAR = 8


class MixedState(Structure):
    _fields_ = (
        ("ch", ctypes.c_char),
        ("text", ctypes.c_char * 8),
        ("f", ctypes.c_float),
        ("long_double", ctypes.c_longdouble),
        ("i8_array", ctypes.c_int8 * 4),
        ("i32_2d", ctypes.c_int32 * 3 * 2),
        ("deep", ctypes.c_uint8 * 4 * 3 * 2),
        ("callback", ctypes.CFUNCTYPE(None)),
        ("pp", POINTER(POINTER(ctypes.c_uint8))),
        ("name", ctypes.c_char_p),
    )


class LateParent(Structure):
    _fields_ = (("word", ctypes.c_uint32), ("parent", POINTER(SampleState)))


class WrongParent(Structure):
    _fields_ = (("parent", POINTER(InnerState)),)


INNER = VMStateDescription("inner")
C = constructors
REFUSED = {
    'VMSTATE_UINT32("u8_array", SampleState): member is uint8_t[9], not uint32_t; use VMSTATE_UINT8_ARRAY': lambda: (
        C.VMSTATE_UINT32("u8_array", SampleState)
    ),
    'VMSTATE_UINT8_ARRAY("u8", SampleState): member is uint8_t, not uint8_t[1]; use VMSTATE_UINT8': lambda: (
        C.VMSTATE_UINT8_ARRAY("u8", SampleState, 1)
    ),
    'VMSTATE_UINT8_ARRAY_V("u8_array", SampleState): member is uint8_t[9], not uint8_t[8]': lambda: (
        C.VMSTATE_UINT8_ARRAY_V("u8_array", SampleState, 8, 2)
    ),
    'VMSTATE_UINT16_2DARRAY("u16_2d", SampleState): member is uint16_t[3][5], not uint16_t[5][3]': lambda: (
        C.VMSTATE_UINT16_2DARRAY("u16_2d", SampleState, 5, 3)
    ),
    'VMSTATE_UINT16_ARRAY("u16_2d", SampleState): member is uint16_t[3][5], not uint16_t[15]; '
    "use VMSTATE_UINT16_2DARRAY": lambda: C.VMSTATE_UINT16_ARRAY("u16_2d", SampleState, 15),
    'VMSTATE_UINT32_V("i32", SampleState): member is int32_t, not uint32_t; use VMSTATE_INT32': lambda: (
        C.VMSTATE_UINT32_V("i32", SampleState, 1)
    ),
    'VMSTATE_UINT8_TEST("flag", SampleState): member is bool, not uint8_t; use VMSTATE_BOOL': lambda: (
        C.VMSTATE_UINT8_TEST("flag", SampleState, None)
    ),
    'VMSTATE_BOOL("u8", SampleState): member is uint8_t, not bool; use VMSTATE_UINT8': lambda: C.VMSTATE_BOOL(
        "u8", SampleState
    ),
    'VMSTATE_INT8("ch", MixedState): member is char, not int8_t': lambda: C.VMSTATE_INT8("ch", MixedState),
    'VMSTATE_BUFFER("text", MixedState): member is char[8], not uint8_t[]': lambda: C.VMSTATE_BUFFER(
        "text", MixedState
    ),
    'VMSTATE_UINT32("f", MixedState): member is float, not uint32_t': lambda: C.VMSTATE_UINT32("f", MixedState),
    'VMSTATE_UINT8("long_double", MixedState): member is long double, not uint8_t': lambda: C.VMSTATE_UINT8(
        "long_double", MixedState
    ),
    'VMSTATE_UINT8("i8_array", MixedState): member is int8_t[4], not uint8_t': lambda: C.VMSTATE_UINT8(
        "i8_array", MixedState
    ),
    'VMSTATE_INT32("i32_2d", MixedState): member is int32_t[2][3], not int32_t': lambda: C.VMSTATE_INT32(
        "i32_2d", MixedState
    ),
    'VMSTATE_UINT8("deep", MixedState): member is uint8_t[2][3][4], not uint8_t': lambda: C.VMSTATE_UINT8(
        "deep", MixedState
    ),
    'VMSTATE_UINT64("callback", MixedState): member is CFunctionType, not uint64_t': lambda: C.VMSTATE_UINT64(
        "callback", MixedState
    ),
    'VMSTATE_UINT64("pp", MixedState): member is uint8_t **, not uint64_t': lambda: C.VMSTATE_UINT64("pp", MixedState),
    'VMSTATE_TIMER("timer_ptr", SampleState): member is QEMUTimer *, not QEMUTimer; use VMSTATE_TIMER_PTR': lambda: (
        C.VMSTATE_TIMER("timer_ptr", SampleState)
    ),
    'VMSTATE_TIMER_PTR("timer_array", SampleState): member is QEMUTimer[3], not QEMUTimer *; '
    "use VMSTATE_TIMER_ARRAY": lambda: C.VMSTATE_TIMER_PTR("timer_array", SampleState),
    'VMSTATE_TIMER_PTR("inner_ptr", SampleState): member is InnerState *, not QEMUTimer *': lambda: C.VMSTATE_TIMER_PTR(
        "inner_ptr", SampleState
    ),
    'VMSTATE_STRUCT("inner", SampleState): member is InnerState, not KeyState': lambda: C.VMSTATE_STRUCT(
        "inner", SampleState, 0, INNER, KeyState
    ),  # same size, but another type
    'VMSTATE_STRUCT("inner", SampleState): member is InnerState, not 8 bytes': lambda: C.VMSTATE_STRUCT(
        "inner", SampleState, 0, INNER, 8
    ),
    'VMSTATE_STRUCT_POINTER("inner", SampleState): member is InnerState, not InnerState *': lambda: (
        C.VMSTATE_STRUCT_POINTER("inner", SampleState, INNER, InnerState)
    ),
    'VMSTATE_STRUCT_POINTER("opaque_ptr", SampleState): member is void *, not InnerState *': lambda: (
        C.VMSTATE_STRUCT_POINTER("opaque_ptr", SampleState, INNER, InnerState)
    ),
    'VMSTATE_STRUCT_POINTER("inner_ptr", SampleState): member is InnerState *, not 4 bytes *': lambda: (
        C.VMSTATE_STRUCT_POINTER("inner_ptr", SampleState, INNER, 4)
    ),
    'VMSTATE_ARRAY_OF_POINTER_TO_STRUCT("inner_array", SampleState): member is InnerState[4], not InnerState *[4]': (
        lambda: C.VMSTATE_ARRAY_OF_POINTER_TO_STRUCT("inner_array", SampleState, 4, 0, INNER, InnerState)
    ),
    'VMSTATE_VARRAY_UINT32("u32_ptr", SampleState): member is uint32_t *, not uint16_t *': lambda: (
        C.VMSTATE_VARRAY_UINT32("u32_ptr", SampleState, "count_u32", 0, model.vmstate_info_uint16, ctypes.c_uint16)
    ),
    'VMSTATE_VARRAY_UINT32("count_i32", SampleState): member is int32_t, not uint32_t': lambda: C.VMSTATE_VARRAY_UINT32(
        "u32_ptr", SampleState, "count_i32", 0, model.vmstate_info_uint32, ctypes.c_uint32
    ),
    'VMSTATE_ARRAY_INT32_UNSAFE("u16_ptr", SampleState): member is uint16_t *, not uint16_t[]': lambda: (
        C.VMSTATE_ARRAY_INT32_UNSAFE("u16_ptr", SampleState, "count_i32", model.vmstate_info_uint16, ctypes.c_uint16)
    ),
    'VMSTATE_STRUCT_VARRAY_UINT8("inner_array", SampleState): member is InnerState[4], not ElementState[]': lambda: (
        C.VMSTATE_STRUCT_VARRAY_UINT8("inner_array", SampleState, "count_u8", 0, INNER, ElementState)
    ),
    'VMSTATE_UINT32_SUB_ARRAY("u32_array", SampleState): [10:14] is not within uint32_t[13]': lambda: (
        C.VMSTATE_UINT32_SUB_ARRAY("u32_array", SampleState, 10, 4)
    ),
    'VMSTATE_UINT32_SUB_ARRAY("u32_array", SampleState): [-1:3] is not within uint32_t[13]': lambda: (
        C.VMSTATE_UINT32_SUB_ARRAY("u32_array", SampleState, -1, 4)
    ),
    'VMSTATE_UINT32_SUB_ARRAY("u16_array", SampleState): member is uint16_t[11], not uint32_t[]': lambda: (
        C.VMSTATE_UINT32_SUB_ARRAY("u16_array", SampleState, 0, 4)
    ),
    'VMSTATE_PARTIAL_BUFFER("buffer", SampleState): [0:33] is not within uint8_t[32]': lambda: C.VMSTATE_PARTIAL_BUFFER(
        "buffer", SampleState, 33
    ),
    'VMSTATE_BUFFER_START_MIDDLE("buffer", SampleState): [33:32] is not within uint8_t[32]': lambda: (
        C.VMSTATE_BUFFER_START_MIDDLE("buffer", SampleState, 33)
    ),
    'VMSTATE_VBUFFER("size_u32", SampleState): member is uint32_t, not int32_t': lambda: C.VMSTATE_VBUFFER(
        "vbuffer", SampleState, 0, None, "size_u32"
    ),
    'VMSTATE_WITH_TMP("parent", LateParent): it must be the first member': lambda: C.VMSTATE_WITH_TMP(
        SampleState, LateParent, INNER
    ),
    'VMSTATE_WITH_TMP("parent", WrongParent): member is InnerState *, not SampleState *': lambda: C.VMSTATE_WITH_TMP(
        SampleState, WrongParent, INNER
    ),
    'VMSTATE_WITH_TMP("parent", InnerState): InnerState has no member parent': lambda: C.VMSTATE_WITH_TMP(
        SampleState, InnerState, INNER
    ),
    'VMSTATE_QTAILQ_V("next", ElementState): ElementState has no member next': lambda: C.VMSTATE_QTAILQ_V(
        "tailq", SampleState, 0, INNER, ElementState, "next"
    ),
    'VMSTATE_UINT32("nix", SampleState): SampleState has no member nix': lambda: C.VMSTATE_UINT32("nix", SampleState),
    'VMSTATE_UINT32("", SampleState): SampleState has no member ': lambda: C.VMSTATE_UINT32("", SampleState),
    'VMSTATE_UINT8("queue.lane.ctl", SampleState): LaneState[2] has no member ctl': lambda: C.VMSTATE_UINT8(
        "queue.lane.ctl", SampleState
    ),
    'VMSTATE_UINT8("queue.lane[2].ctl", SampleState): index 2 is outside of LaneState[2]': lambda: C.VMSTATE_UINT8(
        "queue.lane[2].ctl", SampleState
    ),
    'VMSTATE_UINT8("u8[0]", SampleState): uint8_t has no member [0]': lambda: C.VMSTATE_UINT8("u8[0]", SampleState),
    'VMSTATE_UINT8("u8_array[0", SampleState): uint8_t[9] has no member [0': lambda: C.VMSTATE_UINT8(
        "u8_array[0", SampleState
    ),
    'VMSTATE_UINT32("bits", Outer): Outer has no member bits': lambda: C.VMSTATE_UINT32("bits", Outer),
    'VMSTATE_INT32("mac_reg[ICR]", Outer): index ICR is unknown; set Outer.ICR to its number': lambda: C.VMSTATE_INT32(
        "mac_reg[ICR]", Outer
    ),
    'VMSTATE_INT32("mac_reg[-1]", Outer): index -1 is unknown; set Outer.-1 to its number': lambda: C.VMSTATE_INT32(
        "mac_reg[-1]", Outer
    ),
    'VMSTATE_INT32("mac_reg[FAR]", Outer): index 8 is outside of int32_t[8]': lambda: C.VMSTATE_INT32(
        "mac_reg[FAR]", Outer
    ),
    "VMSTATE_UINT32: 'SampleState' is not a struct; give a ctypes.Structure, or None": lambda: C.VMSTATE_UINT32(
        "u32", "SampleState"
    ),
}


@pytest.mark.parametrize(("message", "call"), REFUSED.items())
def test_what_a_c_compiler_would_refuse_is_refused(message, call):
    """Errors name the macro, the member, its type, and the expected type."""
    with pytest.raises(VMStateError) as error:
        call()
    assert str(error.value) == message


def test_hints_name_constructors_that_exist():
    """Every macro named in a remedy exists in QEMU."""
    named = {message.rpartition("use ")[2] for message in REFUSED if "use " in message}
    assert named <= set(FACTS["macros"])


def test_error_names_the_outermost_macro():
    """For a macro built on macros, as QEMU's devices have, the error names the outermost one."""

    def VMSTATE_CHIP(_f, _s):
        return C.VMSTATE_UINT16_ARRAY(_f, _s, 4)

    with pytest.raises(VMStateError, match=r'^VMSTATE_CHIP\("u16_array", SampleState\): '):
        VMSTATE_CHIP("u16_array", SampleState)


def test_members_of_an_anonymous_struct():
    """Members are accessible with and without the anonymous struct's name, as in C."""
    assert C.VMSTATE_UINT16("high", Outer).offset == Outer.high.offset
    assert C.VMSTATE_UINT16("halves.high", Outer).offset == Outer.high.offset


def test_inherited_members():
    """Members of a ctypes base class belong to the struct."""

    class Child(Outer):
        _fields_ = (("tail", ctypes.c_uint64),)

    assert C.VMSTATE_UINT64("tail", Child).offset == Child.tail.offset
    assert C.VMSTATE_UINT8("head", Child).offset == 0
    assert C.VMSTATE_INT32("mac_reg[1]", Child).offset == Child.mac_reg.offset + 4


def test_index_may_be_a_name_of_the_struct():
    """A symbolic index is kept in the name, as in QEMU: mac_reg[CTRL]."""
    field = C.VMSTATE_INT32("mac_reg[CTRL]", Outer)
    assert (field.name, field.offset) == ("mac_reg[CTRL]", Outer.mac_reg.offset + 4 * 5)


def test_struct_may_get_its_members_later():
    """A struct used before its _fields_ were set is examined again."""

    class Node(Structure):
        pass

    with pytest.raises(VMStateError, match="Node has no member next"):
        C.VMSTATE_STRUCT_POINTER("next", Node, INNER, Node)
    Node._fields_ = [("next", POINTER(Node))]
    assert C.VMSTATE_STRUCT_POINTER("next", Node, INNER, Node).offset == 0


def test_union_and_foreign_endian_structs():
    """Unions and structs of the other byte order give the same offsets and types."""

    class Both(ctypes.Union):
        _fields_ = (("word", ctypes.c_uint32), ("bytes", ctypes.c_uint8 * 4))

    class Guest(ctypes.BigEndianStructure):
        _fields_ = (("head", ctypes.c_uint8), ("word", ctypes.c_uint32))

    assert C.VMSTATE_BUFFER("bytes", Both).size == 4
    assert C.VMSTATE_UINT32("word", Guest).offset == 4


def test_types_of_one_kind_and_size_agree():
    """Types of equal kind and size match, such as __u64 and uint64_t on amd64."""

    class Longs(Structure):
        _fields_ = (("a", ctypes.c_ulong), ("b", ctypes.c_ulonglong), ("c", ctypes.c_size_t))

    assert [C.VMSTATE_UINT64(name, Longs).offset for name in "abc"] == [0, 8, 16]


def test_opaque_pointer_where_the_target_is_only_a_size():
    """A void * matches a target without a ctypes type, but not one with a type."""
    assert C.VMSTATE_STRUCT_POINTER("opaque_ptr", SampleState, INNER, 4096).offset == SampleState.opaque_ptr.offset


def test_tests_are_kept():
    """A test may be a function, or True if only its existence is known."""
    assert C.VMSTATE_UINT8_TEST("u8", SampleState, sample_test).field_exists is sample_test
    assert C.VMSTATE_UINT8_TEST("u8", SampleState, True).field_exists is True


def test_gtree_takes_one_description_or_the_pair():
    """The field has the value's description, as QEMU's points to the first of two."""
    key = VMStateDescription("key")
    for vmsd in (INNER, (INNER, key), [INNER, key]):
        field = C.VMSTATE_GTREE_V("tree", SampleState, 0, vmsd, KeyState, InnerState)
        assert field.vmsd is INNER


# Properties.

SCALARS = MappingProxyType(
    {
        "BOOL": ctypes.c_bool,
        "INT8": ctypes.c_int8,
        "INT16": ctypes.c_int16,
        "INT32": ctypes.c_int32,
        "INT64": ctypes.c_int64,
        "UINT8": ctypes.c_uint8,
        "UINT16": ctypes.c_uint16,
        "UINT32": ctypes.c_uint32,
        "UINT64": ctypes.c_uint64,
    }
)
members_of_a_struct = st.lists(
    st.tuples(st.sampled_from(sorted(SCALARS)), st.lists(st.integers(1, 5), max_size=2)), min_size=1, max_size=8
)


def make_struct(members, pack=0):
    def ctype(stem, lengths):
        made = SCALARS[stem]
        for length in reversed(lengths):
            made = made * length
        return made

    fields = [(f"m{i}", ctype(*member)) for i, member in enumerate(members)]
    return type(
        "State", (Structure,), {"_pack_": pack, "_layout_": "ms", "_fields_": fields} if pack else {"_fields_": fields}
    )


@given(members=members_of_a_struct, pack=st.sampled_from([0, 1, 2]))
def test_offsets_are_those_of_ctypes(members, pack):
    """For any struct, packed or not: offset, size and num of each member; only its own type is accepted."""
    State = make_struct(members, pack)
    for i, (stem, lengths) in enumerate(members):
        name, ctype = f"m{i}", SCALARS[stem]
        info = VMStateInfo("any")
        make = (C.VMSTATE_SINGLE, C.VMSTATE_ARRAY, C.VMSTATE_2DARRAY)[len(lengths)]
        field = make(name, State, *lengths, 0, info, ctype)
        member = getattr(State, name)
        assert (field.offset, field.size * (field.num or 1)) == (member.offset, member.size)
        for other in SCALARS.values():
            if other is not ctype:
                with pytest.raises(VMStateError, match="member is"):
                    make(name, State, *lengths, 0, info, other)
        for axis in range(len(lengths)):
            wrong = [length + (at == axis) for at, length in enumerate(lengths)]
            with pytest.raises(VMStateError, match="member is"):
                make(name, State, *wrong, 0, info, ctype)


@given(path=st.lists(st.tuples(members_of_a_struct, st.integers(1, 4)), min_size=1, max_size=4), data=st.data())
def test_nested_members_lie_where_ctypes_has_them(path, data):
    """Offsets of ``a[i].b[j]...`` equal ctypes' own address arithmetic."""
    Inner, field, steps = ctypes.c_uint32, "", []
    for members, length in path:
        before = [(f"m{i}", SCALARS[stem]) for i, (stem, _) in enumerate(members)]
        Inner = type("Level", (Structure,), {"_fields_": [*before, ("down", Inner * length)]})
        steps.insert(0, data.draw(st.integers(0, length - 1)))
    here = Inner()
    start = ctypes.addressof(here)
    for index in steps:
        field += f".down[{index}]"
        array = here.down
        address = ctypes.addressof(array) + index * ctypes.sizeof(array._type_)
        here = array[index]
    assert C.VMSTATE_UINT32(field[1:], Inner).offset == address - start


@given(
    stem=st.sampled_from(sorted(SCALARS)), length=st.integers(1, 9), start=st.integers(-2, 11), num=st.integers(0, 11)
)
def test_sub_array_has_to_lie_inside(stem, length, start, num):
    """A sub-array is accepted exactly if all of its elements are the array's."""
    State = make_struct([("UINT8", []), (stem, [length])])
    inside = {*range(start, start + num)} <= {*range(length)} and 0 <= start <= length
    arguments = ("m1", State, start, num, 0, VMStateInfo("any"), SCALARS[stem])
    if inside:
        assert C.VMSTATE_SUB_ARRAY(*arguments).offset == State.m1.offset + start * ctypes.sizeof(SCALARS[stem])
    else:
        with pytest.raises(VMStateError, match="is not within"):
            C.VMSTATE_SUB_ARRAY(*arguments)
