"""The source's CPU sends system registers that the destination's CPU does not have."""

VERDICT = "breaks"
WHY = (
    "An Arm CPU migrates its system registers as a list of indexes and values. A destination whose CPU of this type "
    "lacks one of the indexes refuses the state. The lists were read from VMs that were booted in the emulator; they "
    "depend on the type of the CPU and on the accelerator."
)
EXAMPLE = "virt-7.2 with its default CPU, cortex-a15: QEMU 7.2 and 10.0 refuse the state of each other's CPU"
REMEDY = "Keep the register for machine types of older versions, or use a CPU type with equal registers on both sides."
REFERENCES = ("QEMU 10.0.13 target/arm/machine.c cpu_post_load",)
MESSAGE = (
    "the source's CPU {cpu} sends {count} system registers that the destination's lacks ({registers}), under {machine}"
)
ERROR = "{load_failed}"
