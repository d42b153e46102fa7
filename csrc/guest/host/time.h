/*
 * The guest's clocks, shared by time.c and the files of platforms with other functions for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_TIME_H
#define VMD_GUEST_HOST_TIME_H

#include "guest/internal.h"

/* Microseconds since the guest's machine has started, and since 1970. Both clocks move each time that one is read. */
uint64_t vmd_host_monotonic_time(struct vmd_guest *guest);
uint64_t vmd_host_real_time(struct vmd_guest *guest);

#endif
