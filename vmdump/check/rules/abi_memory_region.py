"""A memory region of a device has a different address or size."""

VERDICT = "breaks"
WHY = "The guest finds the device's registers or memory elsewhere."
EXAMPLE = "a BAR that grew, or a board that moved a device in its memory map"
REMEDY = "Let a property of the device or the machine type decide, with the old value in the older machine types."
REFERENCES = ("QEMU 10.0.13 system/memory.c memory_region_get_addr",)
MESSAGE = "{name} of {region} is {old} in the source and {new} in the destination"
