/*
 * setjmp and ucontext, as QEMU's coroutines use them: makecontext, one swapcontext onto the new stack, and jumps.
 *
 * A jump stays within one call of the guest; a buffer holds the registers that a call preserves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/variadic.h"

/* A jmp_buf has 200 bytes on x86-64 (used: 64), on Windows 256 (used: 240); on AArch64 at least 192 (used: 168). */

static uint64_t host_setjmp(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    size_t size = vmd_frame_size(guest->host);
    char *buffer = vmd_guest_at(guest, call->args[0], size);
    struct vmd_frame frame;

    if (buffer) {
        vmd_cpu_save_frame(guest, &frame);
        memcpy(buffer, &frame, size);
    }
    return 0;
}

static uint64_t host_longjmp(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    size_t size = vmd_frame_size(guest->host);
    const char *buffer = vmd_guest_at(guest, call->args[0], size);
    struct vmd_frame frame;

    if (buffer) {
        memcpy(&frame, buffer, size);
        vmd_cpu_restore_frame(guest, &frame);
    }
    return (uint32_t)call->args[1] ? (uint32_t)call->args[1] : 1;
}

/* ucontext_t: flags, link, {stack, flags, size}; the room after them stores the function and its arguments.
 */

enum { STACK = 16, STACK_SIZE = 32, FUNCTION = 48, N_ARGUMENTS = 56, ARGUMENTS = 64, ARGUMENTS_MAX = 8, USED = 128 };

static uint64_t host_makecontext(struct vmd_host_call *call)
{
    struct vmd_variadic arguments = vmd_variadic_of(call, 3);
    char *context = vmd_guest_at(call->guest, call->args[0], USED);
    uint64_t n = (uint32_t)call->args[2] < ARGUMENTS_MAX ? (uint32_t)call->args[2] : ARGUMENTS_MAX;

    if (context) {
        vmd_store_u64(context + FUNCTION, call->args[1]);
        vmd_store_u64(context + N_ARGUMENTS, n);
        for (uint64_t i = 0; i < n; i++) {
            vmd_store_u64(context + ARGUMENTS + 8 * i, vmd_variadic_next(&arguments));
        }
    }
    return 0;
}

/* Continue in the function of the new context, on its stack. The old context is never continued. */
static uint64_t host_swapcontext(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    const struct vmd_arch *host = guest->host;
    const char *context = vmd_guest_at(guest, call->args[1], USED);
    uint64_t top, n, function, first = 0;

    if (!context) {
        return 0;
    }
    top = (vmd_get_u64(guest, context + STACK) + vmd_get_u64(guest, context + STACK_SIZE) - 256) & -(uint64_t)16;
    function = vmd_load_u64(context + FUNCTION);
    n = vmd_load_u64(context + N_ARGUMENTS);
    for (uint64_t i = 0; i < n && i < (uint64_t)host->n_args; i++) {
        vmd_cpu_write(guest, host->args[i], vmd_load_u64(context + ARGUMENTS + 8 * i));
        first = i ? first : vmd_load_u64(context + ARGUMENTS);
    }
    if (host->link) {
        vmd_cpu_write(guest, host->sp, top);
        vmd_cpu_write(guest, host->link, function);
    } else {
        /* "Returns" to the function, which finds a return address on its stack. */
        vmd_cpu_write(guest, host->sp, top - 16);
        vmd_guest_store_u64(guest, top - 16, function);
        vmd_guest_store_u64(guest, top - 8, guest->stop);
    }
    return host->result == host->args[0] ? first : 0; /* the caller writes the result to that register afterwards */
}

VMD_SERVE({"setjmp", host_setjmp}, {"_setjmp", host_setjmp}, {"__sigsetjmp", host_setjmp}, {"sigsetjmp", host_setjmp},
          {"longjmp", host_longjmp}, {"_longjmp", host_longjmp}, {"siglongjmp", host_longjmp},
          {"__longjmp_chk", host_longjmp}, {"getcontext", vmd_host_zero}, {"makecontext", host_makecontext},
          {"swapcontext", host_swapcontext})
