"""The destination refuses a value that differs from its own."""

VERDICT = "conditional"
WHY = "A VMSTATE_*_EQUAL field or a VMSTATE_VALIDATE is a check that only the destination makes."
EXAMPLE = "VMSTATE_UINT32 changed to VMSTATE_UINT32_EQUAL"
REMEDY = "Configure source and destination alike."
REFERENCES = (
    "QEMU 10.0.13 migration/vmstate-types.c get_uint32_equal",
    "QEMU 10.0.13 migration/vmstate.c vmstate_load_state (VMS_MUST_EXIST)",
)
MESSAGE = "the destination compares {field} with its own value and refuses the load if they differ"
ERROR = {
    "equal": "{field_failed}",
    "validate": "{validation_failed}",
}
CONDITION = "{field} differs from the destination's value"
