"""A dump does not tell how many elements arrays have."""

VERDICT = "unknown"
WHY = (
    "QEMU 8.1 and older print of an array the size of one element. Whether the other side has as many is not to be "
    "seen; if not, the load ends with `Missing section footer`."
)
EXAMPLE = "regs of usb-dwc3: 333 in QEMU 7.2, 384 in 10.0"
REMEDY = "Check the binaries in place of their dumps."
REFERENCES = ("QEMU 8.2.2 migration/savevm.c dump_vmstate_vmsf (VMS_ARRAY)",)
MESSAGE = "not compared: the lengths of arrays, not told by {who}"
