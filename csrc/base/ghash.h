/*
 * Hash table with the slot layout of GLib's GHashTable. QEMU lists its types in the iteration order of such a table, so
 * hashing, probing, growing and rehashing must match. GLib 2.66 to 2.90 behave alike.
 *
 * A key is a number with its 32-bit hash, compared by a callback: a pointer of this process or an address in a guest.
 *
 * Source: GLib 2.74 glib/ghash.c (behaviour; tests/test_ghash.py compares with the library).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GHASH_H
#define VMD_GHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* cdef: begin */
/*
 * Set order[0..n-1] to the indices of names in the iteration order of a GHashTable with these keys. names: n distinct
 * NUL-terminated strings in order of insertion; n <= UINT32_MAX. The last of equal names counts, as
 * g_hash_table_insert() replaces the value; the end of order is then not set. VMD_NO_MEMORY: order is untouched.
 */
enum vmd_status vmd_ghash_order(const char *names, size_t n, uint32_t *order);
/* cdef: end */

/* Whether two keys with the same hash are equal. context: of the table. */
typedef bool vmd_ghash_equal(const void *context, uint64_t a, uint64_t b);

/*
 * Invariants: size is a power of two, at least 8, at most capacity; mask is size - 1; mod is the prime that GLib has
 * for size; nnodes <= noccupied < size, so every probe ends; slots from size to capacity are unused.
 */
struct vmd_ghash {
    vmd_ghash_equal *equal; /* NULL: keys are equal if they are the same number */
    const void *context;
    uint64_t *keys;
    uint64_t *values;
    uint32_t *hashes;  /* VMD_GHASH_UNUSED, VMD_GHASH_TOMBSTONE, or the hash of the slot's key */
    bool *settled;     /* scratch of a rehash: the slot has its final node */
    uint32_t capacity; /* allocated slots; never shrinks */
    uint32_t size;     /* slots in use */
    uint32_t mod;
    uint32_t mask;
    uint32_t nnodes;    /* keys */
    uint32_t noccupied; /* keys and tombstones */
};

enum {
    VMD_GHASH_UNUSED = 0,
    VMD_GHASH_TOMBSTONE = 1, /* a removed key; probes continue past it */
    VMD_GHASH_FIRST_REAL = 2,
};

/* VMD_NO_MEMORY or VMD_OK; call deinit after both. */
enum vmd_status vmd_ghash_init(struct vmd_ghash *table, vmd_ghash_equal *equal, const void *context);
void vmd_ghash_deinit(struct vmd_ghash *table);

/* As g_hash_table_insert(): an existing key keeps its slot and gets the new value. VMD_NO_MEMORY: table unchanged. */
enum vmd_status vmd_ghash_insert(struct vmd_ghash *table, uint32_t hash, uint64_t key, uint64_t value);

/* Whether the key exists; sets slot if so. */
bool vmd_ghash_lookup(const struct vmd_ghash *table, uint32_t hash, uint64_t key, uint32_t *slot);

/* As g_hash_table_remove(): whether the key existed. Cannot fail: shrinking needs no memory. */
bool vmd_ghash_remove(struct vmd_ghash *table, uint32_t hash, uint64_t key);

/*
 * The steps of g_hash_table_remove(), for removal during an iteration: remove the key of a slot without moving others;
 * afterwards, resize if necessary.
 */
void vmd_ghash_remove_slot(struct vmd_ghash *table, uint32_t slot);
void vmd_ghash_shrink(struct vmd_ghash *table);

/* As g_hash_table_remove_all(): the table is as after vmd_ghash_init. */
void vmd_ghash_clear(struct vmd_ghash *table);

/* Copy a table with its slots; deinit ret. VMD_NO_MEMORY. */
enum vmd_status vmd_ghash_copy(const struct vmd_ghash *table, struct vmd_ghash *ret);

/* Advance slot to the first key at or after it; false: none. Start at 0, continue with slot + 1. */
bool vmd_ghash_next(const struct vmd_ghash *table, uint32_t *slot);

/* g_str_hash(). */
uint32_t vmd_str_hash(const char *text);

#endif
