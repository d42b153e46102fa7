/*
 * The memory of guests, and snapshots of whole guests.
 *
 * The memory of a rewindable guest is a file without a name, which is mapped shared. A snapshot costs nothing but the
 * copy of what is outside of that memory: the file is mapped once more in the same place, this time private, so that
 * it keeps what it has. To rewind, it is mapped again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_SNAPSHOT_H
#define VMD_GUEST_SNAPSHOT_H

#include "guest/internal.h"

/* Maps guest->size bytes of zeros; NULL: no memory. */
char *vmd_snapshot_map(struct vmd_guest *guest);

void vmd_snapshot_destroy(struct vmd_guest *guest);

#endif
