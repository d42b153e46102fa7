"""The load fails if a value differs from the destination's own."""

VERDICT = "safe"
LEVEL = "notice"
WHY = "The outcome depends on how the destination or its host is configured, which no description shows."
EXAMPLE = "VMSTATE_UINT32_EQUAL(num_cpu, State)"
REMEDY = "Before the migration, make sure that source and destination are configured alike."
REFERENCES = ("QEMU 10.0.13 migration/vmstate-types.c get_uint32_equal",)
MESSAGE = "{field} ({info}) must match the destination: the load fails if the configurations differ"
