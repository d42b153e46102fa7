"""Types that are no kin have sections of one name and of other contents."""

VERDICT = "safe"
LEVEL = "notice"
WHY = "They are told apart by their instance numbers, which depend on the order of creation."
EXAMPLE = "serial, of isa-serial and once more of the object within it, since c9808d6028 (QEMU 5.0)"
REMEDY = "Name the descriptions apart."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c vmstate_register_with_alias_id",)
MESSAGE = (
    "section '{section}' is that of {others} too, with other contents; where a device has no path, they are told "
    "apart by the order of creation alone"
)
