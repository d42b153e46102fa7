"""Parallel port on the ISA bus: isa-parallel.

Demonstrates fields for members of a nested struct that has no description of its own.

Source: QEMU 10.0 include/hw/char/parallel.h, include/hw/char/parallel-isa.h, hw/char/parallel.c.
"""

from ctypes import Structure, c_int, c_uint8, sizeof
from typing import Any

from vmdump.devices.isa import ISADevice
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import VMSTATE_INT32, VMSTATE_UINT8, VMStateDescription


class ParallelState(Structure):
    """The port independently of its bus."""

    _fields_ = [
        ("dataw", c_uint8),
        ("datar", c_uint8),
        ("status", c_uint8),
        ("control", c_uint8),
        ("irq_pending", c_int),
        ("epp_timeout", c_int),
    ]


class ISAParallelState(Structure):
    """The ISA device."""

    _fields_ = [
        ("parent_obj", ISADevice),
        ("state", ParallelState),
    ]


vmstate_parallel_isa = VMStateDescription(
    "parallel_isa",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_UINT8("state.dataw", ISAParallelState),
        VMSTATE_UINT8("state.datar", ISAParallelState),
        VMSTATE_UINT8("state.status", ISAParallelState),
        VMSTATE_UINT8("state.control", ISAParallelState),
        VMSTATE_INT32("state.irq_pending", ISAParallelState),
        VMSTATE_INT32("state.epp_timeout", ISAParallelState),
    ),
)


def parallel_isa_class_initfn(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_parallel_isa
    dc.categories |= DeviceCategory.INPUT


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo(
            "isa-parallel",
            parent="isa-device",
            instance_size=sizeof(ISAParallelState),
            class_init=parallel_isa_class_initfn,
        )
    )
