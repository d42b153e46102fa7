"""The two sides determine the length of a field differently, at least one of them at run time."""

VERDICT = "conditional"
WHY = (
    "The device determines at run time how many bytes are sent. If the two lengths differ, the section does not end "
    "where the destination expects its footer."
)
EXAMPLE = "a VARRAY of uint8 that became a VARRAY of uint32; an array that became a VBUFFER"
REMEDY = "Keep the field, and send the new form in a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_size, vmstate_n_elems",)
MESSAGE = "{difference}; the two lengths can differ"
ERROR = "{missing_footer}"
CONDITION = "the lengths of {field} differ"
