/*
 * Traces of functions that a guest calls through pointers: their results, and what memory they read.
 *
 * A probe replaces a function pointer in the guest's memory by a trampoline, which calls the function twice and records
 * the second call. The first one fills caches, such as those of QOM's casts. Reads are recorded by a hook that exists
 * only between vmd_guest_trace_begin and vmd_guest_trace_end, as it slows down the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_TRACE_H
#define VMD_GUEST_TRACE_H

#include "guest/guest.h"

/* cdef: begin */
struct vmd_trace_read {
    uint64_t address;
    uint64_t size;
};

/* A call of a probed function, in order. Reads of its own stack frame and of the stack protector are left out. */
struct vmd_trace_call {
    uint64_t slot;     /* address of the function pointer */
    uint64_t opaque;   /* first argument */
    uint64_t argument; /* second argument */
    uint64_t result;   /* lowest byte */
    size_t first_read; /* index of its first read */
    size_t n_reads;
    const char *called;   /* a function of the host that it called, whose result may depend on anything; or NULL */
    uint64_t called_with; /* first argument of that call */
    bool is_unsteady;     /* the two calls had different results */
    bool is_truncated;    /* it read more than is recorded */
};

/* Start tracing. VMD_BAD_REFERENCE: already started, or Unicorn refuses the hook; VMD_NO_MEMORY. */
enum vmd_status vmd_guest_trace_begin(struct vmd_guest *guest);

/* Restore all probed pointers and stop. Without effect if tracing has not been started. */
void vmd_guest_trace_end(struct vmd_guest *guest);

/* Probe the function pointer at slot. VMD_BAD_REFERENCE: invalid address, or too many probes. */
enum vmd_status vmd_guest_trace_probe(struct vmd_guest *guest, uint64_t slot);

/*
 * Lookups in this hash table do not count as calls of the host: QOM's type table, in which types are never changed or
 * removed. 0: none.
 */
void vmd_guest_trace_set_constant_table(struct vmd_guest *guest, uint64_t table);

/* The calls and reads since the start or the last vmd_guest_trace_forget; return their numbers. */
size_t vmd_guest_trace_calls(const struct vmd_guest *guest, const struct vmd_trace_call **ret);
size_t vmd_guest_trace_reads(const struct vmd_guest *guest, const struct vmd_trace_read **ret);
void vmd_guest_trace_forget(struct vmd_guest *guest);

/*
 * The address of a function (void *, ...) for the guest that records its first argument and returns 0, and what it has
 * recorded since the last call of vmd_guest_collected. 0: too many imports.
 */
uint64_t vmd_guest_collector(struct vmd_guest *guest);
size_t vmd_guest_collected(struct vmd_guest *guest, uint64_t *ret, size_t room);
/* cdef: end */

struct vmd_host_import;

/* A host function is about to be called. */
void vmd_trace_note_call(struct vmd_guest *guest, const struct vmd_host_import *import);

void vmd_trace_destroy(struct vmd_guest *guest);

#endif
