/*
 * ELF object in a guest: dynamic symbols and relocations. All data of the object is checked before use; its tables are
 * copied, so a guest that overwrites them does no harm.
 *
 * Not thread-safe, as its guest, which must outlive it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_ELF_OBJECT_H
#define VMD_ELF_OBJECT_H

#include "guest/guest.h"

/* cdef: begin */
struct vmd_object;

/*
 * Relocate an object whose segments are in the guest at bias, with a dynamic section of size bytes at dynamic.
 * Undefined symbols are resolved by the first object in scope that defines them, else by the host; QEMU's
 * register_dso_module_init always by the host. scope is not used after the call. VMD_NO_MEMORY; VMD_BAD_REFERENCE: the
 * object is invalid; path: the relocation, or empty. Destroy accepts NULL.
 */
enum vmd_status vmd_object_link(struct vmd_guest *guest, uint64_t bias, uint64_t dynamic, uint64_t size,
                                const struct vmd_object *const *scope, size_t n_scope, struct vmd_object **ret,
                                struct vmd_error *err);
void vmd_object_destroy(struct vmd_object *object);

/* Address (thread-local: offset) of the last symbol of that name that the object defines; 0: none. */
uint64_t vmd_object_symbol(const struct vmd_object *object, const char *name);

/* Number of dynamic symbols; name and address of the nth one, NULL if the object does not define it. */
size_t vmd_object_n_symbols(const struct vmd_object *object);
const char *vmd_object_nth_symbol(const struct vmd_object *object, size_t n, uint64_t *address);

/* The symbol whose function or variable contains the address, or NULL. The first call sorts the symbols. */
const char *vmd_object_symbol_at(struct vmd_object *object, uint64_t address);

/* The relocated addresses in DT_INIT_ARRAY, owned by the object; returns their number. */
size_t vmd_object_constructors(const struct vmd_object *object, const uint64_t **ret);

/*
 * The words that relocations fill with addresses (RELATIVE, RELR, and symbols except those of the PLT): n distinct
 * addresses, ascending, owned by the object. The first call collects them. VMD_NO_MEMORY.
 */
enum vmd_status vmd_object_slots(struct vmd_object *object, const uint64_t **ret, size_t *n);
/* cdef: end */

#endif
