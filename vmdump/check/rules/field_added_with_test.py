"""The destination reads a field that the source does not send, if the field's test passes."""

VERDICT = "conditional"
WHY = "The destination's test alone decides. It usually checks a property that the machine type sets."
EXAMPLE = "e1000e: timadj of QEMU 8.0, guarded by migrate-timadj, which machine types of 7.2 and older switch off"
REMEDY = "Migrate with a machine type that both sides have; its compat properties switch the field off."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_field_exists, hw/net/e1000e.c e1000e_migrate_timadj",)
MESSAGE = "the destination reads {field} ({destination}), which the source does not send"
ERROR = "{missing_footer}"
CONDITION = "the destination's test of {field} passes"
