"""A field that the source sends only if its test passes is always read by the destination."""

VERDICT = "conditional"
WHY = "When the test says no, the destination reads bytes that were not sent."
EXAMPLE = "VMSTATE_UINT32_TEST that became VMSTATE_UINT32"
REMEDY = "Keep the test."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists",)
MESSAGE = "{field} is sent only if its test passes, but always read"
ERROR = "{missing_footer}"
CONDITION = "the source's test of {field} does not pass"
