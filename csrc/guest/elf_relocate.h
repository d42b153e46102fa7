/*
 * The inside of an ELF object, for the files that make it up: elf_object.c (dynamic section, symbols) and
 * elf_relocate.c (relocations).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_RELOCATE_H
#define VMD_GUEST_RELOCATE_H

#include <elf.h>

#include "guest/internal.h"
#include "guest/elf_object.h"

/* A table of the object in the guest's memory. */
struct vmd_object_table {
    uint64_t address; /* 0: there is none */
    uint64_t size;    /* bytes */
};

struct vmd_object {
    struct vmd_guest *guest;
    uint64_t bias;
    struct vmd_object_table strtab, symtab, rela, jmprel, relr, init_array, hash, gnu_hash;
    Elf64_Sym *symbols;
    size_t n_symbols;
    char *names;       /* strtab, and a NUL */
    uint64_t *values;  /* of each symbol, undefined ones as resolved */
    uint32_t *by_name; /* hash table of defined symbols: number + 1, 0: free */
    uint32_t mask;
    uint32_t *by_address; /* defined symbols with a size, ascending; NULL: not asked for yet */
    size_t n_by_address;
    uint64_t *constructors;
    size_t n_constructors;
    uint64_t *slots; /* NULL: not asked for yet */
    size_t n_slots;
};

/* A table's bytes, n entries of entry_size; NULL: they are outside of the guest's memory. */
static inline const char *vmd_object_entries(const struct vmd_guest *guest, uint64_t address, uint64_t n,
                                             uint64_t entry_size)
{
    return n <= guest->size / entry_size ? vmd_guest_find(guest, address, n * entry_size) : NULL;
}

static inline const char *vmd_object_name(const struct vmd_object *object, size_t n)
{
    return object->names + object->symbols[n].st_name;
}

static inline enum vmd_status vmd_object_bad(struct vmd_error *err, const char *message)
{
    return vmd_error_set(err, VMD_BAD_REFERENCE, 0, message);
}

/* Applies all relocations. VMD_BAD_REFERENCE: message says what is wrong, path which relocation it is. */
enum vmd_status vmd_object_relocate(const struct vmd_object *object, struct vmd_error *err);

#endif
