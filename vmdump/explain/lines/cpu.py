"""CPUs: models and features, registers, KVM, and the capabilities of pseries machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmdump.explain.known_line import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmdump.explain.context import Context, Row

_KVM = "target/i386/kvm/kvm.c"
_MODEL = (
    "use a CPU model that both hosts support instead of host or max (virsh hypervisor-cpu-baseline finds one), or turn "
    "the feature off on the source, from the start of the machine"
)
_SAME_KERNEL = "run the same kernel and microcode on both hosts, or turn the feature off with -cpu MODEL,FEATURE=off"

#: Model-specific registers that are known to fail. Source: target/i386/cpu.h.
_MSRS = {
    0x10: "IA32_TSC", 0x3A: "IA32_FEATURE_CONTROL", 0x3B: "IA32_TSC_ADJUST", 0x48: "IA32_SPEC_CTRL",
    0x122: "IA32_TSX_CTRL", 0x10A: "IA32_ARCH_CAPABILITIES", 0x345: "IA32_PERF_CAPABILITIES",
    0x38D: "IA32_FIXED_CTR_CTRL",
    0x38F: "IA32_PERF_GLOBAL_CTRL", 0x186: "IA32_PERFEVTSEL0", 0xC1: "IA32_PMC0", 0x480: "IA32_VMX_BASIC",
    0x481: "IA32_VMX_PINBASED_CTLS",
    0x482: "IA32_VMX_PROCBASED_CTLS", 0x483: "IA32_VMX_EXIT_CTLS", 0x484: "IA32_VMX_ENTRY_CTLS", 0x485: "IA32_VMX_MISC",
    0x486: "IA32_VMX_CR0_FIXED0", 0x487: "IA32_VMX_CR0_FIXED1", 0x488: "IA32_VMX_CR4_FIXED0",
    0x489: "IA32_VMX_CR4_FIXED1", 0x48A: "IA32_VMX_VMCS_ENUM", 0x48C: "IA32_VMX_EPT_VPID_CAP",
    0x48D: "IA32_VMX_TRUE_PINBASED_CTLS", 0x48E: "IA32_VMX_TRUE_PROCBASED_CTLS", 0x48F: "IA32_VMX_TRUE_EXIT_CTLS",
    0x490: "IA32_VMX_TRUE_ENTRY_CTLS", 0x491: "IA32_VMX_VMFUNC",
    0x48B: "IA32_VMX_PROCBASED_CTLS2", 0xD90: "IA32_BNDCFGS", 0xDA0: "IA32_XSS", 0x1C4: "IA32_XFD",
    0x1C5: "IA32_XFD_ERR",
    0x6A0: "IA32_U_CET", 0x6A2: "IA32_S_CET", 0x14CE: "LBR_CTL", 0xC0000103: "TSC_AUX", 0xC0000104: "AMD64_TSC_RATIO",
    0xC0011029: "AMD64_DE_CFG", 0xC0010015: "HWCR", 0x40000000: "HV_GUEST_OS_ID", 0x40000021: "HV_REFERENCE_TSC",
    0x40000118: "HV_TSC_EMULATION_STATUS", 0x4B564D00: "KVM_WALL_CLOCK_NEW", 0x4B564D02: "KVM_ASYNC_PF_EN",
    0x4B564D03: "KVM_STEAL_TIME", 0x4B564D05: "KVM_POLL_CONTROL", 0x4B564D06: "KVM_ASYNC_PF_INT",
    0x4B564D08: "KVM_MIGRATION_CONTROL",
}  # fmt: skip

#: Registers of the capabilities of VMX.
_VMX = range(0x480, 0x492)

#: Capabilities of pseries machines. Source: hw/ppc/spapr_caps.c capability_table.
_PSERIES = {
    "htm": "hardware transactional memory", "vsx": "vector scalar extensions", "dfp": "decimal floating point",
    "cfpc": "cache flush on privilege change (Spectre, Meltdown)", "sbbc": "speculation barriers (Spectre v1)",
    "ibs": "indirect branch speculation (Spectre v2)", "hpt-max-page-size": "the largest page of the hash table",
    "nested-hv": "nested KVM", "nested-papr": "nested KVM with the PAPR API", "large-decr": "the large decrementer",
    "ccf-assist": "count cache flush assist", "fwnmi": "firmware-assisted machine check",
    "rpt-invalidate": "H_RPT_INVALIDATE",
    "ail-mode-3": "interrupts with the MMU on", "dawr1": "the second data watchpoint",
}  # fmt: skip


def _msr(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    number = int(arguments["msr"], 16)
    yield "register", f"0x{number:x}: {_MSRS.get(number, 'see the manual of the CPU, or linux/asm/msr-index.h')}"
    if number in _VMX:
        yield (
            "feature",
            "capabilities of nested virtualization (vmx): another CPU or kernel offers others; vmx=off avoids it",
        )


def _pseries(arguments: Mapping[str, str], context: Context) -> Iterator[Row]:
    if known := _PSERIES.get(arguments["capability"]):
        yield "capability", f"cap-{arguments['capability']}: {known}"
    yield "property", f"-machine pseries,cap-{arguments['capability']}=..., on both sides"


LINES = (
    line(
        "cpu_feature_missing",
        "host doesn't support requested feature: {feature} [bit {bit:d}]",
        "TCG doesn't support requested feature: {feature} [bit {bit:d}]",
        "This feature is not available: {feature} [bit {bit:d}]",
        what="the CPU model or -cpu option asks for {feature} (bit {bit} of that register), which this host, or TCG, "
        "does not have. With enforce QEMU exits; else it goes on without the feature, and the guest's CPU differs "
        "from the source's",
        remedy=_MODEL,
        source="target/i386/cpu.c mark_unavailable_features, x86_cpu_filter_features",
    ),
    line(
        "cpu_features_refused",
        "Host doesn't support requested features",
        "TCG doesn't support requested features",
        what="enforce was given, and the host lacks features of the CPU model: the lines before name them",
        remedy=_MODEL,
        source="target/i386/cpu.c x86_cpu_realizefn",
    ),
    line(
        "libvirt_cpu_extra",
        "guest CPU doesn't match specification: extra features: {features:line}",
        what="libvirt refuses the machine: QEMU's CPU has features that the domain's CPU definition lacks: {features}",
        remedy="the QEMU or the kernel of this host turns them on by default: add them to the domain's CPU, with "
        "policy='disable' or 'require' as on the source, or use the same versions of QEMU and libvirt on both hosts",
        source="libvirt src/cpu/cpu_x86.c virCPUx86UpdateLive",
        printed_by="libvirt",
    ),
    line(
        "libvirt_cpu_missing",
        "guest CPU doesn't match specification: missing features: {features:line}",
        what="libvirt refuses the machine: this host's CPU, kernel or QEMU lacks features that the domain's CPU needs: "
        "{features}",
        remedy="use a CPU model that both hosts support (virsh hypervisor-cpu-baseline), or disable the features in "
        "the domain's CPU, from the start of the machine",
        source="libvirt src/cpu/cpu_x86.c virCPUx86UpdateLive",
        printed_by="libvirt",
    ),
    line(
        "msr_set",
        "error: failed to set MSR 0x{msr:x} to 0x{value:x}",
        "failed to set MSR 0x{msr:x} to 0x{value:x}",
        what="KVM of this host refuses the value 0x{value} for the register 0x{msr}, which the source's guest has set",
        remedy=_SAME_KERNEL,
        source=f"{_KVM} kvm_buf_set_msrs",
        details=_msr,
    ),
    line(
        "msr_get",
        "error: failed to get MSR 0x{msr:x}",
        "failed to get MSR 0x{msr:x}",
        what="KVM of this host can't read the register 0x{msr}",
        remedy=_SAME_KERNEL,
        source=f"{_KVM} kvm_get_msrs",
        details=_msr,
    ),
    line(
        "kvm_put_registers",
        "Failed to put registers after init: {error:line}",
        "Failed to put registers after reset: {error:line}",
        "Failed to put registers {when}: {error:line}",
        "Failed to get registers: {error:line}",
        "Failed to set XSAVE",
        "failed to set xsave state: {error:line}",
        what="KVM of this host refuses the registers of a virtual CPU: the CPU, its features, or the kernel differ "
        "from the source's",
        remedy=_SAME_KERNEL,
        source=("accel/kvm/kvm-all.c do_kvm_cpu_synchronize_post_init", f"{_KVM} kvm_arch_put_registers"),
    ),
    line(
        "tsc_frequency",
        "TSC frequency mismatch between VM ({guest:d} kHz) and host ({host:d} kHz), and TSC scaling unavailable",
        what="the guest's time stamp counter runs at {guest} kHz, this host's at {host}, and the CPU can't scale it",
        remedy="a warning unless -cpu ...,tsc-frequency or invtsc was given; migrate between hosts of one frequency or "
        "to a CPU with TSC scaling",
        source=f"{_KVM} kvm_arch_set_tsc_khz",
        is_note=True,
    ),
    line(
        "tsc_user",
        "Mismatch between user-specified TSC frequency and migrated TSC frequency",
        what="the destination's -cpu ...,tsc-frequency differs from the source's",
        remedy="give both sides the same tsc-frequency",
        source="target/i386/machine.c tsc_khz_post_load",
    ),
    line(
        "nested_kernel",
        "Guest maybe enabled nested virtualization but kernel does not support required capabilities to save vCPU "
        "nested state",
        what="the guest may run nested machines, and this kernel can't save the state of them (KVM_CAP_NESTED_STATE)",
        remedy="use Linux 4.20 or newer, or turn vmx/svm off",
        source="target/i386/machine.c cpu_pre_save",
    ),
    line(
        "nested_size",
        "Received unsupported nested state size: nested_state->size={sent:d}, max={local:d}",
        "Received invalid nested state format: {format:d}",
        "vCPU set in guest-mode inconsistent with migrated kernel nested state",
        "inconsistent with migrated kernel nested state",
        what="the state of nested virtualization in the stream does not fit this host's KVM",
        remedy="nested machines migrate between hosts with the same kind of CPU (VMX or SVM) and similar kernels only",
        source="target/i386/machine.c cpu_post_load",
    ),
    line(
        "hyperv_feature",
        "kernel doesn't allow setting HyperV VP_INDEX",
        "VMBus requires usable Hyper-V SynIC and VP_INDEX",
        what="a Hyper-V enlightenment is missing: VMBus needs KVM with -cpu ...,hv-synic,hv-vpindex",
        remedy="enable hv-vpindex and hv-synic with KVM; TCG has neither",
        source=("hw/i386/x86-common.c x86_cpu_pre_plug", "hw/hyperv/vmbus.c vmbus_realize"),
    ),
    line(
        "hyperv_core_sharing",
        "'hv-no-nonarch-coresharing=auto' CPU flag prevents migration use explicit 'hv-no-nonarch-coresharing=on'",
        "'hv-passthrough' CPU flag prevents migration, use explicit set of hv-* flags instead",
        what="a CPU property takes its value from the host, so the machine can't be migrated",
        remedy="name the hv-* features that are needed, with fixed values",
        source=f"{_KVM} kvm_arch_init_vcpu",
    ),
    line(
        "register_unknown",
        "{where}: {register} in the incoming stream but unknown on the destination: fail migration",
        what="Arm: the stream has the system register {register}, which the destination's CPU does not have",
        remedy="give the destination the source's CPU model and features; with KVM, a kernel with the register. QEMU "
        "11.1 tolerates known registers by machine type",
        source="target/arm/machine.c cpu_post_load",
    ),
    line(
        "register_missing",
        "{where}: {register} expected by the destination but not in the incoming stream: skip it",
        what="Arm: a note, not an error: the destination keeps its own value of the system register {register}, which "
        "the "
        "source does not send",
        source="target/arm/machine.c cpu_post_load",
        is_note=True,
    ),
    line(
        "registers_load",
        "Failed to load registers for vcpu {cpu:d}",
        what="the hypervisor of this host refuses the registers of virtual CPU {cpu}",
        remedy=_SAME_KERNEL,
        source="accel/mshv",
    ),
    line(
        "pseries_higher",
        "cap-{capability} higher level ({sent:d}) in incoming stream than on destination ({local:d})",
        what="the source's machine has capability {capability} at level {sent}, the destination at {local}: the guest "
        "may rely on more than the destination offers",
        remedy="start both with the same cap-* options of the machine; the default depends on the machine type",
        source="hw/ppc/spapr_caps.c spapr_caps_post_migration",
        details=_pseries,
    ),
    line(
        "pseries_lower",
        "cap-{capability} lower level ({sent:d}) in incoming stream than on destination ({local:d})",
        what="a warning: the source's machine has capability {capability} at level {sent}, the destination at {local}",
        source="hw/ppc/spapr_caps.c spapr_caps_post_migration",
        details=_pseries,
        is_note=True,
    ),
    line(
        "pseries_pvr",
        "Compatibility PVR 0x{pvr:x} not valid for CPU",
        what="the guest runs in a processor mode that the destination's CPU does not offer",
        remedy="use max-cpu-compat of the machine on the source, or a newer CPU model on the destination",
        source="target/ppc/machine.c cpu_post_load, target/ppc/compat.c ppc_set_compat",
    ),
    line(
        "invtsc",
        "State blocked by non-migratable CPU device (invtsc flag)",
        what="the CPU has invtsc, a time stamp counter of constant rate, which another host may not continue",
        remedy="turn invtsc off, or give tsc-frequency explicitly, which allows the migration",
        source=f"{_KVM} kvm_arch_init_vcpu",
    ),
)
