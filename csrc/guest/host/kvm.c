/*
 * /dev/kvm of an x86-64 host: capabilities, CPUID and MSRs of the host profile. A machine that does not run only needs
 * KVM_GET_* to return what KVM_SET_* has set (kvm_state.c).
 *
 * Numbers and struct layouts are those of Linux' include/uapi/linux/kvm.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

#include <errno.h>

enum { DEVICE_KVM = 1, DEVICE_VM = 2, DEVICE_VCPU = 3, DEVICE_OTHER = 4 };

/* ioctl numbers without direction and size: type 0xae, then the function */
enum {
    GET_API_VERSION = 0x00,
    CREATE_VM = 0x01,
    GET_MSR_INDEX_LIST = 0x02,
    CHECK_EXTENSION = 0x03,
    GET_VCPU_MMAP_SIZE = 0x04,
    GET_SUPPORTED_CPUID = 0x05,
    GET_EMULATED_CPUID = 0x09,
    GET_MSR_FEATURE_INDEX_LIST = 0x0a,
    CREATE_VCPU = 0x41,
    GET_MCE_CAP_SUPPORTED = 0x9d,
    GET_TSC_KHZ = 0xa3,
    CREATE_DEVICE = 0xe0,
};

enum { API_VERSION = 12, RUN_SIZE = 12288, TSC_KHZ = 2000000, CPUID_ENTRY = 40 };

bool vmd_host_open_kvm(struct vmd_guest *guest, const char *path, struct vmd_open_file *ret)
{
    *ret = (struct vmd_open_file){.kind = VMD_FILE_DEVICE, .device = DEVICE_KVM};
    return guest->kvm.n_extensions && strcmp(path, "/dev/kvm") == 0;
}

static uint64_t new_descriptor(struct vmd_guest *guest, uint32_t device)
{
    return vmd_host_new_file(guest, &(struct vmd_open_file){.kind = VMD_FILE_DEVICE, .device = device});
}

static uint64_t check_extension(const struct vmd_guest *guest, uint32_t device, uint64_t number)
{
    for (size_t i = 0; i < guest->kvm.n_extensions; i++) {
        if (guest->kvm.extensions[i].number == number) {
            return device == DEVICE_KVM ? guest->kvm.extensions[i].system : guest->kvm.extensions[i].vm;
        }
    }
    return 0;
}

/* struct kvm_cpuid2 {nent, padding, entries}: as many as fit, or E2BIG */
static uint64_t put_cpuid(struct vmd_guest *guest, uint64_t to, size_t n)
{
    char *entries;

    if (vmd_guest_load_u32(guest, to) < n) {
        return vmd_host_errno(guest, E2BIG);
    }
    entries = vmd_guest_at(guest, to + 8, n * CPUID_ENTRY);
    for (size_t i = 0; entries && i < n; i++) {
        memset(entries + i * CPUID_ENTRY, 0, CPUID_ENTRY);
        memcpy(entries + i * CPUID_ENTRY, guest->kvm.cpuid[i].words, sizeof(guest->kvm.cpuid[i].words));
    }
    vmd_guest_store_u32(guest, to, (uint32_t)n);
    return 0;
}

/* struct kvm_msr_list {nmsrs, indices} */
static uint64_t put_msrs(struct vmd_guest *guest, uint64_t to, const uint32_t *msrs, size_t n)
{
    uint32_t room = vmd_guest_load_u32(guest, to);

    vmd_guest_store_u32(guest, to, (uint32_t)n);
    if (room < n) {
        return vmd_host_errno(guest, E2BIG);
    }
    for (size_t i = 0; i < n; i++) {
        vmd_guest_store_u32(guest, to + 4 + 4 * i, msrs[i]);
    }
    return 0;
}

static uint64_t system_call(struct vmd_host_call *call, const struct vmd_open_file *file, uint32_t function)
{
    struct vmd_guest *guest = call->guest;
    const struct vmd_guest_kvm *kvm = &guest->kvm;

    switch (function) {
    case GET_API_VERSION:
        return API_VERSION;
    case CREATE_VM:
        return new_descriptor(guest, DEVICE_VM);
    case GET_MSR_INDEX_LIST:
        return put_msrs(guest, call->args[2], kvm->msrs, kvm->n_msrs);
    case GET_MSR_FEATURE_INDEX_LIST:
        return put_msrs(guest, call->args[2], kvm->feature_msrs, kvm->n_feature_msrs);
    case CHECK_EXTENSION:
        return check_extension(guest, file->device, call->args[2]);
    case GET_VCPU_MMAP_SIZE:
        return RUN_SIZE;
    case GET_SUPPORTED_CPUID:
        return put_cpuid(guest, call->args[2], kvm->n_cpuid);
    case GET_EMULATED_CPUID:
        return put_cpuid(guest, call->args[2], 0);
    case CREATE_VCPU:
        return new_descriptor(guest, DEVICE_VCPU);
    case CREATE_DEVICE:
        return vmd_host_errno(guest, ENODEV);
    case GET_MCE_CAP_SUPPORTED:
        if (file->device == DEVICE_KVM) {
            vmd_guest_store_u64(guest, call->args[2], kvm->mce);
        }
        return 0;
    case GET_TSC_KHZ: /* ENABLE_CAP has the same number, and an argument */
        return (uint32_t)call->args[1] >> 16 ? 0 : TSC_KHZ;
    default:
        return vmd_host_kvm_state(call, function);
    }
}

/* An ioctl of each kind of device has a type of its own. */
static uint64_t host_ioctl(struct vmd_host_call *call)
{
    const struct vmd_open_file *file = vmd_host_file(call->guest, call->args[0]);
    uint32_t type = (uint32_t)call->args[1] >> 8 & 0xff;

    if (file && file->kind == VMD_FILE_DEVICE && file->device == VMD_DEVICE_TAP && type == 'T') {
        return vmd_host_tap_call(call);
    }
    if (!file || file->kind != VMD_FILE_DEVICE || !file->device || type != 0xae || file->device == VMD_DEVICE_TAP) {
        return vmd_host_errno(call->guest, ENOTTY);
    }
    return system_call(call, file, (uint32_t)call->args[1] & 0xff);
}

void vmd_guest_set_kvm(struct vmd_guest *guest, const struct vmd_guest_kvm *kvm)
{
    guest->kvm = *kvm;
}

VMD_SERVE({"ioctl", host_ioctl})
