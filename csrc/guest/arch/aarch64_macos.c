/*
 * AArch64 hosts with macOS. See arch.h.
 *
 * Source: Apple, "Writing ARM64 code for Apple platforms"; headers of the macOS SDK.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch/aarch64.h"
#include "guest/arch/macos.h"

static const struct vmd_arch aarch64_macos = {
    AARCH64_CPU,
    MACOS_PLATFORM,
    .name = "arm64",
    .thread_pointer = TPIDR_EL0,
    .is_variadic_on_stack = true,
    .va_list_is_pointer = true,
    .tls = VMD_TLS_AFTER,
    .tls_offset = 16,
};

VMD_ARCH(aarch64_macos)
