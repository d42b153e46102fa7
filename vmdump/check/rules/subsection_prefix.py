"""A subsection whose name does not begin with its parent's."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = "A destination takes a subsection for that of another description, and never finds it."
EXAMPLE = "a description called dev with a subsection called device/x, or x alone"
REMEDY = "Name it PARENT/PART."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = "{subsection} is never found when it is sent: its name does not begin with {description}/"
