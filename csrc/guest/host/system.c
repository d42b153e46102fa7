/*
 * The rest: GOnce, system calls, thread-local data, giving up, and QEMU's queue of init functions.
 * A part of what a guest sees of its host; see guest_host.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { READY = 2 }; /* G_ONCE_STATUS_READY */

static uint64_t host_g_once_impl(struct vmd_host_call *call)
{
    char *once = vmd_guest_at(call->guest, ARG(0), 16);
    uint64_t result;

    if (once && vmd_load_int(once) != READY) {
        result = vmd_host_call_guest(call, ARG(1), &ARG(2), 1);
        memcpy(once, &(uint32_t){READY}, 4);
        memcpy(once + 8, &result, 8);
    }
    return once ? vmd_load(once + 8) : 0;
}

static uint64_t host_g_once_init_enter(struct vmd_host_call *call)
{
    const char *at = vmd_guest_at(call->guest, ARG(0), 8);

    return at && vmd_load(at) == 0;
}

static uint64_t host_g_once_init_leave(struct vmd_host_call *call)
{
    char *at = vmd_guest_at(call->guest, ARG(0), 8);

    if (at) {
        memcpy(at, &ARG(1), 8);
    }
    return 0;
}

static uint64_t host_sysconf(struct vmd_host_call *call)
{
    return (int)ARG(0) == _SC_PAGESIZE ? call->guest->page_size : (uint64_t)sysconf((int)ARG(0));
}

static uint64_t host_getpagesize(struct vmd_host_call *call)
{
    return call->guest->page_size;
}

static uint64_t host_getrlimit(struct vmd_host_call *call)
{
    struct rlimit limit;
    char *to = vmd_guest_at(call->guest, ARG(1), sizeof(limit));

    if (to && getrlimit((int)ARG(0), &limit) == 0) {
        memcpy(to, &limit, sizeof(limit));
    }
    return 0;
}

enum { DESCRIPTOR = 3 }; /* of what the guest opens */

void vmd_guest_set_host(struct vmd_guest *guest, bool memfd, bool sgx_vepc, uint64_t page_size)
{
    guest->no_memfd = !memfd;
    guest->sgx_vepc = sgx_vepc;
    guest->page_size = page_size;
}

static uint64_t host_memfd_create(struct vmd_host_call *call)
{
    return call->guest->no_memfd ? (uint64_t)-1 : DESCRIPTOR;
}

static uint64_t host_open(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, ARG(0));

    /* There are no files, no /proc; a device that is opened is closed at once. */
    return path && call->guest->sgx_vepc && strcmp(path, "/dev/sgx_vepc") == 0 ? DESCRIPTOR : (uint64_t)-1;
}

static uint64_t host_tls_get_addr(struct vmd_host_call *call)
{
    const char *index = vmd_guest_at(call->guest, ARG(0), 16);

    /* {module, offset}; there is one module with thread-local data, the main binary. */
    return index ? vmd_guest_tls(call->guest) + vmd_load(index + 8) : 0;
}

static uint64_t host_errno_location(struct vmd_host_call *call)
{
    return call->guest->errno_at;
}

static uint64_t host_abort(struct vmd_host_call *call)
{
    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, 0, "it aborts itself");
    return 0;
}

static uint64_t host_assert_fail(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0));

    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, ARG(0), "an assertion of its own fails");
    snprintf(call->guest->err.path, sizeof(call->guest->err.path), "%s", text ? text : "");
    return 0;
}

enum { INITS_MAX = 1 << 16 }; /* as against hash tables: far more than any QEMU has */

static uint64_t host_register_dso_module_init(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;

    if (guest->n_inits == guest->inits_room) {
        size_t room = guest->inits_room ? 2 * guest->inits_room : 16;
        uint64_t *inits = room <= INITS_MAX ? realloc(guest->inits, room * 2 * sizeof(*inits)) : NULL;

        if (!inits) {
            vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "out of memory");
            return 0;
        }
        guest->inits = inits;
        guest->inits_room = room;
    }
    guest->inits[2 * guest->n_inits] = ARG(0);
    guest->inits[2 * guest->n_inits++ + 1] = ARG(1);
    return 0;
}

const struct vmd_host_function vmd_host_system[] = {
    {"g_once_impl", host_g_once_impl},
    {"g_once_init_enter", host_g_once_init_enter},
    {"g_once_init_leave", host_g_once_init_leave},
    {"sysconf", host_sysconf},
    {"getpagesize", host_getpagesize},
    {"getrlimit", host_getrlimit},
    {"getrlimit64", host_getrlimit},
    {"memfd_create", host_memfd_create},
    {"open", host_open},
    {"open64", host_open},
    {"__open64_2", host_open},
    {"access", host_open},
    {"__tls_get_addr", host_tls_get_addr},
    {"__errno_location", host_errno_location},
    {"abort", host_abort},
    {"__stack_chk_fail", host_abort},
    {"__assert_fail", host_assert_fail},
    {"register_dso_module_init", host_register_dso_module_init},
    {NULL, NULL},
};
