"""The same bytes are described in other pieces."""

VERDICT = "safe"
WHY = "Nothing on the wire marks where a field or a struct begins."
EXAMPLE = "sb16: five fields of 4 bytes that are 20 unused ones in QEMU 10.0"
REMEDY = "None."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = "the bytes of {field}, {n} field(s), are those of {other}, {m} field(s), in the destination"
