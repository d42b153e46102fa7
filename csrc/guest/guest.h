/*
 * Guest: the address space of a QEMU binary, which Unicorn emulates, and the functions of libc and GLib that its
 * start-up calls, implemented in C. No code of the binary runs natively.
 *
 * The guest's memory is a contiguous block of this process, which Unicorn maps. Every address that comes from the guest
 * is checked before use. A function of the host is called through a trampoline, a return instruction whose hook
 * performs the call; so an import is an ordinary address.
 *
 * Not thread-safe: a guest belongs to one thread at a time; any number of guests may exist.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_H
#define VMD_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* cdef: begin */
enum vmd_guest_arch {
    VMD_GUEST_X86_64 = 0,
    VMD_GUEST_AARCH64 = 1,
};

/* Addresses in the guest; its memory begins at VMD_GUEST_BASE. */
#define VMD_GUEST_BASE 0x10000000
#define VMD_GUEST_TRAMPOLINES 4096 /* maximum number of imports, in all modules together */

struct vmd_guest;

/*
 * Limits of a guest. Every slice_milliseconds of its run time, the time is checked and poll is called on the thread
 * that called the guest; nonzero ends the call with VMD_INTERRUPTED. poll NULL: no calls.
 */
struct vmd_guest_limits {
    uint64_t memory;       /* bytes */
    uint64_t milliseconds; /* of CPU time, in all calls together */
    uint64_t slice_milliseconds;
    int (*poll)(void *opaque);
    void *opaque;
};

/*
 * Create a guest; its memory is zeroed and allocated on first use. unicorn: path of libunicorn.
 * VMD_NO_MEMORY; VMD_IO: libunicorn cannot be used, see message. Destroy accepts NULL.
 */
enum vmd_status vmd_guest_create(const char *unicorn, enum vmd_guest_arch arch, const struct vmd_guest_limits *limits,
                                 struct vmd_guest **ret, struct vmd_error *err);
void vmd_guest_destroy(struct vmd_guest *guest);

/* The guest's memory: the bytes from address VMD_GUEST_BASE on; the size is that of its limits. */
char *vmd_guest_memory(struct vmd_guest *guest);

/* Allocate size zero bytes, aligned to align (a power of two); returns the guest's address, 0: no memory left. */
uint64_t vmd_guest_alloc(struct vmd_guest *guest, uint64_t size, uint64_t align);

/*
 * Name of an unimplemented function of the host that the guest has called (it returned 0). index counts from 0. NULL:
 * no more.
 */
const char *vmd_guest_missed(const struct vmd_guest *guest, size_t index);

/* The address of a function or variable of the host by its import name; stable for each name. 0: too many imports. */
uint64_t vmd_guest_import(struct vmd_guest *guest, const char *name);

/* Define a variable of the host at an address of the guest. VMD_NO_MEMORY. */
enum vmd_status vmd_guest_define(struct vmd_guest *guest, const char *name, uint64_t address);

/*
 * Call a function of the guest with up to six integers.
 * VMD_BAD_REFERENCE, VMD_TOO_DEEP: the guest's code failed at address index, see message and path; VMD_TOO_LARGE: time
 * limit exceeded; VMD_NO_MEMORY: the guest's memory is exhausted; VMD_INTERRUPTED; VMD_UNSUPPORTED: stopped before the
 * instruction at index, which Unicorn executes wrongly.
 */
enum vmd_status vmd_guest_call(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args,
                               uint64_t *ret, struct vmd_error *err);

/* Call n functions without arguments in turn, up to the first that fails; done: number of successful calls. */
enum vmd_status vmd_guest_call_all(struct vmd_guest *guest, const uint64_t *functions, size_t n, size_t *done,
                                   struct vmd_error *err);

/*
 * Set properties of the host: whether memfd_create works (default: true), whether /dev/sgx_vepc can be opened (default:
 * false), bytes per page (default: 4096).
 */
void vmd_guest_set_host(struct vmd_guest *guest, bool memfd, bool sgx_vepc, uint64_t page_size);

/* Allocate aligned thread-local data of size bytes; returns the address for its initial bytes, 0: no memory left. */
uint64_t vmd_guest_set_tls(struct vmd_guest *guest, uint64_t size);

/*
 * Remove the first calls of register_dso_module_init(fn, type) from the queue, at most room, and store them as pairs of
 * fn and type. Returns their number; 0: the queue is empty.
 */
size_t vmd_guest_take_inits(struct vmd_guest *guest, uint64_t *pairs, size_t room);

/* A failure of a function that was called for each key of a hash table. */
struct vmd_guest_fault {
    uint64_t key;        /* guest address; in QOM's type table: the name of a type */
    uint64_t address;    /* that the function accessed or executed */
    const char *message; /* a constant string */
};

/* The faults so far, valid until the next call; returns their number. */
size_t vmd_guest_faults(const struct vmd_guest *guest, const struct vmd_guest_fault **ret);
/* cdef: end */

#endif
