/*
 * Fibers, as QEMU's coroutines use them on Windows.
 *
 * A fiber is {function, argument, stack, is started, frame}; that of the running thread is in its TEB.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

enum { FUNCTION = 0, ARGUMENT = 8, STACK = 16, STARTED = 24, FRAME = 32, STACK_SIZE = 1 << 20, TEB_FIBER = 0x20 };

static uint64_t new_fiber(struct vmd_guest *guest, uint64_t function, uint64_t argument, uint64_t stack)
{
    uint64_t fiber = vmd_host_allocate(guest, FRAME + sizeof(struct vmd_frame));

    if (fiber) {
        vmd_guest_store_u64(guest, fiber + FUNCTION, function);
        vmd_guest_store_u64(guest, fiber + ARGUMENT, argument);
        vmd_guest_store_u64(guest, fiber + STACK, stack);
        vmd_guest_store_u64(guest, fiber + STARTED, !function);
    }
    return fiber;
}

static uint64_t host_convert_thread(struct vmd_host_call *call)
{
    uint64_t fiber = new_fiber(call->guest, 0, call->args[0], 0);

    vmd_guest_store_u64(call->guest, call->guest->thread + TEB_FIBER, fiber);
    return fiber;
}

/* CreateFiber(stack size, function, argument) */
static uint64_t host_create_fiber(struct vmd_host_call *call)
{
    uint64_t stack = vmd_guest_alloc(call->guest, STACK_SIZE, 4096);

    return stack ? new_fiber(call->guest, call->args[1], call->args[2], stack + STACK_SIZE - 4096) : 0;
}

/* Enter a fiber's function: "return" to it from here. */
static uint64_t start_fiber(struct vmd_guest *guest, uint64_t fiber)
{
    const struct vmd_arch *host = guest->host;
    uint64_t top = vmd_guest_load_u64(guest, fiber + STACK), function = vmd_guest_load_u64(guest, fiber + FUNCTION);
    uint64_t argument = vmd_guest_load_u64(guest, fiber + ARGUMENT);

    vmd_guest_store_u64(guest, fiber + STARTED, 1);
    if (host->link) {
        vmd_cpu_write(guest, host->sp, top);
        vmd_cpu_write(guest, host->link, function);
    } else {
        vmd_guest_store_u64(guest, top, function);
        vmd_guest_store_u64(guest, top + 8, guest->stop);
        vmd_cpu_write(guest, host->sp, top);
    }
    vmd_cpu_write(guest, host->args[0], argument);
    return argument;
}

static uint64_t host_switch_to_fiber(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t from = vmd_guest_load_u64(guest, guest->thread + TEB_FIBER), to = call->args[0];
    char *old = vmd_guest_at(guest, from + FRAME, sizeof(struct vmd_frame)),
         *new = vmd_guest_at(guest, to + FRAME, sizeof(struct vmd_frame));
    struct vmd_frame frame;

    if (!old || !new) {
        return 0;
    }
    vmd_cpu_save_frame(guest, &frame);
    memcpy(old, &frame, sizeof(frame));
    vmd_guest_store_u64(guest, guest->thread + TEB_FIBER, to);
    if (!vmd_guest_load_u64(guest, to + STARTED)) {
        return start_fiber(guest, to);
    }
    memcpy(&frame, new, sizeof(frame));
    vmd_cpu_restore_frame(guest, &frame);
    return 0;
}

VMD_SERVE_ON(VMD_WINDOWS, {"ConvertThreadToFiber", host_convert_thread}, {"CreateFiber", host_create_fiber},
             {"SwitchToFiber", host_switch_to_fiber}, {"DeleteFiber", vmd_host_zero})
