"""Fields of the same bytes stand in another order."""

VERDICT = "breaks"
WHY = "Nothing on the wire names a field: each is read from the bytes of another, and as they add up, no error tells."
EXAMPLE = "lun, ti_cmd against ti_cmd, lun"
REMEDY = "Keep the order of fields for ever; sort them in the struct, not in its description."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = (
    "the destination reads {field} from the bytes of another field, as its fields have another order; the load "
    "succeeds, with wrong values"
)
