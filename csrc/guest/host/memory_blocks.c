/*
 * memcpy, memset and related functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

static uint64_t address_of(struct vmd_host_call *call, const char *host)
{
    return host ? call->guest->base + (uint64_t)(host - call->guest->memory) : 0;
}

/* A host function can't be interrupted: it must not write more than a call may use. */
static bool is_too_large(struct vmd_host_call *call, uint64_t size)
{
    uint64_t most = call->guest->limits.resident;

    if (most && size > most) {
        vmd_guest_fail(call->guest, VMD_NO_MEMORY, size, "it uses more memory than it is given");
    }
    return most && size > most;
}

static uint64_t host_memcpy(struct vmd_host_call *call)
{
    if (!call->args[2] || is_too_large(call, call->args[2])) {
        return call->args[0]; /* NULL is legal where nothing is copied */
    }
    const char *from = vmd_guest_at(call->guest, call->args[1], call->args[2]);
    char *to = vmd_guest_at(call->guest, call->args[0], call->args[2]);

    if (from && to) {
        memmove(to, from, call->args[2]);
    }
    return call->args[0];
}

enum { PATTERN_SIZE = 16 };

static uint64_t host_memset(struct vmd_host_call *call)
{
    if (!call->args[2] || is_too_large(call, call->args[2])) {
        return call->args[0];
    }
    char *to = vmd_guest_at(call->guest, call->args[0], call->args[2]);

    if (to) {
        memset(to, (int)call->args[1], call->args[2]);
    }
    return call->args[0];
}

/* bzero(to, size) */
static uint64_t host_bzero(struct vmd_host_call *call)
{
    call->args[2] = call->args[1];
    call->args[1] = 0;
    return host_memset(call);
}

/* memset_pattern16(to, pattern, size), of macOS */
static uint64_t host_memset_pattern16(struct vmd_host_call *call)
{
    uint64_t size = call->args[2];
    const char *from = vmd_guest_at(call->guest, call->args[1], PATTERN_SIZE);
    char *to = from && size && !is_too_large(call, size) ? vmd_guest_at(call->guest, call->args[0], size) : NULL;
    char pattern[PATTERN_SIZE];

    if (to) {
        memcpy(pattern, from, sizeof(pattern));
        for (uint64_t i = 0; i < size; i++) {
            to[i] = pattern[i % sizeof(pattern)];
        }
    }
    return 0;
}

static uint64_t host_memcmp(struct vmd_host_call *call)
{
    if (!call->args[2]) {
        return 0;
    }
    const char *a = vmd_guest_at(call->guest, call->args[0], call->args[2]),
               *b = vmd_guest_at(call->guest, call->args[1], call->args[2]);

    return a && b ? (uint64_t)memcmp(a, b, call->args[2]) : 0;
}

static uint64_t host_memchr(struct vmd_host_call *call)
{
    const char *from = vmd_guest_at(call->guest, call->args[0], 1);
    uint64_t room = call->guest->size - (call->args[0] - call->guest->base);

    /* It may be called with more bytes than there are, if the character is there. */
    return from ? address_of(call, memchr(from, (int)call->args[1], call->args[2] < room ? call->args[2] : room)) : 0;
}

static uint64_t host_rawmemchr(struct vmd_host_call *call)
{
    const char *from = vmd_guest_at(call->guest, call->args[0], 1);

    return from ? address_of(call,
                             memchr(from, (int)call->args[1], call->guest->size - (call->args[0] - call->guest->base)))
                : 0;
}

static uint64_t host_memrchr(struct vmd_host_call *call)
{
    const char *from = call->args[2] ? vmd_guest_at(call->guest, call->args[0], call->args[2]) : NULL;

    return from ? address_of(call, memrchr(from, (int)call->args[1], call->args[2])) : 0;
}

static uint64_t host_memmem(struct vmd_host_call *call)
{
    const char *from = vmd_guest_at(call->guest, call->args[0], call->args[1]),
               *part = vmd_guest_at(call->guest, call->args[2], call->args[3]);

    return from && part ? address_of(call, memmem(from, call->args[1], part, call->args[3])) : 0;
}

VMD_SERVE({"memcpy", host_memcpy}, {"memmove", host_memcpy}, {"__memcpy_chk", host_memcpy},
          {"__memmove_chk", host_memcpy}, {"memset", host_memset}, {"bzero", host_bzero},
          {"memset_pattern16", host_memset_pattern16}, {"__memset_chk", host_memset}, {"memcmp", host_memcmp},
          {"memchr", host_memchr}, {"rawmemchr", host_rawmemchr}, {"memrchr", host_memrchr}, {"memmem", host_memmem})
