"""The source may send a subsection that the destination does not know."""

VERDICT = "conditional"
WHY = (
    "The stream carries the names of subsections, and a destination refuses one that it does not know. The source "
    "sends it if its needed() returns true."
)
EXAMPLE = "sd-card/ext_csd_modes-state of QEMU 10.0, in a migration to 7.2"
REMEDY = "Let needed() check a compat property that old machine types switch off."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = "the destination does not know the subsection {subsection}"
ERROR = "{load_failed}"
CONDITION = "{subsection} is sent (its needed() returns true)"
