/*
 * Fuzz target: descriptions in a guest's memory (csrc/guest_tree.c). The first byte is the layout, two more are where
 * the description is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include "guest_tree.h"
#include "tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* QEMU 6 to 10, and 11: see LAYOUTS of vmdump/sources/qemu_image/layout.py. */
    static const struct vmd_layout layouts[] = {
        {.field_size = 104,
         .field_bytes = 24,
         .field_num = 40,
         .field_flags = 72,
         .field_vmsd = 80,
         .field_version_id = 88,
         .field_exists = 96,
         .desc_version_id = 12,
         .desc_minimum_version_id = 16,
         .desc_fields = 72,
         .desc_subsections = 80},
        {.field_size = 96,
         .field_bytes = 16,
         .field_num = 48,
         .field_flags = 64,
         .field_vmsd = 72,
         .field_version_id = 80,
         .field_exists = 88,
         .desc_version_id = 12,
         .desc_minimum_version_id = 16,
         .desc_fields = 96,
         .desc_subsections = 104},
    };
    const struct vmd_layout *layout = &layouts[fuzz_byte(&data, &size) & 1];
    uint64_t address = FUZZ_BASE + fuzz_byte(&data, &size);
    struct vmd_guest_reader *reader;
    const struct vmd_desc *desc;
    struct vmd_tree *tree = NULL;
    struct vmd_guest *guest;
    struct vmd_error err;

    address += (uint64_t)fuzz_byte(&data, &size) << 8;
    guest = fuzz_guest(VMD_GUEST_X86_64, data, size);
    if (!vmd_tree_create(&tree) && !vmd_guest_reader_create(guest, layout, tree, &reader)) {
        /* One that can't be read must not spoil the next. */
        for (uint64_t at = 0; at < 256; at += 8) {
            vmd_guest_read_desc(reader, address + at, &desc, &err);
        }
        vmd_guest_reader_destroy(reader);
    }
    vmd_tree_destroy(tree);
    vmd_guest_destroy(guest);
    return 0;
}
