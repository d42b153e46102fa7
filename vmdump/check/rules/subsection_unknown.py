"""The source may send a subsection that the destination does not know."""

VERDICT = "conditional"
WHY = (
    "Subsections have names on the wire; one that is not in the destination's list ends the load. It is sent when "
    "its needed says so."
)
EXAMPLE = "sd-card/ext_csd_modes-state of QEMU 10.0, in a migration to 7.2"
REMEDY = "A needed that a compat property of old machine types switches off."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = "the destination does not know the subsection {subsection}"
ERROR = "{load_failed}"
CONDITION = "{subsection} is sent (its needed says so)"
