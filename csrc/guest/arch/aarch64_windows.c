/*
 * AArch64 hosts with Windows. See arch.h.
 *
 * Source: Microsoft's overview of ARM64 ABI conventions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch/aarch64.h"
#include "guest/arch/windows.h"

static const struct vmd_arch aarch64_windows = {
    AARCH64_CPU,
    WINDOWS,
    .name = "aarch64",
    .thread_pointer = X(18),
};

VMD_ARCH(aarch64_windows)
