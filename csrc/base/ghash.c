/*
 * Hash table with GLib's slot layout: see ghash.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "base/ghash.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_SHIFT = 3 };

/* Indexed by log2 of the size: the largest prime below it, as in GLib. */
static const uint32_t primes[] = {
    1,       2,       3,        7,        13,       31,        61,        127,       251,        509,        1021,
    2039,    4093,    8191,     16381,    32749,    65521,     131071,    262139,    524287,     1048573,    2097143,
    4194301, 8388593, 16777213, 33554393, 67108859, 134217689, 268435399, 536870909, 1073741789, 2147483647,
};
enum { N_SHIFTS = sizeof(primes) / sizeof(primes[0]) };

struct node {
    uint64_t key;
    uint64_t value;
    uint32_t hash;
};

/* Sizes */

/* log2 of the size that GLib chooses for nnodes keys. */
static unsigned shift_for(uint32_t nnodes)
{
    uint32_t wanted = nnodes * 1.333;
    unsigned shift = 0;

    for (; wanted; wanted >>= 1) {
        shift++;
    }
    return shift > MIN_SHIFT ? shift : MIN_SHIFT;
}

/* A sparse table shrinks; one with too few unused slots grows, or keeps its size and drops its tombstones. */
static bool resize_is_due(uint32_t size, uint32_t nnodes, uint32_t noccupied)
{
    return (size > (uint64_t)nnodes * 4 && size > 1 << MIN_SHIFT) || size <= (uint64_t)noccupied + noccupied / 16;
}

static void set_shift(struct vmd_ghash *table, unsigned shift)
{
    table->size = (uint32_t)1 << shift;
    table->mod = primes[shift];
    table->mask = table->size - 1;
}

/* Allocate 2^shift slots: one block for all arrays, keys first, so that a single allocation can fail. */
static enum vmd_status reserve(struct vmd_ghash *table, unsigned shift)
{
    size_t slot_size = sizeof(*table->keys) + sizeof(*table->values) + sizeof(*table->hashes) + sizeof(*table->settled);
    struct vmd_ghash grown = *table;

    if (shift >= N_SHIFTS) {
        return VMD_NO_MEMORY;
    }
    grown.capacity = (uint32_t)1 << shift;
    if (grown.capacity <= table->capacity) {
        return VMD_OK;
    }
    grown.keys = calloc(grown.capacity, slot_size);
    if (!grown.keys) {
        return VMD_NO_MEMORY;
    }
    grown.values = grown.keys + grown.capacity;
    grown.hashes = (uint32_t *)(grown.values + grown.capacity);
    grown.settled = (bool *)(grown.hashes + grown.capacity);
    if (table->keys) {
        memcpy(grown.keys, table->keys, table->size * sizeof(*table->keys));
        memcpy(grown.values, table->values, table->size * sizeof(*table->values));
        memcpy(grown.hashes, table->hashes, table->size * sizeof(*table->hashes));
        free(table->keys);
    }
    *table = grown;
    return VMD_OK;
}

enum vmd_status vmd_ghash_init(struct vmd_ghash *table, vmd_ghash_equal *equal, const void *context)
{
    *table = (struct vmd_ghash){.equal = equal, .context = context};
    set_shift(table, MIN_SHIFT);
    return reserve(table, MIN_SHIFT);
}

void vmd_ghash_deinit(struct vmd_ghash *table)
{
    free(table->keys);
    *table = (struct vmd_ghash){0};
}

/* Probing */

static uint32_t first_slot(const struct vmd_ghash *table, uint32_t hash)
{
    return hash * 11 % table->mod;
}

/* Replace hashes that collide with the slot marks. */
static uint32_t real_hash(uint32_t hash)
{
    return hash >= VMD_GHASH_FIRST_REAL ? hash : VMD_GHASH_FIRST_REAL;
}

static bool is_equal(const struct vmd_ghash *table, uint64_t a, uint64_t b)
{
    return table->equal ? table->equal(table->context, a, b) : a == b;
}

/* The slot of the key or, if absent, for its insertion: the first tombstone of the probe, else the unused slot. */
static uint32_t find_slot(const struct vmd_ghash *table, uint32_t hash, uint64_t key)
{
    uint32_t slot = first_slot(table, hash);
    uint32_t tombstone = table->size;

    for (uint32_t step = 1; table->hashes[slot] != VMD_GHASH_UNUSED; step++) {
        if (table->hashes[slot] == hash && is_equal(table, table->keys[slot], key)) {
            return slot;
        }
        if (table->hashes[slot] == VMD_GHASH_TOMBSTONE && tombstone == table->size) {
            tombstone = slot;
        }
        slot = (slot + step) & table->mask;
    }
    return tombstone < table->size ? tombstone : slot;
}

/*
 * Rehashing in place: a node moves to its slot in the new size and displaces the node there, which moves next, until a
 * slot is free. Moved nodes stay. The order of the moves determines the slots.
 */

static struct node replace_node(struct vmd_ghash *table, uint32_t slot, struct node node)
{
    struct node old = {table->keys[slot], table->values[slot], table->hashes[slot]};

    table->keys[slot] = node.key;
    table->values[slot] = node.value;
    table->hashes[slot] = node.hash;
    return old;
}

static void settle_node(struct vmd_ghash *table, struct node node)
{
    while (node.hash >= VMD_GHASH_FIRST_REAL) {
        uint32_t slot = first_slot(table, node.hash);

        for (uint32_t step = 1; table->settled[slot]; step++) {
            slot = (slot + step) & table->mask;
        }
        table->settled[slot] = true;
        node = replace_node(table, slot, node);
    }
}

/* The arrays have at least 2^shift slots. */
static void rehash(struct vmd_ghash *table, unsigned shift)
{
    const struct node none = {.hash = VMD_GHASH_UNUSED};
    uint32_t old_size = table->size;

    set_shift(table, shift);
    memset(table->settled, false, table->size > old_size ? table->size : old_size);
    for (uint32_t slot = 0; slot < old_size; slot++) {
        if (!table->settled[slot]) {
            settle_node(table, replace_node(table, slot, none));
        }
    }
    table->noccupied = table->nnodes;
}

/* Use */

enum vmd_status vmd_ghash_insert(struct vmd_ghash *table, uint32_t hash, uint64_t key, uint64_t value)
{
    struct node node = {key, value, real_hash(hash)};
    uint32_t slot = find_slot(table, node.hash, key);
    bool is_new = table->hashes[slot] == VMD_GHASH_UNUSED;
    bool resize = is_new && resize_is_due(table->size, table->nnodes + 1, table->noccupied + 1);

    if (table->hashes[slot] >= VMD_GHASH_FIRST_REAL) {
        table->values[slot] = value;
        return VMD_OK;
    }
    if (resize && reserve(table, shift_for(table->nnodes + 1)) != VMD_OK) {
        return VMD_NO_MEMORY;
    }
    replace_node(table, slot, node);
    table->nnodes++;
    table->noccupied += is_new;
    if (resize) {
        rehash(table, shift_for(table->nnodes));
    }
    return VMD_OK;
}

bool vmd_ghash_lookup(const struct vmd_ghash *table, uint32_t hash, uint64_t key, uint32_t *slot)
{
    uint32_t found = find_slot(table, real_hash(hash), key);

    if (table->hashes[found] < VMD_GHASH_FIRST_REAL) {
        return false;
    }
    *slot = found;
    return true;
}

bool vmd_ghash_remove(struct vmd_ghash *table, uint32_t hash, uint64_t key)
{
    uint32_t slot;

    if (!vmd_ghash_lookup(table, hash, key, &slot)) {
        return false;
    }
    vmd_ghash_remove_slot(table, slot);
    vmd_ghash_shrink(table);
    return true;
}

void vmd_ghash_remove_slot(struct vmd_ghash *table, uint32_t slot)
{
    table->hashes[slot] = VMD_GHASH_TOMBSTONE;
    table->nnodes--;
}

void vmd_ghash_shrink(struct vmd_ghash *table)
{
    if (resize_is_due(table->size, table->nnodes, table->noccupied)) {
        rehash(table, shift_for(table->nnodes));
    }
}

void vmd_ghash_clear(struct vmd_ghash *table)
{
    memset(table->hashes, 0, table->size * sizeof(*table->hashes)); /* all VMD_GHASH_UNUSED */
    table->nnodes = table->noccupied = 0;
    set_shift(table, MIN_SHIFT);
}

enum vmd_status vmd_ghash_copy(const struct vmd_ghash *table, struct vmd_ghash *ret)
{
    unsigned shift = (unsigned)__builtin_ctz(table->size);

    *ret = *table;
    ret->keys = NULL;
    ret->capacity = 0;
    if (reserve(ret, shift)) {
        return VMD_NO_MEMORY;
    }
    memcpy(ret->keys, table->keys, table->size * sizeof(*table->keys));
    memcpy(ret->values, table->values, table->size * sizeof(*table->values));
    memcpy(ret->hashes, table->hashes, table->size * sizeof(*table->hashes));
    return VMD_OK;
}

bool vmd_ghash_next(const struct vmd_ghash *table, uint32_t *slot)
{
    while (*slot < table->size && table->hashes[*slot] < VMD_GHASH_FIRST_REAL) {
        ++*slot;
    }
    return *slot < table->size;
}

/* Strings */

uint32_t vmd_str_hash(const char *text)
{
    uint32_t hash = 5381;

    for (; *text; text++) {
        hash = hash * 33 + (signed char)*text;
    }
    return hash;
}

static bool is_same_string(const void *context, uint64_t a, uint64_t b)
{
    return !strcmp((const char *)(uintptr_t)a, (const char *)(uintptr_t)b);
}

enum vmd_status vmd_ghash_order(const char *names, size_t n, uint32_t *order)
{
    struct vmd_ghash table;
    enum vmd_status status = vmd_ghash_init(&table, is_same_string, NULL);

    for (size_t i = 0; i < n && status == VMD_OK; i++) {
        status = vmd_ghash_insert(&table, vmd_str_hash(names), (uintptr_t)names, i);
        names += strlen(names) + 1;
    }
    if (status == VMD_OK) {
        for (uint32_t slot = 0; vmd_ghash_next(&table, &slot); slot++) {
            *order++ = table.values[slot];
        }
    }
    vmd_ghash_deinit(&table);
    return status;
}
