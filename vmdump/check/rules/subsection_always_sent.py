"""The source always sends a subsection that the destination does not know."""

VERDICT = "breaks"
WHY = "A subsection without needed is always sent; a destination without it can't load any state."
EXAMPLE = "a subsection whose .needed was forgotten"
REMEDY = "Give the subsection a needed."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_section_needed, vmstate_subsection_load",)
MESSAGE = "the source always sends {subsection}, which has no needed, and the destination does not know it"
ERROR = "{load_failed}"
