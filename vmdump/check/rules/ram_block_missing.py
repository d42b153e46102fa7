"""The destination's VM lacks a RAM block that every VM of the machine type sends."""

VERDICT = "breaks"
WHY = (
    "The stream begins with the names and sizes of RAM blocks, and a destination refuses a name that it does not know."
)
EXAMPLE = "a board that stops creating a block for firmware, or gives it another name"
REMEDY = "Create the block under its old name for machine types of the versions that had it."
REFERENCES = ("QEMU 10.0.13 migration/ram.c parse_ramblocks",)
MESSAGE = "every VM of {machine} has RAM block '{block}' ({size} bytes{file}), which the destination's VM lacks"
ERROR = "{unknown_block}"
