/*
 * The CPU's part of the tables of AArch64 hosts: its registers, its code, and the calls that all of them have in
 * common.
 *
 * Source: AAPCS64; unicorn/arm64.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_ARCH_AARCH64_H
#define VMD_GUEST_ARCH_AARCH64_H

#include <elf.h>

#include "guest/arch.h"

enum {
    UC_ARCH_ARM64 = 2,
    UC_CPU_ARM64_MAX = 3,
    X29 = 1,
    X30 = 2,
    SP = 4,
    D0 = 40,
    X0 = 199,
    PC = 260,
    CPACR_EL1 = 261,
    TPIDR_EL0 = 262,
    FPEN = 3 << 20, /* of CPACR_EL1: no floating-point instruction is trapped */
};

#define X(n) (X0 + (n))
#define D(n) (D0 + (n))

uint64_t vmd_aarch64_find_uses(const struct vmd_code *code, struct vmd_guest_use *uses, uint64_t room);

#define AARCH64_CPU                                                                                                    \
    .e_machine = EM_AARCH64, .unicorn_arch = UC_ARCH_ARM64, .cpu_model = UC_CPU_ARM64_MAX,                             \
    .start = {{CPACR_EL1, FPEN}}, .pc = PC, .sp = SP, .link = X30, .return_code = {0xc0, 0x03, 0x5f, 0xd6},            \
    .result = X(0), .result_high = X(1), .n_args = 8, .args = {X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), SP},    \
    .float_args = {D(0), D(1), D(2), D(3), D(4), D(5), D(6), D(7)}, .n_saved = 19,                                     \
    .saved = {X(19), X(20), X(21), X(22), X(23), X(24), X(25), X(26), X(27), X(28),                                    \
              X29,   D(8),  D(9),  D(10), D(11), D(12), D(13), D(14), D(15)},                                          \
    .find_uses = vmd_aarch64_find_uses

#endif
