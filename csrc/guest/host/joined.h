/*
 * Text that is concatenated in the guest's memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VMD_GUEST_HOST_JOINED_H
#define VMD_GUEST_HOST_JOINED_H

#include "guest/variadic.h"

struct vmd_joined {
    struct vmd_guest *guest;
    uint64_t address, size, room;
};

/* An empty text. */
struct vmd_joined vmd_joined_of(struct vmd_host_call *call);

/* Append a string of the guest. */
void vmd_join(struct vmd_joined *joined, uint64_t text);

#endif
