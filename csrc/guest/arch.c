/*
 * Host architectures. See arch.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch.h"

/* Unicorn's numbers. Source: unicorn/x86.h, unicorn/arm64.h of Unicorn 2. */
enum {
    UC_ARCH_ARM64 = 2,
    UC_ARCH_X86 = 4,
    UC_MODE_64 = 8,
    UC_X86_REG_RAX = 35,
    UC_X86_REG_RBP = 36,
    UC_X86_REG_RBX = 37,
    UC_X86_REG_RCX = 38,
    UC_X86_REG_RDI = 39,
    UC_X86_REG_RDX = 40,
    UC_X86_REG_RIP = 41,
    UC_X86_REG_RSI = 43,
    UC_X86_REG_RSP = 44,
    UC_X86_REG_R8 = 106,
    UC_X86_REG_R9 = 107,
    UC_X86_REG_R12 = 110,
    UC_X86_REG_XMM0 = 122,
    UC_X86_REG_FS_BASE = 250,
    UC_ARM64_REG_X29 = 1,
    UC_ARM64_REG_X30 = 2,
    UC_ARM64_REG_SP = 4,
    UC_ARM64_REG_D0 = 40,
    UC_ARM64_REG_X0 = 199,
    UC_ARM64_REG_PC = 260,
    UC_ARM64_REG_CPACR_EL1 = 261,
    UC_ARM64_REG_TPIDR_EL0 = 262,
    UC_CPU_ARM64_MAX = 3,
};

#define X(n) (UC_ARM64_REG_X0 + (n))
#define D(n) (UC_ARM64_REG_D0 + (n))
#define XMM(n) (UC_X86_REG_XMM0 + (n))

static const struct vmd_arch archs[] =
    {
        [VMD_GUEST_X86_64] =
            {
                .unicorn_arch = UC_ARCH_X86,
                .unicorn_mode = UC_MODE_64,
                .pc = UC_X86_REG_RIP,
                .sp = UC_X86_REG_RSP,
                .thread_pointer = UC_X86_REG_FS_BASE,
                .result = UC_X86_REG_RAX,
                .result_high = UC_X86_REG_RDX,
                .n_args = 6,
                .args = {UC_X86_REG_RDI, UC_X86_REG_RSI, UC_X86_REG_RDX, UC_X86_REG_RCX, UC_X86_REG_R8, UC_X86_REG_R9,
                         UC_X86_REG_RSP},
                .float_args = {XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7)},
                .n_saved = 6,
                .saved = {UC_X86_REG_RBX, UC_X86_REG_RBP, UC_X86_REG_R12, UC_X86_REG_R12 + 1, UC_X86_REG_R12 + 2,
                          UC_X86_REG_R12 + 3},
                .return_instruction = 0xc3,
                .cpu_model = -1,
            },
        [VMD_GUEST_AARCH64] =
            {
                .unicorn_arch = UC_ARCH_ARM64,
                .pc = UC_ARM64_REG_PC,
                .sp = UC_ARM64_REG_SP,
                .thread_pointer = UC_ARM64_REG_TPIDR_EL0,
                .link = UC_ARM64_REG_X30,
                .result = X(0),
                .result_high = X(1),
                .n_args = 8,
                .args = {X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), UC_ARM64_REG_SP},
                .float_args = {D(0), D(1), D(2), D(3), D(4), D(5), D(6), D(7)},
                .n_saved = 19,
                .saved = {X(19), X(20), X(21), X(22), X(23), X(24), X(25), X(26), X(27), X(28), UC_ARM64_REG_X29, D(8),
                          D(9), D(10), D(11), D(12), D(13), D(14), D(15)},
                .return_instruction = 0xd65f03c0,
                .enable_fpu = UC_ARM64_REG_CPACR_EL1,
                .enable_fpu_value = 3 << 20,
                .cpu_model = UC_CPU_ARM64_MAX,
            },
};

const struct vmd_arch *vmd_arch_of(enum vmd_guest_arch arch)
{
    return &archs[arch];
}
