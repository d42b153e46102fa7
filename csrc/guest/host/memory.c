/*
 * Memory: malloc and its relatives, and mmap.
 *
 * Blocks come from free lists by size class, else from memory that was never used. Before each is its size and a word
 * that is its class and whether it is allocated. The lists are in the guest's own memory, so that a snapshot has them;
 * a guest that damages them harms itself alone, as each address is checked when it is used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <errno.h>
#include <sys/mman.h>

enum { HEADER = 16, SMALL = 1024, STEP = 16, SMALL_CLASSES = SMALL / STEP + 1 };

static const uint64_t ALLOCATED = 0x616c6c6f63000000, FREE = 0x6672656500000000, CLASS_MASK = 0xffffff;

/* Classes: multiples of 16 up to 1024; above, four in each power of two. */
static unsigned class_of(uint64_t size, uint64_t *rounded)
{
    unsigned shift;

    if (size <= SMALL) {
        *rounded = size ? (size + STEP - 1) & -(uint64_t)STEP : STEP;
        return (unsigned)(*rounded / STEP);
    }
    shift = 61 - (unsigned)__builtin_clzll(size - 1); /* so that size is 4 to 8 times its power of two */
    *rounded = ((size - 1) >> shift) + 1;
    *rounded <<= shift;
    return SMALL_CLASSES + 4 * (shift - 8) + (unsigned)((*rounded - 1) >> shift & 3);
}

static char *header_of(struct vmd_guest *guest, uint64_t address)
{
    char *header = vmd_guest_find(guest, address - HEADER, HEADER + STEP);

    return header && (vmd_load_u64(header + 8) & ~CLASS_MASK) == ALLOCATED ? header : NULL;
}

/* A block off a free list, if there is one that has not been damaged. */
static uint64_t reuse(struct vmd_guest *guest, unsigned class, uint64_t rounded)
{
    uint64_t address = guest->state.free_lists[class];
    char *header = address ? vmd_guest_find(guest, address - HEADER, HEADER + rounded) : NULL;

    if (!header || vmd_load_u64(header + 8) != (FREE | class)) {
        guest->state.free_lists[class] = 0;
        return 0;
    }
    guest->state.free_lists[class] = vmd_load_u64(header + HEADER);
    return address;
}

/* A block whose bytes are zero (fill < 0), or fill. */
static uint64_t allocate(struct vmd_guest *guest, uint64_t size, int fill)
{
    uint64_t rounded = 0, address = 0;
    unsigned class = size < guest->size ? class_of(size, &rounded) : 0;
    bool is_fresh = false;

    if (rounded) {
        address = reuse(guest, class, rounded);
        if (!address) {
            address = vmd_guest_alloc(guest, rounded + HEADER, 16);
            address += address ? HEADER : 0;
            is_fresh = true;
        }
    }
    if (!address) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "it uses more memory than it is given");
        return 0;
    }
    char *header = vmd_guest_find(guest, address - HEADER, HEADER + rounded);

    vmd_store_u64(header, size);
    vmd_store_u64(header + 8, ALLOCATED | class);
    if (!is_fresh || fill > 0) {
        memset(header + HEADER, fill < 0 ? 0 : fill, rounded);
    }
    return address;
}

uint64_t vmd_host_allocate(struct vmd_guest *guest, uint64_t size)
{
    return allocate(guest, size, -1);
}

void vmd_host_free(struct vmd_guest *guest, uint64_t address)
{
    char *header = address ? header_of(guest, address) : NULL;
    uint64_t rounded;
    unsigned class;

    if (!header || vmd_load_u64(header) >= guest->size) {
        return; /* not ours: of memalign, say */
    }
    class = class_of(vmd_load_u64(header), &rounded);
    if ((vmd_load_u64(header + 8) & CLASS_MASK) != class) {
        return; /* shrunk in place */
    }
    vmd_store_u64(header + 8, FREE | class);
    vmd_store_u64(header + HEADER, guest->state.free_lists[class]);
    guest->state.free_lists[class] = address;
}

uint64_t vmd_host_reallocate(struct vmd_guest *guest, uint64_t old, uint64_t size)
{
    char *header = old ? header_of(guest, old) : NULL;
    uint64_t old_size = header ? vmd_load_u64(header) : 0, rounded, fresh, n;
    char *from, *to;

    if (header && size < guest->size && class_of(size, &rounded) == (vmd_load_u64(header + 8) & CLASS_MASK)) {
        vmd_store_u64(header, size);
        return old;
    }
    fresh = allocate(guest, size, guest->state.fill);
    n = old_size < size ? old_size : size;
    from = fresh && n ? vmd_guest_at(guest, old, n) : NULL;
    to = from ? vmd_guest_at(guest, fresh, n) : NULL;
    if (to) {
        memmove(to, from, n);
    }
    if (fresh) {
        vmd_host_free(guest, old);
    }
    return fresh;
}

static uint64_t product(uint64_t n, uint64_t size)
{
    uint64_t bytes;

    return __builtin_mul_overflow(n, size, &bytes) ? UINT64_MAX : bytes;
}

static uint64_t host_malloc(struct vmd_host_call *call)
{
    return allocate(call->guest, call->args[0], call->guest->state.fill);
}

static uint64_t host_calloc(struct vmd_host_call *call)
{
    return allocate(call->guest, product(call->args[0], call->args[1]), -1);
}

static uint64_t host_free(struct vmd_host_call *call)
{
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

static uint64_t host_realloc(struct vmd_host_call *call)
{
    return vmd_host_reallocate(call->guest, call->args[0], call->args[1]);
}

static uint64_t host_reallocarray(struct vmd_host_call *call)
{
    return vmd_host_reallocate(call->guest, call->args[0], product(call->args[1], call->args[2]));
}

static uint64_t host_malloc_usable_size(struct vmd_host_call *call)
{
    char *header = call->args[0] ? header_of(call->guest, call->args[0]) : NULL;

    return header ? vmd_load_u64(header) : 0;
}

/* GLib's give NULL for 0 bytes. */

static uint64_t host_g_malloc(struct vmd_host_call *call)
{
    return call->args[0] ? allocate(call->guest, call->args[0], call->guest->state.fill) : 0;
}

static uint64_t host_g_malloc0(struct vmd_host_call *call)
{
    return call->args[0] ? allocate(call->guest, call->args[0], -1) : 0;
}

static uint64_t host_g_malloc_n(struct vmd_host_call *call)
{
    return call->args[0] && call->args[1]
               ? allocate(call->guest, product(call->args[0], call->args[1]), call->guest->state.fill)
               : 0;
}

static uint64_t host_g_malloc0_n(struct vmd_host_call *call)
{
    return call->args[0] && call->args[1] ? allocate(call->guest, product(call->args[0], call->args[1]), -1) : 0;
}

static uint64_t reallocate_or_free(struct vmd_host_call *call, uint64_t size)
{
    if (!size) {
        vmd_host_free(call->guest, call->args[0]);
        return 0;
    }
    return vmd_host_reallocate(call->guest, call->args[0], size);
}

static uint64_t host_g_realloc(struct vmd_host_call *call)
{
    return reallocate_or_free(call, call->args[1]);
}

static uint64_t host_g_realloc_n(struct vmd_host_call *call)
{
    return reallocate_or_free(call, product(call->args[1], call->args[2]));
}

static uint64_t host_g_slice_free1(struct vmd_host_call *call)
{
    vmd_host_free(call->guest, call->args[1]);
    return 0;
}

/* Aligned blocks are not reused: a boot makes a few dozen. */
static uint64_t aligned(struct vmd_guest *guest, uint64_t size, uint64_t align)
{
    if (align & (align - 1)) {
        return 0;
    }
    return vmd_guest_alloc(guest, size, align < 16 ? 16 : align);
}

static uint64_t host_posix_memalign(struct vmd_host_call *call)
{
    uint64_t block = aligned(call->guest, call->args[2], call->args[1]);

    vmd_guest_store_u64(call->guest, call->args[0], block);
    return block ? 0 : EINVAL;
}

static uint64_t host_memalign(struct vmd_host_call *call)
{
    return aligned(call->guest, call->args[1], call->args[0]);
}

static uint64_t host_valloc(struct vmd_host_call *call)
{
    return aligned(call->guest, call->args[0], call->guest->page_size);
}

static uint64_t host_g_aligned_alloc(struct vmd_host_call *call)
{
    return aligned(call->guest, product(call->args[0], call->args[1]), call->args[2]);
}

/* mmap: address space, which costs nothing until it is written. What was unmapped is not used again. */

static uint64_t round_up(uint64_t size, uint64_t unit)
{
    return (size + unit - 1) & -unit;
}

static uint64_t host_mmap(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t address = call->args[0], size = round_up(call->args[1], guest->page_size);

    if (address && call->args[3] & MAP_FIXED) { /* within what it has reserved */
        return vmd_guest_find(guest, address, size) ? address : vmd_host_errno(guest, ENOMEM);
    }
    if (!size || !vmd_guest_has_room(guest, size, guest->page_size)) {
        return vmd_host_errno(guest, ENOMEM);
    }
    return vmd_guest_alloc(guest, size, guest->page_size);
}

VMD_SERVE({"free", host_free}, {"g_free", host_free}, {"g_free_sized", host_free}, {"g_aligned_free", vmd_host_zero},
          {"g_slice_free1", host_g_slice_free1}, {"malloc", host_malloc}, {"calloc", host_calloc},
          {"realloc", host_realloc}, {"reallocarray", host_reallocarray},
          {"malloc_usable_size", host_malloc_usable_size}, {"posix_memalign", host_posix_memalign},
          {"memalign", host_memalign}, {"aligned_alloc", host_memalign}, {"valloc", host_valloc},
          {"malloc_trim", vmd_host_zero}, {"mallopt", vmd_host_one}, {"g_malloc", host_g_malloc},
          {"g_malloc0", host_g_malloc0}, {"g_try_malloc", host_g_malloc}, {"g_try_malloc0", host_g_malloc0},
          {"g_slice_alloc", host_g_malloc}, {"g_slice_alloc0", host_g_malloc0}, {"g_malloc_n", host_g_malloc_n},
          {"g_malloc0_n", host_g_malloc0_n}, {"g_try_malloc_n", host_g_malloc_n}, {"g_try_malloc0_n", host_g_malloc0_n},
          {"g_realloc", host_g_realloc}, {"g_realloc_n", host_g_realloc_n}, {"g_try_realloc", host_g_realloc},
          {"g_try_realloc_n", host_g_realloc_n}, {"g_aligned_alloc", host_g_aligned_alloc},
          {"g_aligned_alloc0", host_g_aligned_alloc}, {"mmap", host_mmap}, {"mmap64", host_mmap},
          {"munmap", vmd_host_zero}, {"mremap", vmd_host_unsupported}, {"madvise", vmd_host_zero},
          {"posix_madvise", vmd_host_zero}, {"mprotect", vmd_host_zero}, {"msync", vmd_host_zero},
          {"mlock", vmd_host_zero}, {"munlock", vmd_host_zero}, {"mlockall", vmd_host_zero},
          {"munlockall", vmd_host_zero}, {"mincore", vmd_host_unsupported}, {"mbind", vmd_host_unsupported})
