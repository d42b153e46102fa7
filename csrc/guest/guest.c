/*
 * Guests: their memory, and what of the host they can name. See guest.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "guest/internal.h"

enum { TRAMPOLINE = VMD_TRAMPOLINE_SIZE, STACK_SIZE = 4 << 20, THREAD_SIZE = 64 << 10, STOP_SIZE = 4096 };

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
    vmd_cpu_stop(guest);
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

/* Imports: functions of the host have a trampoline each, variables an address of their own. */

static bool equal_names(const void *context, uint64_t a, uint64_t b)
{
    return strcmp((const char *)(uintptr_t)a, (const char *)(uintptr_t)b) == 0;
}

static struct vmd_host_import *find_import(const struct vmd_guest *guest, const char *name)
{
    uint32_t slot;

    return vmd_ghash_lookup(&guest->import_of, vmd_str_hash(name), (uintptr_t)name, &slot)
               ? (struct vmd_host_import *)&guest->imports[guest->import_of.values[slot]]
               : NULL;
}

static struct vmd_host_import *add_import(struct vmd_guest *guest, const char *name, vmd_host_fn *function)
{
    struct vmd_host_import *import = &guest->imports[guest->n_imports];

    if (guest->n_imports == VMD_GUEST_TRAMPOLINES) {
        return NULL;
    }
    import->name = strdup(name);
    if (!import->name ||
        vmd_ghash_insert(&guest->import_of, vmd_str_hash(name), (uintptr_t)import->name, guest->n_imports)) {
        free(import->name);
        return NULL;
    }
    import->function = function;
    import->address = guest->trampolines + guest->n_imports++ * TRAMPOLINE;
    return import;
}

uint64_t vmd_guest_import(struct vmd_guest *guest, const char *name)
{
    const struct vmd_host_import *import = find_import(guest, name);

    import = import ? import : add_import(guest, name, NULL);
    return import ? import->address : 0;
}

enum vmd_status vmd_guest_define(struct vmd_guest *guest, const char *name, uint64_t address)
{
    struct vmd_host_import *import = add_import(guest, name, NULL);

    if (!import) {
        return VMD_NO_MEMORY;
    }
    import->address = address;
    return VMD_OK;
}

const char *vmd_guest_import_name(const struct vmd_guest *guest, uint64_t address)
{
    uint64_t index = (address - guest->trampolines) / TRAMPOLINE;

    return address >= guest->trampolines && index < guest->n_imports ? guest->imports[index].name : NULL;
}

uint64_t vmd_guest_variable(const struct vmd_guest *guest, const char *name)
{
    const struct vmd_host_import *import = find_import(guest, name);

    return import && !vmd_guest_import_name(guest, import->address) ? import->address : 0;
}

static enum vmd_status init_imports(struct vmd_guest *guest)
{
    static const struct vmd_host_function *const lists[] = {vmd_host_memory, vmd_host_strings, vmd_host_printf,
                                                            vmd_host_tables, vmd_host_lists,   vmd_host_system};

    if (vmd_ghash_init(&guest->import_of, equal_names, NULL)) {
        return VMD_NO_MEMORY;
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        for (const struct vmd_host_function *each = lists[i]; each->name; each++) {
            if (!add_import(guest, each->name, each->function)) {
                return VMD_NO_MEMORY;
            }
        }
    }
    return vmd_host_init_ascii_table(guest);
}

/* Life */

enum vmd_status vmd_guest_create(const char *unicorn, enum vmd_guest_arch arch, const struct vmd_guest_limits *limits,
                                 struct vmd_guest **ret, struct vmd_error *err)
{
    struct vmd_guest *guest = calloc(1, sizeof(*guest));

    if (!guest) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    guest->arch = arch;
    guest->limits = *limits;
    guest->size = limits->memory;
    vmd_guest_set_host(guest, true, false, 4096);
    guest->memory = mmap(NULL, guest->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (guest->memory == MAP_FAILED) {
        guest->memory = NULL;
        vmd_guest_destroy(guest);
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    guest->trampolines = vmd_guest_alloc(guest, VMD_GUEST_TRAMPOLINES * TRAMPOLINE, 4096);
    guest->stop = vmd_guest_alloc(guest, STOP_SIZE, 4096);
    guest->thread = vmd_guest_alloc(guest, 2 * THREAD_SIZE, 4096) + THREAD_SIZE;
    guest->errno_at = guest->thread + THREAD_SIZE - 64;
    guest->stack = vmd_guest_alloc(guest, STACK_SIZE, 4096) + STACK_SIZE - 4096;
    if (guest->err.code || init_imports(guest)) {
        vmd_guest_destroy(guest);
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    /* The thread's control block begins with its own address (x86-64). */
    memcpy(vmd_guest_find(guest, guest->thread, 8), &guest->thread, 8);
    if (vmd_cpu_create(guest, unicorn, err)) {
        vmd_guest_destroy(guest);
        return err->code;
    }
    *ret = guest;
    return VMD_OK;
}

void vmd_guest_destroy(struct vmd_guest *guest)
{
    if (!guest) {
        return;
    }
    vmd_cpu_destroy(guest);
    vmd_host_deinit_tables(guest);
    if (guest->memory) {
        munmap(guest->memory, guest->size);
    }
    for (size_t i = 0; i < guest->n_imports; i++) {
        free(guest->imports[i].name);
    }
    vmd_ghash_deinit(&guest->import_of);
    free(guest->inits);
    free(guest->faults);
    free(guest);
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

size_t vmd_guest_faults(const struct vmd_guest *guest, const struct vmd_guest_fault **ret)
{
    *ret = guest->faults;
    return guest->n_faults;
}
