"""Array lengths could not be compared, because a dump does not contain them."""

VERDICT = "unknown"
WHY = (
    "-dump-vmstate of QEMU 8.1 and older prints the size of one array element, but not the number of elements. If the "
    "numbers differ, the load fails with `Missing section footer`."
)
EXAMPLE = "regs of usb-dwc3: 333 elements in QEMU 7.2, 384 in 10.0"
REMEDY = "Check the QEMU binaries instead of their dumps."
REFERENCES = ("QEMU 8.2.2 migration/savevm.c dump_vmstate_vmsf (VMS_ARRAY)",)
MESSAGE = "not compared: array lengths, which are missing from {dumps}"
