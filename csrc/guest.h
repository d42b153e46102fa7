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

#include "error.h"

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
 * A guest with size bytes of memory, zeros that cost nothing until they are touched. unicorn: the path of libunicorn.
 * VMD_NO_MEMORY; VMD_IO: libunicorn can't be used, message says why. Destroy takes NULL.
 */
enum vmd_status vmd_guest_create(const char *unicorn, enum vmd_guest_arch arch, uint64_t size, struct vmd_guest **ret,
                                 struct vmd_error *err);
void vmd_guest_destroy(struct vmd_guest *guest);

/* The guest's memory, size bytes that stand for VMD_GUEST_BASE and up. */
char *vmd_guest_memory(struct vmd_guest *guest);

/* size bytes of zeros, aligned to align (a power of two), as an address of the guest; 0 if there is no room. */
uint64_t vmd_guest_alloc(struct vmd_guest *guest, uint64_t size, uint64_t align);

/* The address of a function of the host, by its name as an import; the same for each name. 0: no room. */
uint64_t vmd_guest_import(struct vmd_guest *guest, const char *name);

/*
 * Applies n Elf64_Rela at address rela to an object that is loaded at bias. symbols: each symbol of its .dynsym as an
 * address of the guest, or, if it is thread-local, its offset in the TLS segment. VMD_BAD_REFERENCE, index: the entry's
 * number.
 */
enum vmd_status vmd_guest_relocate(struct vmd_guest *guest, uint64_t rela, uint64_t n, uint64_t bias,
                                   const uint64_t *symbols, uint64_t n_symbols, struct vmd_error *err);

/* Applies n words of DT_RELR, packed relative relocations. VMD_BAD_REFERENCE, index: the word's number. */
enum vmd_status vmd_guest_relocate_relr(struct vmd_guest *guest, uint64_t relr, uint64_t n, uint64_t bias,
                                        struct vmd_error *err);

/*
 * Calls a function of the guest with up to six integers. seconds: how long it may take.
 * VMD_BAD_REFERENCE, VMD_TOO_DEEP, index: the guest's address, message and path say what it did wrong; VMD_TOO_LARGE:
 * it takes longer; VMD_NO_MEMORY: the guest's memory is used up.
 */
enum vmd_status vmd_guest_call(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args,
                               uint64_t seconds, uint64_t *ret, struct vmd_error *err);

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
/* cdef: end */

#endif
