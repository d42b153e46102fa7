/*
 * GLib's GHashTable, slot for slot: QEMU lists its types in the order in which such a table iterates, so only a table
 * that hashes, probes, grows and rehashes alike gives QEMU's order. GLib 2.66 to 2.90 agree.
 *
 * The table knows no strings: a key is a number, comes with its 32-bit hash, and is compared by a callback. So a key
 * can be a pointer of this process or an address in a guest.
 *
 * Source: GLib 2.74 glib/ghash.c (behaviour; its tests compare this one with the library itself).
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
 * names: n strings that differ, each ended by NUL, in order of insertion; n is not above UINT32_MAX. Sets order[0..n-1]
 * to their indices in the order in which GLib iterates over a table that they are keys of.
 * (Of equal names the last counts, as g_hash_table_insert() replaces the value; order then has unused entries at its
 * end, which are not set.) VMD_NO_MEMORY: order is untouched.
 */
enum vmd_status vmd_ghash_order(const char *names, size_t n, uint32_t *order);
/* cdef: end */

/* Whether two keys of the same hash are equal. context is the table's. */
typedef bool vmd_ghash_equal(const void *context, uint64_t a, uint64_t b);

/*
 * Invariants: size is a power of two, at least 8, at most capacity; mask is size - 1; mod is the prime that GLib has
 * for size; nnodes <= noccupied < size, so that every probe ends; slots from size to capacity are unused.
 */
struct vmd_ghash {
    vmd_ghash_equal *equal; /* NULL: equal keys are the same number */
    const void *context;
    uint64_t *keys;
    uint64_t *values;
    uint32_t *hashes;  /* VMD_GHASH_UNUSED, VMD_GHASH_TOMBSTONE, or the hash of the slot's key */
    bool *settled;     /* scratch of a rehash: the slot has its final node */
    uint32_t capacity; /* slots that there is memory for; it never shrinks */
    uint32_t size;     /* slots in use */
    uint32_t mod;
    uint32_t mask;
    uint32_t nnodes;    /* keys */
    uint32_t noccupied; /* keys and tombstones */
};

enum {
    VMD_GHASH_UNUSED = 0,
    VMD_GHASH_TOMBSTONE = 1, /* a removed key was here; probes go on behind it */
    VMD_GHASH_FIRST_REAL = 2,
};

/* VMD_NO_MEMORY or VMD_OK; deinit is needed, and harmless, after both. */
enum vmd_status vmd_ghash_init(struct vmd_ghash *table, vmd_ghash_equal *equal, const void *context);
void vmd_ghash_deinit(struct vmd_ghash *table);

/* As g_hash_table_insert(): a key that is there keeps its slot and its key, and gets the new value.
 * VMD_NO_MEMORY: the table is as it was. */
enum vmd_status vmd_ghash_insert(struct vmd_ghash *table, uint32_t hash, uint64_t key, uint64_t value);

/* Whether the key is there; if so, slot is set to where. */
bool vmd_ghash_lookup(const struct vmd_ghash *table, uint32_t hash, uint64_t key, uint32_t *slot);

/* As g_hash_table_remove(): whether the key was there. It cannot fail: shrinking takes no memory. */
bool vmd_ghash_remove(struct vmd_ghash *table, uint32_t hash, uint64_t key);

/*
 * The parts of g_hash_table_remove() for who removes keys while he iterates: the key in a slot, without any key moving;
 * and afterwards the resizing that may be due.
 */
void vmd_ghash_remove_slot(struct vmd_ghash *table, uint32_t slot);
void vmd_ghash_shrink(struct vmd_ghash *table);

/* As g_hash_table_remove_all(): the table is as a new one. */
void vmd_ghash_clear(struct vmd_ghash *table);

/* A copy with the same slots; ret is to be freed. VMD_NO_MEMORY. */
enum vmd_status vmd_ghash_copy(const struct vmd_ghash *table, struct vmd_ghash *ret);

/* Moves slot on to the first key at or behind it; false when there is none. Start at 0, go on with slot + 1. */
bool vmd_ghash_next(const struct vmd_ghash *table, uint32_t *slot);

/* g_str_hash() of a string that ends in NUL. */
uint32_t vmd_str_hash(const char *text);

#endif
