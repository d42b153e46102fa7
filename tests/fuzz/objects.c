/*
 * Fuzz target: an ELF object, from its dynamic section on (csrc/guest/elf_object.c). The first byte is the architecture,
 * two more are where the dynamic section is; the rest is the object as it is loaded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include "guest/elf_object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Asks everything that can be asked of an object. */
static void ask(struct vmd_object *object)
{
    const uint64_t *addresses;
    uint64_t address = FUZZ_BASE;
    size_t n = vmd_object_constructors(object, &addresses);

    for (size_t i = 0; i < n; i++) {
        vmd_object_symbol_at(object, addresses[i]);
    }
    for (size_t i = 0; i < vmd_object_n_symbols(object); i++) {
        const char *name = vmd_object_nth_symbol(object, i, &address);

        if (name && !vmd_object_symbol(object, name) && address) {
            __builtin_trap(); /* what is listed is found */
        }
    }
    if (!vmd_object_slots(object, &addresses, &n)) {
        for (size_t i = 1; i < n; i++) {
            if (addresses[i - 1] >= addresses[i]) {
                __builtin_trap();
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum vmd_guest_arch arch = fuzz_byte(&data, &size) & 1;
    uint64_t dynamic = fuzz_byte(&data, &size);
    struct vmd_object *main, *module;
    struct vmd_guest *guest;
    struct vmd_error err;

    dynamic |= (uint64_t)fuzz_byte(&data, &size) << 8;
    guest = fuzz_guest(arch, data, size);
    if (!vmd_object_link(guest, FUZZ_BASE, FUZZ_BASE + dynamic, size, NULL, 0, &main, &err)) {
        ask(main);
        /* Once more, as a module of itself, over what the relocations have made of it. */
        if (!vmd_object_link(guest, FUZZ_BASE, FUZZ_BASE + dynamic, size, (const struct vmd_object *[]){main}, 1,
                             &module, &err)) {
            ask(module);
            vmd_object_destroy(module);
        }
        vmd_object_destroy(main);
    }
    vmd_guest_destroy(guest);
    return 0;
}
