/*
 * GBytes.
 *
 * Source: GLib 2.74 glib/gbytes.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

/* GBytes: {data, size, references, free function, its argument} */

enum { BYTES_DATA = 0, BYTES_LENGTH = 8, BYTES_REFERENCES = 16, BYTES_DESTROY = 24, BYTES_USER = 32, BYTES_SIZE = 40 };

static uint64_t new_bytes(struct vmd_host_call *call, uint64_t data, uint64_t size, uint64_t destroy, uint64_t user)
{
    uint64_t bytes = vmd_host_allocate(call->guest, BYTES_SIZE);

    vmd_guest_store_u64(call->guest, bytes + BYTES_DATA, data);
    vmd_guest_store_u64(call->guest, bytes + BYTES_LENGTH, size);
    vmd_guest_store_u64(call->guest, bytes + BYTES_REFERENCES, 1);
    vmd_guest_store_u64(call->guest, bytes + BYTES_DESTROY, destroy);
    vmd_guest_store_u64(call->guest, bytes + BYTES_USER, user);
    return bytes;
}

static uint64_t host_g_bytes_new(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t copy = call->args[1] ? vmd_host_allocate(guest, call->args[1]) : 0;
    const char *from = copy ? vmd_guest_at(guest, call->args[0], call->args[1]) : NULL;

    if (from) {
        memcpy(vmd_guest_find(guest, copy, call->args[1]), from, call->args[1]);
    }
    return new_bytes(call, copy, call->args[1], copy ? vmd_guest_import(guest, "g_free") : 0, copy);
}

static uint64_t host_g_bytes_new_take(struct vmd_host_call *call)
{
    return new_bytes(call, call->args[0], call->args[1], vmd_guest_import(call->guest, "g_free"), call->args[0]);
}

static uint64_t host_g_bytes_new_static(struct vmd_host_call *call)
{
    return new_bytes(call, call->args[0], call->args[1], 0, 0);
}

static uint64_t host_g_bytes_new_with_free_func(struct vmd_host_call *call)
{
    return new_bytes(call, call->args[0], call->args[1], call->args[2], call->args[3]);
}

static uint64_t host_g_bytes_ref(struct vmd_host_call *call)
{
    vmd_guest_store_u64(call->guest, call->args[0] + BYTES_REFERENCES,
                        vmd_guest_load_u64(call->guest, call->args[0] + BYTES_REFERENCES) + 1);
    return call->args[0];
}

static uint64_t host_g_bytes_unref(struct vmd_host_call *call)
{
    uint64_t references = call->args[0] ? vmd_guest_load_u64(call->guest, call->args[0] + BYTES_REFERENCES) : 0,
             destroy, user;

    if (references) {
        vmd_guest_store_u64(call->guest, call->args[0] + BYTES_REFERENCES, references - 1);
    }
    if (references == 1) {
        destroy = vmd_guest_load_u64(call->guest, call->args[0] + BYTES_DESTROY);
        user = vmd_guest_load_u64(call->guest, call->args[0] + BYTES_USER);
        if (destroy) {
            vmd_host_call_guest(call, destroy, &user, 1);
        }
        vmd_host_free(call->guest, call->args[0]);
    }
    return 0;
}

static uint64_t host_g_bytes_get_data(struct vmd_host_call *call)
{
    if (call->args[1]) {
        vmd_guest_store_u64(call->guest, call->args[1], vmd_guest_load_u64(call->guest, call->args[0] + BYTES_LENGTH));
    }
    return vmd_guest_load_u64(call->guest, call->args[0] + BYTES_DATA);
}

static uint64_t host_g_bytes_get_size(struct vmd_host_call *call)
{
    return vmd_guest_load_u64(call->guest, call->args[0] + BYTES_LENGTH);
}

VMD_SERVE({"g_bytes_new", host_g_bytes_new}, {"g_bytes_new_take", host_g_bytes_new_take},
          {"g_bytes_new_static", host_g_bytes_new_static},
          {"g_bytes_new_with_free_func", host_g_bytes_new_with_free_func}, {"g_bytes_ref", host_g_bytes_ref},
          {"g_bytes_unref", host_g_bytes_unref}, {"g_bytes_get_data", host_g_bytes_get_data},
          {"g_bytes_get_size", host_g_bytes_get_size})
