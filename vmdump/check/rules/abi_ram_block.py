"""A RAM block of the machine is missing on one side, or has a different size."""

VERDICT = "breaks"
WHY = (
    "The stream begins with the names and sizes of all RAM blocks. The destination refuses a block that it does not "
    "have, and one that does not fit."
)
EXAMPLE = "a ROM file grew beyond the size of its RAM block between two packages"
REMEDY = "Use firmware files of the same size on both sides, or set romsize and the like in the machine type."
REFERENCES = ("QEMU 10.0.13 migration/ram.c parse_ramblock",)
MESSAGE = "RAM block {name} is {old} in the source and {new} in the destination"
