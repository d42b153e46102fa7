/*
 * A guest's CPU, which is Unicorn: trampolines, calls, and what ends them.
 *
 * A trampoline is a return instruction, on whose block a hook serves the host's function. Each call of the guest runs
 * on a thread of its own, while the caller's waits for it, looks at the limits, and lets signal handlers run. Unicorn
 * can't be interrupted and go on: it may stop behind any access to memory, in the middle of what is then done again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "guest/internal.h"

/* What is used of Unicorn's API (2.x), by its own numbers. */
enum {
    UC_ARCH_ARM64 = 2,
    UC_ARCH_X86 = 4,
    UC_MODE_64 = 8,
    UC_PROT_ALL = 7,
    UC_HOOK_BLOCK = 8,
    UC_HOOK_MEM_INVALID = 1008,
    UC_X86_REG_RAX = 35,
    UC_X86_REG_RCX = 38,
    UC_X86_REG_RDI = 39,
    UC_X86_REG_RDX = 40,
    UC_X86_REG_RIP = 41,
    UC_X86_REG_RSI = 43,
    UC_X86_REG_RSP = 44,
    UC_X86_REG_R8 = 106,
    UC_X86_REG_R9 = 107,
    UC_X86_REG_FS_BASE = 250,
    UC_ARM64_REG_LR = 2,
    UC_ARM64_REG_SP = 4,
    UC_ARM64_REG_X0 = 199,
    UC_ARM64_REG_PC = 260,
    UC_ARM64_REG_CPACR_EL1 = 261,
    UC_ARM64_REG_TPIDR_EL0 = 262,
};

/* Which registers are read at each call of the host: arguments, then the stack pointer. */
static int x86_64_args[] = {UC_X86_REG_RDI, UC_X86_REG_RSI, UC_X86_REG_RDX, UC_X86_REG_RCX,
                            UC_X86_REG_R8,  UC_X86_REG_R9,  UC_X86_REG_RSP};
static int aarch64_args[] = {UC_ARM64_REG_X0,     UC_ARM64_REG_X0 + 1, UC_ARM64_REG_X0 + 2,
                             UC_ARM64_REG_X0 + 3, UC_ARM64_REG_X0 + 4, UC_ARM64_REG_X0 + 5,
                             UC_ARM64_REG_X0 + 6, UC_ARM64_REG_X0 + 7, UC_ARM64_REG_SP};

enum { CALL_ARGS_MAX = 6, DEPTH_MAX = 32, THREAD_STACK_SIZE = 4 << 20 };

static const char TOO_LONG[] = "it does not come to an end";

struct unicorn {
    int (*open)(int arch, int mode, void **engine);
    int (*close)(void *engine);
    int (*mem_map_ptr)(void *engine, uint64_t address, uint64_t size, uint32_t perms, void *memory);
    int (*hook_add)(void *engine, void **hook, int type, void *callback, void *user, uint64_t begin, uint64_t end, ...);
    int (*reg_write)(void *engine, int reg, const void *value);
    int (*reg_read)(void *engine, int reg, void *value);
    int (*reg_read_batch)(void *engine, int *regs, void **values, int count);
    int (*emu_start)(void *engine, uint64_t begin, uint64_t until, uint64_t microseconds, size_t count);
    int (*emu_stop)(void *engine);
    const char *(*strerror)(int code);
};

struct vmd_cpu {
    void *library;
    struct unicorn unicorn;
    void *engine;
    int pc, sp, result;        /* Unicorn's numbers of these registers */
    unsigned depth;            /* calls of the guest from within calls of the host */
    unsigned tried;            /* the depth of the innermost of them that may fail alone; 0: none */
    uint64_t nanoseconds_left; /* of CPU time, for calls */
    atomic_int stopping;       /* why the caller wants the call to end, or VMD_OK */
    pthread_mutex_t lock;
    pthread_cond_t ended;
};

static enum vmd_status load_unicorn(struct vmd_cpu *cpu, const char *path, struct vmd_error *err)
{
    static const struct {
        const char *name;
        size_t offset;
    } symbols[] = {
#define SYMBOL(member) {"uc_" #member, offsetof(struct unicorn, member)}
        SYMBOL(open),     SYMBOL(close),     SYMBOL(mem_map_ptr),    SYMBOL(hook_add), SYMBOL(reg_write),
        SYMBOL(reg_read), SYMBOL(emu_start), SYMBOL(reg_read_batch), SYMBOL(emu_stop), SYMBOL(strerror),
#undef SYMBOL
    };

    cpu->library = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
        void *symbol = cpu->library ? dlsym(cpu->library, symbols[i].name) : NULL;

        if (!symbol) {
            return vmd_error_set(err, VMD_IO, 0, "libunicorn can't be loaded, or is no Unicorn 2");
        }
        memcpy((char *)&cpu->unicorn + symbols[i].offset, &symbol, sizeof(symbol));
    }
    return VMD_OK;
}

/* Trampolines */

static void write_trampolines(struct vmd_guest *guest)
{
    static const uint32_t ret_x86_64 = 0xc3, ret_aarch64 = 0xd65f03c0;

    for (uint64_t i = 0; i < VMD_GUEST_TRAMPOLINES; i++) {
        memcpy(vmd_guest_find(guest, guest->trampolines + i * VMD_TRAMPOLINE_SIZE, 4),
               guest->arch == VMD_GUEST_X86_64 ? &ret_x86_64 : &ret_aarch64, 4);
    }
}

/* Reads the registers that hold arguments. */
static void read_args(struct vmd_guest *guest, struct vmd_host_call *call)
{
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    void *values[9];
    uint64_t stack;

    call->guest = guest;
    call->n_args = x86_64 ? 6 : 8;
    for (int i = 0; i < call->n_args; i++) {
        values[i] = &call->args[i];
    }
    values[call->n_args] = &stack;
    guest->cpu->unicorn.reg_read_batch(guest->cpu->engine, x86_64 ? x86_64_args : aarch64_args, values,
                                       call->n_args + 1);
    /* On x86-64 the return address is on the stack. */
    call->stack = stack + (x86_64 ? 8 : 0);
}

/* A trampoline is entered: serves its function, and lets the return instruction there do the rest. */
static void on_trampoline(void *engine, uint64_t address, uint32_t size, void *user)
{
    struct vmd_guest *guest = user;
    struct vmd_host_call call;
    uint64_t index = (address - guest->trampolines) / VMD_TRAMPOLINE_SIZE, result = 0;

    if (address % VMD_TRAMPOLINE_SIZE || index >= guest->n_imports) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "a jump to nowhere");
        return;
    }
    if (guest->imports[index].function) {
        read_args(guest, &call);
        result = guest->imports[index].function(&call);
    }
    guest->cpu->unicorn.reg_write(engine, guest->cpu->result, &result);
}

static bool on_invalid_memory(void *engine, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct vmd_guest *guest = user;

    vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "an access outside of its memory");
    return false;
}

/* Life */

static bool start_engine(struct vmd_guest *guest)
{
    const struct unicorn *unicorn = &guest->cpu->unicorn;
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    void **engine = &guest->cpu->engine, *hook;
    uint64_t end = guest->trampolines + VMD_GUEST_TRAMPOLINES * VMD_TRAMPOLINE_SIZE - 1, fpu = 3 << 20;

    return !unicorn->open(x86_64 ? UC_ARCH_X86 : UC_ARCH_ARM64, x86_64 ? UC_MODE_64 : 0, engine) &&
           !unicorn->mem_map_ptr(*engine, VMD_GUEST_BASE, guest->size, UC_PROT_ALL, guest->memory) &&
           !unicorn->hook_add(*engine, &hook, UC_HOOK_BLOCK, on_trampoline, guest, guest->trampolines, end) &&
           !unicorn->hook_add(*engine, &hook, UC_HOOK_MEM_INVALID, on_invalid_memory, guest, 1, 0) &&
           !unicorn->reg_write(*engine, x86_64 ? UC_X86_REG_FS_BASE : UC_ARM64_REG_TPIDR_EL0, &guest->thread) &&
           (x86_64 || !unicorn->reg_write(*engine, UC_ARM64_REG_CPACR_EL1, &fpu));
}

enum vmd_status vmd_cpu_create(struct vmd_guest *guest, const char *unicorn, struct vmd_error *err)
{
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    struct vmd_cpu *cpu = guest->cpu = calloc(1, sizeof(*cpu));
    pthread_condattr_t monotonic;

    if (!cpu) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    cpu->pc = x86_64 ? UC_X86_REG_RIP : UC_ARM64_REG_PC;
    cpu->sp = x86_64 ? UC_X86_REG_RSP : UC_ARM64_REG_SP;
    cpu->result = x86_64 ? UC_X86_REG_RAX : UC_ARM64_REG_X0;
    cpu->nanoseconds_left = guest->limits.milliseconds * 1000000;
    pthread_mutex_init(&cpu->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&cpu->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (load_unicorn(cpu, unicorn, err)) {
        return err->code;
    }
    write_trampolines(guest);
    return start_engine(guest) ? VMD_OK : vmd_error_set(err, VMD_IO, 0, "Unicorn can't be started");
}

void vmd_cpu_destroy(struct vmd_guest *guest)
{
    struct vmd_cpu *cpu = guest->cpu;

    if (!cpu) {
        return;
    }
    if (cpu->engine) {
        cpu->unicorn.close(cpu->engine);
    }
    if (cpu->library) {
        dlclose(cpu->library);
    }
    pthread_cond_destroy(&cpu->ended);
    pthread_mutex_destroy(&cpu->lock);
    free(cpu);
}

void vmd_cpu_stop(struct vmd_guest *guest)
{
    if (guest->cpu && guest->cpu->engine) {
        guest->cpu->unicorn.emu_stop(guest->cpu->engine);
    }
}

/* Calls */

/* Executes from a function's beginning up to the guest's stop, or to the first failure. */
static void execute(struct vmd_guest *guest, uint64_t function)
{
    struct vmd_cpu *cpu = guest->cpu;
    int code = cpu->unicorn.emu_start(cpu->engine, function, guest->stop, 0, 0), why = cpu->stopping;
    uint64_t pc;

    cpu->unicorn.reg_read(cpu->engine, cpu->pc, &pc);
    if (why && !guest->err.code) {
        vmd_guest_fail(guest, why, pc, why == VMD_INTERRUPTED ? "interrupted" : TOO_LONG);
    } else if (code && !guest->err.code) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, pc, cpu->unicorn.strerror(code));
    } else if (pc != guest->stop) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, pc, "it halts the CPU");
    }
    if (guest->err.code && (guest->err.code != VMD_BAD_REFERENCE || !cpu->tried || cpu->depth != cpu->tried)) {
        vmd_cpu_stop(guest); /* the call that this one is within, too */
    }
}

/* Calls a function on the stack at sp. */
static uint64_t call_at(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args, uint64_t sp)
{
    const struct vmd_cpu *cpu = guest->cpu;
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    uint64_t result = 0;

    sp &= -16;
    if (x86_64) {
        char *top;

        sp -= 8;
        top = vmd_guest_at(guest, sp, 8);
        if (!top) {
            return 0;
        }
        memcpy(top, &guest->stop, 8);
    } else {
        cpu->unicorn.reg_write(cpu->engine, UC_ARM64_REG_LR, &guest->stop);
    }
    cpu->unicorn.reg_write(cpu->engine, cpu->sp, &sp);
    for (int i = 0; i < n_args; i++) {
        cpu->unicorn.reg_write(cpu->engine, x86_64 ? x86_64_args[i] : aarch64_args[i], &args[i]);
    }
    execute(guest, function);
    cpu->unicorn.reg_read(cpu->engine, cpu->result, &result);
    return result;
}

/* What a thread does for a caller. */
struct calls {
    struct vmd_guest *guest;
    const uint64_t *functions;
    size_t n, done;
    const uint64_t *args; /* of each of them */
    int n_args;
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

    for (; calls->done < calls->n; calls->done++) {
        calls->result = call_at(guest, calls->functions[calls->done], calls->args, calls->n_args, guest->stack);
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

/* Waits for the end, but for a slice of time at most. */
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

/* Waits for the end, and sees to it that it comes. */
static void supervise(struct vmd_guest *guest, const struct calls *calls, pthread_t thread)
{
    struct vmd_cpu *cpu = guest->cpu;
    const struct vmd_guest_limits *limits = &guest->limits;
    clockid_t clock;
    bool has_clock = !pthread_getcpuclockid(thread, &clock);

    while (!wait_a_slice(cpu, calls, limits->slice_milliseconds)) {
        if (!cpu->stopping && limits->poll && limits->poll(limits->opaque)) {
            cpu->stopping = VMD_INTERRUPTED;
        } else if (!cpu->stopping && has_clock && nanoseconds_of(clock) > cpu->nanoseconds_left) {
            cpu->stopping = VMD_TOO_LARGE;
        }
        if (cpu->stopping) {
            vmd_cpu_stop(guest); /* again and again: it may just have been starting */
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
        return vmd_error_set(err, VMD_TOO_LARGE, 0, TOO_LONG);
    }
    cpu->stopping = VMD_OK;
    /* Signals are for the caller's threads. */
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

enum vmd_status vmd_guest_call_all(struct vmd_guest *guest, const uint64_t *functions, size_t n, size_t *done,
                                   struct vmd_error *err)
{
    struct calls calls = {.guest = guest, .functions = functions, .n = n};

    run_calls(guest, &calls, err);
    *done = calls.done;
    return err->code;
}

uint64_t vmd_host_call_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_cpu *cpu = guest->cpu;
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    uint64_t sp, lr, result;

    if (guest->err.code) {
        return 0;
    }
    if (cpu->depth == DEPTH_MAX) {
        vmd_guest_fail(guest, VMD_TOO_DEEP, function, "functions that call each other too deeply");
        return 0;
    }
    cpu->depth++;
    cpu->unicorn.reg_read(cpu->engine, cpu->sp, &sp);
    cpu->unicorn.reg_read(cpu->engine, UC_ARM64_REG_LR, &lr);
    /* Below what a leaf function may use without moving the stack pointer. */
    result = call_at(guest, function, args, n_args, sp - 256);
    cpu->unicorn.reg_write(cpu->engine, cpu->sp, &sp);
    if (!x86_64) {
        cpu->unicorn.reg_write(cpu->engine, UC_ARM64_REG_LR, &lr);
    }
    cpu->depth--;
    return result;
}

bool vmd_host_try_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args,
                        struct vmd_error *ret)
{
    struct vmd_guest *guest = call->guest;
    unsigned outer = guest->cpu->tried;

    if (guest->err.code) {
        return true;
    }
    guest->cpu->tried = guest->cpu->depth + 1;
    vmd_host_call_guest(call, function, args, n_args);
    guest->cpu->tried = outer;
    if (guest->err.code != VMD_BAD_REFERENCE) {
        return true;
    }
    *ret = guest->err;
    vmd_error_set(&guest->err, VMD_OK, 0, NULL);
    return false;
}
