/*
 * The CPU's part of the tables of x86-64 hosts: its registers and its code. Calling conventions are the hosts' own.
 *
 * Source: unicorn/x86.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_ARCH_X86_64_H
#define VMD_GUEST_ARCH_X86_64_H

#include <elf.h>

#include "guest/arch.h"

enum {
    UC_ARCH_X86 = 4,
    UC_MODE_64 = 8,
    RAX = 35,
    RBP = 36,
    RBX = 37,
    RCX = 38,
    RDI = 39,
    RDX = 40,
    RIP = 41,
    RSI = 43,
    RSP = 44,
    R8 = 106,
    R9 = 107,
    R10 = 108,
    R12 = 110,
    R13 = 111,
    R14 = 112,
    R15 = 113,
    XMM0 = 122,
    FS_BASE = 250,
    GS_BASE = 251,
    INS_SYSCALL = 699,
};

extern const struct vmd_replacement vmd_x86_64_vectors;
uint64_t vmd_x86_64_find_uses(const struct vmd_code *code, struct vmd_guest_use *uses, uint64_t room);

#define X86_64_CPU                                                                                                     \
    .e_machine = EM_X86_64, .unicorn_arch = UC_ARCH_X86, .unicorn_mode = UC_MODE_64, .cpu_model = -1, .pc = RIP,       \
    .sp = RSP, .return_code = {0xc3}, .replacement = &vmd_x86_64_vectors, .result = RAX, .result_high = RDX,           \
    .find_uses = vmd_x86_64_find_uses

#endif
