/*
 * System calls of statically linked binaries. See syscalls.h.
 *
 * Source: Linux include/linux/syscalls.h; results are those of a small machine without files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/syscalls.h"

#include <errno.h>
#include <sys/mman.h>

#include "guest/internal.h"

enum { SET_FS = 0x1002 };
enum { MEMFD = 3, THREAD = VMD_PROCESS_ID + 1 };
enum { STACK_LIMIT = 8 << 20, VECTORS_MAX = 1024 };

/* The heap that brk grows: libc maps memory when it is used up. */
enum { HEAP_SIZE = 32 << 20 };

static uint64_t failed(int number)
{
    return (uint64_t)-(int64_t)number;
}

static uint64_t set_break(struct vmd_guest *guest, uint64_t end)
{
    struct vmd_guest_state *state = &guest->state;

    if (!state->heap) {
        state->heap = state->heap_end = vmd_guest_alloc(guest, HEAP_SIZE, guest->page_size);
    }
    if (state->heap && end - state->heap <= HEAP_SIZE) {
        if (end < state->heap_end) { /* what is given back is zero when it is used again */
            memset(vmd_guest_find(guest, end, state->heap_end - end), 0, state->heap_end - end);
        }
        state->heap_end = end;
    }
    return state->heap_end;
}

/* Memory that was unmapped is not used again, so it is zero. */
static uint64_t map(struct vmd_guest *guest, const uint64_t *args)
{
    uint64_t size = (args[1] + guest->page_size - 1) & -guest->page_size, address = args[0];
    char *fixed = args[3] & MAP_FIXED ? vmd_guest_find(guest, address, size) : NULL;

    if (!(args[3] & MAP_ANONYMOUS)) {
        return failed(ENODEV);
    }
    if (!size || size < args[1]) {
        return failed(ENOMEM);
    }
    if (fixed) { /* within what it has reserved */
        memset(fixed, 0, size);
        return address;
    }
    if (args[3] & MAP_FIXED || !vmd_guest_has_room(guest, size, guest->page_size)) {
        return failed(ENOMEM);
    }
    return vmd_guest_alloc(guest, size, guest->page_size);
}

static uint64_t write_vector(struct vmd_guest *guest, const uint64_t *args)
{
    uint64_t n = args[2] < VECTORS_MAX ? args[2] : VECTORS_MAX, written = 0;

    for (uint64_t i = 0; i < n && !guest->err.code; i++) {
        uint64_t size = vmd_guest_load_u64(guest, args[1] + 16 * i + 8);
        const char *data = vmd_guest_find(guest, vmd_guest_load_u64(guest, args[1] + 16 * i), size);

        if (size && !data) {
            return written ? written : failed(EFAULT);
        }
        if (size) {
            vmd_host_print(guest, data, size);
            written += size;
        }
    }
    return written;
}

static uint64_t write_output(struct vmd_guest *guest, const uint64_t *args)
{
    const char *data = vmd_guest_find(guest, args[1], args[2]);

    if (args[2] && !data) {
        return failed(EFAULT);
    }
    if (args[2]) {
        vmd_host_print(guest, data, args[2]);
    }
    return args[2];
}

static uint64_t set_thread(struct vmd_guest *guest, const uint64_t *args)
{
    if (args[0] != SET_FS) {
        return failed(EINVAL);
    }
    vmd_cpu_set_thread(guest, args[1]);
    return 0;
}

/* prlimit64(pid, resource, new, old) */
static uint64_t get_limit(struct vmd_guest *guest, const uint64_t *args)
{
    if (args[3]) {
        vmd_guest_store_u64(guest, args[3], STACK_LIMIT);
        vmd_guest_store_u64(guest, args[3] + 8, UINT64_MAX);
    }
    return 0;
}

/* What a function of the host does for these arguments. */
static uint64_t serve(struct vmd_guest *guest, vmd_host_fn *function, const uint64_t *args)
{
    struct vmd_host_call call = {.guest = guest};

    memcpy(call.args, args, 2 * sizeof(*args));
    return function(&call);
}

uint64_t vmd_guest_serve_syscall(struct vmd_guest *guest, uint64_t number, const uint64_t *args)
{
    const struct vmd_syscalls *calls = guest->host->syscalls;

    switch (number < calls->n ? calls->kinds[number] : VMD_SYSCALL_UNKNOWN) {
    case VMD_SYSCALL_ZERO:
        return 0;
    case VMD_SYSCALL_NO_ENTRY:
        return failed(ENOENT);
    case VMD_SYSCALL_BRK:
        return set_break(guest, args[0]);
    case VMD_SYSCALL_MMAP:
        return map(guest, args);
    case VMD_SYSCALL_SET_THREAD:
        return set_thread(guest, args);
    case VMD_SYSCALL_PROCESS:
        return VMD_PROCESS_ID;
    case VMD_SYSCALL_USER:
        return VMD_USER_ID;
    case VMD_SYSCALL_CLONE:
        return THREAD;         /* which never runs */
    case VMD_SYSCALL_AFFINITY: /* one CPU */
        vmd_guest_store_u64(guest, args[2], 1);
        return 8;
    case VMD_SYSCALL_LIMIT:
        return get_limit(guest, args);
    case VMD_SYSCALL_RANDOM:
        return args[1];
    case VMD_SYSCALL_MEMFD:
        return guest->no_memfd ? failed(ENOSYS) : MEMFD;
    case VMD_SYSCALL_CLOCK:
        return serve(guest, vmd_host_clock_gettime, args);
    case VMD_SYSCALL_TIME_OF_DAY:
        return serve(guest, vmd_host_gettimeofday, args);
    case VMD_SYSCALL_TIME:
        return serve(guest, vmd_host_time, args);
    case VMD_SYSCALL_NO_TERMINAL:
        return failed(ENOTTY);
    case VMD_SYSCALL_WRITE:
        return write_output(guest, args);
    case VMD_SYSCALL_WRITE_VECTOR:
        return write_vector(guest, args);
    case VMD_SYSCALL_EXIT:
        vmd_guest_fail(guest, VMD_EXITED, (uint32_t)args[0], "it exits");
        return 0;
    default:
        break;
    }
    return failed(ENOSYS);
}
