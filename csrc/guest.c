/*
 * Guests: memory, Unicorn, trampolines, calls. See guest.h; the host's functions are in guest_host.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest_host.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What is used of Unicorn's API (2.x), by its own numbers. */
enum {
    UC_ARCH_ARM64 = 2,
    UC_ARCH_X86 = 4,
    UC_MODE_64 = 8,
    UC_PROT_ALL = 7,
    UC_HOOK_CODE = 4,
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

struct vmd_unicorn {
    void *library;
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

enum { CALL_ARGS_MAX = 6, DEPTH_MAX = 32 };
enum { TRAMPOLINE = 16, STACK_SIZE = 4 << 20, THREAD_SIZE = 64 << 10, STOP_SIZE = 4096 };

static const struct {
    const char *name;
    size_t offset;
} unicorn_symbols[] = {
#define SYMBOL(member) {"uc_" #member, offsetof(struct vmd_unicorn, member)}
    SYMBOL(open),     SYMBOL(close),     SYMBOL(mem_map_ptr),    SYMBOL(hook_add), SYMBOL(reg_write),
    SYMBOL(reg_read), SYMBOL(emu_start), SYMBOL(reg_read_batch), SYMBOL(emu_stop), SYMBOL(strerror),
#undef SYMBOL
};

static struct vmd_unicorn *unicorn_open(const char *path, struct vmd_error *err)
{
    struct vmd_unicorn *unicorn = calloc(1, sizeof(*unicorn));

    if (!unicorn) {
        vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
        return NULL;
    }
    unicorn->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof(unicorn_symbols) / sizeof(*unicorn_symbols); i++) {
        void *symbol = unicorn->library ? dlsym(unicorn->library, unicorn_symbols[i].name) : NULL;

        if (!symbol) {
            vmd_error_set(err, VMD_IO, 0, "libunicorn can't be loaded, or is no Unicorn 2");
            free(unicorn);
            return NULL;
        }
        memcpy((char *)unicorn + unicorn_symbols[i].offset, &symbol, sizeof(symbol));
    }
    return unicorn;
}

char *vmd_guest_at(struct vmd_guest *guest, uint64_t address, uint64_t size)
{
    char *found = vmd_guest_find(guest, address, size);

    if (!found) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "an address outside of its memory");
    }
    return found;
}

void vmd_guest_fail(struct vmd_guest *guest, enum vmd_status code, uint64_t address, const char *message)
{
    if (!guest->err.code) {
        vmd_error_set(&guest->err, code, address, message);
    }
    if (guest->engine) {
        guest->unicorn->emu_stop(guest->engine);
    }
}

uint64_t vmd_guest_alloc(struct vmd_guest *guest, uint64_t size, uint64_t align)
{
    uint64_t start = (guest->free + align - 1) & -align;

    if (start < guest->free || start > guest->size || size > guest->size - start) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "it uses more memory than it is given");
        return 0;
    }
    guest->free = start + size;
    return VMD_GUEST_BASE + start;
}

char *vmd_guest_memory(struct vmd_guest *guest)
{
    return guest->memory;
}

uint64_t vmd_guest_tls(const struct vmd_guest *guest)
{
    /* It ends at the thread pointer on x86-64, and begins 16 bytes behind it on AArch64. */
    return guest->arch == VMD_GUEST_X86_64 ? guest->thread - guest->tls_size : guest->thread + 16;
}

uint64_t vmd_guest_set_tls(struct vmd_guest *guest, uint64_t size)
{
    if (size > THREAD_SIZE - 4096) {
        return 0;
    }
    guest->tls_size = size;
    return vmd_guest_tls(guest);
}

uint64_t vmd_guest_import(struct vmd_guest *guest, const char *name)
{
    struct vmd_host_import *import;

    for (size_t i = 0; i < guest->n_imports; i++) {
        if (strcmp(guest->imports[i].name, name) == 0) {
            return guest->trampolines + i * TRAMPOLINE;
        }
    }
    if (guest->n_imports == VMD_GUEST_TRAMPOLINES) {
        return 0;
    }
    import = &guest->imports[guest->n_imports];
    import->name = strdup(name);
    if (!import->name) {
        return 0;
    }
    import->function = vmd_host_function(name);
    return guest->trampolines + guest->n_imports++ * TRAMPOLINE;
}

const char *vmd_guest_import_name(const struct vmd_guest *guest, uint64_t address)
{
    uint64_t index = (address - guest->trampolines) / TRAMPOLINE;

    return address >= guest->trampolines && index < guest->n_imports ? guest->imports[index].name : NULL;
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
    guest->unicorn->reg_read_batch(guest->engine, x86_64 ? x86_64_args : aarch64_args, values, call->n_args + 1);
    /* On x86-64 the return address is on the stack. */
    call->stack = stack + (x86_64 ? 8 : 0);
}

/* A call of a trampoline: serves it, and lets the return instruction there do the rest. */
static void on_trampoline(void *engine, uint64_t address, uint32_t size, void *user)
{
    struct vmd_guest *guest = user;
    struct vmd_host_call call;
    uint64_t index = (address - guest->trampolines) / TRAMPOLINE, result = 0;

    if (index >= guest->n_imports) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "a jump to nowhere");
        return;
    }
    if (guest->imports[index].function) {
        read_args(guest, &call);
        result = guest->imports[index].function(&call);
    }
    guest->unicorn->reg_write(engine, guest->arch == VMD_GUEST_X86_64 ? UC_X86_REG_RAX : UC_ARM64_REG_X0, &result);
}

static bool on_invalid_memory(void *engine, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct vmd_guest *guest = user;

    vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "an access outside of its memory");
    return false;
}

static bool start_engine(struct vmd_guest *guest)
{
    static const uint32_t ret_x86_64 = 0xc3, ret_aarch64 = 0xd65f03c0;
    const struct vmd_unicorn *unicorn = guest->unicorn;
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    uint64_t end = guest->trampolines + VMD_GUEST_TRAMPOLINES * TRAMPOLINE - 1, fpu = 3 << 20;
    void *hook;

    for (size_t i = 0; i < VMD_GUEST_TRAMPOLINES; i++) {
        memcpy(guest->memory + (guest->trampolines - VMD_GUEST_BASE) + i * TRAMPOLINE,
               x86_64 ? &ret_x86_64 : &ret_aarch64, 4);
    }
    return !unicorn->open(x86_64 ? UC_ARCH_X86 : UC_ARCH_ARM64, x86_64 ? UC_MODE_64 : 0, &guest->engine) &&
           !unicorn->mem_map_ptr(guest->engine, VMD_GUEST_BASE, guest->size, UC_PROT_ALL, guest->memory) &&
           !unicorn->hook_add(guest->engine, &hook, UC_HOOK_CODE, on_trampoline, guest, guest->trampolines, end) &&
           !unicorn->hook_add(guest->engine, &hook, UC_HOOK_MEM_INVALID, on_invalid_memory, guest, 1, 0) &&
           !unicorn->reg_write(guest->engine, x86_64 ? UC_X86_REG_FS_BASE : UC_ARM64_REG_TPIDR_EL0, &guest->thread) &&
           (x86_64 || !unicorn->reg_write(guest->engine, UC_ARM64_REG_CPACR_EL1, &fpu));
}

enum vmd_status vmd_guest_create(const char *unicorn, enum vmd_guest_arch arch, uint64_t size, struct vmd_guest **ret,
                                 struct vmd_error *err)
{
    struct vmd_guest *guest = calloc(1, sizeof(*guest));

    if (!guest) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    guest->arch = arch;
    guest->size = size;
    vmd_guest_set_host(guest, true, false, 4096);
    guest->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (guest->memory == MAP_FAILED) {
        guest->memory = NULL;
        vmd_guest_destroy(guest);
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    guest->unicorn = unicorn_open(unicorn, err);
    if (!guest->unicorn) {
        vmd_guest_destroy(guest);
        return err->code;
    }
    guest->trampolines = vmd_guest_alloc(guest, VMD_GUEST_TRAMPOLINES * TRAMPOLINE, 4096);
    guest->stop = vmd_guest_alloc(guest, STOP_SIZE, 4096);
    guest->thread = vmd_guest_alloc(guest, 2 * THREAD_SIZE, 4096) + THREAD_SIZE;
    guest->errno_at = guest->stop + STOP_SIZE / 2;
    guest->stack = vmd_guest_alloc(guest, STACK_SIZE, 4096) + STACK_SIZE - 4096;
    /* The thread's control block begins with its own address (x86-64). */
    memcpy(guest->memory + (guest->thread - VMD_GUEST_BASE), &guest->thread, 8);
    if (!start_engine(guest)) {
        vmd_guest_destroy(guest);
        return vmd_error_set(err, VMD_IO, 0, "Unicorn can't be started");
    }
    *ret = guest;
    return VMD_OK;
}

void vmd_guest_destroy(struct vmd_guest *guest)
{
    if (!guest) {
        return;
    }
    vmd_host_deinit(guest);
    if (guest->engine) {
        guest->unicorn->close(guest->engine);
    }
    if (guest->unicorn) {
        dlclose(guest->unicorn->library);
        free(guest->unicorn);
    }
    if (guest->memory) {
        munmap(guest->memory, guest->size);
    }
    for (size_t i = 0; i < guest->n_imports; i++) {
        free(guest->imports[i].name);
    }
    free(guest->inits);
    free(guest);
}

/* Calls a function on the stack at sp. */
static uint64_t call_at(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args, uint64_t sp,
                        uint64_t microseconds)
{
    const struct vmd_unicorn *unicorn = guest->unicorn;
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    uint64_t result = 0;
    int code;

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
        unicorn->reg_write(guest->engine, UC_ARM64_REG_LR, &guest->stop);
    }
    unicorn->reg_write(guest->engine, x86_64 ? UC_X86_REG_RSP : UC_ARM64_REG_SP, &sp);
    for (int i = 0; i < n_args; i++) {
        unicorn->reg_write(guest->engine, x86_64 ? x86_64_args[i] : aarch64_args[i], &args[i]);
    }
    code = unicorn->emu_start(guest->engine, function, guest->stop, microseconds, 0);
    if (!guest->err.code) {
        uint64_t pc;

        unicorn->reg_read(guest->engine, x86_64 ? UC_X86_REG_RIP : UC_ARM64_REG_PC, &pc);
        if (code) {
            vmd_guest_fail(guest, VMD_BAD_REFERENCE, pc, unicorn->strerror(code));
        } else if (pc != guest->stop) {
            vmd_guest_fail(guest, VMD_TOO_LARGE, pc, "it does not come to an end");
        }
    }
    unicorn->reg_read(guest->engine, x86_64 ? UC_X86_REG_RAX : UC_ARM64_REG_X0, &result);
    return result;
}

enum vmd_status vmd_guest_call(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args,
                               uint64_t seconds, uint64_t *ret, struct vmd_error *err)
{
    if (n_args > CALL_ARGS_MAX) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, function, "a call with too many arguments");
    }
    vmd_error_set(&guest->err, VMD_OK, 0, NULL);
    *ret = call_at(guest, function, args, n_args, guest->stack, seconds * 1000000);
    *err = guest->err;
    return err->code;
}

uint64_t vmd_host_call_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args)
{
    struct vmd_guest *guest = call->guest;
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    uint64_t pc, sp, lr, result;

    if (guest->err.code) {
        return 0;
    }
    if (guest->depth == DEPTH_MAX) {
        vmd_guest_fail(guest, VMD_TOO_DEEP, function, "functions that call each other too deeply");
        return 0;
    }
    guest->depth++;
    guest->unicorn->reg_read(guest->engine, x86_64 ? UC_X86_REG_RSP : UC_ARM64_REG_SP, &sp);
    guest->unicorn->reg_read(guest->engine, x86_64 ? UC_X86_REG_RIP : UC_ARM64_REG_PC, &pc);
    guest->unicorn->reg_read(guest->engine, UC_ARM64_REG_LR, &lr);
    /* Below what a leaf function may use without moving the stack pointer. */
    result = call_at(guest, function, args, n_args, sp - 256, 0);
    guest->unicorn->reg_write(guest->engine, x86_64 ? UC_X86_REG_RSP : UC_ARM64_REG_SP, &sp);
    if (!x86_64) {
        guest->unicorn->reg_write(guest->engine, UC_ARM64_REG_LR, &lr);
    }
    guest->depth--;
    return result;
}

size_t vmd_guest_take_inits(struct vmd_guest *guest, uint64_t *pairs, size_t room)
{
    size_t n = guest->n_inits < room ? guest->n_inits : room;

    if (n) {
        memcpy(pairs, guest->inits, n * 2 * sizeof(*pairs));
        guest->n_inits -= n;
        memmove(guest->inits, guest->inits + 2 * n, guest->n_inits * 2 * sizeof(*pairs));
    }
    return n;
}
