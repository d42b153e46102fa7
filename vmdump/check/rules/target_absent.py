"""The destination has no QEMU for a target of the source, so that none of the target's VMs can migrate."""

VERDICT = "absent"
WHY = (
    "Each target is a binary of its own, and no other binary can load the state of its VMs. If the destination has "
    "none of the source's targets, the verdict is breaks."
)
EXAMPLE = "cris and nios2 of QEMU 7.2 are not in 10.0"
REMEDY = "Add the package that has the target to the destination, or move its VMs before the update."
REFERENCES = ("QEMU 10.0.13 configs/targets",)
MESSAGE = "the destination has no QEMU for target {target}"
