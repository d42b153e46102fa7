/*
 * ELF objects in a guest: dynamic symbols and relocations. All data of the object is checked before use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_ELF_OBJECT_H
#define VMD_ELF_OBJECT_H

#include "guest/objects/object.h"

/* cdef: begin */
/*
 * Relocate an object whose segments are in the guest at bias, with a dynamic section of size bytes at dynamic.
 * Undefined symbols are resolved by the first object in scope that defines them, else by the host; QEMU's
 * register_dso_module_init always by the host. scope is not used after the call. VMD_NO_MEMORY; VMD_BAD_REFERENCE: the
 * object is invalid; path: the relocation, or empty.
 */
enum vmd_status vmd_elf_link(struct vmd_guest *guest, uint64_t bias, uint64_t dynamic, uint64_t size,
                             const struct vmd_object *const *scope, size_t n_scope, struct vmd_object **ret,
                             struct vmd_error *err);

/*
 * Add the symbols of the section .symtab, of n entries, with the section of their names: functions and variables. Those
 * of the dynamic section have precedence; local ones are found by address only. Malformed symbols are skipped.
 * VMD_NO_MEMORY; VMD_BAD_REFERENCE: too many.
 */
enum vmd_status vmd_elf_add_symbols(struct vmd_object *object, const char *table, size_t n, const char *names,
                                    size_t size, struct vmd_error *err);
/* cdef: end */

#endif
