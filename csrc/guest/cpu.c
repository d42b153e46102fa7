/*
 * A guest's CPU, which is Unicorn: trampolines, calls and limits.
 *
 * A trampoline is a return instruction; a hook on its block calls the host's function. Each call of the guest runs on a
 * thread of its own, while the caller's thread checks the limits and lets signal handlers run. Unicorn cannot be
 * interrupted and resumed: it may stop after any memory access, in the middle of an instruction.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "guest/insn.h"
#include "guest/internal.h"

/* Constants of Unicorn's API (2.x). */
enum {
    UC_PROT_ALL = 7,
    UC_HOOK_BLOCK = 8,
    UC_HOOK_MEM_INVALID = 1008,
    UC_HOOK_EDGE_GENERATED = 32768,
    UC_CTL_CPU_MODEL = 7,
    UC_CTL_TB_FLUSH = 10,
    UC_CTL_WRITE = 1 << 30,
    UC_CTL_ARGUMENTS = 26, /* shift of their number */
};

/* Unicorn allows 64 nested executions. */
enum { CALL_ARGS_MAX = 6, DEPTH_MAX = 56, THREAD_STACK_SIZE = 64 << 20 };

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
    int (*ctl)(void *engine, unsigned control, ...);
    int (*context_alloc)(void *engine, void **context);
    int (*context_save)(void *engine, void *context);
    int (*context_restore)(void *engine, void *context);
    int (*context_free)(void *context);
    const char *(*strerror)(int code);
};

struct vmd_cpu {
    void *library;
    struct unicorn unicorn;
    void *engine;
    const struct vmd_arch *host;
    unsigned depth;            /* calls of the guest from within calls of the host */
    unsigned thread_depth;     /* depth at which the running thread began; 0: main thread */
    void *paused;              /* registers of the last paused call */
    bool has_returned;         /* the call with pause_at returned without a pause */
    bool is_freezing;          /* the running thread ends: all calls down to thread_depth return */
    unsigned tried;            /* depth of the innermost call that may fail alone; 0: none */
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
        SYMBOL(open),     SYMBOL(close),         SYMBOL(mem_map_ptr),    SYMBOL(hook_add),        SYMBOL(reg_write),
        SYMBOL(reg_read), SYMBOL(emu_start),     SYMBOL(reg_read_batch), SYMBOL(emu_stop),        SYMBOL(strerror),
        SYMBOL(ctl),      SYMBOL(context_alloc), SYMBOL(context_save),   SYMBOL(context_restore), SYMBOL(context_free),
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

/* A function of the guest that returns at once. */
static uint64_t empty_function(const struct vmd_guest *guest)
{
    return guest->stop + VMD_TRAMPOLINE_SIZE;
}

static void write_trampolines(struct vmd_guest *guest)
{
    const uint32_t *ret = &guest->host->return_instruction;

    for (uint64_t i = 0; i < VMD_GUEST_TRAMPOLINES; i++) {
        memcpy(vmd_guest_find(guest, guest->trampolines + i * VMD_TRAMPOLINE_SIZE, 4), ret, 4);
    }
    memcpy(vmd_guest_find(guest, empty_function(guest), 4), ret, 4);
}

/* Read the registers that hold arguments. */
static void read_args(struct vmd_guest *guest, struct vmd_host_call *call)
{
    const struct vmd_arch *host = guest->host;
    void *values[VMD_ARGS_MAX + 1];
    uint64_t stack;

    call->guest = guest;
    call->n_args = host->n_args;
    for (int i = 0; i < call->n_args; i++) {
        values[i] = &call->args[i];
    }
    values[call->n_args] = &stack;
    guest->cpu->unicorn.reg_read_batch(guest->cpu->engine, (int *)host->args, values, call->n_args + 1);
    call->stack = stack + (host->link ? 0 : 8); /* behind the return address */
}

/* A trampoline is entered: call its function; the return instruction there returns to the guest. */
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
        call.import = &guest->imports[index];
        read_args(guest, &call);
        result = guest->imports[index].function(&call);
    } else {
        guest->imports[index].is_missed = true;
    }
    guest->cpu->unicorn.reg_write(engine, guest->host->result, &result);
}

static bool on_invalid_memory(void *engine, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct vmd_guest *guest = user;

    vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "an access outside of its memory");
    return false;
}

/* A block of code, as Unicorn translates it. */
struct uc_tb {
    uint64_t pc;
    uint16_t n_instructions, size; /* bytes */
};

/*
 * A block has been translated and is executed next. Unicorn calls this once per translation. A hook of another type
 * than UC_HOOK_BLOCK: a second one of these breaks nested execution (Unicorn 2.1.4).
 */
static void on_new_block(void *engine, const struct uc_tb *block, const struct uc_tb *before, void *user)
{
    struct vmd_guest *guest = user;
    const char *code = vmd_guest_find(guest, block->pc, 1);
    size_t at =
        code ? vmd_x86_64_find_vector((const uint8_t *)code, block->size, (size_t)(guest->memory + guest->size - code))
             : SIZE_MAX;

    if (at != SIZE_MAX) {
        vmd_guest_fail(guest, VMD_UNSUPPORTED, block->pc + at, "an AVX instruction");
    }
}

/* Creation and destruction */

static uint64_t call_at(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args, uint64_t sp);

static bool start_engine(struct vmd_guest *guest)
{
    const struct unicorn *unicorn = &guest->cpu->unicorn;
    const struct vmd_arch *host = guest->host;
    void **engine = &guest->cpu->engine, *hook;
    uint64_t end = guest->trampolines + VMD_GUEST_TRAMPOLINES * VMD_TRAMPOLINE_SIZE - 1;

    return !unicorn->open(host->unicorn_arch, host->unicorn_mode, engine) &&
           (host->cpu_model < 0 ||
            !unicorn->ctl(*engine, UC_CTL_WRITE | 1 << UC_CTL_ARGUMENTS | UC_CTL_CPU_MODEL, host->cpu_model)) &&
           !unicorn->mem_map_ptr(*engine, VMD_GUEST_BASE, guest->size, UC_PROT_ALL, guest->memory) &&
           !unicorn->hook_add(*engine, &hook, UC_HOOK_BLOCK, on_trampoline, guest, guest->trampolines, end) &&
           !unicorn->hook_add(*engine, &hook, UC_HOOK_MEM_INVALID, on_invalid_memory, guest, 1, 0) &&
           (guest->arch != VMD_GUEST_X86_64 ||
            !unicorn->hook_add(*engine, &hook, UC_HOOK_EDGE_GENERATED, on_new_block, guest, 1, 0)) &&
           !unicorn->reg_write(*engine, host->thread_pointer, &guest->thread) &&
           (!host->enable_fpu || !unicorn->reg_write(*engine, host->enable_fpu, &host->enable_fpu_value));
}

enum vmd_status vmd_cpu_create(struct vmd_guest *guest, const char *unicorn, struct vmd_error *err)
{
    struct vmd_cpu *cpu = guest->cpu = calloc(1, sizeof(*cpu));
    pthread_condattr_t monotonic;

    if (!cpu) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    cpu->host = guest->host;
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
    if (!start_engine(guest)) {
        return vmd_error_set(err, VMD_IO, 0, "Unicorn can't be started");
    }
    /* Unicorn reports a new block only if it has executed one before. */
    call_at(guest, empty_function(guest), NULL, 0, guest->stack);
    *err = guest->err;
    return err->code;
}

void vmd_cpu_destroy(struct vmd_guest *guest)
{
    struct vmd_cpu *cpu = guest->cpu;

    if (!cpu) {
        return;
    }
    if (cpu->paused) {
        vmd_cpu_forget(guest, cpu->paused);
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

/* Registers */

uint64_t vmd_cpu_read(struct vmd_guest *guest, int reg)
{
    uint64_t value[2] = {0}; /* vectors are 16 bytes */

    if (!guest->cpu->engine) {
        return 0;
    }
    guest->cpu->unicorn.reg_read(guest->cpu->engine, reg, value);
    return value[0];
}

void vmd_cpu_write(struct vmd_guest *guest, int reg, uint64_t value)
{
    uint64_t bytes[2] = {value, 0};

    guest->cpu->unicorn.reg_write(guest->cpu->engine, reg, bytes);
}

double vmd_cpu_read_double(struct vmd_guest *guest, int n)
{
    uint64_t bits = vmd_cpu_read(guest, guest->host->float_args[n]);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

float vmd_cpu_read_float(struct vmd_guest *guest, int n)
{
    uint32_t bits = (uint32_t)vmd_cpu_read(guest, guest->host->float_args[n]);
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

void vmd_cpu_return_double(struct vmd_guest *guest, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    vmd_cpu_write(guest, guest->host->float_args[0], bits);
}

void vmd_cpu_return_float(struct vmd_guest *guest, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    vmd_cpu_write(guest, guest->host->float_args[0], bits);
}

void vmd_cpu_save_frame(struct vmd_guest *guest, struct vmd_frame *frame)
{
    const struct vmd_arch *host = guest->host;

    *frame = (struct vmd_frame){.sp = vmd_cpu_read(guest, host->sp)};
    for (int i = 0; i < host->n_saved; i++) {
        frame->saved[i] = vmd_cpu_read(guest, host->saved[i]);
    }
    frame->return_address = host->link ? vmd_cpu_read(guest, host->link) : vmd_guest_load_u64(guest, frame->sp);
}

void vmd_cpu_restore_frame(struct vmd_guest *guest, const struct vmd_frame *frame)
{
    const struct vmd_arch *host = guest->host;

    for (int i = 0; i < host->n_saved; i++) {
        vmd_cpu_write(guest, host->saved[i], frame->saved[i]);
    }
    vmd_cpu_write(guest, host->sp, frame->sp);
    if (host->link) {
        vmd_cpu_write(guest, host->link, frame->return_address);
    } else {
        vmd_guest_store_u64(guest, frame->sp, frame->return_address);
    }
}

void *vmd_cpu_save(struct vmd_guest *guest)
{
    const struct unicorn *unicorn = &guest->cpu->unicorn;
    void *context = NULL;

    if (unicorn->context_alloc(guest->cpu->engine, &context)) {
        return NULL;
    }
    unicorn->context_save(guest->cpu->engine, context);
    return context;
}

void vmd_cpu_restore(struct vmd_guest *guest, void *context)
{
    const struct unicorn *unicorn = &guest->cpu->unicorn;

    unicorn->context_restore(guest->cpu->engine, context);
}

void vmd_cpu_flush(struct vmd_guest *guest)
{
    guest->cpu->unicorn.ctl(guest->cpu->engine, UC_CTL_WRITE | UC_CTL_TB_FLUSH);
}

void vmd_cpu_forget(struct vmd_guest *guest, void *context)
{
    guest->cpu->unicorn.context_free(context);
}

/* Calls */

/* Execute from an address up to until, or to the first failure. */
static void execute(struct vmd_guest *guest, uint64_t start, uint64_t until)
{
    struct vmd_cpu *cpu = guest->cpu;
    int code = cpu->unicorn.emu_start(cpu->engine, start, until, 0, 0), why = cpu->stopping;
    uint64_t pc = vmd_cpu_read(guest, cpu->host->pc);

    if (cpu->has_returned && !cpu->depth && !guest->err.code) {
        return;
    }
    if (cpu->is_freezing && !guest->err.code) {
        if (cpu->depth == cpu->thread_depth) {
            cpu->is_freezing = false;
        } else {
            vmd_cpu_stop(guest); /* the enclosing call, too */
        }
        return;
    }
    if (why && !guest->err.code) {
        vmd_guest_fail(guest, why, pc, why == VMD_INTERRUPTED ? "interrupted" : TOO_LONG);
    } else if (code && !guest->err.code) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, pc, cpu->unicorn.strerror(code));
    } else if (pc != until) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, pc, "it halts the CPU");
    }
    if (guest->err.code && (guest->err.code != VMD_BAD_REFERENCE || !cpu->tried || cpu->depth != cpu->tried)) {
        vmd_cpu_stop(guest); /* the enclosing call, too */
    }
}

/* Call a function on the stack at sp, until it returns or enters pause_at (0: none). */
static uint64_t call_until(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args, uint64_t sp,
                           uint64_t pause_at)
{
    const struct vmd_arch *host = guest->host;
    uint64_t return_address = pause_at ? guest->returned : guest->stop;

    sp &= -(uint64_t)16;
    if (host->link) {
        vmd_cpu_write(guest, host->link, return_address);
    } else {
        char *top;

        sp -= 8;
        top = vmd_guest_at(guest, sp, 8);
        if (!top) {
            return 0;
        }
        vmd_store_u64(top, return_address);
    }
    vmd_cpu_write(guest, host->sp, sp);
    for (int i = 0; i < n_args; i++) {
        vmd_cpu_write(guest, host->args[i], args[i]);
    }
    execute(guest, function, pause_at ? pause_at : guest->stop);
    return vmd_cpu_read(guest, host->result);
}

static uint64_t call_at(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args, uint64_t sp)
{
    return call_until(guest, function, args, n_args, sp, 0);
}

uint64_t vmd_cpu_return(struct vmd_host_call *call)
{
    call->guest->cpu->has_returned = true;
    vmd_cpu_stop(call->guest);
    return vmd_cpu_read(call->guest, call->guest->host->result);
}

/* Calls that a thread makes for a caller. */
struct calls {
    struct vmd_guest *guest;
    const uint64_t *functions;
    size_t n, done;
    const uint64_t *args; /* of each of them */
    int n_args;
    uint64_t pause_at;    /* function at whose entry the calls pause, or 0 */
    bool resume;          /* resume the paused call instead of calling functions */
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
        execute(guest, guest->state.paused_at, guest->stop);
        calls->result = vmd_cpu_read(guest, guest->host->result);
    }
    for (; calls->done < calls->n; calls->done++) {
        calls->result = call_until(guest, calls->functions[calls->done], calls->args, calls->n_args,
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
        return vmd_error_set(err, VMD_TOO_LARGE, 0, TOO_LONG);
    }
    cpu->stopping = VMD_OK;
    cpu->depth = cpu->thread_depth = cpu->tried = 0;
    cpu->is_freezing = cpu->has_returned = false;
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

static enum vmd_status pause_call(struct vmd_guest *guest, struct vmd_error *err)
{
    struct vmd_cpu *cpu = guest->cpu;

    if (cpu->paused) {
        vmd_cpu_forget(guest, cpu->paused);
    }
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
    const struct vmd_arch *host = guest->host;
    uint64_t sp, link, result;

    if (guest->err.code || cpu->is_freezing) {
        return 0;
    }
    if (cpu->depth == DEPTH_MAX) {
        vmd_guest_fail(guest, VMD_TOO_DEEP, function, "functions that call each other too deeply");
        return 0;
    }
    cpu->depth++;
    sp = vmd_cpu_read(guest, host->sp);
    link = host->link ? vmd_cpu_read(guest, host->link) : 0;
    /* Below the red zone of a leaf function. */
    result = call_at(guest, function, args, n_args, sp - 256);
    vmd_cpu_write(guest, host->sp, sp);
    if (host->link) {
        vmd_cpu_write(guest, host->link, link);
    }
    cpu->depth--;
    return result;
}

bool vmd_host_try_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args,
                        struct vmd_error *ret)
{
    struct vmd_guest *guest = call->guest;
    unsigned outer = guest->cpu->tried;
    struct vmd_frame frame;

    if (guest->err.code) {
        return true;
    }
    vmd_cpu_save_frame(guest, &frame);
    guest->cpu->tried = guest->cpu->depth + 1;
    vmd_host_call_guest(call, function, args, n_args);
    guest->cpu->tried = outer;
    if (guest->err.code != VMD_BAD_REFERENCE) {
        return true;
    }
    *ret = guest->err;
    vmd_error_set(&guest->err, VMD_OK, 0, NULL);
    /* Unicorn stays stopped until it has executed something; without this, the enclosing call would end here. */
    vmd_host_call_guest(call, empty_function(guest), NULL, 0);
    /* The function has not returned, so it has not restored its callee-saved registers. */
    vmd_cpu_restore_frame(guest, &frame);
    return false;
}

/* Threads */

void vmd_cpu_run_thread(struct vmd_host_call *call, uint64_t function, uint64_t argument, uint64_t stack,
                        uint64_t thread)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_cpu *cpu = guest->cpu;
    unsigned outer = cpu->thread_depth;
    uint64_t outer_thread = guest->thread;
    struct vmd_frame frame;

    if (guest->err.code || cpu->is_freezing || cpu->depth == DEPTH_MAX) {
        return;
    }
    vmd_cpu_save_frame(guest, &frame);
    cpu->thread_depth = ++cpu->depth;
    guest->thread = thread;
    vmd_cpu_write(guest, guest->host->thread_pointer, thread);
    call_at(guest, function, &argument, 1, stack);
    guest->thread = outer_thread;
    vmd_cpu_write(guest, guest->host->thread_pointer, outer_thread);
    cpu->depth--;
    cpu->thread_depth = outer;
    vmd_cpu_restore_frame(guest, &frame);
}

bool vmd_cpu_freeze_thread(struct vmd_guest *guest)
{
    struct vmd_cpu *cpu = guest->cpu;

    if (!cpu->thread_depth) {
        return false;
    }
    cpu->is_freezing = true;
    vmd_cpu_stop(guest);
    return true;
}
