/*
 * An ELF object in a guest: its dynamic symbols, its relocations, and where they put addresses. Everything that comes
 * from the object is checked before it is used; what it says of itself is copied, so that a guest that writes over it
 * does no harm.
 *
 * Not thread-safe, as its guest. It must not outlive the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_OBJECT_H
#define VMD_GUEST_OBJECT_H

#include "guest/guest.h"

/* cdef: begin */
struct vmd_object;

/*
 * Relocates an object whose segments are in the guest at bias, and whose dynamic section is size bytes at dynamic. Its
 * undefined symbols are those of the objects in scope, the first that has it, and then the host's; but QEMU's
 * register_dso_module_init is the host's always. scope is not used after the call.
 * VMD_NO_MEMORY; VMD_BAD_REFERENCE: message says what is wrong, path where, if not empty. Destroy takes NULL.
 */
enum vmd_status vmd_object_link(struct vmd_guest *guest, uint64_t bias, uint64_t dynamic, uint64_t size,
                                const struct vmd_object *const *scope, size_t n_scope, struct vmd_object **ret,
                                struct vmd_error *err);
void vmd_object_destroy(struct vmd_object *object);

/* The address of a symbol that the object defines (thread-local: its offset), the last of that name; 0: none. */
uint64_t vmd_object_symbol(const struct vmd_object *object, const char *name);

/* How many dynamic symbols it has, and the name and address of one; NULL: that one is not defined here. */
size_t vmd_object_n_symbols(const struct vmd_object *object);
const char *vmd_object_nth_symbol(const struct vmd_object *object, size_t n, uint64_t *address);

/* The symbol whose function or variable this address is within, or NULL. The first call takes memory and time. */
const char *vmd_object_symbol_at(struct vmd_object *object, uint64_t address);

/* The addresses in DT_INIT_ARRAY, as relocated; how many. They are the object's. */
size_t vmd_object_constructors(const struct vmd_object *object, const uint64_t **ret);

/*
 * Where relocations have put addresses (RELATIVE, RELR, and symbols' but for the PLT's): addresses, ascending, each
 * once; how many. They are the object's. The first call takes memory and time. VMD_NO_MEMORY.
 */
enum vmd_status vmd_object_slots(struct vmd_object *object, const uint64_t **ret, size_t *n);
/* cdef: end */

#endif
