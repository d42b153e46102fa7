/*
 * A guest: the address space of a QEMU binary that is emulated by Unicorn instead of being run, and the few functions
 * of libc and GLib that its start-up calls, served in C. Nothing of the binary is ever executed natively.
 *
 * The guest's memory is one piece of ours, which Unicorn maps: both sides see the same bytes. Every address that comes
 * from the guest is checked before it is used. Functions of the host are reached through trampolines, a return
 * instruction each, on which a hook serves the call; so an import is an address like any other.
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

/* Where things are in the guest; all of its memory is from VMD_GUEST_BASE on. */
#define VMD_GUEST_BASE 0x10000000
#define VMD_GUEST_TRAMPOLINES 4096 /* imports that there is room for, in all modules */

struct vmd_guest;

/*
 * What a guest may use. Every slice_milliseconds while the guest runs its time is looked at, and poll is called, on the
 * thread that called the guest: nonzero ends the call with VMD_INTERRUPTED. NULL: it is not called.
 */
struct vmd_guest_limits {
    uint64_t memory;       /* bytes */
    uint64_t milliseconds; /* of CPU time, in all calls together */
    uint64_t slice_milliseconds;
    int (*poll)(void *opaque);
    void *opaque;
};

/*
 * A guest, whose memory is zeros that cost nothing until they are touched. unicorn: the path of libunicorn.
 * VMD_NO_MEMORY; VMD_IO: libunicorn can't be used, message says why. Destroy takes NULL.
 */
enum vmd_status vmd_guest_create(const char *unicorn, enum vmd_guest_arch arch, const struct vmd_guest_limits *limits,
                                 struct vmd_guest **ret, struct vmd_error *err);
void vmd_guest_destroy(struct vmd_guest *guest);

/* The guest's memory, as many bytes as its limits say, which stand for VMD_GUEST_BASE and up. */
char *vmd_guest_memory(struct vmd_guest *guest);

/* size bytes of zeros, aligned to align (a power of two), as an address of the guest; 0 if there is no room. */
uint64_t vmd_guest_alloc(struct vmd_guest *guest, uint64_t size, uint64_t align);

/* The address of a function or variable of the host, by its name as an import; the same for each name. 0: no room. */
uint64_t vmd_guest_import(struct vmd_guest *guest, const char *name);

/* Names a variable of the host, at an address of the guest. VMD_NO_MEMORY. */
enum vmd_status vmd_guest_define(struct vmd_guest *guest, const char *name, uint64_t address);

/*
 * Calls a function of the guest with up to six integers.
 * VMD_BAD_REFERENCE, VMD_TOO_DEEP, index: the guest's address, message and path say what it did wrong; VMD_TOO_LARGE:
 * it takes longer than the limit; VMD_NO_MEMORY: the guest's memory is used up; VMD_INTERRUPTED.
 */
enum vmd_status vmd_guest_call(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args,
                               uint64_t *ret, struct vmd_error *err);

/* Calls n functions without arguments, one after the other, up to the first that fails: its number is in done. */
enum vmd_status vmd_guest_call_all(struct vmd_guest *guest, const uint64_t *functions, size_t n, size_t *done,
                                   struct vmd_error *err);

/*
 * What the host has: whether memfd_create works, whether /dev/sgx_vepc can be opened, bytes of a page. A new guest has
 * the first, not the second, and 4096.
 */
void vmd_guest_set_host(struct vmd_guest *guest, bool memfd, bool sgx_vepc, uint64_t page_size);

/* Makes room for thread-local data of size bytes, aligned; the address where its initial bytes go, 0: no room. */
uint64_t vmd_guest_set_tls(struct vmd_guest *guest, uint64_t size);

/*
 * Takes the first of the functions that register_dso_module_init(fn, type) was called with, at most room: pairs of fn
 * and type. How many; 0: there are no more.
 */
size_t vmd_guest_take_inits(struct vmd_guest *guest, uint64_t *pairs, size_t room);

/* A function that a table's keys were given to, one by one, and that went wrong at one of them. */
struct vmd_guest_fault {
    uint64_t key;        /* the guest's: of QOM's table of types, a type's name */
    uint64_t address;    /* of what it did */
    const char *message; /* a constant string */
};

/* The faults so far, until the next call; how many. */
size_t vmd_guest_faults(const struct vmd_guest *guest, const struct vmd_guest_fault **ret);
/* cdef: end */

#endif
