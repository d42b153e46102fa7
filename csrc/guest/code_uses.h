/*
 * How code of a guest uses data: instructions that take an address, and the call that it is then passed to. Read off
 * the machine code, not run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_USES_H
#define VMD_GUEST_USES_H

#include "guest/guest.h"

/* cdef: begin */
#define VMD_NO_CALL 0xffffffff

/* An address that code takes, and the first call behind it of a function that is asked for; indices into the lists. */
struct vmd_guest_use {
    uint32_t target;
    uint32_t function; /* VMD_NO_CALL: none within a few hundred bytes */
};

/*
 * Looks through the code from begin to end. targets and functions ascend. Stores at most room uses, in order, and
 * returns how many there are; 0 if the code is outside of the guest's memory.
 */
uint64_t vmd_guest_find_uses(const struct vmd_guest *guest, uint64_t begin, uint64_t end, const uint64_t *targets,
                             uint32_t n_targets, const uint64_t *functions, uint32_t n_functions,
                             struct vmd_guest_use *uses, uint64_t room);
/* cdef: end */

#endif
