/*
 * Memory: a bump allocator, as next to nothing is freed at start-up. The size of a block stands before it.
 * A part of what a guest sees of its host; see guest_host.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

enum { BLOCK_HEADER = 16 };

uint64_t vmd_host_allocate(struct vmd_guest *guest, uint64_t size)
{
    uint64_t block = size < guest->size ? vmd_guest_alloc(guest, size + BLOCK_HEADER, 16) : 0;

    if (!block) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "it uses more memory than it is given");
        return 0;
    }
    memcpy(vmd_guest_find(guest, block, 8), &size, 8);
    return block + BLOCK_HEADER;
}

static uint64_t product(uint64_t n, uint64_t size)
{
    uint64_t bytes;

    return __builtin_mul_overflow(n, size, &bytes) ? UINT64_MAX : bytes;
}

static uint64_t reallocate(struct vmd_host_call *call, uint64_t old, uint64_t size)
{
    uint64_t fresh = vmd_host_allocate(call->guest, size), old_size = 0;
    char *from = old ? vmd_guest_at(call->guest, old - BLOCK_HEADER, BLOCK_HEADER) : NULL;

    if (from && fresh) {
        memcpy(&old_size, from, 8);
        old_size = old_size < size ? old_size : size;
        from = vmd_guest_at(call->guest, old, old_size);
        if (from) {
            /* Blocks that the guest has not got from us may overlap. */
            memmove(vmd_guest_at(call->guest, fresh, old_size), from, old_size);
        }
    }
    return fresh;
}

static uint64_t host_malloc(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, ARG(0));
}

static uint64_t host_calloc(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, product(ARG(0), ARG(1)));
}

static uint64_t host_realloc(struct vmd_host_call *call)
{
    return reallocate(call, ARG(0), ARG(1));
}

static uint64_t host_g_malloc(struct vmd_host_call *call)
{
    return ARG(0) ? vmd_host_allocate(call->guest, ARG(0)) : 0;
}

static uint64_t host_g_malloc_n(struct vmd_host_call *call)
{
    return ARG(0) && ARG(1) ? vmd_host_allocate(call->guest, product(ARG(0), ARG(1))) : 0;
}

static uint64_t host_g_realloc(struct vmd_host_call *call)
{
    return ARG(1) ? reallocate(call, ARG(0), ARG(1)) : 0;
}

static uint64_t host_g_realloc_n(struct vmd_host_call *call)
{
    return ARG(1) && ARG(2) ? reallocate(call, ARG(0), product(ARG(1), ARG(2))) : 0;
}

static uint64_t host_posix_memalign(struct vmd_host_call *call)
{
    uint64_t block = vmd_guest_alloc(call->guest, ARG(2), ARG(1) < 16 ? 16 : ARG(1));
    char *ret = vmd_guest_at(call->guest, ARG(0), 8);

    if (ret) {
        memcpy(ret, &block, 8);
    }
    return 0;
}

const struct vmd_host_function vmd_host_memory[] = {
    {"malloc", host_malloc},
    {"calloc", host_calloc},
    {"realloc", host_realloc},
    {"posix_memalign", host_posix_memalign},
    {"g_malloc", host_g_malloc},
    {"g_malloc0", host_g_malloc},
    {"g_try_malloc", host_g_malloc},
    {"g_try_malloc0", host_g_malloc},
    {"g_slice_alloc", host_g_malloc},
    {"g_slice_alloc0", host_g_malloc},
    {"g_malloc_n", host_g_malloc_n},
    {"g_malloc0_n", host_g_malloc_n},
    {"g_realloc", host_g_realloc},
    {"g_realloc_n", host_g_realloc_n},
    {NULL, NULL},
};
