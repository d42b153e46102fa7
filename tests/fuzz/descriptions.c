/*
 * Fuzz target: descriptions in a guest's memory (csrc/guest/read_descriptions.c). The first byte is the layout, the
 * next two the address of the description.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include "guest/read_descriptions.h"
#include "tree/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* QEMU 6 to 10, and 11: see vmdump/sources/qemu_image/struct_layout.py. */
    static const struct vmd_layout layouts[] = {
        {.field_size = 104,
         .field_err_hint = 8,
         .field_offset = 16,
         .field_bytes = 24,
         .field_start = 32,
         .field_num = 40,
         .field_num_offset = 48,
         .field_size_offset = 56,
         .field_info = 64,
         .field_flags = 72,
         .field_vmsd = 80,
         .field_version_id = 88,
         .field_struct_version_id = 92,
         .field_exists = 96,
         .desc_size = 88,
         .desc_unmigratable = 8,
         .desc_version_id = 12,
         .desc_minimum_version_id = 16,
         .desc_priority = 20,
         .desc_hooks = 24,
         .desc_fields = 72,
         .desc_subsections = 80,
         .n_hooks = 2,
         .hooks = {VMD_PRE_LOAD, VMD_POST_LOAD},
         .end_flags = VMD_END_ANY},
        {.field_size = 96,
         .field_offset = 8,
         .field_bytes = 16,
         .field_size_indirect = 24,
         .field_num_indirect = 32,
         .field_start = 40,
         .field_num = 48,
         .field_info = 56,
         .field_flags = 64,
         .field_vmsd = 72,
         .field_version_id = 80,
         .field_struct_version_id = 84,
         .field_exists = 88,
         .desc_size = 112,
         .desc_unmigratable = 8,
         .desc_version_id = 12,
         .desc_minimum_version_id = 16,
         .desc_priority = 20,
         .desc_hooks = 24,
         .desc_fields = 96,
         .desc_subsections = 104,
         .n_hooks = 1,
         .hooks = {VMD_NEEDED},
         .end_flags = 0x20000},
    };
    const struct vmd_layout *layout = &layouts[fuzz_byte(&data, &size) & 1];
    uint64_t address = FUZZ_BASE + fuzz_byte(&data, &size), slots[4], found[4];
    struct vmd_guest_reader *reader;
    const struct vmd_desc *desc;
    struct vmd_tree *tree = NULL;
    struct vmd_guest *guest;
    struct vmd_error err;

    address += (uint64_t)fuzz_byte(&data, &size) << 8;
    guest = fuzz_guest(LINUX_X86_64, data, size);
    if (!vmd_tree_create(&tree) && !vmd_guest_reader_create(guest, layout, tree, &reader)) {
        /* Beginnings of objects, for lists without a terminator. */
        for (uint64_t i = 0; i < 4; i++) {
            slots[i] = address + 64 * i;
        }
        vmd_guest_reader_set_slots(reader, slots, 4);
        /* A failed read must not affect the next one. */
        for (uint64_t at = 0; at < 256; at += 8) {
            vmd_guest_read_desc(reader, address + at, &desc, &err);
        }
        vmd_guest_find_descs(reader, FUZZ_BASE, FUZZ_BASE + size, FUZZ_BASE, FUZZ_BASE + 64, found, 4);
        vmd_guest_reader_destroy(reader);
    }
    vmd_tree_destroy(tree);
    vmd_guest_destroy(guest);
    return 0;
}
