"""Fields of the same size are in a different order, so the load succeeds with wrong values."""

VERDICT = "breaks"
WHY = (
    "The stream carries no field names, so each field is read from the bytes of another. As the sizes add up, QEMU "
    "reports no error."
)
EXAMPLE = "lun, ti_cmd in the source; ti_cmd, lun in the destination"
REMEDY = "Never reorder the fields of a description; the members of its C struct may be in any order."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = (
    "the destination reads {field} from the bytes of another field, because its fields are in a different order; the "
    "load "
    "succeeds with wrong values"
)
