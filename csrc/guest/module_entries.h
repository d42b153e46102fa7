/*
 * Module init functions of a QEMU whose constructors have run: its ModuleEntry structs, found in the guest's memory.
 *
 * Not thread-safe, as its guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_MODULE_ENTRIES_H
#define VMD_MODULE_ENTRIES_H

#include "guest/guest.h"

/* cdef: begin */
/* A list of init functions of one type (module_init_type). */
struct vmd_module_entry {
    uint64_t init; /* address of the function */
    uint32_t type;
    uint32_t list; /* number of the list that it is in, from 0; a list has one type */
};

/*
 * Store the entries in [begin, end) of the guest whose functions are in [code_begin, code_end), at most room: list by
 * list, in the lists' order. Returns their number.
 */
size_t vmd_guest_find_module_entries(const struct vmd_guest *guest, uint64_t begin, uint64_t end, uint64_t code_begin,
                                     uint64_t code_end, struct vmd_module_entry *ret, size_t room);
/* cdef: end */

#endif
