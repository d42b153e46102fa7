"""VMStateDescription and VMStateField: accepted arguments, attributes, and errors."""

import copy
import gc
import pickle
import subprocess
import sys
import weakref

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdump._core import lib
from vmdump.errors import VMStateError
from vmdump.vmstate.constructors import VMSTATE_END_OF_LIST, VMSTATE_UNUSED
from vmdump.vmstate.model import (
    MigrationPriority,
    VMStateDescription,
    VMStateField,
    VMStateFlags,
    VMStateInfo,
    vmstate_info_uint64_equal,
)

A, B = VMStateField("a"), VMStateField("b")
SUB = VMStateDescription("sub")

#: msgspec 0.19 does not call __post_init__ for copies.
replace_checks = pytest.mark.skipif(
    tuple(map(int, msgspec.__version__.split(".")[:2])) < (0, 20), reason="msgspec < 0.20 does not check copies"
)


def test_flags_are_qemus():
    """The bits of QEMU 8.2's enum VMStateFlags; later flags have bits unused in it."""
    assert {flag.name: flag.value for flag in VMStateFlags if flag is not VMStateFlags.ARRAY_OF_POINTER_AUTO_ALLOC} == {
        "SINGLE": 0x1,
        "POINTER": 0x2,
        "ARRAY": 0x4,
        "STRUCT": 0x8,
        "VARRAY_INT32": 0x10,
        "BUFFER": 0x20,
        "ARRAY_OF_POINTER": 0x40,
        "VARRAY_UINT16": 0x80,
        "VBUFFER": 0x100,
        "MULTIPLY": 0x200,
        "VARRAY_UINT8": 0x400,
        "VARRAY_UINT32": 0x800,
        "MUST_EXIST": 0x1000,
        "ALLOC": 0x2000,
        "MULTIPLY_ELEMENTS": 0x4000,
        "VSTRUCT": 0x8000,
        "END": 0x10000,
    }


def test_flags_are_those_of_c():
    """The C core and the header for C modules have the same numbers."""
    assert {name.removeprefix("VMS_"): getattr(lib, name) for name in dir(lib) if name.startswith("VMS_")} == {
        flag.name: flag for flag in VMStateFlags if flag is not VMStateFlags.ARRAY_OF_POINTER_AUTO_ALLOC
    }
    assert lib.VMD_ARRAY == VMStateFlags.ARRAY
    assert lib.VMD_MUST_EXIST == VMStateFlags.MUST_EXIST
    assert lib.VMD_AUTO_ALLOC == VMStateFlags.ARRAY_OF_POINTER_AUTO_ALLOC


def test_priorities_are_qemus():
    """The values of QEMU 8.2's enum MigrationPriority."""
    assert [priority.name for priority in MigrationPriority] == [
        "DEFAULT",
        "IOMMU",
        "PCI_BUS",
        "VIRTIO_MEM",
        "GICV3_ITS",
        "GICV3",
    ]
    assert [int(priority) for priority in MigrationPriority] == [0, 1, 2, 3, 4, 5]


def test_qemus_misspelling_is_kept():
    """QEMU's misspelling is kept, as streams contain it."""
    assert vmstate_info_uint64_equal.name == "int64 equal"


def test_defaults_are_cs_zeros():
    """Defaults equal C's: 0, NULL or false; unknown offsets are None."""
    field = VMStateField("x")
    assert {name: getattr(field, name) for name in VMStateField.__struct_fields__} == {
        "name": "x",
        "offset": None,
        "size": 0,
        "num": 0,
        "flags": 0,
        "version_id": 0,
        "struct_version_id": 0,
        "info": None,
        "vmsd": None,
        "field_exists": None,
        "start": 0,
        "num_offset": None,
        "size_offset": None,
        "err_hint": None,
    }
    description = VMStateDescription("x")
    assert (description.version_id, description.minimum_version_id, description.priority) == (0, 0, 0)
    assert (description.fields, description.subsections, description.needed) == (None, None, None)
    assert (description.unmigratable, description.early_setup) == (False, False)


@pytest.mark.parametrize("given_as", [list, tuple, iter, lambda fields: (field for field in fields)])
def test_any_iterable_becomes_a_tuple(given_as):
    """Fields and subsections may be a list, a tuple or a generator."""
    description = VMStateDescription("x", fields=given_as([A, B]), subsections=given_as([SUB]))
    assert (description.fields, description.subsections) == ((A, B), (SUB,))
    assert (type(description.fields), type(description.subsections)) == (tuple, tuple)


def test_none_and_empty_differ():
    """QEMU prints "Fields" for an empty list, but not for NULL."""
    description = VMStateDescription("x", fields=[], subsections=None)
    assert (description.fields, description.subsections) == ((), None)
    only_terminators = VMStateDescription("x", fields=[VMSTATE_END_OF_LIST()], subsections=[None])
    assert (only_terminators.fields, only_terminators.subsections) == ((), ())


def test_terminators_are_dropped():
    """A list with C's terminator equals the list without it."""
    description = VMStateDescription("x", fields=[A, VMSTATE_END_OF_LIST()], subsections=[SUB, None])
    assert (description.fields, description.subsections) == ((A,), (SUB,))


REFUSED = {
    "x: fields[1] ends the list, but more follows; put it last": {"fields": [A, VMSTATE_END_OF_LIST(), B]},
    "x: fields[0] ends the list, but more follows; put it last": {
        "fields": [VMSTATE_END_OF_LIST(), VMSTATE_END_OF_LIST()]
    },
    "x: fields[1] has no name; end the list with VMSTATE_END_OF_LIST()": {"fields": [A, VMStateField(None)]},
    "x: fields[0] has no name; end the list with VMSTATE_END_OF_LIST()": {
        "fields": [VMStateField(None, flags=VMStateFlags.END | VMStateFlags.SINGLE)]
    },
    "x: fields[1] is VMStateDescription, not VMStateField": {"fields": [A, SUB]},
    "x: fields[1] is NoneType, not VMStateField": {"fields": [A, None]},
    "x: fields[0] is str, not VMStateField": {"fields": "ab"},
    "x: fields is int, not a list of VMStateField": {"fields": 3},
    "x: fields is VMStateField, not a list of VMStateField": {"fields": A},
    "x: subsections[0] ends the list, but more follows; put it last": {"subsections": [None, SUB]},
    "x: subsections[1] is VMStateField, not VMStateDescription": {"subsections": [SUB, VMSTATE_END_OF_LIST()]},
    "x: subsections is VMStateDescription, not a list of VMStateDescription": {"subsections": SUB},
}


@pytest.mark.parametrize(("message", "arguments"), REFUSED.items())
def test_wrong_elements_are_refused(message, arguments):
    """The error names the description and the index."""
    with pytest.raises(VMStateError) as error:
        VMStateDescription("x", **arguments)
    assert str(error.value) == message


def test_a_named_field_with_end_is_a_field():
    """As in QEMU, only the missing name ends the list; the flags are asserted afterwards."""
    odd = VMStateField("odd", flags=VMStateFlags.END)
    assert VMStateDescription("x", fields=[odd]).fields == (odd,)


def test_only_the_name_is_positional():
    """Versions must be given by keyword."""
    with pytest.raises(TypeError):
        VMStateDescription("x", 1)


def test_everything_is_immutable():
    """Descriptions are immutable like QEMU's const structs, so they can be shared and contain no cycles."""
    for thing, name in ((A, "size"), (SUB, "fields"), (VMStateInfo("x"), "name")):
        with pytest.raises(AttributeError):
            setattr(thing, name, None)


@replace_checks
def test_a_changed_copy_is_checked_too():
    """msgspec.structs.replace applies the same checks."""
    changed = msgspec.structs.replace(SUB, version_id=2, fields=[A, VMSTATE_END_OF_LIST()])
    assert (changed.version_id, changed.fields, SUB.fields) == (2, (A,), None)
    with pytest.raises(VMStateError):
        msgspec.structs.replace(SUB, fields=[None])


def test_descriptions_compare_by_value():
    """Descriptions with equal contents are equal and have equal hashes."""
    one, other = (VMStateDescription("x", version_id=1, fields=[VMSTATE_UNUSED(4)]) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != msgspec.structs.replace(one, fields=[VMSTATE_UNUSED(5)])


def test_copies_and_pickles_are_equal():
    """Copies and pickles are equal to the original."""
    description = VMStateDescription("x", fields=[VMStateField("s", vmsd=SUB, flags=VMStateFlags.STRUCT)])
    assert copy.deepcopy(description) == description
    assert pickle.loads(pickle.dumps(description)) == description


def test_hash_of_an_exponential_tree():
    """Sixty levels with two references to the next (2**60 paths) are hashed at once."""
    description = SUB
    for level in range(60):
        field = VMStateField("s", vmsd=description)
        description = VMStateDescription(f"level {level}", fields=[field, field])
    assert hash(description) == hash(VMStateDescription("level 59"))


def test_descriptions_have_attributes_and_weak_references():
    """Descriptions have an attribute dictionary and weak references, which do not affect comparison."""
    description = VMStateDescription("x")
    description.__dict__["native"] = object()
    assert description == VMStateDescription("x")
    reference = weakref.ref(description)
    del description
    gc.collect()
    assert reference() is None


def test_a_description_that_its_own_test_refers_to_is_collected():
    """A cycle of description, test function and module is garbage collected."""

    def make():
        def test(state, version_id):
            return description is not None

        description = VMStateDescription("x", fields=[VMStateField("f", field_exists=test)])
        return weakref.ref(description)

    reference = make()
    gc.collect()
    assert reference() is None


fields = st.builds(VMStateField, st.text(), size=st.integers(0), num=st.integers(), version_id=st.integers())
descriptions = st.recursive(
    st.builds(VMStateDescription, st.text()),
    lambda inner: st.builds(
        VMStateDescription,
        st.text(),
        fields=st.none() | st.lists(fields | st.builds(VMStateField, st.text(), vmsd=inner), max_size=3),
        subsections=st.none() | st.lists(inner, max_size=2),
    ),
    max_leaves=5,
)


@replace_checks
@given(description=descriptions)
def test_terminators_make_no_difference(description):
    """A description with terminators added equals the one without."""
    ended = msgspec.structs.replace(
        description,
        fields=None if description.fields is None else [*description.fields, VMSTATE_END_OF_LIST()],
        subsections=None if description.subsections is None else [*description.subsections, None],
    )
    assert ended == description
    assert hash(ended) == hash(description)


def fresh_python(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_the_model_does_not_import_ctypes():
    """The model does not import ctypes."""
    program = "import sys, vmdump.vmstate.model; print('ctypes' in sys.modules, end=' '); "
    program += "from vmdump.vmstate import VMSTATE_UINT8; print('ctypes' in sys.modules)"
    assert fresh_python(program) == "False True"


def test_the_package_exports_model_and_constructors():
    """``from vmdump.vmstate import *`` has all names that a device's module needs."""
    namespace = {}
    exec("from vmdump.vmstate import *", namespace)
    assert namespace["VMStateDescription"] is VMStateDescription
    assert namespace["VMSTATE_END_OF_LIST"] is VMSTATE_END_OF_LIST
    assert {"VMSTATE_UINT8", "VMStateFlags", "MigrationPriority", "vmstate_info_uint8", "QEMUTimer"} <= set(namespace)
    assert not {"msgspec", "Any", "offsetof", "Structure"} & set(namespace)


def test_unknown_name_is_an_import_error():
    """An unknown name is an ImportError."""
    with pytest.raises(ImportError):
        exec("from vmdump.vmstate import VMSTATE_NIX")
