/*
 * Host architectures: registers and calling convention, one table entry each. Other files depend on the architecture
 * only for relocations, TLS, va_list and struct layouts of libc.
 *
 * Source: the System V ABI's supplements for x86-64 and AArch64; register numbers are Unicorn's (2.x).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_ARCH_H
#define VMD_GUEST_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/guest.h"

enum { VMD_ARGS_MAX = 8, VMD_SAVED_MAX = 24 };

struct vmd_arch {
    int unicorn_arch, unicorn_mode;
    int pc, sp, thread_pointer;
    int link;                   /* register of the return address; 0: on the stack */
    int result, result_high;    /* of integers, and the upper half of 128-bit ones */
    int n_args;                 /* number of integer arguments in registers */
    int args[VMD_ARGS_MAX + 1]; /* their registers, then the stack pointer */
    int float_args[8];          /* registers of floating-point arguments; the first is also the result's */
    int n_saved;                /* callee-saved registers, without stack pointer */
    int saved[VMD_SAVED_MAX];   /* 64 bits are saved of each */
    uint32_t return_instruction;
    int enable_fpu; /* register that enables the FPU, or 0 */
    uint64_t enable_fpu_value;
    int cpu_model; /* Unicorn's number, or -1 for its default */
};

const struct vmd_arch *vmd_arch_of(enum vmd_guest_arch arch);

#endif
