"""A subsection without needed."""

VERDICT = "safe"
LEVEL = "notice"
WHY = "It is always sent, so a destination that does not know it can't load anything."
EXAMPLE = "a subsection whose .needed was forgotten"
REMEDY = "Give it a needed."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_section_needed",)
MESSAGE = "{subsection} has no needed: it is always sent"
