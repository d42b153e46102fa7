"""The destination does not look for a subsection, because of its name."""

VERDICT = "breaks"
WHY = (
    "A subsection is looked for only if its name begins with that of the description it belongs to, and is longer. One "
    "that is not looked for is left in the stream, where the footer of the section is expected."
)
EXAMPLE = (
    "vitio-balloon-device/page-poison of virtio-balloon-device in QEMU 5.1 to 6.1; a nested description that is "
    "renamed from part to piece, with its subsection still called part/x"
)
REMEDY = (
    "Name it after its description. Until then, keep it from being sent: switch off the feature that its needed asks "
    "for."
)
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = (
    "the destination does not look for {subsection} in {description}, because the name does not begin with "
    "{description}"
)
ERROR = "{missing_footer}"
