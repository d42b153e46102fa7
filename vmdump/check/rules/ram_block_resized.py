"""A RAM block of every VM of the machine type has a different size in the destination, which refuses to resize it."""

VERDICT = "breaks"
WHY = (
    "A destination resizes a block only if it was created as resizable and is not too small, as those for ACPI tables "
    "and option ROMs are. The destination's own code was called with the source's size, and refused it."
)
EXAMPLE = "a firmware file that has grown over a power of two, such as an OVMF image of 4 MiB instead of 2 MiB"
REMEDY = "Start the destination with the source's firmware file, or with one of its size."
REFERENCES = ("QEMU 10.0.13 migration/ram.c parse_ramblock, system/physmem.c qemu_ram_resize",)
MESSAGE = (
    "RAM block '{block}' has {size} bytes in the source{file} and {other_size} bytes in the destination{other_file}"
)
ERROR = "{refusal}"
CONDITION = "the hosts have the firmware files that were replaced by zeros here ({stand_ins})"
