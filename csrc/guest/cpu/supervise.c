/*
 * Calls of a guest from outside, with limits.
 *
 * Each call runs on a thread of its own, while the caller's thread checks the limits and lets signal handlers run.
 * Unicorn cannot be interrupted and resumed: it may stop after any memory access, in the middle of an instruction.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/cpu/cpu.h"
#include "guest/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { CALL_ARGS_MAX = 6, THREAD_STACK_SIZE = 64 << 20 };

/* Calls that a thread makes for a caller. */
struct calls {
    struct vmd_guest *guest;
    const uint64_t *functions;
    size_t n, done;
    const uint64_t *args; /* of each of them */
    int n_args;
    uint64_t pause_at;    /* function at whose entry the calls pause, or 0 */
    bool resume;          /* resume the paused call instead of calling functions */
    uint64_t stack;       /* of a program that is started at functions[0]; 0: they are called */
    uint64_t result;      /* of the last */
    uint64_t nanoseconds; /* of CPU time, when it has ended */
    bool has_ended;
};

static uint64_t nanoseconds_of(clockid_t clock)
{
    struct timespec time = {0};

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void *run(void *opaque)
{
    struct calls *calls = opaque;
    struct vmd_guest *guest = calls->guest;

    if (calls->resume) {
        vmd_cpu_execute(guest, guest->state.paused_at, guest->stop);
        calls->result = vmd_cpu_read(guest, guest->host->result);
    }
    if (calls->stack) {
        vmd_cpu_start(guest, calls->functions[0], calls->stack, calls->pause_at);
    }
    for (; calls->done < calls->n; calls->done++) {
        calls->result =
            vmd_cpu_call_until(guest, calls->functions[calls->done], calls->args, calls->n_args,
                               guest->state.is_paused ? guest->state.paused_stack : guest->stack, calls->pause_at);
        if (guest->err.code) {
            break;
        }
    }
    calls->nanoseconds = nanoseconds_of(CLOCK_THREAD_CPUTIME_ID);
    pthread_mutex_lock(&guest->cpu->lock);
    calls->has_ended = true;
    pthread_cond_signal(&guest->cpu->ended);
    pthread_mutex_unlock(&guest->cpu->lock);
    return NULL;
}

/* Wait for the end, at most for a slice of time. */
static bool wait_a_slice(struct vmd_cpu *cpu, const struct calls *calls, uint64_t milliseconds)
{
    struct timespec until;
    bool has_ended;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(milliseconds / 1000);
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&cpu->lock);
    while (!calls->has_ended && pthread_cond_timedwait(&cpu->ended, &cpu->lock, &until) != ETIMEDOUT) {
    }
    has_ended = calls->has_ended;
    pthread_mutex_unlock(&cpu->lock);
    return has_ended;
}

/* Resident memory of the process in bytes. Source: proc(5), statm: size and resident, in pages. */
static uint64_t resident_bytes(void)
{
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file) {
        if (fscanf(file, "%llu %llu", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Wait for the end and enforce the limits. */
static void supervise(struct vmd_guest *guest, const struct calls *calls, pthread_t thread)
{
    struct vmd_cpu *cpu = guest->cpu;
    const struct vmd_guest_limits *limits = &guest->limits;
    clockid_t clock;
    bool has_clock = !pthread_getcpuclockid(thread, &clock);
    uint64_t resident = limits->resident ? resident_bytes() + limits->resident : 0;

    while (!wait_a_slice(cpu, calls, limits->slice_milliseconds)) {
        if (!cpu->stopping && limits->poll && limits->poll(limits->opaque)) {
            cpu->stopping = VMD_INTERRUPTED;
        } else if (!cpu->stopping && has_clock && nanoseconds_of(clock) > cpu->nanoseconds_left) {
            cpu->stopping = VMD_TOO_LARGE;
        } else if (!cpu->stopping && resident && resident_bytes() > resident) {
            cpu->stopping = VMD_NO_MEMORY;
        }
        if (cpu->stopping) {
            vmd_cpu_stop(guest); /* repeated: it may have been starting */
        }
    }
}

static enum vmd_status run_calls(struct vmd_guest *guest, struct calls *calls, struct vmd_error *err)
{
    struct vmd_cpu *cpu = guest->cpu;
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    int failed;

    vmd_error_set(&guest->err, VMD_OK, 0, NULL);
    if (!cpu->nanoseconds_left) {
        return vmd_error_set(err, VMD_TOO_LARGE, 0, VMD_CPU_TOO_LONG);
    }
    cpu->stopping = VMD_OK;
    cpu->depth = cpu->thread_depth = cpu->tried = 0;
    cpu->is_freezing = cpu->has_returned = false;
    guest->state.n_blocks = 0;
    guest->state.running_thread = 1;
    /* Signals are delivered to the caller's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_SIZE);
    failed = pthread_create(&thread, &attributes, run, calls);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "no thread can be started");
    }
    supervise(guest, calls, thread);
    pthread_join(thread, NULL);
    cpu->nanoseconds_left -= calls->nanoseconds < cpu->nanoseconds_left ? calls->nanoseconds : cpu->nanoseconds_left;
    *err = guest->err;
    return err->code;
}

void vmd_guest_set_time(struct vmd_guest *guest, uint64_t milliseconds)
{
    guest->cpu->nanoseconds_left = milliseconds * 1000000;
}

enum vmd_status vmd_guest_call(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args,
                               uint64_t *ret, struct vmd_error *err)
{
    struct calls calls = {.guest = guest, .functions = &function, .n = 1, .args = args, .n_args = n_args};

    if (n_args > CALL_ARGS_MAX) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, function, "a call with too many arguments");
    }
    if (!run_calls(guest, &calls, err)) {
        *ret = calls.result;
    }
    return err->code;
}

/* Distance below the stack pointer that the paused function may use (red zone). */
enum { PAUSED_GAP = 1024 };

/* Drop the last paused call, unless it is that of the snapshot. */
static void forget_paused(struct vmd_guest *guest)
{
    struct vmd_cpu *cpu = guest->cpu;

    if (cpu->paused && cpu->paused != cpu->kept) {
        vmd_cpu_forget(guest, cpu->paused);
    }
    cpu->paused = NULL;
}

void vmd_cpu_keep_paused(struct vmd_guest *guest)
{
    guest->cpu->kept = guest->cpu->paused;
}

void vmd_cpu_restore_paused(struct vmd_guest *guest)
{
    forget_paused(guest);
    guest->cpu->paused = guest->cpu->kept;
}

static enum vmd_status pause_call(struct vmd_guest *guest, struct vmd_error *err)
{
    struct vmd_cpu *cpu = guest->cpu;

    forget_paused(guest);
    cpu->paused = vmd_cpu_save(guest);
    if (!cpu->paused) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    guest->state.is_paused = true;
    guest->state.paused_stack = vmd_cpu_read(guest, guest->host->sp) - PAUSED_GAP;
    return VMD_OK;
}

enum vmd_status vmd_guest_call_until(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args,
                                     uint64_t pause_at, bool *paused, uint64_t *ret, struct vmd_error *err)
{
    struct calls calls = {.guest = guest, .functions = &function, .n = 1, .args = args, .n_args = n_args};

    if (n_args > CALL_ARGS_MAX || guest->state.is_paused) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, function, "a call with too many arguments");
    }
    calls.pause_at = guest->state.paused_at = pause_at;
    if (run_calls(guest, &calls, err)) {
        return err->code;
    }
    *paused = !guest->cpu->has_returned;
    if (!*paused) {
        *ret = calls.result;
        return VMD_OK;
    }
    return pause_call(guest, err);
}

enum vmd_status vmd_guest_start(struct vmd_guest *guest, uint64_t entry, uint64_t stack, uint64_t pause_at,
                                struct vmd_error *err)
{
    struct calls calls = {.guest = guest, .functions = &entry, .stack = stack, .pause_at = pause_at};

    if (!guest->host->syscalls || guest->state.is_paused || !vmd_cpu_hook_syscalls(guest)) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, entry, "a program that can't be started");
    }
    guest->state.paused_at = pause_at;
    return run_calls(guest, &calls, err) ? err->code : pause_call(guest, err);
}

bool vmd_guest_can_start(const struct vmd_guest *guest)
{
    return guest->host->syscalls != NULL;
}

enum vmd_status vmd_guest_resume(struct vmd_guest *guest, uint64_t *ret, struct vmd_error *err)
{
    struct calls calls = {.guest = guest, .resume = true};

    if (!guest->state.is_paused || !guest->cpu->paused) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, 0, "no call is paused");
    }
    guest->state.is_paused = false;
    vmd_cpu_restore(guest, guest->cpu->paused);
    if (!run_calls(guest, &calls, err)) {
        *ret = calls.result;
    }
    return err->code;
}

uint64_t vmd_guest_argument(struct vmd_guest *guest, int n)
{
    return n >= 0 && n < guest->host->n_args ? vmd_cpu_read(guest, guest->host->args[n]) : 0;
}

void vmd_guest_abandon(struct vmd_guest *guest)
{
    guest->state.is_paused = false;
}

enum vmd_status vmd_guest_call_all(struct vmd_guest *guest, const uint64_t *functions, size_t n, size_t *done,
                                   struct vmd_error *err)
{
    struct calls calls = {.guest = guest, .functions = functions, .n = n};

    run_calls(guest, &calls, err);
    *done = calls.done;
    return err->code;
}
