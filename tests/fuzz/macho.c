/*
 * Fuzz target: a Mach-O object (csrc/guest/objects/macho.c). The first two bytes are the size of its head, which has
 * the load commands, and whether it is for x86-64; the rest is what follows from MIDDLE on. Zeros are in between.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include "guest/objects/macho_object.h"

enum { MIDDLE = 0x4000, SIZE = 0x10000, FOR_X86_64 = 0x8000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Call all query functions of an object, and check that the functions are its own. */
static void query(struct vmd_object *object)
{
    const uint64_t *functions;
    size_t n = vmd_object_functions(object, &functions);

    for (size_t i = 0; i < n; i++) {
        if (functions[i] < FUZZ_BASE || functions[i] >= FUZZ_BASE + SIZE) {
            __builtin_trap();
        }
    }
    fuzz_query(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t head = fuzz_byte(&data, &size);
    struct vmd_object *library, *main;
    struct vmd_guest *guest;
    struct vmd_error err;
    enum fuzz_host host;
    char *memory;

    head |= (size_t)fuzz_byte(&data, &size) << 8;
    host = head & FOR_X86_64 ? MACOS_X86_64 : MACOS_AARCH64;
    head &= FOR_X86_64 - 1;
    head = head < size ? head : size;
    head = head < MIDDLE ? head : MIDDLE;
    guest = fuzz_guest(host, data, head);
    memory = vmd_guest_find(guest, FUZZ_BASE, SIZE);
    size = size - head < SIZE - MIDDLE ? size - head : SIZE - MIDDLE;
    memcpy(memory + MIDDLE, data + head, size);
    if (!vmd_macho_link(guest, FUZZ_BASE, SIZE, false, NULL, 0, &library, &err)) {
        query(library);
        /* Link the object again, fixups applied twice, as a main binary bound to itself. */
        if (!vmd_macho_link(guest, FUZZ_BASE, SIZE, true, (const struct vmd_object *[]){library}, 1, &main, &err)) {
            query(main);
            vmd_object_destroy(main);
        }
        vmd_object_destroy(library);
    }
    vmd_guest_destroy(guest);
    return 0;
}
