/*
 * The memory of guests, and snapshots of whole guests.
 *
 * The memory of a rewindable guest is an unnamed file, mapped shared. A snapshot maps the file privately over the same
 * addresses, so that the file no longer changes, and copies the state outside of that memory. Rewinding maps it again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_SNAPSHOT_H
#define VMD_GUEST_SNAPSHOT_H

#include "guest/internal.h"

/* Map guest->size zero bytes; NULL: no memory. */
char *vmd_snapshot_map(struct vmd_guest *guest);

void vmd_snapshot_destroy(struct vmd_guest *guest);

#endif
