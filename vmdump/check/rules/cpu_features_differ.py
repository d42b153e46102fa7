"""The default CPU of a machine type has different features in the destination."""

VERDICT = "unknown"
WHY = (
    "Features are not in the stream, so the load does not notice, but the guest may use a feature that is gone. The "
    "feature words were read from VMs that were booted in the emulator, whose accelerator is TCG where the binary has "
    "it: with KVM, the host's features decide as well."
)
EXAMPLE = "a CPU model whose new version has a feature that no compat entry of old machine types switches off"
REMEDY = "Add a compat entry for the CPU model to the machine types of older versions."
REFERENCES = ("QEMU 10.0.13 target/i386/cpu.c x86_cpu_get_feature_words",)
MESSAGE = "the feature words of {cpu} differ under {machine}: {difference}"
