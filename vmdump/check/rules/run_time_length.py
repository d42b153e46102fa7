"""Bytes that are counted at run time on one side are not, or counted otherwise, on the other."""

VERDICT = "conditional"
WHY = (
    "How many bytes travel is what the device says on each side; where that differs, the end of the section is not "
    "where it is expected."
)
EXAMPLE = "a VARRAY of uint8 that became one of uint32; a VBUFFER that replaces an array"
REMEDY = "Keep the field, and send the new form in a subsection."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_size, vmstate_n_elems",)
MESSAGE = "{difference}; the two lengths can differ"
ERROR = "{missing_footer}"
CONDITION = "the bytes of {field} differ"
