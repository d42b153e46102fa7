/*
 * Descriptions in a guest, read into a tree: the structs are walked in the layout that is given, with every pointer
 * checked, cycles and depth found, and descriptions that are shared in the guest shared in the tree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_TREE_H
#define VMD_GUEST_TREE_H

#include "guest.h"
#include "tree.h"

/* cdef: begin */
/* Offsets in bytes; they differ between versions of QEMU. */
struct vmd_layout {
    uint32_t field_size; /* sizeof(VMStateField) */
    uint32_t field_name;
    uint32_t field_bytes; /* its member "size" */
    uint32_t field_num;
    uint32_t field_flags;
    uint32_t field_vmsd;
    uint32_t field_version_id;
    uint32_t field_exists;
    uint32_t desc_name;
    uint32_t desc_version_id;
    uint32_t desc_minimum_version_id;
    uint32_t desc_fields;
    uint32_t desc_subsections;
};

struct vmd_guest_reader;

/* A reader that adds to tree. VMD_NO_MEMORY or VMD_OK. Destroy takes NULL; it leaves guest and tree alone. */
enum vmd_status vmd_guest_reader_create(struct vmd_guest *guest, const struct vmd_layout *layout, struct vmd_tree *tree,
                                        struct vmd_guest_reader **ret);
void vmd_guest_reader_destroy(struct vmd_guest_reader *reader);

/*
 * The description at an address, and those it refers to. Each is read once. VMD_BAD_REFERENCE, VMD_BAD_NAME,
 * VMD_TOO_DEEP, index: the address of the description or field that is wrong, message: what is; VMD_NO_MEMORY.
 */
enum vmd_status vmd_guest_read_desc(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret,
                                    struct vmd_error *err);
/* cdef: end */

#endif
