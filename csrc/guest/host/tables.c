/*
 * GHashTables, which are the host's own (ghash.c): the guest has their numbers.
 * A part of what a guest sees of its host; see guest_host.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <stdlib.h>

/* More than any QEMU needs, and few enough that a hostile one can't use up the host's memory with them. */
enum { TABLES_MAX = 1 << 14, KEYS_MAX = 1 << 21, FAULTS_MAX = 1000 };

enum key_kind { KEY_DIRECT, KEY_STRING, KEY_INT };

struct vmd_guest_table {
    struct vmd_ghash hash;
    struct vmd_guest *guest;
    enum key_kind kind;
};

static bool equal_strings(const void *context, uint64_t a, uint64_t b)
{
    const struct vmd_guest_table *table = context;
    const char *text_a = vmd_host_string(table->guest, a), *text_b = vmd_host_string(table->guest, b);

    return a == b || (text_a && text_b && strcmp(text_a, text_b) == 0);
}

static bool equal_ints(const void *context, uint64_t a, uint64_t b)
{
    const struct vmd_guest_table *table = context;
    const char *at_a = vmd_guest_at(table->guest, a, 4), *at_b = vmd_guest_at(table->guest, b, 4);

    return at_a && at_b && memcmp(at_a, at_b, 4) == 0;
}

/* How a table's keys are hashed and compared, by the function of GLib that it is made with. */
static enum key_kind key_kind(const struct vmd_guest *guest, uint64_t hash_function)
{
    const char *name = vmd_guest_import_name(guest, hash_function);

    if (name && strcmp(name, "g_str_hash") == 0) {
        return KEY_STRING;
    }
    /* Tables whose keys the guest hashes itself hold nothing that start-up looks up by value. */
    return name && strcmp(name, "g_int_hash") == 0 ? KEY_INT : KEY_DIRECT;
}

/* A table is, for the guest, the address of its number. */
static uint64_t host_g_hash_table_new(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_guest_table **tables =
        guest->n_tables < TABLES_MAX ? realloc(guest->tables, (guest->n_tables + 1) * sizeof(*tables)) : NULL;
    struct vmd_guest_table *table = tables ? calloc(1, sizeof(*table)) : NULL;
    uint64_t handle = vmd_host_allocate(call->guest, 16), number = guest->n_tables;

    guest->tables = tables ? tables : guest->tables;
    if (!table || !handle) {
        free(table);
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "out of memory");
        return 0;
    }
    table->guest = guest;
    table->kind = key_kind(guest, ARG(0));
    guest->tables[guest->n_tables++] = table;
    if (vmd_ghash_init(&table->hash,
                       table->kind == KEY_STRING ? equal_strings
                       : table->kind == KEY_INT  ? equal_ints
                                                 : NULL,
                       table)) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "out of memory");
    }
    memcpy(vmd_guest_at(guest, handle, 8), &number, 8);
    return handle;
}

static struct vmd_guest_table *table_at(struct vmd_host_call *call, uint64_t handle)
{
    const char *number = vmd_guest_at(call->guest, handle, 8);

    if (number && vmd_load(number) < call->guest->n_tables) {
        return call->guest->tables[vmd_load(number)];
    }
    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, handle, "no hash table");
    return NULL;
}

static uint32_t hash_of(struct vmd_host_call *call, const struct vmd_guest_table *table, uint64_t key)
{
    const char *text;

    switch (table->kind) {
    case KEY_STRING:
        text = vmd_host_string(call->guest, key);
        return text ? vmd_str_hash(text) : 0;
    case KEY_INT:
        text = vmd_guest_at(call->guest, key, 4);
        return text ? vmd_load_int(text) : 0;
    default:
        return (uint32_t)key;
    }
}

/* Counts keys that are inserted, in all tables and ever. */
static bool guest_keys_full(struct vmd_guest *guest, bool is_new)
{
    guest->n_keys += is_new;
    return guest->n_keys > KEYS_MAX;
}

static uint64_t insert(struct vmd_host_call *call, uint64_t value)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));
    uint32_t slot, hash;
    bool is_new;

    if (!table) {
        return 0;
    }
    hash = hash_of(call, table, ARG(1));
    is_new = !vmd_ghash_lookup(&table->hash, hash, ARG(1), &slot);
    if (guest_keys_full(call->guest, is_new) || vmd_ghash_insert(&table->hash, hash, ARG(1), value)) {
        vmd_guest_fail(call->guest, VMD_NO_MEMORY, 0, "out of memory");
    }
    return is_new;
}

static uint64_t host_g_hash_table_insert(struct vmd_host_call *call)
{
    return insert(call, ARG(2));
}

static uint64_t host_g_hash_table_add(struct vmd_host_call *call)
{
    return insert(call, ARG(1));
}

static uint64_t host_g_hash_table_lookup(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));
    uint32_t slot;

    return table && vmd_ghash_lookup(&table->hash, hash_of(call, table, ARG(1)), ARG(1), &slot)
               ? table->hash.values[slot]
               : 0;
}

static uint64_t host_g_hash_table_contains(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));
    uint32_t slot;

    return table && vmd_ghash_lookup(&table->hash, hash_of(call, table, ARG(1)), ARG(1), &slot);
}

static uint64_t host_g_hash_table_remove(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));

    return table && vmd_ghash_remove(&table->hash, hash_of(call, table, ARG(1)), ARG(1));
}

static uint64_t host_g_hash_table_size(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));

    return table ? table->hash.nnodes : 0;
}

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
 * A function that faults is called once more: QOM initialises classes in one, and finds a class whose class_init has
 * gone wrong initialised, as far as it goes.
 */
static uint64_t host_g_hash_table_foreach(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));

    for (uint32_t slot = 0; table && !call->guest->err.code && vmd_ghash_next(&table->hash, &slot); slot++) {
        uint64_t args[] = {table->hash.keys[slot], table->hash.values[slot], ARG(2)};
        struct vmd_error err;

        if (!vmd_host_try_guest(call, ARG(1), args, 3, &err)) {
            add_fault(call->guest, args[0], &err);
            vmd_host_try_guest(call, ARG(1), args, 3, &err);
        }
    }
    return 0;
}

/* The iterator's first two words are ours: the table and the next slot. */
static uint64_t host_g_hash_table_iter_init(struct vmd_host_call *call)
{
    char *iter = vmd_guest_at(call->guest, ARG(0), 16);

    if (iter) {
        memcpy(iter, &ARG(1), 8);
        memset(iter + 8, 0, 8);
    }
    return 0;
}

static uint64_t host_g_hash_table_iter_next(struct vmd_host_call *call)
{
    char *iter = vmd_guest_at(call->guest, ARG(0), 16), *out;
    struct vmd_guest_table *table = iter ? table_at(call, vmd_load(iter)) : NULL;
    uint64_t next = iter ? vmd_load(iter + 8) : 0;
    uint32_t slot = (uint32_t)next;

    if (!table || !vmd_ghash_next(&table->hash, &slot)) {
        return 0;
    }
    next = slot + 1;
    memcpy(iter + 8, &next, 8);
    if (ARG(1) && (out = vmd_guest_at(call->guest, ARG(1), 8))) {
        memcpy(out, &table->hash.keys[slot], 8);
    }
    if (ARG(2) && (out = vmd_guest_at(call->guest, ARG(2), 8))) {
        memcpy(out, &table->hash.values[slot], 8);
    }
    return 1;
}

void vmd_host_deinit_tables(struct vmd_guest *guest)
{
    for (size_t i = 0; i < guest->n_tables; i++) {
        vmd_ghash_deinit(&guest->tables[i]->hash);
        free(guest->tables[i]);
    }
    free(guest->tables);
}

const struct vmd_host_function vmd_host_tables[] = {
    {"g_hash_table_new", host_g_hash_table_new},
    {"g_hash_table_new_full", host_g_hash_table_new},
    {"g_hash_table_insert", host_g_hash_table_insert},
    {"g_hash_table_replace", host_g_hash_table_insert},
    {"g_hash_table_add", host_g_hash_table_add},
    {"g_hash_table_lookup", host_g_hash_table_lookup},
    {"g_hash_table_contains", host_g_hash_table_contains},
    {"g_hash_table_remove", host_g_hash_table_remove},
    {"g_hash_table_size", host_g_hash_table_size},
    {"g_hash_table_foreach", host_g_hash_table_foreach},
    {"g_hash_table_iter_init", host_g_hash_table_iter_init},
    {"g_hash_table_iter_next", host_g_hash_table_iter_next},
    {NULL, NULL},
};
