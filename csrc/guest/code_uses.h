/*
 * Uses of data by a guest's machine code: instructions that load an address and the call that follows. The code is
 * decoded, not executed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_CODE_USES_H
#define VMD_CODE_USES_H

#include "guest/guest.h"

/* cdef: begin */
#define VMD_NO_CALL 0xffffffff

/* A loaded address and the first following call of a given function; indices into targets and functions. */
struct vmd_guest_use {
    uint32_t target;
    uint32_t function; /* VMD_NO_CALL: none within a few hundred bytes */
};

/*
 * Find the uses in the code from begin to end. targets and functions are sorted. Stores at most room uses, in order;
 * returns their number, 0 if the code is outside the guest's memory.
 */
uint64_t vmd_guest_find_uses(const struct vmd_guest *guest, uint64_t begin, uint64_t end, const uint64_t *targets,
                             uint32_t n_targets, const uint64_t *functions, uint32_t n_functions,
                             struct vmd_guest_use *uses, uint64_t room);
/* cdef: end */

#endif
