/*
 * The platform's part of the tables of hosts with Windows.
 *
 * A thread pointer is the address of the thread's TEB. Variadic floating-point arguments are passed as integers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_ARCH_WINDOWS_H
#define VMD_GUEST_ARCH_WINDOWS_H

#include "guest/arch.h"

enum { WINDOWS_TEB_SIZE = 0x2000 };

void vmd_windows_init_thread(struct vmd_guest *guest, uint64_t thread);

extern const struct vmd_number vmd_windows_errnos[];

#define WINDOWS                                                                                                        \
    .platform = VMD_WINDOWS, .long_is_int = true, .stat_size = 56, .stat_mode = 6, .stat_length = 24,                  \
    .open_create = 0x100, .va_list_is_pointer = true, .tls = VMD_TLS_AFTER, .tls_offset = WINDOWS_TEB_SIZE,            \
    .init_thread = vmd_windows_init_thread, .errnos = vmd_windows_errnos

#endif
