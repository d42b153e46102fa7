"""The source sends a newer version of a section than the destination loads."""

VERDICT = "breaks"
WHY = (
    "The section's header carries the version. A destination refuses a version above the version_id of its own "
    "description."
)
EXAMPLE = "imx.serial: version_id 3 in QEMU 10.0, 2 in 7.2: `savevm: unsupported version 3 for 'imx.serial' v2`"
REMEDY = "Keep version_id, and move the new state to a subsection whose needed() returns false for old machine types."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_section_start_full",)
MESSAGE = "the destination refuses version {version} of the section: it loads versions up to {local}"
ERROR = "{unsupported_version}"
