/*
 * A guest's CPU, which is Unicorn: trampolines and hooks.
 *
 * A trampoline is a return instruction; a hook on its block calls the host's function.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/cpu/cpu.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "guest/trace.h"

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
        SYMBOL(hook_del), SYMBOL(version),
#undef SYMBOL
    };
    unsigned major, minor;

    cpu->library = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
        void *symbol = cpu->library ? dlsym(cpu->library, symbols[i].name) : NULL;

        if (!symbol) {
            return vmd_error_set(err, VMD_IO, 0, "libunicorn can't be loaded, or is no Unicorn 2");
        }
        memcpy((char *)&cpu->unicorn + symbols[i].offset, &symbol, sizeof(symbol));
    }
    cpu->unicorn.version(&major, &minor);
    if (major < 2 || (major == 2 && minor < 1)) {
        return vmd_error_set(err, VMD_IO, 0, "libunicorn is older than 2.1: pip install 'vmdump[elf]'");
    }
    return VMD_OK;
}

/* Trampolines */

static void write_trampolines(struct vmd_guest *guest)
{
    const uint8_t *ret = guest->host->return_code;

    for (uint64_t i = 0; i < VMD_GUEST_TRAMPOLINES; i++) {
        memcpy(vmd_guest_find(guest, guest->trampolines + i * VMD_TRAMPOLINE_SIZE, VMD_CODE_MAX), ret, VMD_CODE_MAX);
    }
    memcpy(vmd_guest_find(guest, vmd_cpu_empty_function(guest), VMD_CODE_MAX), ret, VMD_CODE_MAX);
}

/* Read the arguments that registers hold, and some of those on the stack. */
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
    call->stack = stack + host->frame_size;
    for (int i = call->n_args; i < VMD_ARGS_READ; i++) {
        const char *at = vmd_guest_find(guest, call->stack + 8 * (uint64_t)(i - call->n_args), 8);

        call->args[i] = at ? vmd_get_u64(guest, at) : 0;
    }
}

/* Unicorn doubles its TLB if it is flushed when it is nearly full, and does not flush it by itself. */
static void grow_tlb(struct vmd_cpu *cpu)
{
    cpu->tlb_misses = 0;
    if (cpu->tlb_pages < TLB_PAGES_MAX) {
        cpu->tlb_pages *= 2;
        cpu->unicorn.ctl(cpu->engine, UC_CTL_WRITE | UC_CTL_TLB_FLUSH);
    }
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
    if (guest->cpu->tlb_misses > TLB_MISSES_PER_PAGE * guest->cpu->tlb_pages) {
        grow_tlb(guest->cpu);
    }
    if (guest->trace) {
        vmd_trace_note_call(guest, &guest->imports[index]);
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

/* What a page of the guest may be used for. Source: uc_tlb_entry of Unicorn's API. */
struct uc_tlb_entry {
    uint64_t address;
    uint32_t permissions;
};

/*
 * The TLB has no entry for a page. A page is executable from the first fetch of an instruction on: Unicorn looks for
 * translated code at each store to an executable page, which takes many times as long as the store.
 */
static bool on_tlb_miss(void *engine, uint64_t address, int type, struct uc_tlb_entry *ret, void *user)
{
    struct vmd_guest *guest = user;
    uint64_t page = (address - guest->base) / CODE_PAGE;

    guest->cpu->tlb_misses++;
    *ret = (struct uc_tlb_entry){address, UC_PROT_ALL};
    if (page < guest->size / CODE_PAGE) {
        unsigned char *at = &guest->cpu->code_pages[page / 8], bit = (unsigned char)(1 << page % 8);

        *at |= type == UC_MEM_FETCH ? bit : 0;
        ret->permissions = *at & bit ? UC_PROT_ALL : UC_PROT_READ | UC_PROT_WRITE;
    }
    return true;
}

/*
 * Where a hook for memory exists, Unicorn expects stores to be slow, and does not search its whole TLB for entries to
 * slow down each time that it translates a block.
 */
static bool expect_code(struct vmd_guest *guest, uint64_t start, uint64_t end)
{
    void *hook;

    return !guest->cpu->unicorn.hook_add(guest->cpu->engine, &hook, UC_HOOK_MEM_INVALID, on_invalid_memory, guest,
                                         start, end - 1);
}

void vmd_guest_expect_code(struct vmd_guest *guest, uint64_t start, uint64_t size)
{
    if (!guest->snapshot && size && vmd_guest_find(guest, start, size)) {
        expect_code(guest, start & -(uint64_t)CODE_PAGE, (start + size + CODE_PAGE - 1) & -(uint64_t)CODE_PAGE);
    }
}

/* Creation and destruction */

static bool set_start_registers(struct vmd_guest *guest)
{
    const struct unicorn *unicorn = &guest->cpu->unicorn;

    for (size_t i = 0; i < sizeof(guest->host->start) / sizeof(*guest->host->start); i++) {
        const struct vmd_register_value *start = &guest->host->start[i];

        if (start->reg && unicorn->reg_write(guest->cpu->engine, start->reg, &start->value)) {
            return false;
        }
    }
    vmd_cpu_set_thread(guest, guest->thread);
    return true;
}

static bool start_engine(struct vmd_guest *guest)
{
    const struct unicorn *unicorn = &guest->cpu->unicorn;
    const struct vmd_arch *host = guest->host;
    void **engine = &guest->cpu->engine, *hook;
    uint64_t start = guest->trampolines, end = start + VMD_GUEST_TRAMPOLINES * VMD_TRAMPOLINE_SIZE;

    return !unicorn->open(host->unicorn_arch, host->unicorn_mode, engine) &&
           (host->cpu_model < 0 ||
            !unicorn->ctl(*engine, UC_CTL_WRITE | 1 << UC_CTL_ARGUMENTS | UC_CTL_CPU_MODEL, host->cpu_model)) &&
           !unicorn->mem_map_ptr(*engine, guest->base, guest->size, UC_PROT_ALL, guest->memory) &&
           !unicorn->hook_add(*engine, &hook, UC_HOOK_BLOCK, on_trampoline, guest, start, end - 1) &&
           !unicorn->hook_add(*engine, &hook, UC_HOOK_MEM_INVALID, on_invalid_memory, guest, 0, guest->base - 1) &&
           !unicorn->hook_add(*engine, &hook, UC_HOOK_MEM_INVALID, on_invalid_memory, guest, guest->base + guest->size,
                              UINT64_MAX) &&
           expect_code(guest, start, end) &&
           !unicorn->ctl(*engine, UC_CTL_WRITE | 1 << UC_CTL_ARGUMENTS | UC_CTL_TLB_TYPE, UC_TLB_VIRTUAL) &&
           !unicorn->hook_add(*engine, &hook, UC_HOOK_TLB_FILL, on_tlb_miss, guest, 1, 0) &&
           (!host->replacement || vmd_cpu_hook_replaced(guest)) && set_start_registers(guest);
}

enum vmd_status vmd_cpu_create(struct vmd_guest *guest, const char *unicorn, struct vmd_error *err)
{
    struct vmd_cpu *cpu = guest->cpu = calloc(1, sizeof(*cpu));
    pthread_condattr_t monotonic;

    if (!cpu) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    cpu->host = guest->host;
    cpu->tlb_pages = TLB_PAGES;
    cpu->nanoseconds_left = guest->limits.milliseconds * 1000000;
    pthread_mutex_init(&cpu->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&cpu->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    cpu->code_pages = calloc(guest->size / CODE_PAGE / 8 + 1, 1);
    if (!cpu->code_pages) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    if (load_unicorn(cpu, unicorn, err)) {
        return err->code;
    }
    write_trampolines(guest);
    if (!start_engine(guest)) {
        return vmd_error_set(err, VMD_IO, 0, "Unicorn can't be started");
    }
    /* Unicorn reports a new block only if it has executed one before. */
    vmd_cpu_call_until(guest, vmd_cpu_empty_function(guest), NULL, 0, guest->stack, 0);
    *err = guest->err;
    return err->code;
}

void vmd_cpu_destroy(struct vmd_guest *guest)
{
    struct vmd_cpu *cpu = guest->cpu;

    if (!cpu) {
        return;
    }
    if (cpu->paused && cpu->paused != cpu->kept) {
        vmd_cpu_forget(guest, cpu->paused);
    }
    if (cpu->kept) {
        vmd_cpu_forget(guest, cpu->kept);
    }
    if (cpu->engine) {
        cpu->unicorn.close(cpu->engine);
    }
    if (cpu->library) {
        dlclose(cpu->library);
    }
    pthread_cond_destroy(&cpu->ended);
    pthread_mutex_destroy(&cpu->lock);
    free(cpu->code_pages);
    free(cpu);
}

void vmd_cpu_stop(struct vmd_guest *guest)
{
    if (guest->cpu && guest->cpu->engine) {
        guest->cpu->unicorn.emu_stop(guest->cpu->engine);
    }
}
