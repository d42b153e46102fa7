"""The CPU of the machine has a different feature, feature word or system register."""

VERDICT = "breaks"
WHY = "A guest reads features once, when it starts; a CPU that loses one under it crashes the guest."
EXAMPLE = "a CPU model gained a feature without a new version of the model"
REMEDY = "Name the CPU model with its version, and set the feature in a compat property of the older machine types."
REFERENCES = ("QEMU 10.0.13 docs/system/cpu-models-x86.rst.inc",)
MESSAGE = "{name} is {old} in the source and {new} in the destination"
