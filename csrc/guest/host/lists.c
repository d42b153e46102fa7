/*
 * GSList, a {data, next}; GList, {data, next, prev}; GPtrArray, {pdata, len} and, as in GLib, how many there is room
 * for; and qsort.
 * A part of what a guest sees of its host; see guest_host.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

static uint64_t new_link(struct vmd_host_call *call, uint64_t data, uint64_t next)
{
    uint64_t link = vmd_host_allocate(call->guest, 24);
    char *to = link ? vmd_guest_at(call->guest, link, 24) : NULL;

    if (to) {
        memcpy(to, &data, 8);
        memcpy(to + 8, &next, 8);
        memset(to + 16, 0, 8);
    }
    return link;
}

static uint64_t host_g_slist_prepend(struct vmd_host_call *call)
{
    return new_link(call, call->args[1], call->args[0]);
}

static uint64_t host_g_slist_append(struct vmd_host_call *call)
{
    uint64_t fresh = new_link(call, call->args[1], 0), link = call->args[0];

    if (!link) {
        return fresh;
    }
    for (uint64_t n = 0; n < call->guest->size / 16; n++) {
        char *at = vmd_guest_at(call->guest, link, 16);

        if (!at) {
            return 0;
        }
        if (!vmd_load_u64(at + 8)) {
            memcpy(at + 8, &fresh, 8);
            return call->args[0];
        }
        link = vmd_load_u64(at + 8);
    }
    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, call->args[0], "a list that goes in a circle");
    return 0;
}

static uint64_t host_g_slist_length(struct vmd_host_call *call)
{
    uint64_t n = 0;
    const char *at;

    for (uint64_t link = call->args[0]; link && (at = vmd_guest_at(call->guest, link, 16));
         link = vmd_load_u64(at + 8)) {
        if (n++ > call->guest->size / 16) {
            vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, call->args[0], "a list that goes in a circle");
            break;
        }
    }
    return n;
}

/* GPtrArray. Source: GLib 2.74 glib/garray.c GRealPtrArray. */

enum { ARRAY_SIZE = 32, ARRAY_LEN = 8, ARRAY_ALLOC = 12 };

static uint64_t host_g_ptr_array_new(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, ARRAY_SIZE);
}

/* Moves the pointers to a block of twice the size. */
static void grow_array(struct vmd_guest *guest, char *array)
{
    uint32_t len = vmd_load_u32(array + ARRAY_LEN), alloc = len < 8 ? 16 : len < UINT32_MAX / 2 ? 2 * len : UINT32_MAX;
    uint64_t fresh = vmd_host_allocate(guest, (uint64_t)alloc * 8);
    const char *from = len ? vmd_guest_at(guest, vmd_load_u64(array), (uint64_t)len * 8) : NULL;

    if (fresh && from) {
        memmove(vmd_guest_at(guest, fresh, (uint64_t)len * 8), from, (uint64_t)len * 8);
    }
    memcpy(array, &fresh, 8);
    memcpy(array + ARRAY_ALLOC, &alloc, 4);
}

static uint64_t host_g_ptr_array_add(struct vmd_host_call *call)
{
    char *array = vmd_guest_at(call->guest, call->args[0], ARRAY_SIZE), *to;
    uint32_t len = array ? vmd_load_u32(array + ARRAY_LEN) : 0;

    if (array && len >= vmd_load_u32(array + ARRAY_ALLOC)) {
        grow_array(call->guest, array);
    }
    if (array && !call->guest->err.code &&
        (to = vmd_guest_at(call->guest, vmd_load_u64(array) + (uint64_t)len * 8, 8))) {
        memcpy(to, &call->args[1], 8);
        len++;
        memcpy(array + ARRAY_LEN, &len, 4);
    }
    return 0;
}

/* qsort */

/* Where the element at index belongs among those before it, which are sorted: behind those that are not greater. */
static uint64_t sorted_place(struct vmd_host_call *call, uint64_t index)
{
    uint64_t base = call->args[0], size = call->args[2], low = 0, high = index;

    while (low < high && !call->guest->err.code) {
        uint64_t middle = low + (high - low) / 2, pair[] = {base + index * size, base + middle * size};

        if ((int32_t)vmd_host_call_guest(call, call->args[3], pair, 2) < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Stable, as glibc's is up to 2.36. */
static uint64_t host_qsort(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t n = call->args[1], size = call->args[2], bytes;
    char *base, *key;

    if (n < 2 || !size) {
        return 0;
    }
    if (__builtin_mul_overflow(n, size, &bytes)) {
        bytes = UINT64_MAX;
    }
    base = vmd_guest_at(guest, call->args[0], bytes);
    key = base ? vmd_guest_at(guest, vmd_host_allocate(guest, size), size) : NULL;
    for (uint64_t i = 1; key && i < n; i++) {
        uint64_t place = sorted_place(call, i);

        if (guest->err.code) {
            break;
        }
        /* Not memcpy: the guest may have the array overlap any block. */
        memmove(key, base + i * size, size);
        memmove(base + (place + 1) * size, base + place * size, (i - place) * size);
        memmove(base + place * size, key, size);
    }
    return 0;
}

const struct vmd_host_function vmd_host_lists[] = {
    {"g_slist_prepend", host_g_slist_prepend},
    {"g_list_prepend", host_g_slist_prepend},
    {"g_slist_append", host_g_slist_append},
    {"g_list_append", host_g_slist_append},
    {"g_slist_length", host_g_slist_length},
    {"g_list_length", host_g_slist_length},
    {"g_ptr_array_new", host_g_ptr_array_new},
    {"g_ptr_array_new_full", host_g_ptr_array_new},
    {"g_ptr_array_new_with_free_func", host_g_ptr_array_new},
    {"g_ptr_array_sized_new", host_g_ptr_array_new},
    {"g_ptr_array_add", host_g_ptr_array_add},
    {"qsort", host_qsort},
    {NULL, NULL},
};
