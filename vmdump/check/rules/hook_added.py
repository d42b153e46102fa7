"""The destination has a load hook that the source does not have, and that may refuse the state."""

VERDICT = "unknown"
WHY = (
    "pre_load and post_load may reject what was sent, or rely on state that an older source does not send. Only their "
    "code shows whether they do. Hooks that both sides have are assumed to be alike."
)
EXAMPLE = "post_load of PCIDevice, which QEMU 10.0 has and 7.2 does not"
REMEDY = "Check for which states the hook returns an error."
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state (pre_load, post_load)",)
MESSAGE = "not compared: only the destination has {hook} of {description}, which may refuse what the source sends"
