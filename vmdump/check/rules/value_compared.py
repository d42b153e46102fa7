"""The destination compares a value with its own and refuses what differs."""

VERDICT = "conditional"
WHY = "An _EQUAL field or a VMSTATE_VALIDATE is an assertion of the destination, that the source knows nothing of."
EXAMPLE = "VMSTATE_UINT32 that became VMSTATE_UINT32_EQUAL"
REMEDY = "Configure both sides alike."
REFERENCES = (
    "QEMU 10.0.13 migration/vmstate-types.c get_uint32_equal",
    "QEMU 10.0.13 migration/vmstate.c vmstate_load_state (VMS_MUST_EXIST)",
)
MESSAGE = "the destination compares {field} with its own value and refuses the load if they differ"
ERROR = {
    "equal": "{field_failed}",
    "validate": "{validation_failed}",
}
CONDITION = "{field} differs from the destination's own"
