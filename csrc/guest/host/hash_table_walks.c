/*
 * GHashTable: foreach, iterators, lists of keys and values.
 *
 * Source: GLib 2.74 glib/ghash.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "guest/containers.h"

enum { FAULTS_MAX = 1000 };

/* For each key */

static void add_fault(struct vmd_guest *guest, uint64_t key, const struct vmd_error *err)
{
    struct vmd_guest_fault *faults =
        guest->n_faults < FAULTS_MAX ? realloc(guest->faults, (guest->n_faults + 1) * sizeof(*faults)) : NULL;

    if (!faults) {
        vmd_guest_fail(guest, err->code, err->index, err->message);
        return;
    }
    faults[guest->n_faults++] = (struct vmd_guest_fault){key, err->index, err->message};
    guest->faults = faults;
}

/*
 * Where faults are tolerated, a function that faults is called once more: QOM initialises classes in one, and finds a
 * class whose class_init faulted initialised in part.
 */
static void call_for(struct vmd_host_call *call, uint64_t function, const uint64_t *args)
{
    struct vmd_error err;

    if (!call->guest->tolerate_faults) {
        vmd_host_call_guest(call, function, args, 3);
    } else if (!vmd_host_try_guest(call, function, args, 3, &err)) {
        add_fault(call->guest, args[0], &err);
        vmd_host_try_guest(call, function, args, 3, &err);
    }
}

static uint64_t host_g_hash_table_foreach(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);

    if (!table) {
        return 0;
    }
    for (uint32_t slot = 0; !call->guest->err.code && vmd_ghash_next(&table->hash, &slot); slot++) {
        call_for(call, call->args[1], (uint64_t[]){table->hash.keys[slot], table->hash.values[slot], call->args[2]});
    }
    vmd_container_put(table);
    return 0;
}

static uint64_t foreach_remove(struct vmd_host_call *call, bool destroy)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);
    uint64_t n = 0;

    if (!table) {
        return 0;
    }
    for (uint32_t slot = 0; !call->guest->err.code && vmd_ghash_next(&table->hash, &slot); slot++) {
        uint64_t args[] = {table->hash.keys[slot], table->hash.values[slot], call->args[2]};

        if ((uint32_t)vmd_host_call_guest(call, call->args[1], args, 3) && slot < table->hash.size &&
            table->hash.hashes[slot] >= VMD_GHASH_FIRST_REAL) {
            vmd_ghash_remove_slot(&table->hash, slot);
            vmd_container_count(call->guest, -1);
            n++;
            if (destroy) {
                vmd_container_destroy_pair(call, table, args[0], args[1]);
            }
        }
    }
    vmd_ghash_shrink(&table->hash);
    vmd_container_put(table);
    return n;
}

static uint64_t host_g_hash_table_foreach_remove(struct vmd_host_call *call)
{
    return foreach_remove(call, true);
}

static uint64_t host_g_hash_table_foreach_steal(struct vmd_host_call *call)
{
    return foreach_remove(call, false);
}

static uint64_t host_g_hash_table_find(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);
    uint64_t value = 0;

    if (!table) {
        return 0;
    }
    for (uint32_t slot = 0; !call->guest->err.code && vmd_ghash_next(&table->hash, &slot); slot++) {
        uint64_t args[] = {table->hash.keys[slot], table->hash.values[slot], call->args[2]};

        if ((uint32_t)vmd_host_call_guest(call, call->args[1], args, 3)) {
            value = args[1];
            break;
        }
    }
    vmd_container_put(table);
    return value;
}

/* A GList of keys or values, in reverse order of iteration. */
static uint64_t list_of(struct vmd_host_call *call, bool values)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_container *table = vmd_container_take(guest, call->args[0], VMD_TABLE);
    uint64_t list = 0;

    if (!table) {
        return 0;
    }
    for (uint32_t slot = 0; !guest->err.code && vmd_ghash_next(&table->hash, &slot); slot++) {
        uint64_t link = vmd_host_allocate(guest, 24);

        vmd_guest_store_u64(guest, link, values ? table->hash.values[slot] : table->hash.keys[slot]);
        vmd_guest_store_u64(guest, link + 8, list);
        vmd_guest_store_u64(guest, link + 16, 0);
        if (list) {
            vmd_guest_store_u64(guest, list + 16, link);
        }
        list = link;
    }
    vmd_container_put(table);
    return list;
}

static uint64_t host_g_hash_table_get_keys(struct vmd_host_call *call)
{
    return list_of(call, false);
}

static uint64_t host_g_hash_table_get_values(struct vmd_host_call *call)
{
    return list_of(call, true);
}

static uint64_t host_g_hash_table_get_keys_as_array(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_container *table = vmd_container_take(guest, call->args[0], VMD_TABLE);
    uint64_t array, n = 0;

    if (!table) {
        return 0;
    }
    array = vmd_host_allocate(guest, 8 * ((uint64_t)table->hash.nnodes + 1));
    for (uint32_t slot = 0; array && vmd_ghash_next(&table->hash, &slot); slot++) {
        vmd_guest_store_u64(guest, array + 8 * n++, table->hash.keys[slot]);
    }
    if (call->args[1]) {
        vmd_guest_store_u32(guest, call->args[1], (uint32_t)n);
    }
    vmd_container_put(table);
    return array;
}

/* Iterators: {table, next slot, ...}; the guest sees 40 bytes. */

enum { ITERATOR_SIZE = 40 };

static uint64_t host_g_hash_table_iter_init(struct vmd_host_call *call)
{
    char *iterator = vmd_guest_at(call->guest, call->args[0], ITERATOR_SIZE);

    if (iterator) {
        memset(iterator, 0, ITERATOR_SIZE);
        vmd_store_u64(iterator, call->args[1]);
    }
    return 0;
}

static uint64_t host_g_hash_table_iter_next(struct vmd_host_call *call)
{
    char *iterator = vmd_guest_at(call->guest, call->args[0], ITERATOR_SIZE);
    struct vmd_container *table = iterator ? vmd_container_take(call->guest, vmd_load_u64(iterator), VMD_TABLE) : NULL;
    uint32_t slot = iterator ? vmd_load_u32(iterator + 8) : 0;
    bool found = false;

    if (!table) {
        return 0;
    }
    if (vmd_ghash_next(&table->hash, &slot)) {
        found = true;
        vmd_store_u64(iterator + 8, slot + (uint64_t)1);
        if (call->args[1]) {
            vmd_guest_store_u64(call->guest, call->args[1], table->hash.keys[slot]);
        }
        if (call->args[2]) {
            vmd_guest_store_u64(call->guest, call->args[2], table->hash.values[slot]);
        }
    }
    vmd_container_put(table);
    return found;
}

static uint64_t iter_remove(struct vmd_host_call *call, bool destroy)
{
    char *iterator = vmd_guest_at(call->guest, call->args[0], ITERATOR_SIZE);
    struct vmd_container *table = iterator ? vmd_container_take(call->guest, vmd_load_u64(iterator), VMD_TABLE) : NULL;
    uint32_t slot = iterator ? vmd_load_u32(iterator + 8) - 1 : 0;

    if (!table) {
        return 0;
    }
    if (slot < table->hash.size && table->hash.hashes[slot] >= VMD_GHASH_FIRST_REAL) {
        uint64_t key = table->hash.keys[slot], value = table->hash.values[slot];

        vmd_ghash_remove_slot(&table->hash, slot);
        vmd_container_count(call->guest, -1);
        if (destroy) {
            vmd_container_destroy_pair(call, table, key, value);
        }
    }
    vmd_container_put(table);
    return 0;
}

static uint64_t host_g_hash_table_iter_remove(struct vmd_host_call *call)
{
    return iter_remove(call, true);
}

static uint64_t host_g_hash_table_iter_steal(struct vmd_host_call *call)
{
    return iter_remove(call, false);
}

VMD_SERVE({"g_hash_table_foreach", host_g_hash_table_foreach},
          {"g_hash_table_foreach_remove", host_g_hash_table_foreach_remove},
          {"g_hash_table_foreach_steal", host_g_hash_table_foreach_steal},
          {"g_hash_table_find", host_g_hash_table_find}, {"g_hash_table_get_keys", host_g_hash_table_get_keys},
          {"g_hash_table_get_values", host_g_hash_table_get_values},
          {"g_hash_table_get_keys_as_array", host_g_hash_table_get_keys_as_array},
          {"g_hash_table_iter_init", host_g_hash_table_iter_init},
          {"g_hash_table_iter_next", host_g_hash_table_iter_next},
          {"g_hash_table_iter_remove", host_g_hash_table_iter_remove},
          {"g_hash_table_iter_steal", host_g_hash_table_iter_steal})
