"""A subsection whose name does not begin with its parent's."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = (
    "A destination looks for a subsection only where its name begins with that of the description it belongs to. One "
    "that it does not look for is left in the stream, where the footer of the section is expected."
)
EXAMPLE = "a description called dev with a subsection called device/x, or x alone"
REMEDY = "Name it PARENT/PART."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = "{subsection} is never found when it is sent: its name does not begin with {description}/"
ERROR = "{missing_footer}"
