"""Source and destination encode a value differently, at least one of them in code."""

VERDICT = "conditional"
WHY = (
    "A VMStateInfo defined by a device may write any bytes. The descriptions do not show whether the other side reads "
    "the same bytes."
)
EXAMPLE = "fsr of SPARC CPUs: a uint32 in QEMU 7.2, a VMStateInfo of its own in 10.0"
REMEDY = "Compare the put and get functions of both VMStateInfos."
REFERENCES = ("QEMU 10.0.13 include/migration/vmstate.h struct VMStateInfo",)
MESSAGE = "{difference}; if the encodings differ, the load fails or reads wrong values"
ERROR = "{missing_footer}"
CONDITION = "the encodings of {field} differ"
