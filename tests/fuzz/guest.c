/*
 * A guest without a CPU. See guest.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/guest.h"

#include <stdlib.h>

struct vmd_guest *fuzz_guest(enum vmd_guest_arch arch, const uint8_t *data, size_t size)
{
    struct vmd_guest_limits limits = {.memory = 16 << 20};
    struct vmd_guest *guest;
    struct vmd_error err;

    if (vmd_guest_create("", arch, &limits, &guest, &err)) {
        abort();
    }
    while (vmd_guest_alloc(guest, 0x1000, 0x1000) < FUZZ_BASE) {
    }
    vmd_guest_alloc(guest, 1 << 20, 0x1000);
    memcpy(vmd_guest_find(guest, FUZZ_BASE, size), data, size);
    return guest;
}

/* In place of guest_cpu.c */

enum vmd_status vmd_cpu_create(struct vmd_guest *guest, const char *unicorn, struct vmd_error *err)
{
    return VMD_OK;
}

void vmd_cpu_destroy(struct vmd_guest *guest)
{
}

void vmd_cpu_stop(struct vmd_guest *guest)
{
}

uint64_t vmd_host_call_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args)
{
    return args[0];
}

bool vmd_host_try_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args,
                        struct vmd_error *ret)
{
    return true;
}
