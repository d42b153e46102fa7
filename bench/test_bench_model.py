"""Micro-benchmarks of making fields and descriptions: pytest -n 0 bench/ --benchmark-only -k model

Compare medians of one run only; the bare VMStateField is the lower bound of every constructor.
"""

import pytest
from inputs import ChipState, make_fields

from vmdump.vmstate import (
    VMSTATE_STRUCT,
    VMSTATE_UINT32,
    VMSTATE_UINT32_ARRAY,
    VMSTATE_UINT32_TEST,
    VMSTATE_UINT32_V,
    VMSTATE_UNUSED,
    VMStateDescription,
    VMStateField,
    VMStateFlags,
    vmstate_info_uint32,
)

pytestmark = pytest.mark.benchmark(group="one field")

LANE = VMStateDescription("lane", fields=[])

CONSTRUCTORS = {
    "VMSTATE_UINT32": lambda: VMSTATE_UINT32("reg0", ChipState),
    "VMSTATE_UINT32 without struct": lambda: VMSTATE_UINT32("reg0", None),
    "VMSTATE_UINT32_V": lambda: VMSTATE_UINT32_V("reg0", ChipState, 2),
    "VMSTATE_UINT32_TEST": lambda: VMSTATE_UINT32_TEST("reg0", ChipState, lambda state, version_id: True),
    "VMSTATE_UINT32_ARRAY": lambda: VMSTATE_UINT32_ARRAY("lane", ChipState, 4),
    "VMSTATE_STRUCT": lambda: VMSTATE_STRUCT("reg0", ChipState, 1, LANE, 4),
    "VMSTATE_UNUSED": lambda: VMSTATE_UNUSED(4),
}


@pytest.mark.parametrize("make", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_constructor(benchmark, make):
    """One VMSTATE_* call."""
    assert isinstance(benchmark(make), VMStateField)


def test_bare_field(benchmark):
    """VMStateField itself, with a constructor's arguments."""
    info, single = vmstate_info_uint32, VMStateFlags.SINGLE
    assert benchmark(lambda: VMStateField("reg0", 16, 4, 0, single, 0, 0, info, None, None)).size == 4


@pytest.mark.benchmark(group="one description")
def test_description(benchmark):
    """A description of 20 existing fields, which are checked and stored as a tuple."""
    fields = make_fields()
    assert len(benchmark(VMStateDescription, "chip", version_id=2, fields=fields).fields) == len(fields) - 1
