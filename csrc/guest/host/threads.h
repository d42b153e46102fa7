/*
 * Threads of a guest, shared by threads.c and the files of platforms with other functions for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_THREADS_H
#define VMD_GUEST_HOST_THREADS_H

#include "guest/internal.h"

/* Create a thread; returns its number, by which pthread_self and pthread_equal identify it. 0: too many threads. */
uint64_t vmd_host_create_thread(struct vmd_guest *guest, uint64_t function, uint64_t argument);

/* The running thread waits. Once the other threads have run, what the main thread waits for counts as done. */
uint64_t vmd_host_wait(struct vmd_host_call *call);

#endif
