"""The destination has a hook of the load that the source does not have."""

VERDICT = "unknown"
WHY = (
    "pre_load and post_load may refuse what was sent, or take for granted what an older source does not send. Whether "
    "they do stands in their code alone. Hooks that both sides have are taken for alike."
)
EXAMPLE = "post_load of PCIDevice, which QEMU 10.0 has and 7.2 has not"
REMEDY = "Read the hook: what does it return an error for?"
REFERENCES = ("QEMU 10.0.13 migration/vmstate.c vmstate_load_state (pre_load, post_load)",)
MESSAGE = (
    "not compared: the destination has a {hook} of {description}, which the source has not, and which may refuse what"
    " is sent"
)
