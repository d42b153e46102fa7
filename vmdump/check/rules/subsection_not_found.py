"""The destination has the subsection, but does not find it."""

VERDICT = "breaks"
WHY = (
    "A subsection is looked for only if its name begins with that of the description it belongs to; here the "
    "destination's does not, as that description was renamed."
)
EXAMPLE = "a nested description that is renamed from part to piece, with its subsection still called part/x"
REMEDY = "Keep the description's name, or rename its subsections with it."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_subsection_load",)
MESSAGE = (
    "the destination does not look for {subsection} in {description}, as its name does not begin so; QEMU ends the "
    "load with `{missing_footer}`"
)
