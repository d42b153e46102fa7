/*
 * A guest's CPU, which is Unicorn: trampolines, calls, and what ends them.
 *
 * A trampoline is a block of code on which a hook serves the host's function; the block then returns. A watchdog, a
 * thread of the CPU's own, interrupts what is executed every WATCH_MILLISECONDS, so that limits are looked at, and then
 * it goes on. It may do so between the hook and the block behind it, which would then be entered, and its function
 * served, twice. So the hook leaves a mark in the guest's memory, which the block's first instruction takes away: where
 * the mark is found, the function has been served.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "guest_host.h"

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

enum { CALL_ARGS_MAX = 6, DEPTH_MAX = 32, WATCH_MILLISECONDS = 50 };

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
    uint64_t served_at;        /* the trampoline on which the mark was left */
    unsigned depth;            /* calls of the guest from within calls of the host */
    uint64_t nanoseconds_left; /* of CPU time, for calls */
    uint64_t call_began;       /* CPU time of the calling thread, in nanoseconds */

    /* The watchdog. It sleeps while there is no call; then the lock keeps it and calls apart. */
    pid_t watched_by; /* the process that it is a thread of: a fork has none */
    pthread_t watchdog;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool busy;   /* a call is going on */
    bool asleep; /* the watchdog waits to be woken */
    bool quit;
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
    for (uint64_t i = 0; i < VMD_GUEST_TRAMPOLINES; i++) {
        uint64_t at = guest->trampolines + i * VMD_TRAMPOLINE_SIZE, to_mark = guest->served - at;
        char *code = vmd_guest_find(guest, at, VMD_TRAMPOLINE_SIZE);

        if (guest->arch == VMD_GUEST_X86_64) {
            uint32_t displacement = (uint32_t)to_mark - 7;

            memcpy(code, "\xc6\x05____\x00\xc3", 8); /* movb $0, displacement(%rip); ret */
            memcpy(code + 2, &displacement, 4);
        } else {
            uint32_t adr = 0x10000010 | (uint32_t)(to_mark & 3) << 29 | (uint32_t)(to_mark >> 2) << 5;

            memcpy(code, (uint32_t[]){adr, 0x3900021f, 0xd65f03c0}, 12); /* adr x16, mark; strb wzr, [x16]; ret */
        }
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

/* A trampoline is entered: serves its function, and lets the code there do the rest. */
static void on_trampoline(void *engine, uint64_t address, uint32_t size, void *user)
{
    struct vmd_guest *guest = user;
    struct vmd_host_call call;
    uint64_t index = (address - guest->trampolines) / VMD_TRAMPOLINE_SIZE, result = 0;
    char *served = vmd_guest_find(guest, guest->served, 1);

    if (address % VMD_TRAMPOLINE_SIZE || index >= guest->n_imports) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "a jump to nowhere");
        return;
    }
    if (*served) {
        return;
    }
    if (guest->imports[index].function) {
        read_args(guest, &call);
        result = guest->imports[index].function(&call);
    }
    guest->cpu->unicorn.reg_write(engine, guest->cpu->result, &result);
    *served = 1;
    guest->cpu->served_at = address;
}

static bool on_invalid_memory(void *engine, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct vmd_guest *guest = user;

    vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "an access outside of its memory");
    return false;
}

/* Watchdog */

static void *watch(void *opaque)
{
    struct vmd_cpu *cpu = opaque;

    pthread_mutex_lock(&cpu->lock);
    while (!cpu->quit) {
        struct timespec until;

        cpu->asleep = !cpu->busy;
        if (cpu->asleep) {
            pthread_cond_wait(&cpu->wake, &cpu->lock);
            continue;
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WATCH_MILLISECONDS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(&cpu->wake, &cpu->lock, &until) == ETIMEDOUT && cpu->busy) {
            cpu->unicorn.emu_stop(cpu->engine);
        }
    }
    pthread_mutex_unlock(&cpu->lock);
    return NULL;
}

/* Starts the watchdog where there is none: at first, and after a fork. */
static bool start_watchdog(struct vmd_cpu *cpu)
{
    sigset_t all, before;
    int failed;

    if (cpu->watched_by == getpid()) {
        return true;
    }
    pthread_mutex_init(&cpu->lock, NULL);
    pthread_cond_init(&cpu->wake, NULL);
    cpu->asleep = false;
    /* Signals are for the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&cpu->watchdog, NULL, watch, cpu);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) {
        cpu->watched_by = getpid();
    }
    return !failed;
}

static void stop_watchdog(struct vmd_cpu *cpu)
{
    if (cpu->watched_by != getpid()) {
        return;
    }
    pthread_mutex_lock(&cpu->lock);
    cpu->quit = true;
    pthread_cond_signal(&cpu->wake);
    pthread_mutex_unlock(&cpu->lock);
    pthread_join(cpu->watchdog, NULL);
    pthread_cond_destroy(&cpu->wake);
    pthread_mutex_destroy(&cpu->lock);
}

static void set_busy(struct vmd_cpu *cpu, bool busy)
{
    pthread_mutex_lock(&cpu->lock);
    cpu->busy = busy;
    if (busy && cpu->asleep) {
        pthread_cond_signal(&cpu->wake);
    }
    pthread_mutex_unlock(&cpu->lock);
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

    if (!cpu) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    cpu->pc = x86_64 ? UC_X86_REG_RIP : UC_ARM64_REG_PC;
    cpu->sp = x86_64 ? UC_X86_REG_RSP : UC_ARM64_REG_SP;
    cpu->result = x86_64 ? UC_X86_REG_RAX : UC_ARM64_REG_X0;
    cpu->nanoseconds_left = guest->limits.seconds * 1000000000;
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
    stop_watchdog(cpu);
    if (cpu->engine) {
        cpu->unicorn.close(cpu->engine);
    }
    if (cpu->library) {
        dlclose(cpu->library);
    }
    free(cpu);
}

void vmd_cpu_stop(struct vmd_guest *guest)
{
    if (guest->cpu && guest->cpu->engine) {
        guest->cpu->unicorn.emu_stop(guest->cpu->engine);
    }
}

/* Calls */

static uint64_t cpu_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Between two slices of what is executed at pc: may it go on? */
static void check_limits(struct vmd_guest *guest, uint64_t pc)
{
    if (guest->limits.poll && guest->limits.poll(guest->limits.opaque)) {
        vmd_guest_fail(guest, VMD_INTERRUPTED, pc, "interrupted");
    } else if (cpu_time() - guest->cpu->call_began > guest->cpu->nanoseconds_left) {
        vmd_guest_fail(guest, VMD_TOO_LARGE, pc, "it does not come to an end");
    }
}

/* Executes from pc up to the guest's stop, or to the first failure. */
static void execute(struct vmd_guest *guest, uint64_t pc)
{
    const struct vmd_cpu *cpu = guest->cpu;

    while (!guest->err.code && pc != guest->stop) {
        int code = cpu->unicorn.emu_start(cpu->engine, pc, guest->stop, 0, 0);

        cpu->unicorn.reg_read(cpu->engine, cpu->pc, &pc);
        if (*vmd_guest_find(guest, guest->served, 1)) {
            pc = cpu->served_at; /* a call from within the hook has left another one there */
        }
        if (code) {
            vmd_guest_fail(guest, VMD_BAD_REFERENCE, pc, cpu->unicorn.strerror(code));
        } else if (pc != guest->stop) {
            check_limits(guest, pc);
        }
    }
    if (guest->err.code) {
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

static enum vmd_status begin_calls(struct vmd_guest *guest)
{
    vmd_error_set(&guest->err, VMD_OK, 0, NULL);
    if (!start_watchdog(guest->cpu)) {
        return vmd_error_set(&guest->err, VMD_NO_MEMORY, 0, "no thread can be started");
    }
    *vmd_guest_find(guest, guest->served, 1) = 0; /* a call that failed may have left it */
    guest->cpu->call_began = cpu_time();
    set_busy(guest->cpu, true);
    return VMD_OK;
}

static void end_calls(struct vmd_guest *guest, struct vmd_error *err)
{
    struct vmd_cpu *cpu = guest->cpu;
    uint64_t took = cpu_time() - cpu->call_began;

    set_busy(cpu, false);
    cpu->nanoseconds_left -= took < cpu->nanoseconds_left ? took : cpu->nanoseconds_left;
    *err = guest->err;
}

enum vmd_status vmd_guest_call(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args,
                               uint64_t *ret, struct vmd_error *err)
{
    if (n_args > CALL_ARGS_MAX) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, function, "a call with too many arguments");
    }
    if (begin_calls(guest)) {
        *err = guest->err;
        return err->code;
    }
    *ret = call_at(guest, function, args, n_args, guest->stack);
    end_calls(guest, err);
    return err->code;
}

enum vmd_status vmd_guest_call_all(struct vmd_guest *guest, const uint64_t *functions, size_t n, size_t *done,
                                   struct vmd_error *err)
{
    size_t i;

    *done = 0;
    if (begin_calls(guest)) {
        *err = guest->err;
        return err->code;
    }
    for (i = 0; i < n; i++) {
        call_at(guest, functions[i], NULL, 0, guest->stack);
        if (guest->err.code) {
            break;
        }
    }
    *done = i;
    end_calls(guest, err);
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
