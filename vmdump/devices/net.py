"""Configuration of network cards: NICConf and its MAC address, VMSTATE_MACADDR.

Source: QEMU 10.0 include/net/net.h.
"""

from ctypes import Structure, c_uint8, sizeof

from vmdump.vmstate import VMSTATE_BUFFER_UNSAFE, VMStateField


class MACAddr(Structure):
    """An Ethernet address."""

    _fields_ = [("a", c_uint8 * 6)]


class NICConf(Structure):
    """User configuration of a network card."""

    _fields_ = [("macaddr", MACAddr)]


def VMSTATE_MACADDR(_field: str, _state: type[Structure] | None) -> VMStateField:
    """Return the field of a MACAddr, sent as 6 bytes."""
    return VMSTATE_BUFFER_UNSAFE(_field, _state, 0, sizeof(MACAddr))
