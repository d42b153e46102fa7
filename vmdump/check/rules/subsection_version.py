"""A subsection is sent in a version that the destination does not load."""

VERDICT = "breaks"
WHY = "The version of a subsection travels, and is enforced as a section's is."
EXAMPLE = "cpu/slb of pseries: version_id 2, and 1 in QEMU 7.2"
REMEDY = "A subsection of another name for what is new."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load, vmstate_load_state",)
MESSAGE = (
    "the destination refuses version {version} of {subsection}: it is {case} (versions {minimum} to {local} are loaded)"
)
ERROR = {
    "too new": "{version_too_new}",
    "too old": "{version_too_old}",
}
