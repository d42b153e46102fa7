"""A field of no bytes."""

VERDICT = "safe"
LEVEL = "notice"
WHY = "It is sent, and carries nothing: its size is 0, or it is an array of no elements."
EXAMPLE = "VMSTATE_UNUSED(0)"
REMEDY = "Take it out, or give it its size."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_save_state_v",)
MESSAGE = "{field} is {what}: it carries nothing"
