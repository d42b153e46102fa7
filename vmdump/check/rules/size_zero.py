"""A field sends no bytes, so its value is not migrated."""

VERDICT = "safe"
LEVEL = "notice"
WHY = "Its size is 0, or it is an array without elements."
EXAMPLE = "VMSTATE_UNUSED(0)"
REMEDY = "Remove the field, or give it its size."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_save_state_v",)
MESSAGE = "{field} is {what}: it sends nothing"
