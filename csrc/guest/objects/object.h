/*
 * Object in a guest: an executable or a module, whatever the format of its file. Its tables are copied, so a guest that
 * overwrites them does no harm. Each format has a file that links objects of it: elf_object.h.
 *
 * Not thread-safe, as its guest, which must outlive it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_OBJECT_H
#define VMD_OBJECT_H

#include "guest/guest.h"

/* cdef: begin */
struct vmd_object;

/* An object without symbols, at bias, which relocates itself. NULL: out of memory. Destroy accepts NULL. */
struct vmd_object *vmd_object_create(struct vmd_guest *guest, uint64_t bias);
void vmd_object_destroy(struct vmd_object *object);

/* Address (thread-local: offset) of the last symbol of that name that the object defines; 0: none. */
uint64_t vmd_object_symbol(const struct vmd_object *object, const char *name);

/* Number of symbols; name and address of the nth one, NULL if it is not found by name. */
size_t vmd_object_n_symbols(const struct vmd_object *object);
const char *vmd_object_nth_symbol(const struct vmd_object *object, size_t n, uint64_t *address);

/* The symbol whose function or variable contains the address, or NULL. The first call sorts the symbols. */
const char *vmd_object_symbol_at(struct vmd_object *object, uint64_t address);

/* The relocated addresses of its constructors in the order of their calls, owned by the object; returns their number.
 */
size_t vmd_object_constructors(const struct vmd_object *object, const uint64_t **ret);

/* The starts of functions that tables of its format list, ascending, owned by the object; returns their number. */
size_t vmd_object_functions(const struct vmd_object *object, const uint64_t **ret);

/*
 * The words that relocations fill with addresses, except those of the PLT: n distinct addresses, ascending, owned by
 * the object. The first call sorts them.
 */
size_t vmd_object_slots(struct vmd_object *object, const uint64_t **ret);

/*
 * Take the words in [begin, end) that are addresses in [low, high) for slots, in an object whose relocations the linker
 * has applied. VMD_NO_MEMORY; VMD_BAD_REFERENCE: outside of the guest's memory.
 */
enum vmd_status vmd_object_guess_slots(struct vmd_object *object, uint64_t begin, uint64_t end, uint64_t low,
                                       uint64_t high);
/* cdef: end */

#endif
