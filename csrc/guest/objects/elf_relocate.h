/*
 * An ELF object while it is linked, shared by elf_object.c (dynamic section, symbols) and elf_relocate.c (relocations).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_ELF_RELOCATE_H
#define VMD_ELF_RELOCATE_H

#include <elf.h>

#include "guest/objects/build.h"

/* A table of the object, in the guest's memory. */
struct vmd_elf_table {
    uint64_t address; /* 0: none */
    uint64_t size;    /* bytes */
};

struct vmd_elf {
    struct vmd_object *object;
    struct vmd_elf_table strtab, symtab, rela, jmprel, relr, init_array, hash, gnu_hash;
};

/* Apply all relocations. VMD_BAD_REFERENCE: path names the relocation; VMD_NO_MEMORY. */
enum vmd_status vmd_elf_relocate(const struct vmd_elf *elf, struct vmd_error *err);

#endif
