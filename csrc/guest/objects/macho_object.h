/*
 * Mach-O object in a guest: symbols, fixups, constructors and thread-local variables of it are checked, copied and
 * applied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_MACHO_OBJECT_H
#define VMD_MACHO_OBJECT_H

#include "guest/objects/object.h"

/* cdef: begin */
/*
 * Link an object whose segments are in the size bytes of the guest from start on, where its Mach-O header is,
 * __LINKEDIT included. Imports are bound to the first object in scope that exports the symbol, else to the host; QEMU's
 * register_dso_module_init always to the host. scope is not used after the call. Only the main binary may have
 * thread-local data. VMD_NO_MEMORY; VMD_BAD_REFERENCE: the object is invalid; path: the part, or empty.
 */
enum vmd_status vmd_macho_link(struct vmd_guest *guest, uint64_t start, uint64_t size, bool is_main,
                               const struct vmd_object *const *scope, size_t n_scope, struct vmd_object **ret,
                               struct vmd_error *err);
/* cdef: end */

#endif
