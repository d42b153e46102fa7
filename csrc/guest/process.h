/*
 * The start of a statically linked binary: its own start-up code, which relocates it and runs its constructors, and the
 * system calls that it makes on the way.
 *
 * Not thread-safe, as its guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_PROCESS_H
#define VMD_GUEST_PROCESS_H

#include "guest/guest.h"

/* cdef: begin */
/* Whether binaries of the guest's host can be started that way: its system calls are known. */
bool vmd_guest_can_start(const struct vmd_guest *guest);

/*
 * Start a binary at its entry with the stack pointer at the argument count, up to the entry of the function pause_at;
 * that call stays paused, and other calls run below it. From then on, system calls of the guest are served. Status as
 * of vmd_guest_call_until; VMD_BAD_REFERENCE also if the binary ends before.
 */
enum vmd_status vmd_guest_start(struct vmd_guest *guest, uint64_t entry, uint64_t stack, uint64_t pause_at,
                                struct vmd_error *err);
/* cdef: end */

#endif
