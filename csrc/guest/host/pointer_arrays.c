/*
 * GPtrArray. Its comparison functions get addresses of elements, as those of GArray.
 *
 * Source: GLib 2.74 glib/garray.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/arrays.h"

/* Pointers. GPtrArray's comparison functions get addresses of elements, too. */

static void put_pointer(struct vmd_host_call *call, uint64_t index, uint64_t pointer)
{
    struct vmd_array array;

    if (!vmd_array_load(call, &array)) {
        return;
    }
    index = index < array.length ? index : array.length;
    vmd_array_insert(call, index, 0, 1);
    if (vmd_array_load(call, &array) && index < array.length) {
        vmd_guest_store_u64(call->guest, array.data + 8 * index, pointer);
    }
}

static uint64_t host_g_ptr_array_add(struct vmd_host_call *call)
{
    put_pointer(call, UINT64_MAX, call->args[1]);
    return 0;
}

static uint64_t host_g_ptr_array_insert(struct vmd_host_call *call)
{
    put_pointer(call, (int32_t)call->args[1] < 0 ? UINT64_MAX : (uint32_t)call->args[1], call->args[2]);
    return 0;
}

static uint64_t remove_pointer(struct vmd_host_call *call, uint64_t index, bool fast, bool destroy)
{
    struct vmd_array array;
    uint64_t pointer = 0;

    if (vmd_array_load(call, &array) && index < array.length) {
        pointer = vmd_guest_load_u64(call->guest, array.data + 8 * index);
        if (destroy) {
            vmd_array_destroy_elements(call, &array, index, 1, true);
        }
        vmd_array_take_out(&array, index, 1, fast);
    }
    return pointer;
}

static uint64_t host_g_ptr_array_remove_index(struct vmd_host_call *call)
{
    return remove_pointer(call, (uint32_t)call->args[1], false, true);
}

static uint64_t host_g_ptr_array_remove_index_fast(struct vmd_host_call *call)
{
    return remove_pointer(call, (uint32_t)call->args[1], true, true);
}

static uint64_t host_g_ptr_array_steal_index(struct vmd_host_call *call)
{
    return remove_pointer(call, (uint32_t)call->args[1], false, false);
}

/* The first index that holds a pointer, or that a function finds equal; length: none. */
static uint64_t find_pointer(struct vmd_host_call *call, uint64_t function, uint64_t *length)
{
    struct vmd_array array;

    *length = 0;
    if (!vmd_array_load(call, &array)) {
        return 0;
    }
    *length = array.length;
    for (uint64_t i = 0; i < array.length && !call->guest->err.code; i++) {
        uint64_t pointer = vmd_guest_load_u64(call->guest, array.data + 8 * i);

        if (function ? (uint32_t)vmd_host_callback(call, function, pointer, call->args[1]) != 0
                     : pointer == call->args[1]) {
            return i;
        }
    }
    return array.length;
}

static uint64_t remove_found(struct vmd_host_call *call, bool fast)
{
    uint64_t length, index = find_pointer(call, 0, &length);

    if (index == length) {
        return 0;
    }
    remove_pointer(call, index, fast, true);
    return 1;
}

static uint64_t host_g_ptr_array_remove(struct vmd_host_call *call)
{
    return remove_found(call, false);
}

static uint64_t host_g_ptr_array_remove_fast(struct vmd_host_call *call)
{
    return remove_found(call, true);
}

static uint64_t report_found(struct vmd_host_call *call, uint64_t function, uint64_t index_at)
{
    uint64_t length, index = find_pointer(call, function, &length);

    if (index == length) {
        return 0;
    }
    if (index_at) {
        vmd_guest_store_u32(call->guest, index_at, (uint32_t)index);
    }
    return 1;
}

static uint64_t host_g_ptr_array_find(struct vmd_host_call *call)
{
    return report_found(call, 0, call->args[2]);
}

static uint64_t host_g_ptr_array_find_with_equal_func(struct vmd_host_call *call)
{
    return report_found(call, call->args[2], call->args[3]);
}

static uint64_t host_g_ptr_array_foreach(struct vmd_host_call *call)
{
    struct vmd_array array;

    for (uint64_t i = 0; vmd_array_load(call, &array) && i < array.length && !call->guest->err.code; i++) {
        vmd_host_callback(call, call->args[1], vmd_guest_load_u64(call->guest, array.data + 8 * i), call->args[2]);
    }
    return 0;
}

static uint64_t host_g_ptr_array_new(struct vmd_host_call *call)
{
    return vmd_array_new(call, 8, 0, 0, 0);
}

static uint64_t host_g_ptr_array_sized_new(struct vmd_host_call *call)
{
    return vmd_array_new(call, 8, 0, (uint32_t)call->args[0], 0);
}

static uint64_t host_g_ptr_array_new_with_free_func(struct vmd_host_call *call)
{
    return vmd_array_new(call, 8, 0, 0, call->args[0]);
}

static uint64_t host_g_ptr_array_new_full(struct vmd_host_call *call)
{
    return vmd_array_new(call, 8, 0, (uint32_t)call->args[0], call->args[1]);
}

VMD_SERVE({"g_ptr_array_new", host_g_ptr_array_new}, {"g_ptr_array_sized_new", host_g_ptr_array_sized_new},
          {"g_ptr_array_new_with_free_func", host_g_ptr_array_new_with_free_func},
          {"g_ptr_array_new_full", host_g_ptr_array_new_full}, {"g_ptr_array_add", host_g_ptr_array_add},
          {"g_ptr_array_insert", host_g_ptr_array_insert}, {"g_ptr_array_remove_index", host_g_ptr_array_remove_index},
          {"g_ptr_array_remove_index_fast", host_g_ptr_array_remove_index_fast},
          {"g_ptr_array_steal_index", host_g_ptr_array_steal_index}, {"g_ptr_array_remove", host_g_ptr_array_remove},
          {"g_ptr_array_remove_fast", host_g_ptr_array_remove_fast}, {"g_ptr_array_find", host_g_ptr_array_find},
          {"g_ptr_array_find_with_equal_func", host_g_ptr_array_find_with_equal_func},
          {"g_ptr_array_foreach", host_g_ptr_array_foreach})
