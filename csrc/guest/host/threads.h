/*
 * Threads of a guest, shared by threads.c and the files of platforms with other functions for them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_THREADS_H
#define VMD_GUEST_HOST_THREADS_H

#include "guest/internal.h"

/* Numbers of threads, as vmd_guest_state.running_thread is one: that of threads[i] is VMD_MAIN_THREAD + 1 + i. */
enum { VMD_MAIN_THREAD = 1 };

/* Create a thread; returns its pthread_t, which is its number if the host has no other one. 0: too many threads. */
uint64_t vmd_host_create_thread(struct vmd_guest *guest, uint64_t function, uint64_t argument);

/* The running thread waits. Once the other threads have run, what the main thread waits for counts as done. */
uint64_t vmd_host_wait(struct vmd_host_call *call);

#endif
