"""A description cannot load its own state, because its minimum_version_id is above its version_id."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = "The destination refuses the version that the same QEMU sends, so no migration of the device succeeds."
EXAMPLE = ".version_id = 1, .minimum_version_id = 2"
REMEDY = "Raise version_id, or lower minimum_version_id."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = "{description} cannot load its own stream: minimum_version_id {minimum} is above version_id {version}"
ERROR = "{version_too_old}"
