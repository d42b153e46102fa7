/*
 * State of KVM's virtual CPUs and devices: KVM_GET_* returns what KVM_SET_* has stored.
 *
 * Records are in the guest's memory, in lists by a hash of their key: {next, descriptor and function, part, size,
 * bytes}. Numbers and layouts are those of Linux' include/uapi/linux/kvm.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

#include <errno.h>

enum { NEXT = 0, KEY = 8, PART = 16, SIZE = 24, BYTES = 32, RECORDS_MAX = 65536, STATE_MAX = 1 << 16, LISTS = 1024 };

enum { MSR_ENTRY = 16 };

/* ioctl numbers without direction and size */
enum {
    GET_IRQCHIP = 0x62,
    SET_CLOCK = 0x7b,
    GET_CLOCK = 0x7c,
    GET_REGS = 0x81,
    GET_SREGS = 0x83,
    GET_MSRS = 0x88,
    SET_MSRS = 0x89,
    GET_FPU = 0x8c,
    GET_LAPIC = 0x8e,
    GET_MP_STATE = 0x98,
    GET_PIT2_OR_VCPU_EVENTS = 0x9f,
    GET_DEBUGREGS = 0xa1,
    GET_XSAVE = 0xa4,
    GET_XCRS = 0xa6,
    GET_SREGS2 = 0xcc,
    GET_XSAVE2 = 0xcf,
};

/* Directions of ioctl numbers: IOC_WRITE, the caller's struct is read. */
enum { DIRECTION_SHIFT = 30, DIRECTION_WRITE = 1, SIZE_SHIFT = 16, SIZE_MASK = 0x3fff, XSAVE_SIZE = 4096 };

static bool is_get(uint32_t function)
{
    static const uint8_t gets[] = {GET_IRQCHIP, GET_REGS,     GET_SREGS,     GET_FPU,
                                   GET_LAPIC,   GET_MP_STATE, GET_DEBUGREGS, GET_XSAVE,
                                   GET_XCRS,    GET_SREGS2,   GET_XSAVE2,    GET_PIT2_OR_VCPU_EVENTS};

    return memchr(gets, (int)function, sizeof(gets));
}

/* The SET function that corresponds to a GET function. */
static uint32_t set_of(uint32_t function)
{
    return function == GET_CLOCK ? SET_CLOCK : function == GET_XSAVE2 ? GET_XSAVE + 1 : function + 1;
}

/* The address of the head of a record's list; 0: no memory. */
static uint64_t list_of(struct vmd_guest *guest, uint64_t key, uint64_t part)
{
    uint64_t *lists = &guest->state.kvm_state;

    if (!*lists) {
        *lists = vmd_host_allocate(guest, 8 * LISTS);
    }
    return *lists ? *lists + 8 * ((key * 31 + part) * 0x9e3779b97f4a7c15 >> 54) : 0;
}

static char *find(struct vmd_guest *guest, uint64_t key, uint64_t part)
{
    uint64_t head = list_of(guest, key, part), address = head ? vmd_guest_load_u64(guest, head) : 0;

    for (unsigned i = 0; address && i < RECORDS_MAX; i++) {
        char *record = vmd_guest_find(guest, address, BYTES);

        if (!record) {
            break;
        }
        if (vmd_load_u64(record + KEY) == key && vmd_load_u64(record + PART) == part) {
            return vmd_guest_find(guest, address, BYTES + (vmd_load_u64(record + SIZE) & (STATE_MAX - 1)));
        }
        address = vmd_load_u64(record + NEXT);
    }
    return NULL;
}

static void store(struct vmd_guest *guest, uint64_t key, uint64_t part, uint64_t from, uint64_t size)
{
    char *record = find(guest, key, part);
    const char *bytes = vmd_guest_at(guest, from, size);

    if (bytes && (!record || vmd_load_u64(record + SIZE) != size)) {
        uint64_t address = guest->state.n_kvm_state < RECORDS_MAX ? vmd_host_allocate(guest, BYTES + size) : 0;

        record = address ? vmd_guest_find(guest, address, BYTES + size) : NULL;
        if (!record) {
            vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "it sets more state of KVM than QEMU ever does");
            return;
        }
        vmd_store_u64(record + NEXT, vmd_guest_load_u64(guest, list_of(guest, key, part)));
        vmd_store_u64(record + KEY, key);
        vmd_store_u64(record + PART, part);
        vmd_store_u64(record + SIZE, size);
        vmd_guest_store_u64(guest, list_of(guest, key, part), address);
        guest->state.n_kvm_state++;
    }
    if (bytes) {
        memcpy(record + BYTES, bytes, size);
    }
}

static void load(struct vmd_guest *guest, uint64_t key, uint64_t part, uint64_t to, uint64_t size)
{
    const char *record = find(guest, key, part);
    char *bytes = record ? vmd_guest_at(guest, to, size) : NULL;

    if (bytes) {
        uint64_t stored = vmd_load_u64(record + SIZE);

        memcpy(bytes, record + BYTES, stored < size ? stored : size);
    }
}

/* struct kvm_msrs {nmsrs, padding, {index, reserved, value}...}: returns the number of MSRs. */
static uint64_t transfer_msrs(struct vmd_guest *guest, uint64_t key, uint64_t msrs, bool is_set)
{
    uint32_t n = vmd_guest_load_u32(guest, msrs);

    for (uint32_t i = 0; i < n && !guest->err.code; i++) {
        uint64_t entry = msrs + 8 + (uint64_t)MSR_ENTRY * i, part = vmd_guest_load_u32(guest, entry);

        if (is_set) {
            store(guest, key, part, entry + 8, 8);
        } else {
            load(guest, key, part, entry + 8, 8);
        }
    }
    return n;
}

uint64_t vmd_host_kvm_state(struct vmd_host_call *call, uint32_t function)
{
    struct vmd_guest *guest = call->guest;
    uint64_t descriptor = (uint32_t)call->args[0], data = call->args[2];
    uint32_t number = (uint32_t)call->args[1], size = number >> SIZE_SHIFT & SIZE_MASK;
    bool is_write = number >> DIRECTION_SHIFT & DIRECTION_WRITE;

    if (function == GET_MSRS || function == SET_MSRS) {
        return transfer_msrs(guest, descriptor << 8 | SET_MSRS, data, function == SET_MSRS);
    }
    if (function == GET_CLOCK || (is_get(function) && (!is_write || function == GET_IRQCHIP))) {
        size = function == GET_XSAVE2 ? XSAVE_SIZE : size;
        load(guest, descriptor << 8 | set_of(function), function == GET_IRQCHIP ? vmd_guest_load_u32(guest, data) : 0,
             data, size);
    } else if (function == SET_CLOCK || (is_get(function - 1) && size)) {
        store(guest, descriptor << 8 | function, function == GET_IRQCHIP + 1 ? vmd_guest_load_u32(guest, data) : 0,
              data, size);
    }
    return 0;
}
