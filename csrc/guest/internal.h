/*
 * The inside of a guest, and what the files that make it up know of each other: guest.c (memory, imports), guest_cpu.c
 * (Unicorn), guest_object.c and guest_relocate.c (ELF), and guest_host_*.c, a file for each part of libc and GLib that
 * a guest sees.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_H
#define VMD_GUEST_HOST_H

#include <string.h>

#include "base/ghash.h"
#include "guest/guest.h"

enum { VMD_TRAMPOLINE_SIZE = 16 }; /* bytes of one */

struct vmd_host_call {
    struct vmd_guest *guest;
    uint64_t args[8]; /* the first n_args arguments, as registers pass them */
    int n_args;
    uint64_t stack; /* where further ones are */
};

#define ARG(i) (call->args[i])

typedef uint64_t vmd_host_fn(struct vmd_host_call *call);

/* A function of the host, as the files guest_host_*.c list theirs; a list ends with a NULL. */
struct vmd_host_function {
    const char *name;
    vmd_host_fn *function;
};

extern const struct vmd_host_function vmd_host_memory[], vmd_host_strings[], vmd_host_printf[], vmd_host_tables[],
    vmd_host_lists[], vmd_host_system[];

struct vmd_host_import {
    char *name;
    uint64_t address;
    vmd_host_fn *function; /* NULL: not served, it returns 0; or a variable */
};

struct vmd_guest_table;
struct vmd_cpu;

struct vmd_guest {
    bool no_memfd, sgx_vepc; /* of the host, see vmd_guest_set_host */
    uint64_t page_size;
    enum vmd_guest_arch arch;
    char *memory;
    uint64_t size;
    uint64_t free; /* offset of what is not allocated yet */
    uint64_t trampolines, stop, thread, stack, errno_at;
    uint64_t tls_size; /* of the main binary's TLS segment, aligned */
    struct vmd_guest_limits limits;
    struct vmd_cpu *cpu;
    struct vmd_error err; /* the first thing that went wrong in this call */
    struct vmd_host_import imports[VMD_GUEST_TRAMPOLINES];
    size_t n_imports;
    struct vmd_ghash import_of;      /* name -> index of imports */
    struct vmd_guest_table **tables; /* its GHashTables, by number */
    size_t n_tables;
    uint64_t n_keys; /* that were inserted into them */
    uint64_t *inits; /* pairs */
    size_t n_inits, inits_room;
    struct vmd_guest_fault *faults;
    size_t n_faults;
};

/* size bytes of the guest's memory at address, or NULL. */
static inline char *vmd_guest_find(const struct vmd_guest *guest, uint64_t address, uint64_t size)
{
    uint64_t offset = address - VMD_GUEST_BASE;

    return offset < guest->size && size <= guest->size - offset ? guest->memory + offset : NULL;
}

/* The same, but without it the call that is going on fails. */
char *vmd_guest_at(struct vmd_guest *guest, uint64_t address, uint64_t size);

static inline uint64_t vmd_load(const char *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint32_t vmd_load_int(const char *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

/* The name of the function of the host whose address this is, or NULL. */
const char *vmd_guest_import_name(const struct vmd_guest *guest, uint64_t address);

/* The variable of the host of that name, which objects have copies of: its address, or 0. */
uint64_t vmd_guest_variable(const struct vmd_guest *guest, const char *name);

/* Where thread-local data begins. */
uint64_t vmd_guest_tls(const struct vmd_guest *guest);

/* Ends the call that is going on; the first failure counts. */
void vmd_guest_fail(struct vmd_guest *guest, enum vmd_status code, uint64_t address, const char *message);

/* Host: memory (guest_host_memory.c) and strings (guest_host_strings.c), for other functions of the host. */

/* Zeroed memory for the guest. 0: there is no room, and the call fails. */
uint64_t vmd_host_allocate(struct vmd_guest *guest, uint64_t size);

/* A string of the guest, or NULL, and the call fails. */
const char *vmd_host_string(struct vmd_guest *guest, uint64_t address);

/* A new string for the guest, of size bytes. 0: there is no room, and the call fails. */
uint64_t vmd_host_put_string(struct vmd_guest *guest, const char *text, size_t size);

/* Makes GLib's variable g_ascii_table. */
enum vmd_status vmd_host_init_ascii_table(struct vmd_guest *guest);

void vmd_host_deinit_tables(struct vmd_guest *guest);

/* CPU (guest_cpu.c) */

enum vmd_status vmd_cpu_create(struct vmd_guest *guest, const char *unicorn, struct vmd_error *err);
void vmd_cpu_destroy(struct vmd_guest *guest);

/* Ends what is being executed. */
void vmd_cpu_stop(struct vmd_guest *guest);

/* Calls a function of the guest from within a call of the host. */
uint64_t vmd_host_call_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args);

/*
 * The same, but a fault of the function (VMD_BAD_REFERENCE) ends it alone: false, and ret says what it was. Any other
 * failure ends all, as ever.
 */
bool vmd_host_try_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args,
                        struct vmd_error *ret);

#endif
