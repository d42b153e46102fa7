/*
 * GHashTable, over ghash.c, which iterates in GLib's order.
 *
 * Source: GLib 2.74 glib/ghash.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/containers.h"

/* Keys */

static bool equal_strings(const void *context, uint64_t a, uint64_t b)
{
    const struct vmd_container *table = context;
    const char *text_a = vmd_host_string(table->guest, a), *text_b = vmd_host_string(table->guest, b);

    return a == b || (text_a && text_b && strcmp(text_a, text_b) == 0);
}

static bool equal_bytes(const struct vmd_container *table, uint64_t a, uint64_t b, uint64_t size)
{
    const char *at_a = vmd_guest_at(table->guest, a, size), *at_b = vmd_guest_at(table->guest, b, size);

    return at_a && at_b && memcmp(at_a, at_b, size) == 0;
}

static bool equal_ints(const void *context, uint64_t a, uint64_t b)
{
    return equal_bytes(context, a, b, 4);
}

static bool equal_int64s(const void *context, uint64_t a, uint64_t b)
{
    return equal_bytes(context, a, b, 8);
}

static bool equal_by_guest(const void *context, uint64_t a, uint64_t b)
{
    const struct vmd_container *table = context;
    struct vmd_host_call call = {.guest = table->guest};

    /* A table without such a function compares pointers. */
    return a == b || (table->equal_function && (uint32_t)vmd_host_callback(&call, table->equal_function, a, b) != 0);
}

/* By the function of GLib that a table is made with; one of the guest's own, or none, is called. */
static enum vmd_key_kind key_kind(const struct vmd_guest *guest, uint64_t hash_function)
{
    static const struct {
        const char *name;
        enum vmd_key_kind kind;
    } kinds[] = {
        {"g_str_hash", VMD_KEY_STRING},
        {"g_int_hash", VMD_KEY_INT},
        {"g_int64_hash", VMD_KEY_INT64},
        {"g_direct_hash", VMD_KEY_DIRECT},
    };
    const char *name = vmd_guest_import_name(guest, hash_function);

    for (size_t i = 0; name && i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            return kinds[i].kind;
        }
    }
    return hash_function ? VMD_KEY_GUEST : VMD_KEY_DIRECT;
}

static vmd_ghash_equal *const equal_functions[] = {
    [VMD_KEY_DIRECT] = NULL,        [VMD_KEY_STRING] = equal_strings, [VMD_KEY_INT] = equal_ints,
    [VMD_KEY_INT64] = equal_int64s, [VMD_KEY_GUEST] = equal_by_guest,
};

static uint32_t hash_of(struct vmd_host_call *call, const struct vmd_container *table, uint64_t key)
{
    const char *text;

    switch (table->key_kind) {
    case VMD_KEY_STRING:
        text = vmd_host_string(call->guest, key);
        return text ? vmd_str_hash(text) : 0;
    case VMD_KEY_INT:
        return vmd_guest_load_u32(call->guest, key);
    case VMD_KEY_INT64: /* its lower half, up to GLib 2.74 */
        return (uint32_t)vmd_guest_load_u64(call->guest, key);
    case VMD_KEY_GUEST:
        return (uint32_t)vmd_host_call_guest(call, table->hash_function, &key, 1);
    default:
        return (uint32_t)key;
    }
}

static bool lookup(struct vmd_host_call *call, const struct vmd_container *table, uint64_t key, uint32_t *slot)
{
    return vmd_ghash_lookup(&table->hash, hash_of(call, table, key), key, slot);
}

/* Creation and destruction */

static uint64_t new_table(struct vmd_host_call *call, uint64_t destroy_key, uint64_t destroy_value)
{
    uint64_t handle = 0;
    struct vmd_container *table = vmd_container_new(call->guest, VMD_TABLE, &handle);

    if (!table) {
        return 0;
    }
    table->key_kind = key_kind(call->guest, call->args[0]);
    table->hash_function = call->args[0];
    table->equal_function = call->args[1];
    table->destroy_key = destroy_key;
    table->destroy_value = destroy_value;
    /* Only QEMU's own functions may regard more keys as equal than GLib's do. */
    if (table->key_kind == VMD_KEY_DIRECT && vmd_guest_import_name(call->guest, call->args[1]) == NULL &&
        call->args[1]) {
        table->key_kind = VMD_KEY_GUEST;
        table->hash_function = call->args[0] ? call->args[0] : vmd_guest_import(call->guest, "g_direct_hash");
    }
    if (vmd_ghash_init(&table->hash, equal_functions[table->key_kind], table)) {
        vmd_guest_fail(call->guest, VMD_NO_MEMORY, 0, "out of memory");
    }
    return handle;
}

uint64_t vmd_host_new_table(struct vmd_host_call *call)
{
    return new_table(call, 0, 0);
}

static uint64_t host_g_hash_table_new_full(struct vmd_host_call *call)
{
    return new_table(call, call->args[2], call->args[3]);
}

/* Remove all keys, then call the notifiers, which may use the table. */
static void remove_all(struct vmd_host_call *call, struct vmd_container *table, bool destroy)
{
    struct vmd_ghash old;

    vmd_container_count(call->guest, -(int64_t)table->hash.nnodes);
    if (destroy && (table->destroy_key || table->destroy_value) && !vmd_ghash_copy(&table->hash, &old)) {
        vmd_ghash_clear(&table->hash);
        for (uint32_t slot = 0; vmd_ghash_next(&old, &slot); slot++) {
            vmd_container_destroy_pair(call, table, old.keys[slot], old.values[slot]);
        }
        vmd_ghash_deinit(&old);
    } else {
        vmd_ghash_clear(&table->hash);
    }
}

static uint64_t host_g_hash_table_remove_all(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);

    if (table) {
        remove_all(call, table, true);
        vmd_container_put(table);
    }
    return 0;
}

static uint64_t host_g_hash_table_steal_all(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);

    if (table) {
        remove_all(call, table, false);
        vmd_container_put(table);
    }
    return 0;
}

static uint64_t host_g_hash_table_ref(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);

    if (table) {
        table->references++;
        vmd_container_put(table);
    }
    return call->args[0];
}

static void unref(struct vmd_host_call *call, struct vmd_container *table)
{
    if (!--table->references) {
        remove_all(call, table, true);
        vmd_container_kill(table);
        vmd_host_free(call->guest, call->args[0]);
    }
}

static uint64_t host_g_hash_table_unref(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);

    if (table) {
        unref(call, table);
        vmd_container_put(table);
    }
    return 0;
}

static uint64_t host_g_hash_table_destroy(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);

    if (table) {
        remove_all(call, table, true);
        unref(call, table);
        vmd_container_put(table);
    }
    return 0;
}

/* Keys and values */

/* replace: the new key replaces an equal one (g_hash_table_replace, _add); g_hash_table_insert keeps the old one. */
static uint64_t insert(struct vmd_host_call *call, uint64_t value, bool replace)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);
    uint64_t key = call->args[1], old_key, old_value;
    uint32_t slot, hash;
    bool is_new;

    if (!table) {
        return 0;
    }
    hash = hash_of(call, table, key);
    is_new = !vmd_ghash_lookup(&table->hash, hash, key, &slot);
    if (is_new) {
        if (vmd_container_count(call->guest, 1) && vmd_ghash_insert(&table->hash, hash, key, value)) {
            vmd_guest_fail(call->guest, VMD_NO_MEMORY, 0, "out of memory");
        }
    } else {
        old_key = table->hash.keys[slot];
        old_value = table->hash.values[slot];
        table->hash.values[slot] = value;
        if (replace) {
            table->hash.keys[slot] = key;
        }
        if (table->destroy_key) {
            vmd_host_call_guest(call, table->destroy_key, replace ? &old_key : &key, 1);
        }
        if (table->destroy_value) {
            vmd_host_call_guest(call, table->destroy_value, &old_value, 1);
        }
    }
    vmd_container_put(table);
    return is_new;
}

static uint64_t host_g_hash_table_insert(struct vmd_host_call *call)
{
    return insert(call, call->args[2], false);
}

static uint64_t host_g_hash_table_replace(struct vmd_host_call *call)
{
    return insert(call, call->args[2], true);
}

static uint64_t host_g_hash_table_add(struct vmd_host_call *call)
{
    return insert(call, call->args[1], true);
}

static uint64_t host_g_hash_table_lookup(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);
    uint64_t value = 0;
    uint32_t slot;

    if (table) {
        value = lookup(call, table, call->args[1], &slot) ? table->hash.values[slot] : 0;
        vmd_container_put(table);
    }
    return value;
}

static uint64_t host_g_hash_table_lookup_extended(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);
    bool found = false;
    uint32_t slot;

    if (!table) {
        return 0;
    }
    if (lookup(call, table, call->args[1], &slot)) {
        found = true;
        if (call->args[2]) {
            vmd_guest_store_u64(call->guest, call->args[2], table->hash.keys[slot]);
        }
        if (call->args[3]) {
            vmd_guest_store_u64(call->guest, call->args[3], table->hash.values[slot]);
        }
    }
    vmd_container_put(table);
    return found;
}

static uint64_t host_g_hash_table_contains(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);
    bool found = false;
    uint32_t slot;

    if (table) {
        found = lookup(call, table, call->args[1], &slot);
        vmd_container_put(table);
    }
    return found;
}

static uint64_t take_out(struct vmd_host_call *call, bool destroy)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);
    bool found = false;
    uint32_t slot;

    if (!table) {
        return 0;
    }
    if (lookup(call, table, call->args[1], &slot)) {
        uint64_t key = table->hash.keys[slot], value = table->hash.values[slot];

        found = true;
        vmd_container_count(call->guest, -1);
        vmd_ghash_remove_slot(&table->hash, slot);
        vmd_ghash_shrink(&table->hash);
        if (destroy) {
            vmd_container_destroy_pair(call, table, key, value);
        }
    }
    vmd_container_put(table);
    return found;
}

static uint64_t host_g_hash_table_remove(struct vmd_host_call *call)
{
    return take_out(call, true);
}

static uint64_t host_g_hash_table_steal(struct vmd_host_call *call)
{
    return take_out(call, false);
}

static uint64_t host_g_hash_table_size(struct vmd_host_call *call)
{
    struct vmd_container *table = vmd_container_take(call->guest, call->args[0], VMD_TABLE);
    uint64_t size = 0;

    if (table) {
        size = table->hash.nnodes;
        vmd_container_put(table);
    }
    return size;
}

VMD_SERVE({"g_hash_table_new", vmd_host_new_table}, {"g_hash_table_new_full", host_g_hash_table_new_full},
          {"g_hash_table_ref", host_g_hash_table_ref}, {"g_hash_table_unref", host_g_hash_table_unref},
          {"g_hash_table_destroy", host_g_hash_table_destroy},
          {"g_hash_table_remove_all", host_g_hash_table_remove_all},
          {"g_hash_table_steal_all", host_g_hash_table_steal_all}, {"g_hash_table_insert", host_g_hash_table_insert},
          {"g_hash_table_replace", host_g_hash_table_replace}, {"g_hash_table_add", host_g_hash_table_add},
          {"g_hash_table_lookup", host_g_hash_table_lookup},
          {"g_hash_table_lookup_extended", host_g_hash_table_lookup_extended},
          {"g_hash_table_contains", host_g_hash_table_contains}, {"g_hash_table_remove", host_g_hash_table_remove},
          {"g_hash_table_steal", host_g_hash_table_steal}, {"g_hash_table_size", host_g_hash_table_size})
