/*
 * The inside of a guest, and what its two files, guest.c and guest_host.c, know of each other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_H
#define VMD_GUEST_HOST_H

#include "ghash.h"
#include "guest.h"

struct vmd_host_call {
    struct vmd_guest *guest;
    uint64_t args[8]; /* the first n_args arguments, as registers pass them */
    int n_args;
    uint64_t stack; /* where further ones are */
};

typedef uint64_t vmd_host_fn(struct vmd_host_call *call);

struct vmd_host_import {
    char *name;
    vmd_host_fn *function; /* NULL: not served, it returns 0 */
};

struct vmd_guest_table;

struct vmd_guest {
    bool no_memfd, sgx_vepc; /* of the host, see vmd_guest_set_host */
    uint64_t page_size;
    enum vmd_guest_arch arch;
    char *memory;
    uint64_t size;
    uint64_t free; /* offset of what is not allocated yet */
    uint64_t trampolines, stop, thread, stack, errno_at;
    uint64_t tls_size; /* of the main binary's TLS segment, aligned */
    struct vmd_unicorn *unicorn;
    void *engine;
    struct vmd_error err; /* the first thing that went wrong in this call */
    struct vmd_host_import imports[VMD_GUEST_TRAMPOLINES];
    size_t n_imports;
    struct vmd_guest_table **tables; /* its GHashTables, by number */
    size_t n_tables;
    uint64_t n_keys; /* that were inserted into them */
    unsigned depth;  /* calls of the guest from within calls of the host */
    uint64_t *inits; /* pairs */
    size_t n_inits, inits_room;
};

/* size bytes of the guest's memory at address, or NULL. */
static inline char *vmd_guest_find(const struct vmd_guest *guest, uint64_t address, uint64_t size)
{
    uint64_t offset = address - VMD_GUEST_BASE;

    return offset < guest->size && size <= guest->size - offset ? guest->memory + offset : NULL;
}

/* The same, but without it the call that is going on fails. */
char *vmd_guest_at(struct vmd_guest *guest, uint64_t address, uint64_t size);

/* The name of the import whose address this is, or NULL. */
const char *vmd_guest_import_name(const struct vmd_guest *guest, uint64_t address);

/* Where thread-local data begins. */
uint64_t vmd_guest_tls(const struct vmd_guest *guest);

/* Ends the call that is going on; the first failure counts. */
void vmd_guest_fail(struct vmd_guest *guest, enum vmd_status code, uint64_t address, const char *message);

/* Calls a function of the guest from within a call of the host. */
uint64_t vmd_host_call_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args);

/* The function that serves an import, or NULL. */
vmd_host_fn *vmd_host_function(const char *name);

void vmd_host_deinit(struct vmd_guest *guest);

#endif
