"""A subsection has no needed(), so it is always sent."""

VERDICT = "safe"
LEVEL = "notice"
WHY = "A destination that does not know the subsection can never load the section."
EXAMPLE = "a subsection whose .needed was forgotten"
REMEDY = "Give the subsection a needed()."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_section_needed",)
MESSAGE = "{subsection} has no needed(): it is always sent"
