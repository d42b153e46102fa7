/*
 * Reader of VMStateDescriptions in a guest's memory. It walks the structs in a given layout, checks every pointer,
 * cycles and depth, and adds the descriptions to a tree, which shares those that are shared in the guest.
 *
 * Not thread-safe, as its guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_READ_DESCRIPTIONS_H
#define VMD_READ_DESCRIPTIONS_H

#include "guest/guest.h"
#include "tree/tree.h"

/* cdef: begin */
/*
 * Offsets in bytes, which differ between versions of QEMU. 0: no such member; only names are at 0.
 */
struct vmd_layout {
    uint32_t field_size; /* sizeof(VMStateField) */
    uint32_t field_name;
    uint32_t field_err_hint;
    uint32_t field_offset;
    uint32_t field_bytes; /* its member "size" */
    uint32_t field_start;
    uint32_t field_num;
    uint32_t field_num_offset;   /* size_t */
    uint32_t field_size_offset;  /* size_t */
    uint32_t field_num_indirect; /* replaces field_num_offset: {uint32_t offset, uint8_t size} */
    uint32_t field_size_indirect;
    uint32_t field_info;
    uint32_t field_flags;
    uint32_t field_vmsd;
    uint32_t field_version_id;
    uint32_t field_struct_version_id;
    uint32_t field_exists;
    uint32_t desc_size; /* sizeof(VMStateDescription) */
    uint32_t desc_name;
    uint32_t desc_unmigratable; /* bool or int; early_setup, a bool, is its second byte */
    uint32_t desc_version_id;
    uint32_t desc_minimum_version_id;
    uint32_t desc_priority;
    uint32_t desc_hooks; /* the first of n_hooks consecutive pointers, in the order of hooks */
    uint32_t desc_fields;
    uint32_t desc_subsections;
    uint32_t n_hooks;
    uint32_t hooks[12]; /* VMD_NEEDED and so on */
    uint32_t end_flags; /* VMS_END; 0: lists end without a flag; or VMD_END_ANY */
};

/* Accept any end of lists that a QEMU uses; see vmd_guest_reader_end_flags. */
#define VMD_END_ANY 0xffffffff

struct vmd_guest_reader;

/* A reader that adds to tree. VMD_NO_MEMORY or VMD_OK. Destroy accepts NULL and keeps guest and tree. */
enum vmd_status vmd_guest_reader_create(struct vmd_guest *guest, const struct vmd_layout *layout, struct vmd_tree *tree,
                                        struct vmd_guest_reader **ret);
void vmd_guest_reader_destroy(struct vmd_guest_reader *reader);

/* A tolerated defect. */
struct vmd_guest_defect {
    const char *what; /* a constant string */
    uint64_t address;
};

/*
 * Set the addresses of the n words that relocations have filled; the caller keeps slots. With them, a list without a
 * terminator is tolerated: it ends where the next object that a pointer leads to begins, or before the first word that
 * is not an entry, if all entries before are valid.
 */
void vmd_guest_reader_set_slots(struct vmd_guest_reader *reader, const uint64_t *slots, uint64_t n);

/* The defects so far, valid until the next read; returns their number. */
uint64_t vmd_guest_reader_defects(const struct vmd_guest_reader *reader, const struct vmd_guest_defect **ret);

/* Whether a description read so far has the one at address as a field or subsection. */
uint32_t vmd_guest_reader_is_nested(const struct vmd_guest_reader *reader, uint64_t address);

/* The end_flags of most lists read so far. */
uint32_t vmd_guest_reader_end_flags(const struct vmd_guest_reader *reader);

/*
 * Read the description at an address and those it refers to, each once. VMD_BAD_REFERENCE, VMD_BAD_NAME, VMD_TOO_DEEP:
 * index is the address of the invalid description, list or field; VMD_NO_MEMORY.
 */
enum vmd_status vmd_guest_read_desc(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret,
                                    struct vmd_error *err);

/*
 * Search from begin to end for descriptions with hooks between code_begin and code_end: structs with plausible members
 * and at least one field or subsection that can be read, which adds them to the tree. Stores at most room addresses,
 * ascending. Returns the number of descriptions, or UINT64_MAX if memory is exhausted.
 */
uint64_t vmd_guest_find_descs(struct vmd_guest_reader *reader, uint64_t begin, uint64_t end, uint64_t code_begin,
                              uint64_t code_end, uint64_t *found, uint64_t room);
/* cdef: end */

#endif
