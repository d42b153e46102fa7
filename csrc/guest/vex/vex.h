/*
 * VEX-encoded instructions on vectors, which Unicorn lacks (256 bits) or executes wrongly (128 bits): executed in C.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_VEX_VEX_H
#define VMD_GUEST_VEX_VEX_H

#include "guest/internal.h"

/* cdef: begin */
/* Whether VEX instructions of an opcode are executed. map: 1 to 3; pp: the implied prefix, as in VEX. */
bool vmd_vex_has_opcode(unsigned map, unsigned pp, unsigned opcode);
/* cdef: end */

/* Make a VEX instruction, or another one that vmd_x86_64_is_vector accepts, invalid. */
void vmd_vex_overwrite(uint8_t *code, size_t size);

/* As execute of struct vmd_replacement. */
size_t vmd_vex_execute(struct vmd_guest *guest, uint64_t pc, const uint8_t *code, size_t size);

#endif
