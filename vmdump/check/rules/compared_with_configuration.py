"""A value that is compared after it has travelled."""

VERDICT = "safe"
LEVEL = "notice"
WHY = "It is the destination's configuration, or its host's, that decides whether the load fails."
EXAMPLE = "VMSTATE_UINT32_EQUAL(num_cpu, State)"
REMEDY = "Check the configuration before the migration starts."
REFERENCES = ("QEMU 10.0.13 migration/vmstate-types.c get_uint32_equal",)
MESSAGE = "{field} ({info}) has to be what the destination has: a difference in configuration ends the load"
