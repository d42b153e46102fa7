"""Types that are no kin have sections of one name and of other contents."""

VERDICT = "safe"
LEVEL = "notice"
WHY = "They are told apart by their instance numbers, which depend on the order of creation."
EXAMPLE = "serial of isa-serial and of its own child in QEMU 4.2 (c9808d6028)"
REMEDY = "Name the descriptions apart."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c vmstate_register_with_alias_id",)
MESSAGE = (
    "section '{section}' is that of {others} too, with other contents; where a device has no path, they are told "
    "apart by the order of creation alone"
)
