"""A property of a device that every VM of the machine type has has a different value in the destination."""

VERDICT = "unknown"
WHY = (
    "Properties are not in the stream, so the load does not notice, but the guest may: the device changes while it "
    "runs. The values are those of realized devices in VMs that were booted in the emulator."
)
EXAMPLE = "pvpanic.events under pc-q35-7.2: 3 in QEMU 7.2, 7 in 10.0, as no compat entry keeps the old value"
REMEDY = "Add a compat entry for the property to the machine types of older versions."
REFERENCES = ("QEMU 10.0.13 hw/core/machine.c hw_compat_7_2, docs/devel/migration/compatibility.rst",)
MESSAGE = "{property} is {value} in the source and {other_value} in the destination, under {machine}"
