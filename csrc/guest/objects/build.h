/*
 * Members of an object, for the files that link one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_OBJECT_BUILD_H
#define VMD_OBJECT_BUILD_H

#include "guest/internal.h"
#include "guest/objects/object.h"

/* A growing array of addresses. */
struct vmd_address_list {
    uint64_t *all;
    size_t n, room;
};

struct vmd_symbol {
    const char *name;     /* in vmd_object.names */
    uint64_t value, size; /* value: undefined ones as resolved; thread-local: offset */
    bool is_defined, is_thread_local;
    bool is_local; /* other objects are not bound to it */
};

struct vmd_object {
    struct vmd_guest *guest;
    uint64_t bias;
    struct vmd_symbol *symbols;
    size_t n_symbols;
    char *names, *more_names; /* more_names: of symbols added by vmd_object_extend */
    uint32_t *by_name;        /* hash table of defined symbols: number + 1, 0: free */
    uint32_t mask;
    uint32_t *by_address; /* defined symbols with a size, ascending; NULL: not computed yet */
    size_t n_by_address;
    struct vmd_address_list constructors, functions, slots;
    bool slots_are_sorted;
};

/*
 * Make room for n symbols, all zero, and for names of size bytes, which are copied and terminated.
 * VMD_NO_MEMORY; VMD_BAD_REFERENCE: too many.
 */
enum vmd_status vmd_object_reserve(struct vmd_object *object, size_t n, const char *names, size_t size,
                                   struct vmd_error *err);

/* The defined symbol that a name finds, or NULL. */
const struct vmd_symbol *vmd_object_find(const struct vmd_object *object, const char *name);

/*
 * Add n symbols, all zero, and names likewise, and forget which symbols can be found by name. The symbols are the last
 * n ones, and the names are returned by ret. VMD_NO_MEMORY; VMD_BAD_REFERENCE: too many, or it has been extended
 * before.
 */
enum vmd_status vmd_object_extend(struct vmd_object *object, size_t n, const char *names, size_t size, const char **ret,
                                  struct vmd_error *err);

/* Let a defined symbol be found by its name; of several with this name the last one. */
void vmd_object_index(struct vmd_object *object, size_t n);

/* VMD_NO_MEMORY: out of memory, or more than any QEMU has. */
enum vmd_status vmd_address_list_add(struct vmd_address_list *addresses, uint64_t address);

/* Bytes of a table with n entries of entry_size; NULL: outside the guest's memory. */
static inline const char *vmd_object_entries(const struct vmd_guest *guest, uint64_t address, uint64_t n,
                                             uint64_t entry_size)
{
    return n <= guest->size / entry_size ? vmd_guest_find(guest, address, n * entry_size) : NULL;
}

static inline enum vmd_status vmd_object_bad(struct vmd_error *err, const char *message)
{
    return vmd_error_set(err, VMD_BAD_REFERENCE, 0, message);
}

static inline enum vmd_status vmd_object_no_memory(struct vmd_error *err)
{
    return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
}

#endif
