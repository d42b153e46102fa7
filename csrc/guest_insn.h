/*
 * x86-64 instructions, as far as it takes to walk through machine code and to know those that Unicorn gets wrong: what
 * is encoded with VEX, EVEX or XOP and works on vectors or masks. Unicorn 2.1 executes 128-bit VEX instructions as
 * their SSE counterparts, with two operands instead of three, and reports no error. VEX instructions on general
 * registers (BMI1, BMI2) are executed right.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_INSN_H
#define VMD_GUEST_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cdef: begin */
/*
 * The length in bytes of the instruction that code begins with; 0 if it is no valid instruction or is not complete
 * within size bytes. An instruction that vmd_x86_64_is_vector accepts has length 0, unless it is VEX-encoded.
 */
size_t vmd_x86_64_length(const uint8_t *code, size_t size);

/* Whether the instruction that code begins with is one of VEX, EVEX or XOP on vectors or masks. */
bool vmd_x86_64_is_vector(const uint8_t *code, size_t size);

/* The offset of the first such instruction among those that begin within the first block bytes of code; SIZE_MAX: none.
 */
size_t vmd_x86_64_find_vector(const uint8_t *code, size_t block, size_t size);
/* cdef: end */

#endif
