/*
 * Fuzz target: a PE file (csrc/guest/objects/pe_*.c), which is loaded as vmdump/emulator/objects/pe.py does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include "guest/objects/pe_object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IMAGE_MAX = 1 << 20 }; /* IMAGE_MAX: what fuzz_guest has allocated */

static void load(struct vmd_guest *guest, const uint8_t *data, struct vmd_pe *pe)
{
    struct vmd_object *object;
    struct vmd_error err;

    memcpy(vmd_guest_find(guest, FUZZ_BASE, pe->headers_size), data, pe->headers_size);
    for (size_t i = 0; i < pe->n_sections; i++) {
        const struct vmd_pe_section *section = &pe->sections[i];

        memcpy(vmd_guest_find(guest, FUZZ_BASE + section->address, section->file_size), data + section->offset,
               section->file_size);
    }
    if (!vmd_pe_link(guest, FUZZ_BASE, pe, true, NULL, 0, &object, &err)) {
        fuzz_query(object);
        vmd_object_destroy(object);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vmd_guest *guest;
    struct vmd_error err;
    struct vmd_pe pe;

    if (!vmd_pe_read((const char *)data, size, size, &pe, &err) && !pe.is_32_bit && pe.image_size <= IMAGE_MAX) {
        guest = fuzz_guest(WINDOWS_X86_64, data, 0);
        load(guest, data, &pe);
        vmd_guest_destroy(guest);
    }
    return 0;
}
