/*
 * GArray and GByteArray.
 *
 * Source: GLib 2.74 glib/garray.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/arrays.h"

enum { ROOM_LEAST = 16 };

/* False: the array is outside of the guest's memory or damaged, and the call fails. */
bool vmd_array_load(struct vmd_host_call *call, struct vmd_array *ret)
{
    const char *at = vmd_guest_at(call->guest, call->args[0], ARRAY_SIZE);

    if (!at) {
        return false;
    }
    *ret = (struct vmd_array){.guest = call->guest,
                              .address = call->args[0],
                              .data = vmd_get_u64(call->guest, at + DATA),
                              .destroy = vmd_get_u64(call->guest, at + DESTROY),
                              .length = vmd_get_u32(call->guest, at + LENGTH),
                              .room = vmd_get_u32(call->guest, at + ROOM),
                              .size = vmd_get_u32(call->guest, at + SIZE),
                              .flags = vmd_get_u32(call->guest, at + FLAGS)};
    if (!ret->size || (ret->room && !vmd_guest_find(call->guest, ret->data, (uint64_t)ret->room * ret->size)) ||
        ret->length > ret->room) {
        vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, call->args[0], "no GArray");
        return false;
    }
    return true;
}

void vmd_array_store(const struct vmd_array *array)
{
    char *at = vmd_guest_at(array->guest, array->address, ARRAY_SIZE);

    if (at) {
        vmd_put_u64(array->guest, at + DATA, array->data);
        vmd_put_u32(array->guest, at + LENGTH, array->length);
        vmd_put_u32(array->guest, at + ROOM, array->room);
    }
}

char *vmd_array_element(const struct vmd_array *array, uint64_t index)
{
    return vmd_guest_at(array->guest, array->data + index * array->size, array->size);
}

/* Make room for n elements, and one more if the array ends with a zero. */
bool vmd_array_reserve(struct vmd_array *array, uint64_t n)
{
    uint64_t wanted = n + (array->flags & ZERO_TERMINATED), room = ROOM_LEAST;

    if (wanted <= array->room && array->data) {
        return true;
    }
    while (room < wanted) {
        room *= 2;
    }
    if (room > UINT32_MAX || room * array->size >= array->guest->size) {
        vmd_guest_fail(array->guest, VMD_NO_MEMORY, 0, "it uses more memory than it is given");
        return false;
    }
    array->data = vmd_host_reallocate(array->guest, array->data, room * array->size);
    array->room = (uint32_t)room;
    return array->data != 0;
}

void vmd_array_terminate(const struct vmd_array *array)
{
    char *end = array->flags & ZERO_TERMINATED ? vmd_array_element(array, array->length) : NULL;

    if (end) {
        memset(end, 0, array->size);
    }
}

uint64_t vmd_array_new(struct vmd_host_call *call, uint32_t size, uint32_t flags, uint64_t room, uint64_t destroy)
{
    struct vmd_array array = {.guest = call->guest, .size = size ? size : 1, .flags = flags};
    char *at;

    array.address = vmd_host_allocate(call->guest, ARRAY_SIZE);
    at = array.address ? vmd_guest_at(call->guest, array.address, ARRAY_SIZE) : NULL;
    if (at) {
        vmd_put_u32(call->guest, at + SIZE, array.size);
        vmd_put_u32(call->guest, at + FLAGS, flags);
        vmd_put_u64(call->guest, at + REFERENCES, 1);
        vmd_put_u64(call->guest, at + DESTROY, destroy);
        if ((room || flags & ZERO_TERMINATED) && vmd_array_reserve(&array, room)) {
            vmd_array_terminate(&array);
        }
        vmd_array_store(&array);
    }
    return array.address;
}

/* Creation */

static uint64_t array_flags(struct vmd_host_call *call)
{
    return ((int32_t)call->args[0] ? ZERO_TERMINATED : 0) | ((int32_t)call->args[1] ? CLEAR : 0);
}

static uint64_t host_g_array_new(struct vmd_host_call *call)
{
    return vmd_array_new(call, (uint32_t)call->args[2], (uint32_t)array_flags(call), 0, 0);
}

static uint64_t host_g_array_sized_new(struct vmd_host_call *call)
{
    return vmd_array_new(call, (uint32_t)call->args[2], (uint32_t)array_flags(call), (uint32_t)call->args[3], 0);
}

static uint64_t host_g_byte_array_new(struct vmd_host_call *call)
{
    return vmd_array_new(call, 1, 0, 0, 0);
}

static uint64_t host_g_byte_array_sized_new(struct vmd_host_call *call)
{
    return vmd_array_new(call, 1, 0, (uint32_t)call->args[0], 0);
}

static uint64_t host_set_destroy(struct vmd_host_call *call)
{
    vmd_guest_store_u64(call->guest, call->args[0] + DESTROY, call->args[1]);
    return 0;
}

/* Destruction */

/* Call the array's function for elements: for pointers with the pointer, else with the element's address. */
void vmd_array_destroy_elements(struct vmd_host_call *call, const struct vmd_array *array, uint64_t first, uint64_t n,
                                bool pointers)
{
    for (uint64_t i = first; array->destroy && i < first + n && !call->guest->err.code; i++) {
        uint64_t at = array->data + i * array->size, value = pointers ? vmd_guest_load_u64(call->guest, at) : at;

        if (value) {
            vmd_host_call_guest(call, array->destroy, &value, 1);
        }
    }
}

/* Free the array, and its elements unless the guest keeps them. */
static uint64_t free_array(struct vmd_host_call *call, bool elements, bool pointers)
{
    struct vmd_array array;

    if (!vmd_array_load(call, &array)) {
        return 0;
    }
    if (elements) {
        vmd_array_destroy_elements(call, &array, 0, array.length, pointers);
        vmd_host_free(call->guest, array.data);
    }
    vmd_host_free(call->guest, call->args[0]);
    return elements ? 0 : array.data;
}

static uint64_t host_g_array_free(struct vmd_host_call *call)
{
    return free_array(call, (int32_t)call->args[1] != 0, false);
}

static uint64_t host_g_ptr_array_free(struct vmd_host_call *call)
{
    return free_array(call, (int32_t)call->args[1] != 0, true);
}

static uint64_t host_ref(struct vmd_host_call *call)
{
    vmd_guest_store_u64(call->guest, call->args[0] + REFERENCES,
                        vmd_guest_load_u64(call->guest, call->args[0] + REFERENCES) + 1);
    return call->args[0];
}

static uint64_t unref(struct vmd_host_call *call, bool pointers)
{
    uint64_t references = vmd_guest_load_u64(call->guest, call->args[0] + REFERENCES);

    vmd_guest_store_u64(call->guest, call->args[0] + REFERENCES, references - 1);
    return references == 1 ? free_array(call, true, pointers) : 0;
}

static uint64_t host_g_array_unref(struct vmd_host_call *call)
{
    return unref(call, false);
}

static uint64_t host_g_ptr_array_unref(struct vmd_host_call *call)
{
    return unref(call, true);
}

/* Elements */

/* Insert n elements at an index, from an address of the guest (0: zeros). */
uint64_t vmd_array_insert(struct vmd_host_call *call, uint64_t index, uint64_t from, uint64_t n)
{
    struct vmd_array array;
    uint64_t end;

    if (!vmd_array_load(call, &array) || !n) {
        return call->args[0];
    }
    end = index > array.length ? index : array.length;
    if (vmd_array_reserve(&array, end + n)) {
        char *data = vmd_guest_at(call->guest, array.data, (end + n) * array.size);
        const char *source = from ? vmd_guest_at(call->guest, from, n * array.size) : NULL;

        if (data && (source || !from)) {
            if (index > array.length) {
                memset(data + (uint64_t)array.length * array.size, 0, (index - array.length) * array.size);
            }
            memmove(data + (index + n) * array.size, data + index * array.size, (end - index) * array.size);
            if (source) {
                memmove(data + index * array.size, source, n * array.size);
            } else {
                memset(data + index * array.size, 0, n * array.size);
            }
            array.length = (uint32_t)(end + n);
            vmd_array_terminate(&array);
        }
        vmd_array_store(&array);
    }
    return call->args[0];
}

static uint64_t host_g_array_append_vals(struct vmd_host_call *call)
{
    return vmd_array_insert(call, vmd_guest_load_u32(call->guest, call->args[0] + LENGTH), call->args[1],
                            (uint32_t)call->args[2]);
}

static uint64_t host_g_array_prepend_vals(struct vmd_host_call *call)
{
    return vmd_array_insert(call, 0, call->args[1], (uint32_t)call->args[2]);
}

static uint64_t host_g_array_insert_vals(struct vmd_host_call *call)
{
    return vmd_array_insert(call, (uint32_t)call->args[1], call->args[2], (uint32_t)call->args[3]);
}

static uint64_t set_size(struct vmd_host_call *call, bool pointers)
{
    struct vmd_array array;
    uint64_t n = (uint32_t)call->args[1];

    if (!vmd_array_load(call, &array)) {
        return call->args[0];
    }
    if (n < array.length) {
        uint64_t old = array.length;

        vmd_array_destroy_elements(call, &array, n, old - n, pointers);
        array.length = (uint32_t)n;
    } else if (vmd_array_reserve(&array, n)) {
        char *fresh = n > array.length ? vmd_guest_at(call->guest, array.data + (uint64_t)array.length * array.size,
                                                      (n - array.length) * array.size)
                                       : NULL;

        if (fresh) {
            memset(fresh, 0, (n - array.length) * array.size);
        }
        array.length = (uint32_t)n;
    }
    if (array.data) {
        vmd_array_terminate(&array);
    }
    vmd_array_store(&array);
    return call->args[0];
}

static uint64_t host_g_array_set_size(struct vmd_host_call *call)
{
    return set_size(call, false);
}

static uint64_t host_g_ptr_array_set_size(struct vmd_host_call *call)
{
    return set_size(call, true);
}

/* Remove elements; fast: the last one is moved to the first free place. */
bool vmd_array_take_out(struct vmd_array *array, uint64_t index, uint64_t n, bool fast)
{
    char *data;

    if (index + n > array->length) {
        return false;
    }
    data = vmd_guest_at(array->guest, array->data, (uint64_t)array->length * array->size);
    if (!data) {
        return false;
    }
    if (fast) {
        memmove(data + index * array->size, data + (array->length - (uint64_t)1) * array->size, array->size);
    } else {
        memmove(data + index * array->size, data + (index + n) * array->size,
                (array->length - index - n) * array->size);
    }
    array->length -= (uint32_t)n;
    vmd_array_terminate(array);
    vmd_array_store(array);
    return true;
}

static uint64_t remove_at(struct vmd_host_call *call, bool fast)
{
    struct vmd_array array;

    if (vmd_array_load(call, &array) && (uint32_t)call->args[1] < array.length) {
        vmd_array_destroy_elements(call, &array, (uint32_t)call->args[1], 1, false);
        vmd_array_take_out(&array, (uint32_t)call->args[1], 1, fast);
    }
    return call->args[0];
}

static uint64_t host_g_array_remove_index(struct vmd_host_call *call)
{
    return remove_at(call, false);
}

static uint64_t host_g_array_remove_index_fast(struct vmd_host_call *call)
{
    return remove_at(call, true);
}

static uint64_t host_g_array_remove_range(struct vmd_host_call *call)
{
    struct vmd_array array;

    if (vmd_array_load(call, &array) && (uint64_t)(uint32_t)call->args[1] + (uint32_t)call->args[2] <= array.length) {
        vmd_array_destroy_elements(call, &array, (uint32_t)call->args[1], (uint32_t)call->args[2], false);
        vmd_array_take_out(&array, (uint32_t)call->args[1], (uint32_t)call->args[2], false);
    }
    return call->args[0];
}

static uint64_t host_g_array_get_element_size(struct vmd_host_call *call)
{
    return vmd_guest_load_u32(call->guest, call->args[0] + SIZE);
}

static uint64_t host_g_array_sort(struct vmd_host_call *call)
{
    struct vmd_array array;

    if (vmd_array_load(call, &array)) {
        vmd_host_sort(call, array.data, array.length, array.size, call->args[1], false, 0);
    }
    return 0;
}

static uint64_t host_g_array_sort_with_data(struct vmd_host_call *call)
{
    struct vmd_array array;

    if (vmd_array_load(call, &array)) {
        vmd_host_sort(call, array.data, array.length, array.size, call->args[1], true, call->args[2]);
    }
    return 0;
}

VMD_SERVE({"g_array_new", host_g_array_new}, {"g_array_sized_new", host_g_array_sized_new},
          {"g_array_free", host_g_array_free}, {"g_array_ref", host_ref}, {"g_array_unref", host_g_array_unref},
          {"g_array_set_clear_func", host_set_destroy}, {"g_array_append_vals", host_g_array_append_vals},
          {"g_array_prepend_vals", host_g_array_prepend_vals}, {"g_array_insert_vals", host_g_array_insert_vals},
          {"g_array_set_size", host_g_array_set_size}, {"g_array_remove_index", host_g_array_remove_index},
          {"g_array_remove_index_fast", host_g_array_remove_index_fast},
          {"g_array_remove_range", host_g_array_remove_range},
          {"g_array_get_element_size", host_g_array_get_element_size}, {"g_array_sort", host_g_array_sort},
          {"g_array_sort_with_data", host_g_array_sort_with_data}, {"g_byte_array_new", host_g_byte_array_new},
          {"g_byte_array_sized_new", host_g_byte_array_sized_new}, {"g_byte_array_free", host_g_array_free},
          {"g_byte_array_ref", host_ref}, {"g_byte_array_unref", host_g_array_unref},
          {"g_byte_array_append", host_g_array_append_vals}, {"g_byte_array_prepend", host_g_array_prepend_vals},
          {"g_byte_array_set_size", host_g_array_set_size}, {"g_byte_array_remove_range", host_g_array_remove_range},
          {"g_ptr_array_set_free_func", host_set_destroy}, {"g_ptr_array_free", host_g_ptr_array_free},
          {"g_ptr_array_ref", host_ref}, {"g_ptr_array_unref", host_g_ptr_array_unref},
          {"g_ptr_array_set_size", host_g_ptr_array_set_size}, {"g_ptr_array_sort", host_g_array_sort},
          {"g_ptr_array_sort_with_data", host_g_array_sort_with_data})
