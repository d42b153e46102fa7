"""The source always sends a field that the destination reads only if a test passes."""

VERDICT = "conditional"
WHY = "If the test fails, the destination reads the bytes of the field as the next field."
EXAMPLE = "VMSTATE_UINT32 changed to VMSTATE_UINT32_TEST"
REMEDY = "Make the test pass for streams of older QEMUs."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists",)
MESSAGE = "the source always sends {field}, which the destination reads only if its test passes"
ERROR = "{missing_footer}"
CONDITION = "the destination's test of {field} fails"
