"""The source sends a field that the destination does not read, if the field's test passes."""

VERDICT = "conditional"
WHY = "The source's test alone decides. It usually checks a property that the machine type sets."
EXAMPLE = "e1000e: timadj of QEMU 8.0, guarded by migrate-timadj, in a migration to 7.2"
REMEDY = "Migrate with a machine type that both sides have; its compat properties switch the field off."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists, hw/net/e1000e.c e1000e_migrate_timadj",)
MESSAGE = "the source sends {field} ({source}), which the destination does not read"
ERROR = "{missing_footer}"
CONDITION = "the source's test of {field} passes"
