"""The destination always reads a field that the source sends only if a test passes."""

VERDICT = "conditional"
WHY = "If the test fails, the destination reads bytes that were not sent."
EXAMPLE = "VMSTATE_UINT32_TEST changed to VMSTATE_UINT32"
REMEDY = "Keep the test."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists",)
MESSAGE = "the destination always reads {field}, which the source sends only if its test passes"
ERROR = "{missing_footer}"
CONDITION = "the source's test of {field} fails"
