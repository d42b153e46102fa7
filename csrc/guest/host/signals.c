/*
 * Signals that a process sends itself, as QEMU's coroutines do where there is no ucontext: a handler runs on an
 * alternate stack when the process waits for the signal. Nobody else sends signals.
 *
 * Source: QEMU 10.2 util/coroutine-sigaltstack.c; POSIX signal.h; the hosts' tables for the layout of its types.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "guest/internal.h"

/* Sets of signals: bit 0 is signal 1. */

static uint64_t bit(uint64_t number)
{
    return (uint64_t)1 << (number - 1);
}

static uint64_t load_set(struct vmd_guest *guest, uint64_t address)
{
    return guest->host->n_signals == 64 ? vmd_guest_load_u64(guest, address) : vmd_guest_load_u32(guest, address);
}

static void store_set(struct vmd_guest *guest, uint64_t address, uint64_t set)
{
    if (guest->host->n_signals == 64) {
        vmd_guest_store_u64(guest, address, set);
    } else {
        vmd_guest_store_u32(guest, address, (uint32_t)set);
    }
}

static bool is_signal(const struct vmd_guest *guest, uint64_t number)
{
    return number && number <= guest->host->n_signals;
}

static uint64_t host_sigemptyset(struct vmd_host_call *call)
{
    store_set(call->guest, call->args[0], 0);
    return 0;
}

static uint64_t host_sigfillset(struct vmd_host_call *call)
{
    store_set(call->guest, call->args[0], UINT64_MAX);
    return 0;
}

/* sigaddset(set, signal), sigdelset */
static uint64_t change_set(struct vmd_host_call *call, bool is_added)
{
    uint32_t number = (uint32_t)call->args[1];
    uint64_t set;

    if (!is_signal(call->guest, number)) {
        return vmd_host_errno(call->guest, EINVAL);
    }
    set = load_set(call->guest, call->args[0]);
    store_set(call->guest, call->args[0], is_added ? set | bit(number) : set & ~bit(number));
    return 0;
}

static uint64_t host_sigaddset(struct vmd_host_call *call)
{
    return change_set(call, true);
}

static uint64_t host_sigdelset(struct vmd_host_call *call)
{
    return change_set(call, false);
}

/* sigismember(set, signal) */
static uint64_t host_sigismember(struct vmd_host_call *call)
{
    uint32_t number = (uint32_t)call->args[1];

    return is_signal(call->guest, number) ? (load_set(call->guest, call->args[0]) & bit(number)) != 0
                                          : vmd_host_errno(call->guest, EINVAL);
}

/* sigprocmask(how, set, old) and pthread_sigmask */
static uint64_t host_sigprocmask(struct vmd_host_call *call)
{
    enum { BLOCK, UNBLOCK };

    struct vmd_guest *guest = call->guest;
    uint64_t *mask = &guest->state.blocked_signals, old = *mask, set;
    uint32_t how = (uint32_t)call->args[0] - guest->host->signal_block;

    if (call->args[1]) {
        set = load_set(guest, call->args[1]);
        *mask = how == BLOCK ? old | set : how == UNBLOCK ? old & ~set : set;
    }
    if (call->args[2]) {
        store_set(guest, call->args[2], old);
    }
    return 0;
}

/* Handlers */

/* SIG_DFL, SIG_IGN and SIG_ERR are no functions. */
static bool is_handler(uint64_t handler)
{
    return handler > 1 && handler != UINT64_MAX;
}

/* sigaction(signal, new, old): struct sigaction begins with the handler on all platforms. */
static uint64_t host_sigaction(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint32_t number = (uint32_t)call->args[0];

    if (!is_signal(guest, number)) {
        return vmd_host_errno(guest, EINVAL);
    }
    uint64_t old = guest->state.signal_handlers[number];

    if (call->args[1]) {
        guest->state.signal_handlers[number] = vmd_guest_load_u64(guest, call->args[1]);
    }
    if (call->args[2]) {
        vmd_guest_store_u64(guest, call->args[2], old);
    }
    return 0;
}

/* signal(number, handler); of Windows, which has other signals, none is kept */
static uint64_t host_signal(struct vmd_host_call *call)
{
    uint64_t *handlers = call->guest->state.signal_handlers, old = 0;
    uint32_t number = (uint32_t)call->args[0];

    if (is_signal(call->guest, number)) {
        old = handlers[number];
        handlers[number] = call->args[1];
    }
    return old;
}

static uint64_t send_signal(struct vmd_guest *guest, uint64_t number)
{
    number = (uint32_t)number;
    if (is_signal(guest, number) && is_handler(guest->state.signal_handlers[number])) {
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

/* Pending signals */

static uint64_t host_sigpending(struct vmd_host_call *call)
{
    store_set(call->guest, call->args[0], call->guest->state.pending_signals);
    return 0;
}

/* sigtimedwait(set, information, timeout), whose time is over at once; information begins with the number. */
static uint64_t host_sigtimedwait(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t wanted = guest->state.pending_signals & load_set(guest, call->args[0]);
    uint32_t number;

    if (!wanted) {
        return vmd_host_errno(guest, EAGAIN);
    }
    number = (uint32_t)__builtin_ctzll(wanted) + 1;
    guest->state.pending_signals &= ~bit(number);
    if (call->args[1]) {
        vmd_guest_store_u32(guest, call->args[1], number);
    }
    return number;
}

/* sigaltstack(new, old): stack_t begins with the address */
static uint64_t host_sigaltstack(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    const struct vmd_arch *host = guest->host;
    struct vmd_guest_state *state = &guest->state;
    uint64_t new = call->args[0], old = call->args[1];

    if (old) {
        vmd_guest_store_u64(guest, old, state->signal_stack);
        vmd_guest_store_u64(guest, old + host->stack_size, state->signal_stack_size);
        vmd_guest_store_u32(guest, old + host->stack_flags, state->signal_stack ? 0 : host->stack_disabled);
    }
    if (new) {
        bool is_disabled = vmd_guest_load_u32(guest, new + host->stack_flags) & host->stack_disabled;

        state->signal_stack = is_disabled ? 0 : vmd_guest_load_u64(guest, new);
        state->signal_stack_size = is_disabled ? 0 : vmd_guest_load_u64(guest, new + host->stack_size);
    }
    return 0;
}

/* Run the handlers of pending signals on the alternate stack, if there is one. sigsuspend(blocked signals) */
static uint64_t host_sigsuspend(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_guest_state *state = &guest->state;
    uint64_t stack = vmd_cpu_read(guest, guest->host->sp), wanted = ~load_set(guest, call->args[0]);

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

VMD_SERVE({"sigemptyset", host_sigemptyset}, {"sigfillset", host_sigfillset}, {"sigaddset", host_sigaddset},
          {"sigdelset", host_sigdelset}, {"sigismember", host_sigismember}, {"sigprocmask", host_sigprocmask},
          {"pthread_sigmask", host_sigprocmask}, {"sigaction", host_sigaction}, {"signal", host_signal},
          {"raise", host_raise}, {"kill", host_kill}, {"pthread_kill", host_kill}, {"sigpending", host_sigpending},
          {"sigtimedwait", host_sigtimedwait}, {"sigaltstack", host_sigaltstack}, {"sigsuspend", host_sigsuspend})
