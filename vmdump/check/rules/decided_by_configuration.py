"""A function that decides about a field or subsection depends on the device's configuration alone."""

VERDICT = "safe"
WHY = (
    "The function was called in an emulated VM of the machine type, and its reads of memory were traced. It reads "
    "constants and properties, which QEMU refuses to change once a device is realized, so its result is the same in "
    "every VM whose devices have these properties, whatever the guest does."
)
EXAMPLE = (
    "e1000e under pc-q35-7.2: the test of core.timadj returns false in QEMU 10.0, as it reads only "
    "migrate-timadj = off, which a compat entry of that machine type sets"
)
REMEDY = "None needed, unless a VM sets one of the properties to a value other than the machine type's."
REFERENCES = ("QEMU 10.0.13 hw/core/qdev-properties.c qdev_prop_set, migration/vmstate.c vmstate_field_exists",)
MESSAGE = "under {machine}, {answer}"
