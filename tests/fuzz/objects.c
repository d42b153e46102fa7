/*
 * Fuzz target: an ELF object (csrc/guest/objects/elf_object.c). The first byte is the architecture, the next two the
 * address of the dynamic section, the rest the loaded object.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include "guest/module_entries.h"
#include "guest/objects/elf_object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is found in an object without symbols and relocations. */
static void query_unlinked(struct vmd_guest *guest, size_t size)
{
    struct vmd_object *object = vmd_object_create(guest, FUZZ_BASE);
    struct vmd_module_entry entries[64];
    size_t n = vmd_guest_find_module_entries(guest, FUZZ_BASE, FUZZ_BASE + size, FUZZ_BASE, FUZZ_BASE + size, entries,
                                             sizeof(entries) / sizeof(*entries));

    for (size_t i = 1; i < n; i++) {
        if (entries[i].list == entries[i - 1].list && entries[i].type != entries[i - 1].type) {
            __builtin_trap();
        }
    }
    if (object && !vmd_object_guess_slots(object, FUZZ_BASE, FUZZ_BASE + size, FUZZ_BASE, FUZZ_BASE + size)) {
        fuzz_query(object);
    }
    vmd_object_destroy(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t host = fuzz_byte(&data, &size);
    uint64_t dynamic = fuzz_byte(&data, &size);
    struct vmd_object *main, *module;
    struct vmd_guest *guest;
    struct vmd_error err;

    dynamic |= (uint64_t)fuzz_byte(&data, &size) << 8;
    guest = fuzz_guest(host, data, size);
    if (!vmd_elf_link(guest, FUZZ_BASE, FUZZ_BASE + dynamic, size, NULL, 0, &main, &err)) {
        fuzz_query(main);
        /* Link the relocated object again, as a module of itself. */
        if (!vmd_elf_link(guest, FUZZ_BASE, FUZZ_BASE + dynamic, size, (const struct vmd_object *[]){main}, 1, &module,
                          &err)) {
            fuzz_query(module);
            vmd_object_destroy(module);
        }
        if (!vmd_elf_add_symbols(main, (const char *)data, size / 24, (const char *)data, size, &err)) {
            fuzz_query(main);
        }
        vmd_object_destroy(main);
    }
    query_unlinked(guest, size);
    vmd_guest_destroy(guest);
    return 0;
}
