/*
 * Lengths of x86-64 instructions, and detection of those that Unicorn executes wrongly: VEX, EVEX and XOP instructions
 * on vectors or masks. Unicorn 2.1 executes 128-bit VEX instructions as their SSE counterparts, with two operands
 * instead of three, and reports no error. VEX instructions on general registers (BMI1, BMI2) are executed correctly.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_INSN_H
#define VMD_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cdef: begin */
/*
 * The length in bytes of the instruction that code begins with; 0 if it is invalid or not complete within size bytes.
 * An instruction that vmd_x86_64_is_vector accepts has length 0, unless it is VEX-encoded.
 */
size_t vmd_x86_64_length(const uint8_t *code, size_t size);

/* Whether code begins with a VEX, EVEX or XOP instruction on vectors or masks. */
bool vmd_x86_64_is_vector(const uint8_t *code, size_t size);

/* Offset of the first such instruction that begins within the first block bytes of code; SIZE_MAX: none. */
size_t vmd_x86_64_find_vector(const uint8_t *code, size_t block, size_t size);
/* The number of prefixes that code begins with, REX included; VEX and EVEX are no prefixes here. */
size_t vmd_x86_64_prefixes(const uint8_t *code, size_t size);
/* cdef: end */

#endif
