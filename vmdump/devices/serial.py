"""16550A UART: isa-serial, pci-serial.

Demonstrates subsections: everything added to the stream over the years is in seven of them. Each is sent only if the
guest would notice its absence, so that migration to older versions works in most states.

Source: QEMU 10.0 hw/char/serial.c, hw/char/serial-isa.c, hw/char/serial-pci.c.
"""

from ctypes import POINTER, Structure, c_int, c_uint8, c_uint16, c_uint32, sizeof
from typing import Any

from vmdump.devices.fifo8 import Fifo8, fifo8_is_empty, vmstate_fifo8
from vmdump.devices.isa import ISADevice
from vmdump.devices.layout import sized
from vmdump.devices.pci import VMSTATE_PCI_DEVICE, PCIDevice
from vmdump.devices.qdev import DeviceState, timer_pending
from vmdump.qom import DeviceCategory, DeviceClass, TypeInfo, TypeTable
from vmdump.vmstate import (
    VMSTATE_INT32,
    VMSTATE_STRUCT,
    VMSTATE_TIMER_PTR,
    VMSTATE_UINT8,
    VMSTATE_UINT8_V,
    VMSTATE_UINT16_V,
    VMSTATE_UINT32,
    QEMUTimer,
    VMStateDescription,
)

UART_IER_THRI = 0x02  # interrupt enable: transmitter holding register empty
UART_IIR_ID = 0x06  # bits that identify an interrupt
UART_IIR_THRI = 0x02


@sized(640)
class SerialState(Structure):
    """The UART independently of its bus."""

    _fields_ = [
        ("parent", DeviceState),
        ("divider", c_uint16),
        ("rbr", c_uint8),
        ("thr", c_uint8),
        ("tsr", c_uint8),
        ("ier", c_uint8),
        ("iir", c_uint8),
        ("lcr", c_uint8),
        ("mcr", c_uint8),
        ("lsr", c_uint8),
        ("msr", c_uint8),
        ("scr", c_uint8),
        ("fcr", c_uint8),
        ("fcr_vmstate", c_uint8),
        ("thr_ipending", c_int),
        ("tsr_retry", c_uint32),
        ("recv_fifo", Fifo8),
        ("xmit_fifo", Fifo8),
        ("fifo_timeout_timer", POINTER(QEMUTimer)),
        ("timeout_ipending", c_int),
        ("poll_msl", c_int),
        ("modem_status_poll", POINTER(QEMUTimer)),
    ]


def serial_pre_save(s: SerialState) -> int:
    # A copy is sent, because post_load must set fcr through serial_write_fcr() for its side effects.
    s.fcr_vmstate = s.fcr
    return 0


def serial_pre_load(s: SerialState) -> int:
    s.thr_ipending = -1  # stays -1 if the subsection is not sent; checked by post_load
    s.poll_msl = -1
    return 0


def serial_thr_ipending_needed(s: SerialState) -> bool:
    # Only if it differs from what the interrupt registers imply. It has no effect while the interrupt is disabled.
    return bool(s.ier & UART_IER_THRI and s.thr_ipending != (s.iir & UART_IIR_ID == UART_IIR_THRI))


vmstate_serial_thr_ipending = VMStateDescription(
    "serial/thr_ipending",
    version_id=1,
    minimum_version_id=1,
    needed=serial_thr_ipending_needed,
    fields=(VMSTATE_INT32("thr_ipending", SerialState),),
)


def serial_tsr_needed(s: SerialState) -> bool:
    return bool(s.tsr_retry != 0)


vmstate_serial_tsr = VMStateDescription(
    "serial/tsr",
    version_id=1,
    minimum_version_id=1,
    needed=serial_tsr_needed,
    fields=(
        VMSTATE_UINT32("tsr_retry", SerialState),
        VMSTATE_UINT8("thr", SerialState),
        VMSTATE_UINT8("tsr", SerialState),
    ),
)


def serial_recv_fifo_needed(s: SerialState) -> bool:
    return not fifo8_is_empty(s.recv_fifo)


vmstate_serial_recv_fifo = VMStateDescription(
    "serial/recv_fifo",
    version_id=1,
    minimum_version_id=1,
    needed=serial_recv_fifo_needed,
    fields=(VMSTATE_STRUCT("recv_fifo", SerialState, 1, vmstate_fifo8, Fifo8),),
)


def serial_xmit_fifo_needed(s: SerialState) -> bool:
    return not fifo8_is_empty(s.xmit_fifo)


vmstate_serial_xmit_fifo = VMStateDescription(
    "serial/xmit_fifo",
    version_id=1,
    minimum_version_id=1,
    needed=serial_xmit_fifo_needed,
    fields=(VMSTATE_STRUCT("xmit_fifo", SerialState, 1, vmstate_fifo8, Fifo8),),
)


def serial_fifo_timeout_timer_needed(s: SerialState) -> bool:
    return timer_pending(s.fifo_timeout_timer)


vmstate_serial_fifo_timeout_timer = VMStateDescription(
    "serial/fifo_timeout_timer",
    version_id=1,
    minimum_version_id=1,
    needed=serial_fifo_timeout_timer_needed,
    fields=(VMSTATE_TIMER_PTR("fifo_timeout_timer", SerialState),),
)


def serial_timeout_ipending_needed(s: SerialState) -> bool:
    return bool(s.timeout_ipending != 0)


vmstate_serial_timeout_ipending = VMStateDescription(
    "serial/timeout_ipending",
    version_id=1,
    minimum_version_id=1,
    needed=serial_timeout_ipending_needed,
    fields=(VMSTATE_INT32("timeout_ipending", SerialState),),
)


def serial_poll_needed(s: SerialState) -> bool:
    return bool(s.poll_msl >= 0)


vmstate_serial_poll = VMStateDescription(
    "serial/poll",
    version_id=1,
    minimum_version_id=1,
    needed=serial_poll_needed,
    fields=(
        VMSTATE_INT32("poll_msl", SerialState),
        VMSTATE_TIMER_PTR("modem_status_poll", SerialState),
    ),
)

vmstate_serial = VMStateDescription(
    "serial",
    version_id=3,
    minimum_version_id=2,
    pre_save=serial_pre_save,
    pre_load=serial_pre_load,
    post_load=True,
    fields=(
        VMSTATE_UINT16_V("divider", SerialState, 2),
        VMSTATE_UINT8("rbr", SerialState),
        VMSTATE_UINT8("ier", SerialState),
        VMSTATE_UINT8("iir", SerialState),
        VMSTATE_UINT8("lcr", SerialState),
        VMSTATE_UINT8("mcr", SerialState),
        VMSTATE_UINT8("lsr", SerialState),
        VMSTATE_UINT8("msr", SerialState),
        VMSTATE_UINT8("scr", SerialState),
        VMSTATE_UINT8_V("fcr_vmstate", SerialState, 3),
    ),
    subsections=(
        vmstate_serial_thr_ipending,
        vmstate_serial_tsr,
        vmstate_serial_recv_fifo,
        vmstate_serial_xmit_fifo,
        vmstate_serial_fifo_timeout_timer,
        vmstate_serial_timeout_ipending,
        vmstate_serial_poll,
    ),
)


class ISASerialState(Structure):
    """The ISA device."""

    _fields_ = [
        ("parent_obj", ISADevice),
        ("state", SerialState),
    ]


vmstate_isa_serial = VMStateDescription(
    "serial",
    version_id=3,
    minimum_version_id=2,
    fields=(VMSTATE_STRUCT("state", ISASerialState, 0, vmstate_serial, SerialState),),
)


class PCISerialState(Structure):
    """The PCI function."""

    _fields_ = [
        ("dev", PCIDevice),
        ("state", SerialState),
    ]


vmstate_pci_serial = VMStateDescription(
    "pci-serial",
    version_id=1,
    minimum_version_id=1,
    fields=(
        VMSTATE_PCI_DEVICE("dev", PCISerialState),
        VMSTATE_STRUCT("state", PCISerialState, 0, vmstate_serial, SerialState),
    ),
)


def serial_class_init(dc: DeviceClass, data: Any) -> None:
    # No description: the two devices below embed this one and migrate its state with theirs.
    dc.user_creatable = False


def serial_isa_class_initfn(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_isa_serial
    dc.categories |= DeviceCategory.INPUT


def serial_pci_class_initfn(dc: DeviceClass, data: Any) -> None:
    dc.vmsd = vmstate_pci_serial
    dc.categories |= DeviceCategory.INPUT


def register_types(table: TypeTable) -> None:
    table.type_register(
        TypeInfo("serial", parent="device", instance_size=sizeof(SerialState), class_init=serial_class_init)
    )
    table.type_register(
        TypeInfo(
            "isa-serial",
            parent="isa-device",
            instance_size=sizeof(ISASerialState),
            class_init=serial_isa_class_initfn,
        )
    )
    table.type_register(
        TypeInfo(
            "pci-serial",
            parent="pci-device",
            instance_size=sizeof(PCISerialState),
            class_init=serial_pci_class_initfn,
            interfaces=("conventional-pci-device",),
        )
    )
