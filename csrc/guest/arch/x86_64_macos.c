/*
 * x86-64 hosts with macOS. See arch.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch/macos.h"
#include "guest/arch/x86_64.h"

static const struct vmd_arch x86_64_macos = {
    X86_64_CPU,           X86_64_SYSTEM_V,  MACOS_PLATFORM, .name = "x86_64", .thread_pointer = GS_BASE,
    .tls = VMD_TLS_AFTER, .tls_offset = 16,
};

VMD_ARCH(x86_64_macos)
