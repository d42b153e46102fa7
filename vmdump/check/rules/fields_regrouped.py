"""The same bytes are divided into different fields in the destination."""

VERDICT = "safe"
WHY = "The stream does not mark where a field or a struct begins."
EXAMPLE = "sb16: five 4-byte fields became 20 unused bytes in QEMU 10.0"
REMEDY = "None needed."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = "the bytes of {n} field(s) from {field} on are {m} field(s) from {other} on in the destination"
