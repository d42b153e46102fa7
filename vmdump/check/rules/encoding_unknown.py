"""A value is put on the wire by other code, which the descriptions do not show."""

VERDICT = "conditional"
WHY = (
    "A VMStateInfo of a device's own writes what it likes; whether the other side reads the same bytes can't be "
    "told from the descriptions."
)
EXAMPLE = "fsr of SPARC CPUs: a uint32 in QEMU 7.2, a VMStateInfo of its own in 10.0"
REMEDY = "Compare the two VMStateInfo's put and get."
REFERENCES = ("QEMU 10.0.13 include/migration/vmstate.h struct VMStateInfo",)
MESSAGE = "{difference}; where the code of the two differs, the load fails or reads wrong values"
ERROR = "{missing_footer}"
CONDITION = "the two sides' code for {field} does not agree"
