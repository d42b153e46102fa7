"""The destination does not find a subsection, because its name does not start with its parent's."""

VERDICT = "breaks"
WHY = (
    "QEMU looks for a subsection only if its name starts with the name of its parent description and is longer. "
    "Otherwise the subsection stays in the stream, where the destination expects the footer of the section."
)
EXAMPLE = (
    "vitio-balloon-device/page-poison of virtio-balloon-device in QEMU 5.1 to 6.1; a nested description renamed from "
    "part to piece whose subsection is still named part/x"
)
REMEDY = (
    "Name the subsection PARENT/PART. Until then, keep it from being sent: switch off the feature that its needed() "
    "checks."
)
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = "the destination does not look for {subsection}, because the name does not start with {description}"
ERROR = "{missing_footer}"
