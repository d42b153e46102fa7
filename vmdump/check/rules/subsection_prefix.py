"""A subsection is never found on load, because its name does not start with its parent's."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = (
    "QEMU looks for a subsection only if its name starts with the name of its parent description and is longer. "
    "Otherwise the subsection stays in the stream, where the destination expects the footer of the section."
)
EXAMPLE = "a description named device with a subsection named dev/x, or only x"
REMEDY = "Name the subsection PARENT/PART."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = "{subsection} is never found on load: its name does not start with {description}/"
ERROR = "{missing_footer}"
