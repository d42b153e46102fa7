"""The source always sends a subsection that the destination does not know."""

VERDICT = "breaks"
WHY = "A subsection without needed() is always sent, so a destination without it can never load the section."
EXAMPLE = "a subsection whose .needed was forgotten"
REMEDY = "Give the subsection a needed() that returns false for old machine types."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_section_needed, vmstate_subsection_load",)
MESSAGE = "the destination does not know {subsection}, which the source always sends (it has no needed())"
ERROR = "{load_failed}"
