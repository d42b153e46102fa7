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
/* Where a guest's memory begins, if its limits do not say. */
#define VMD_GUEST_BASE 0x10000000
#define VMD_GUEST_TRAMPOLINES 4096 /* maximum number of imports, in all modules together */

/* Systems that binaries are built for: with the CPU, it determines the calling convention. */
enum vmd_platform { VMD_LINUX = 0, VMD_WINDOWS = 1, VMD_MACOS = 2 };

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
    int rewindable; /* nonzero: snapshots can be taken */
    /*
     * Limit, in bytes, of the growth of the process's resident memory during a call (checked every slice), and of one
     * memset or memcpy. The member memory limits address space, which a guest may reserve without using it. 0: no
     * limit.
     */
    uint64_t resident;
    /*
     * Place of a binary that has to be at its own addresses: the memory begins there, and all else is behind image_size
     * bytes. 0: no such binary.
     */
    uint64_t image, image_size;
};

/*
 * Callbacks for files and modules, called on the thread that executes the guest. Paths come from the guest, unchecked.
 * Without services there are no files and no modules.
 */
struct vmd_guest_services {
    void *opaque;
    /* The content of a file, valid as long as the guest exists. Returns 0: no such file. */
    int (*read_file)(void *opaque, const char *path, const char **data, uint64_t *size);
    /*
     * Map a shared object; returns its handle and the constructors to call. is_global: later modules are bound to its
     * symbols. 0: no such file.
     */
    uint64_t (*open_module)(void *opaque, const char *path, int is_global, const uint64_t **constructors, uint64_t *n);
    /* The address of a symbol of a module; module 1 is the program itself. 0: no such symbol. */
    uint64_t (*module_symbol)(void *opaque, uint64_t module, const char *name);
    /* Whether the host has a directory of that path. Directories are empty. */
    int (*is_directory)(void *opaque, const char *path);
};

/*
 * Create a guest; its memory is zeroed and allocated on first use. unicorn: path of libunicorn; e_machine: ELF's number
 * of the host's CPU. VMD_NO_MEMORY; VMD_UNSUPPORTED: no table for this host; VMD_IO: libunicorn cannot be used, see
 * message. Destroy accepts NULL.
 */
enum vmd_status vmd_guest_create(const char *unicorn, uint16_t e_machine, enum vmd_platform platform,
                                 const struct vmd_guest_limits *limits, struct vmd_guest **ret, struct vmd_error *err);
void vmd_guest_destroy(struct vmd_guest *guest);

/* Translate the size bytes at start faster, which are code that is not written to. For code of the first snapshot. */
void vmd_guest_expect_code(struct vmd_guest *guest, uint64_t start, uint64_t size);

/* The guest's memory: the bytes from its base on, and that address; the size is that of its limits. */
char *vmd_guest_memory(struct vmd_guest *guest);
uint64_t vmd_guest_base(const struct vmd_guest *guest);

/* Allocate size zero bytes, aligned to align (a power of two); returns the guest's address, 0: no memory left. */
uint64_t vmd_guest_alloc(struct vmd_guest *guest, uint64_t size, uint64_t align);

/*
 * Name of an unimplemented function of the host that the guest has called (it returned 0). index counts from 0. NULL:
 * no more.
 */
const char *vmd_guest_missed(const struct vmd_guest *guest, size_t index);

/* Forget the functions that were missed so far. */
void vmd_guest_forget_missed(struct vmd_guest *guest);

/* The address of a function or variable of the host by its import name; stable for each name. 0: too many imports. */
uint64_t vmd_guest_import(struct vmd_guest *guest, const char *name);

/* Define a variable of the host at an address of the guest. VMD_NO_MEMORY. */
enum vmd_status vmd_guest_define(struct vmd_guest *guest, const char *name, uint64_t address);

/*
 * Call a function of the guest with up to six integers.
 * VMD_BAD_REFERENCE, VMD_TOO_DEEP: the guest's code failed at address index, see message and path; VMD_TOO_LARGE: time
 * limit exceeded; VMD_NO_MEMORY: the guest's memory is exhausted; VMD_INTERRUPTED; VMD_UNSUPPORTED: stopped before the
 * instruction at index, which Unicorn executes wrongly; VMD_EXITED, index: exit status.
 */
enum vmd_status vmd_guest_call(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args,
                               uint64_t *ret, struct vmd_error *err);

/* Call n functions without arguments in turn, up to the first that fails; done: number of successful calls. */
enum vmd_status vmd_guest_call_all(struct vmd_guest *guest, const uint64_t *functions, size_t n, size_t *done,
                                   struct vmd_error *err);

/*
 * The same, but the call pauses when it first enters the function pause_at: *paused is then true, and *ret unset.
 * Further calls run on the stack of the paused one; resume continues it. A snapshot includes a paused call.
 */
enum vmd_status vmd_guest_call_until(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args,
                                     uint64_t pause_at, bool *paused, uint64_t *ret, struct vmd_error *err);
enum vmd_status vmd_guest_resume(struct vmd_guest *guest, uint64_t *ret, struct vmd_error *err);

/* The nth argument of the function that a call has just paused at, if it is passed in a register; else 0. */
uint64_t vmd_guest_argument(struct vmd_guest *guest, int n);

/* Drop the paused call instead: it does not continue. */
void vmd_guest_abandon(struct vmd_guest *guest);

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

/* Set the services of a guest; the struct is copied. */
void vmd_guest_set_services(struct vmd_guest *guest, const struct vmd_guest_services *services);

/*
 * Prepare a guest that runs the binary's own main(): register_dso_module_init is not replaced, and every fault ends the
 * call. Call it before objects are linked.
 */
void vmd_guest_run_main(struct vmd_guest *guest);

/*
 * KVM of the host: capabilities of /dev/kvm and of a VM, CPUID entries (function, index, flags, eax, ebx, ecx, edx),
 * and MSRs. Without capabilities there is no /dev/kvm. The caller owns the arrays; they must outlive the guest.
 */
struct vmd_kvm_extension {
    uint32_t number, system, vm;
};
struct vmd_kvm_cpuid {
    uint32_t words[7];
};
struct vmd_guest_kvm {
    const struct vmd_kvm_extension *extensions;
    const struct vmd_kvm_cpuid *cpuid;
    const uint32_t *msrs, *feature_msrs;
    size_t n_extensions, n_cpuid, n_msrs, n_feature_msrs;
    uint64_t mce; /* supported bits of MCG_CAP */
};
void vmd_guest_set_kvm(struct vmd_guest *guest, const struct vmd_guest_kvm *kvm);

/* Let all further calls take this much CPU time, in place of what is left of the limit. */
void vmd_guest_set_time(struct vmd_guest *guest, uint64_t milliseconds);

/* Set the byte that fills memory from malloc (default: 0), to detect state that depends on uninitialised memory. */
void vmd_guest_set_fill(struct vmd_guest *guest, uint8_t fill);

/* Copy the initial bytes of thread-local data for further threads; call it once they are written. VMD_NO_MEMORY. */
enum vmd_status vmd_guest_keep_tls(struct vmd_guest *guest);

/* The output of the guest since the last vmd_guest_forget_output, up to a limit; returns its size in bytes. */
size_t vmd_guest_output(const struct vmd_guest *guest, const char **ret);
void vmd_guest_forget_output(struct vmd_guest *guest);

/* The address that the guest executed, or of the host function that it called, when the last call failed. */
uint64_t vmd_guest_failed_at(const struct vmd_guest *guest);

/* Allocated address space in bytes. */
uint64_t vmd_guest_allocated(const struct vmd_guest *guest);

/*
 * Save the state of a rewindable guest between calls: memory, registers and the state of host functions. A guest has at
 * most one snapshot. Rewind restores it any number of times, also after a failed call, in time proportional to the
 * written pages. Destroy objects that were linked since the snapshot before rewinding.
 * VMD_NO_MEMORY; VMD_BAD_REFERENCE: not rewindable, no snapshot to rewind to, or already one.
 */
enum vmd_status vmd_guest_snapshot(struct vmd_guest *guest);
enum vmd_status vmd_guest_rewind(struct vmd_guest *guest);

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
