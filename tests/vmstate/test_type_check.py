"""The type check of the constructors: what a C compiler refuses is refused, offsets are those of ctypes."""

import ctypes
import re
from ctypes import POINTER, Structure
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sample_state import FACTS, C, ElementState, InnerState, KeyState, SampleState, sample_test

from vmdump.errors import VMStateError
from vmdump.vmstate import constructors, model
from vmdump.vmstate.constructors import *  # noqa: F403
from vmdump.vmstate.model import VMStateDescription, VMStateInfo

# What is refused: the message in full, and the arguments.


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

#: Arguments of the macro that begins the message.
REFUSED = {
    'VMSTATE_UINT32("u8_array", SampleState): member is uint8_t[9], not uint32_t; use VMSTATE_UINT8_ARRAY': (
        "u8_array",
        SampleState,
    ),
    'VMSTATE_UINT8_ARRAY("u8", SampleState): member is uint8_t, not uint8_t[1]; use VMSTATE_UINT8': (
        "u8",
        SampleState,
        1,
    ),
    'VMSTATE_UINT8_ARRAY_V("u8_array", SampleState): member is uint8_t[9], not uint8_t[8]': (
        "u8_array",
        SampleState,
        8,
        2,
    ),
    'VMSTATE_UINT16_2DARRAY("u16_2d", SampleState): member is uint16_t[3][5], not uint16_t[5][3]': (
        "u16_2d",
        SampleState,
        5,
        3,
    ),
    'VMSTATE_UINT16_ARRAY("u16_2d", SampleState): member is uint16_t[3][5], not uint16_t[15]; '
    "use VMSTATE_UINT16_2DARRAY": ("u16_2d", SampleState, 15),
    'VMSTATE_UINT32_V("i32", SampleState): member is int32_t, not uint32_t; use VMSTATE_INT32': ("i32", SampleState, 1),
    'VMSTATE_UINT8_TEST("flag", SampleState): member is bool, not uint8_t; use VMSTATE_BOOL': (
        "flag",
        SampleState,
        None,
    ),
    'VMSTATE_BOOL("u8", SampleState): member is uint8_t, not bool; use VMSTATE_UINT8': ("u8", SampleState),
    'VMSTATE_INT8("ch", MixedState): member is char, not int8_t': ("ch", MixedState),
    'VMSTATE_BUFFER("text", MixedState): member is char[8], not uint8_t[]': ("text", MixedState),
    'VMSTATE_UINT32("f", MixedState): member is float, not uint32_t': ("f", MixedState),
    'VMSTATE_UINT8("long_double", MixedState): member is long double, not uint8_t': ("long_double", MixedState),
    'VMSTATE_UINT8("i8_array", MixedState): member is int8_t[4], not uint8_t': ("i8_array", MixedState),
    'VMSTATE_INT32("i32_2d", MixedState): member is int32_t[2][3], not int32_t': ("i32_2d", MixedState),
    'VMSTATE_UINT8("deep", MixedState): member is uint8_t[2][3][4], not uint8_t': ("deep", MixedState),
    'VMSTATE_UINT64("callback", MixedState): member is CFunctionType, not uint64_t': ("callback", MixedState),
    'VMSTATE_UINT64("pp", MixedState): member is uint8_t **, not uint64_t': ("pp", MixedState),
    'VMSTATE_TIMER("timer_ptr", SampleState): member is QEMUTimer *, not QEMUTimer; use VMSTATE_TIMER_PTR': (
        "timer_ptr",
        SampleState,
    ),
    'VMSTATE_TIMER_PTR("timer_array", SampleState): member is QEMUTimer[3], not QEMUTimer *; use VMSTATE_TIMER_ARRAY': (
        "timer_array",
        SampleState,
    ),
    'VMSTATE_TIMER_PTR("inner_ptr", SampleState): member is InnerState *, not QEMUTimer *': ("inner_ptr", SampleState),
    'VMSTATE_STRUCT("inner", SampleState): member is InnerState, not KeyState': (
        "inner",
        SampleState,
        0,
        INNER,
        KeyState,
    ),
    'VMSTATE_STRUCT("inner", SampleState): member is InnerState, not 8 bytes': ("inner", SampleState, 0, INNER, 8),
    'VMSTATE_STRUCT_POINTER("inner", SampleState): member is InnerState, not InnerState *': (
        "inner",
        SampleState,
        INNER,
        InnerState,
    ),
    'VMSTATE_STRUCT_POINTER("opaque_ptr", SampleState): member is void *, not InnerState *': (
        "opaque_ptr",
        SampleState,
        INNER,
        InnerState,
    ),
    'VMSTATE_STRUCT_POINTER("inner_ptr", SampleState): member is InnerState *, not 4 bytes *': (
        "inner_ptr",
        SampleState,
        INNER,
        4,
    ),
    'VMSTATE_ARRAY_OF_POINTER_TO_STRUCT("inner_array", SampleState): member is InnerState[4], not InnerState *[4]': (
        "inner_array",
        SampleState,
        4,
        0,
        INNER,
        InnerState,
    ),
    'VMSTATE_VARRAY_UINT32("u32_ptr", SampleState): member is uint32_t *, not uint16_t *': (
        "u32_ptr",
        SampleState,
        "count_u32",
        0,
        model.vmstate_info_uint16,
        ctypes.c_uint16,
    ),
    'VMSTATE_VARRAY_UINT32("count_i32", SampleState): member is int32_t, not uint32_t': (
        "u32_ptr",
        SampleState,
        "count_i32",
        0,
        model.vmstate_info_uint32,
        ctypes.c_uint32,
    ),
    'VMSTATE_ARRAY_INT32_UNSAFE("u16_ptr", SampleState): member is uint16_t *, not uint16_t[]': (
        "u16_ptr",
        SampleState,
        "count_i32",
        model.vmstate_info_uint16,
        ctypes.c_uint16,
    ),
    'VMSTATE_STRUCT_VARRAY_UINT8("inner_array", SampleState): member is InnerState[4], not ElementState[]': (
        "inner_array",
        SampleState,
        "count_u8",
        0,
        INNER,
        ElementState,
    ),
    'VMSTATE_UINT32_SUB_ARRAY("u32_array", SampleState): [10:14] is not within uint32_t[13]': (
        "u32_array",
        SampleState,
        10,
        4,
    ),
    'VMSTATE_UINT32_SUB_ARRAY("u32_array", SampleState): [-1:3] is not within uint32_t[13]': (
        "u32_array",
        SampleState,
        -1,
        4,
    ),
    'VMSTATE_UINT32_SUB_ARRAY("u16_array", SampleState): member is uint16_t[11], not uint32_t[]': (
        "u16_array",
        SampleState,
        0,
        4,
    ),
    'VMSTATE_PARTIAL_BUFFER("buffer", SampleState): [0:33] is not within uint8_t[32]': ("buffer", SampleState, 33),
    'VMSTATE_BUFFER_START_MIDDLE("buffer", SampleState): [33:32] is not within uint8_t[32]': (
        "buffer",
        SampleState,
        33,
    ),
    'VMSTATE_VBUFFER("size_u32", SampleState): member is uint32_t, not int32_t': (
        "vbuffer",
        SampleState,
        0,
        None,
        "size_u32",
    ),
    'VMSTATE_WITH_TMP("parent", LateParent): it must be the first member': (SampleState, LateParent, INNER),
    'VMSTATE_WITH_TMP("parent", WrongParent): member is InnerState *, not SampleState *': (
        SampleState,
        WrongParent,
        INNER,
    ),
    'VMSTATE_WITH_TMP("parent", InnerState): InnerState has no member parent': (SampleState, InnerState, INNER),
    'VMSTATE_QTAILQ_V("next", ElementState): ElementState has no member next': (
        "tailq",
        SampleState,
        0,
        INNER,
        ElementState,
        "next",
    ),
    'VMSTATE_UINT32("nix", SampleState): SampleState has no member nix': ("nix", SampleState),
    'VMSTATE_UINT32("", SampleState): SampleState has no member ': ("", SampleState),
    'VMSTATE_UINT8("queue.lane.ctl", SampleState): LaneState[2] has no member ctl': ("queue.lane.ctl", SampleState),
    'VMSTATE_UINT8("queue.lane[2].ctl", SampleState): index 2 is outside of LaneState[2]': (
        "queue.lane[2].ctl",
        SampleState,
    ),
    'VMSTATE_UINT8("u8[0]", SampleState): uint8_t has no member [0]': ("u8[0]", SampleState),
    'VMSTATE_UINT8("u8_array[0", SampleState): uint8_t[9] has no member [0': ("u8_array[0", SampleState),
    'VMSTATE_UINT32("bits", Outer): Outer has no member bits': ("bits", Outer),
    'VMSTATE_INT32("mac_reg[ICR]", Outer): index ICR is unknown; set Outer.ICR to its number': ("mac_reg[ICR]", Outer),
    'VMSTATE_INT32("mac_reg[-1]", Outer): index -1 is unknown; set Outer.-1 to its number': ("mac_reg[-1]", Outer),
    'VMSTATE_INT32("mac_reg[FAR]", Outer): index 8 is outside of int32_t[8]': ("mac_reg[FAR]", Outer),
    "VMSTATE_UINT32: 'SampleState' is not a struct; give a ctypes.Structure, or None": ("u32", "SampleState"),
}


@pytest.mark.parametrize(("message", "arguments"), REFUSED.items())
def test_what_a_c_compiler_refuses_is_refused(message, arguments):
    """Errors name the macro, the member, its type, and the expected type."""
    constructor = getattr(constructors, re.match(r"\w+", message)[0])
    with pytest.raises(VMStateError) as error:
        constructor(*arguments)
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
