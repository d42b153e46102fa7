"""Fields were replaced by others, and the dumps do not show whether these are the same bytes."""

VERDICT = "unknown"
WHY = (
    "-dump-vmstate prints the size of one element. Fields whose sizes differ are the same bytes if one of them is an "
    "array of the right length; otherwise the load fails."
)
EXAMPLE = "an array of bool that became VMSTATE_UNUSED(5), in dumps of QEMU 8.1 and older"
REMEDY = "Check the QEMU binaries instead of their dumps: binaries have the lengths of arrays."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c dump_vmstate_vmsf",)
MESSAGE = "not compared: whether {n} field(s) from {field} on and {m} in the destination are the same bytes"
