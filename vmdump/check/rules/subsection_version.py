"""The source sends a version of a subsection that the destination refuses."""

VERDICT = "breaks"
WHY = "The version of a subsection is sent and checked, like that of a section."
EXAMPLE = "cpu/slb of pseries: version_id 1 in QEMU 7.2, 2 in a newer QEMU"
REMEDY = "Keep the version, and send the new state in a subsection with a different name."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load, vmstate_load_state",)
MESSAGE = "the destination refuses version {version} of {subsection} as {case}: it loads versions {minimum} to {local}"
ERROR = {
    "too new": "{version_too_new}",
    "too old": "{version_too_old}",
}
