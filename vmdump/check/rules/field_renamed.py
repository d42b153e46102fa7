"""A field has a different name and the same bytes in the destination."""

VERDICT = "safe"
WHY = "Field names are not sent."
EXAMPLE = "hpet: num_timers of QEMU 7.2 is named num_timers_save in 10.0"
REMEDY = "None needed."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = "{field} is named {other} in the destination"
