/*
 * Signals that a process sends itself, as QEMU's coroutines do where there is no ucontext: a handler runs on an
 * alternate stack when the process waits for the signal. Nobody else sends signals.
 *
 * Source: QEMU 10.2 util/coroutine-sigaltstack.c; sys/signal.h of the macOS SDK.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "guest/internal.h"

/* SIG_DFL, SIG_IGN and SIG_ERR are no functions. struct sigaction begins with the handler on all platforms. */
static bool is_handler(uint64_t handler)
{
    return handler > 1 && handler != UINT64_MAX;
}

/* sigaction(signal, new, old) */
static uint64_t host_sigaction(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint32_t number = (uint32_t)call->args[0];

    if (number >= VMD_SIGNALS_MAX) {
        return 0;
    }
    if (call->args[2]) {
        vmd_guest_store_u64(guest, call->args[2], guest->state.signal_handlers[number]);
    }
    if (call->args[1]) {
        guest->state.signal_handlers[number] = vmd_guest_load_u64(guest, call->args[1]);
    }
    return 0;
}

/* Of a set of signals, as sigset_t is on macOS. */
static uint32_t bit(uint64_t number)
{
    return 1u << (number - 1);
}

static uint64_t send_signal(struct vmd_guest *guest, uint64_t number)
{
    number = (uint32_t)number;
    if (number && number < VMD_SIGNALS_MAX && is_handler(guest->state.signal_handlers[number])) {
        guest->state.pending_signals |= bit(number);
    }
    return 0;
}

/* raise(signal) */
static uint64_t host_raise(struct vmd_host_call *call)
{
    return send_signal(call->guest, call->args[0]);
}

/* kill(process, signal), pthread_kill(thread, signal) */
static uint64_t host_kill(struct vmd_host_call *call)
{
    return send_signal(call->guest, call->args[1]);
}

/* stack_t of macOS: address, size, flags; other platforms' QEMU has no use for it. sigaltstack(new, old) */

enum { STACK_SIZE = 8, STACK_FLAGS = 16, STACK_DISABLED = 4 };

static uint64_t host_sigaltstack(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t new = call->args[0], old = call->args[1];

    if (old) {
        vmd_guest_store_u64(guest, old, guest->state.signal_stack);
        vmd_guest_store_u64(guest, old + STACK_SIZE, guest->state.signal_stack_size);
        vmd_guest_store_u32(guest, old + STACK_FLAGS, guest->state.signal_stack ? 0 : STACK_DISABLED);
    }
    if (new) {
        bool is_disabled = vmd_guest_load_u32(guest, new + STACK_FLAGS) & STACK_DISABLED;

        guest->state.signal_stack = is_disabled ? 0 : vmd_guest_load_u64(guest, new);
        guest->state.signal_stack_size = is_disabled ? 0 : vmd_guest_load_u64(guest, new + STACK_SIZE);
    }
    return 0;
}

/* Run the handlers of pending signals on the alternate stack, if there is one. sigsuspend(blocked signals) */
static uint64_t host_sigsuspend(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_guest_state *state = &guest->state;
    uint64_t stack = vmd_cpu_read(guest, guest->host->sp);
    uint32_t wanted = ~vmd_guest_load_u32(guest, call->args[0]);

    if (!(state->pending_signals & wanted)) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, 0, "it waits for a signal that nobody sends");
    }
    for (uint64_t number = 1; number < VMD_SIGNALS_MAX && !guest->err.code; number++) {
        if (state->pending_signals & wanted & bit(number)) {
            state->pending_signals &= ~bit(number);
            if (state->signal_stack) {
                vmd_cpu_write(guest, guest->host->sp, state->signal_stack + state->signal_stack_size);
            }
            vmd_host_call_guest(call, state->signal_handlers[number], &number, 1);
            vmd_cpu_write(guest, guest->host->sp, stack);
        }
    }
    return vmd_host_errno(guest, EINTR);
}

VMD_SERVE({"sigaction", host_sigaction}, {"raise", host_raise}, {"kill", host_kill}, {"pthread_kill", host_kill},
          {"sigaltstack", host_sigaltstack}, {"sigsuspend", host_sigsuspend})
