"""The destination loads the VM, but the values that it has loaded cannot be compared with those sent."""

VERDICT = "unknown"
WHY = (
    "What the destination has loaded is saved again and compared with what was sent, field by field. Without that, "
    "values may have been loaded into the wrong fields, which QEMU does not notice. A changed value counts as loaded "
    "wrongly if the destination keeps it when it is in a stream of its own; if that is refused, too, it is not known."
)
EXAMPLE = "a device whose pre_save hook refuses the state that it has just loaded"
REMEDY = "Compare the fields with vmdump check, or look at the guest after a real migration."
REFERENCES = ("QEMU 10.0.13 migration/savevm.c qemu_savevm_state_complete_precopy_non_iterable",)
MESSAGE = "loaded, but {cause}"
