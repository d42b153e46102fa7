/*
 * The platform's part of the tables of hosts with macOS: numbers and structs of its C library, libSystem.
 *
 * Source: sys/stat.h, sys/mount.h, sys/fcntl.h, sys/signal.h, pthread/pthread_impl.h of the macOS SDK, for 64 bits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_ARCH_MACOS_H
#define VMD_GUEST_ARCH_MACOS_H

#include "guest/arch.h"

extern const struct vmd_number vmd_macos_errnos[], vmd_macos_sysconf_names[];

/* Variables of its libraries. VMD_NO_MEMORY. */
enum vmd_status vmd_macos_define_variables(struct vmd_guest *guest);

#define MACOS_PLATFORM                                                                                                 \
    .platform = VMD_MACOS, .define_variables = vmd_macos_define_variables, .errnos = vmd_macos_errnos,                 \
    .sysconf_names = vmd_macos_sysconf_names, .stat_size = 144, .stat_mode = 4, .stat_length = 96,                     \
    .stat_block_size = 112, .statfs_size = 2168, .statfs_word = 4, .open_directory = 0x100000, .open_create = 0x200,   \
    .limit_files = 8, .once_init = 0x30b1bcba, .n_signals = 32, .signal_block = 1, .stack_size = 8, .stack_flags = 16, \
    .stack_disabled = 4, .pthread_size = 16

#endif
