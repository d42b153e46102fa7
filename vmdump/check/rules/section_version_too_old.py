"""The source sends an older version of a section than the destination loads."""

VERDICT = "breaks"
WHY = "A destination refuses a version below minimum_version_id, unless the description's load_state_old accepts it."
EXAMPLE = "lan9118: version_id 2 in QEMU 7.2, minimum_version_id 3 in 10.0"
REMEDY = "Keep minimum_version_id, and guard new fields with their version_id or a test."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state",)
MESSAGE = "the destination refuses version {version} of the section: it loads versions from {minimum}"
ERROR = "{version_too_old}"
CONDITION = "load_state_old of {section} does not accept version {version}"
