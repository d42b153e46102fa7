"""Unrelated types share a section name but not its contents."""

VERDICT = "safe"
LEVEL = "notice"
WHY = (
    "For devices without a device path, QEMU distinguishes sections of the same name by instance ID only, which "
    "depends on the order in which the devices are created."
)
EXAMPLE = "serial: used by isa-serial and by the serial object inside it since commit c9808d6028 (QEMU 5.0)"
REMEDY = "Give each description a unique name."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c vmstate_register_with_alias_id",)
MESSAGE = (
    "section '{section}' is also used by {others}, with different contents; for devices without a path, only the "
    "order of creation distinguishes them"
)
