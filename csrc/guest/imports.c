/*
 * Imports of a guest: each function of the host has a trampoline, each variable an address.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>

#include "guest/internal.h"

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
    import->address = guest->trampolines + guest->n_imports++ * VMD_TRAMPOLINE_SIZE;
    return import;
}

uint64_t vmd_guest_import(struct vmd_guest *guest, const char *name)
{
    const struct vmd_host_import *import;

    if (strnlen(name, VMD_NAME_SIZE_MAX) == VMD_NAME_SIZE_MAX) {
        return 0;
    }
    import = find_import(guest, name);
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

const char *vmd_guest_missed(const struct vmd_guest *guest, size_t index)
{
    for (size_t i = 0; i < guest->n_imports; i++) {
        if (guest->imports[i].is_missed && !index--) {
            return guest->imports[i].name;
        }
    }
    return NULL;
}

void vmd_guest_forget_missed(struct vmd_guest *guest)
{
    for (size_t i = 0; i < guest->n_imports; i++) {
        guest->imports[i].is_missed = false;
    }
}

const char *vmd_guest_import_name(const struct vmd_guest *guest, uint64_t address)
{
    uint64_t index = (address - guest->trampolines) / VMD_TRAMPOLINE_SIZE;

    return address >= guest->trampolines && index < guest->n_imports ? guest->imports[index].name : NULL;
}

uint64_t vmd_guest_variable(const struct vmd_guest *guest, const char *name)
{
    const struct vmd_host_import *import = find_import(guest, name);

    return import && !vmd_guest_import_name(guest, import->address) ? import->address : 0;
}

static struct vmd_host_library *libraries;
static struct vmd_host_names *names;

void vmd_host_register(struct vmd_host_library *library)
{
    library->next = libraries;
    libraries = library;
}

void vmd_host_register_names(struct vmd_host_names *more)
{
    more->next = names;
    names = more;
}

const struct vmd_host_library *vmd_host_libraries(void)
{
    return libraries;
}

uint64_t vmd_host_zero(struct vmd_host_call *call)
{
    return 0;
}

uint64_t vmd_host_one(struct vmd_host_call *call)
{
    return 1;
}

uint64_t vmd_host_same(struct vmd_host_call *call)
{
    return call->args[0];
}

uint64_t vmd_host_unsupported(struct vmd_host_call *call)
{
    return vmd_host_errno(call->guest, ENOSYS);
}

/* Add the functions that are served to a platform and that the guest does not have yet. */
static bool add_functions(struct vmd_guest *guest, int platform)
{
    for (const struct vmd_host_library *library = libraries; library; library = library->next) {
        for (size_t i = 0; i < library->n && library->platform == platform; i++) {
            const struct vmd_host_function *each = &library->functions[i];

            if (!find_import(guest, each->name) && !add_import(guest, each->name, each->function)) {
                return false;
            }
        }
    }
    return true;
}

/* Add the other names that functions have on the guest's platform. */
static bool add_names(struct vmd_guest *guest)
{
    for (const struct vmd_host_names *each = names; each; each = each->next) {
        for (size_t i = 0; i < each->n && each->platform == guest->host->platform; i++) {
            const struct vmd_host_import *original = find_import(guest, each->names[i].original);

            if (original && !add_import(guest, each->names[i].name, original->function)) {
                return false;
            }
        }
    }
    return true;
}

enum vmd_status vmd_imports_init(struct vmd_guest *guest)
{
    const struct vmd_host_import *returned;

    if (vmd_ghash_init(&guest->import_of, equal_names, NULL)) {
        return VMD_NO_MEMORY;
    }
    if (!add_functions(guest, (int)guest->host->platform) || !add_functions(guest, VMD_ALL_PLATFORMS) ||
        !add_names(guest)) {
        return VMD_NO_MEMORY;
    }
    returned = add_import(guest, "(return)", vmd_cpu_return);
    if (!returned) {
        return VMD_NO_MEMORY;
    }
    guest->returned = returned->address;
    if (guest->host->define_variables && guest->host->define_variables(guest)) {
        return VMD_NO_MEMORY;
    }
    return vmd_host_init_ascii_table(guest);
}

void vmd_imports_deinit(struct vmd_guest *guest)
{
    for (size_t i = 0; i < guest->n_imports; i++) {
        free(guest->imports[i].name);
    }
    vmd_ghash_deinit(&guest->import_of);
}
