"""A description whose minimum_version_id is above its version_id."""

VERDICT = "breaks"
LEVEL = "defect"
WHY = "It refuses the version that it sends itself: no stream of this QEMU can be loaded by this QEMU."
EXAMPLE = ".version_id = 1, .minimum_version_id = 2"
REMEDY = "Raise version_id, or lower minimum_version_id."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = "{description} cannot load its own stream: minimum_version_id {minimum} is above version_id {version}"
ERROR = "{version_too_old}"
