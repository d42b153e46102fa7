/*
 * x86-64 hosts with Windows. See arch.h.
 *
 * Source: Microsoft's x64 calling convention.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch/windows.h"
#include "guest/arch/x86_64.h"

#define XMM(n) (XMM0 + (n))

/* A caller leaves room for the four arguments in registers above the return address. */
static const struct vmd_arch x86_64_windows = {
    X86_64_CPU,
    WINDOWS,
    .name = "x86_64",
    .thread_pointer = GS_BASE,
    .n_args = 4,
    .args = {RCX, RDX, R8, R9, RSP},
    .args_are_positional = true,
    .float_args = {XMM(0), XMM(1), XMM(2), XMM(3)},
    .n_saved = 8,
    .saved = {RBX, RBP, RDI, RSI, R12, R13, R14, R15},
    .n_saved_vectors = 10,
    .saved_vectors = {XMM(6), XMM(7), XMM(8), XMM(9), XMM(10), XMM(11), XMM(12), XMM(13), XMM(14), XMM(15)},
    .frame_size = 40,
};

VMD_ARCH(x86_64_windows)
