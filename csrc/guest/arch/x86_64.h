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

/* The next argument of a va_list: see vmd_arch.next_saved_register. VA_OVERFLOW: offset of those on the stack. */
enum { X86_64_VA_OVERFLOW = 8 };
uint64_t vmd_x86_64_next_saved_register(struct vmd_guest *guest, uint64_t va_list, bool is_double);

#define X86_64_CPU                                                                                                     \
    .e_machine = EM_X86_64, .unicorn_arch = UC_ARCH_X86, .unicorn_mode = UC_MODE_64, .cpu_model = -1, .pc = RIP,       \
    .sp = RSP, .return_code = {0xc3}, .replacement = &vmd_x86_64_vectors, .result = RAX, .result_high = RDX,           \
    .find_uses = vmd_x86_64_find_uses

/* The calling convention of the System V ABI, which Linux and macOS have. */
#define X86_64_SYSTEM_V                                                                                                \
    .n_args = 6, .args = {RDI, RSI, RDX, RCX, R8, R9, RSP}, .n_float_args = 8,                                         \
    .float_args = {XMM0, XMM0 + 1, XMM0 + 2, XMM0 + 3, XMM0 + 4, XMM0 + 5, XMM0 + 6, XMM0 + 7}, .n_saved = 6,          \
    .saved = {RBX, RBP, R12, R13, R14, R15}, .frame_size = 8, .has_x87 = true, .va_list_stack = X86_64_VA_OVERFLOW,    \
    .next_saved_register = vmd_x86_64_next_saved_register

#endif
