"""A field that the source always sends is read by the destination only if its test passes."""

VERDICT = "conditional"
WHY = "When the test says no, the bytes that were sent are taken for the next field's."
EXAMPLE = "VMSTATE_UINT32 that became VMSTATE_UINT32_TEST"
REMEDY = "Let the test pass for what older QEMUs send."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists",)
MESSAGE = "{field} is always sent, but read only if its test passes"
ERROR = "{missing_footer}"
CONDITION = "the destination's test of {field} does not pass"
