"""The section is sent in a version that the destination does not know yet."""

VERDICT = "breaks"
WHY = (
    "The version travels in the section's header; a destination refuses a section whose version is above the "
    "version_id of its own description."
)
EXAMPLE = "imx.serial: version_id 3 in QEMU 10.0, 2 in 7.2: `savevm: unsupported version 3 for 'imx.serial' v2`"
REMEDY = (
    "Put what is new into a subsection with a needed that old machine types answer with false, and leave version_id "
    "as it was."
)
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_loadvm_section_start_full",)
MESSAGE = "the destination refuses version {version} of the section: it loads versions up to {local}"
ERROR = "{unsupported_version}"
