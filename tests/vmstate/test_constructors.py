"""The VMSTATE_* constructors make the fields of QEMU's macros.

The expected fields are in data/vmstate_macros.json: a C compiler made them from QEMU's own header.
"""

import ctypes
import inspect
from ctypes import POINTER, Structure
from types import MappingProxyType

import pytest
from support.sample_state import (
    FACTS,
    ElementState,
    InnerState,
    KeyState,
    LaneState,
    LinkState,
    QueueState,
    SampleState,
    sample_test,
)

from vmdump.errors import VMStateError
from vmdump.vmstate import constructors, model
from vmdump.vmstate.constructors import *  # noqa: F403
from vmdump.vmstate.constructors import QEMUTimer
from vmdump.vmstate.model import VMStateDescription, VMStateField, VMStateFlags, VMStateInfo


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
