/*
 * Descriptions in a guest, read into a tree: the structs are walked in the layout that is given, with every pointer
 * checked, cycles and depth found, and descriptions that are shared in the guest shared in the tree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_TREE_H
#define VMD_GUEST_TREE_H

#include "guest/guest.h"
#include "tree/tree.h"

/* cdef: begin */
/*
 * Offsets in bytes; they differ between versions of QEMU. 0 is a member that there is not: only names are at 0.
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
    uint32_t field_num_indirect; /* or, instead of these, {uint32_t offset, uint8_t size} */
    uint32_t field_size_indirect;
    uint32_t field_info;
    uint32_t field_flags;
    uint32_t field_vmsd;
    uint32_t field_version_id;
    uint32_t field_struct_version_id;
    uint32_t field_exists;
    uint32_t desc_size; /* sizeof(VMStateDescription) */
    uint32_t desc_name;
    uint32_t desc_unmigratable; /* bool or int; early_setup, a bool, is the byte behind its first */
    uint32_t desc_version_id;
    uint32_t desc_minimum_version_id;
    uint32_t desc_priority;
    uint32_t desc_hooks; /* the first of pointers that stand behind each other, in the order of hooks */
    uint32_t desc_fields;
    uint32_t desc_subsections;
    uint32_t n_hooks;
    uint32_t hooks[12]; /* VMD_NEEDED and so on */
    uint32_t end_flags; /* VMS_END, 0 where lists end without a flag, or VMD_END_ANY */
};

/* Lists may end in any of the ways that QEMUs have; see vmd_guest_reader_end_flags. */
#define VMD_END_ANY 0xffffffff

struct vmd_guest_reader;

/* A reader that adds to tree. VMD_NO_MEMORY or VMD_OK. Destroy takes NULL; it leaves guest and tree alone. */
enum vmd_status vmd_guest_reader_create(struct vmd_guest *guest, const struct vmd_layout *layout, struct vmd_tree *tree,
                                        struct vmd_guest_reader **ret);
void vmd_guest_reader_destroy(struct vmd_guest_reader *reader);

/* Something wrong that the reading got over. */
struct vmd_guest_defect {
    const char *what; /* a constant string */
    uint64_t address;
};

/*
 * Tells the reader where relocations have put addresses: n addresses of words, which the caller keeps. With it, a list
 * without a terminator ends where the next object that anything points to begins, or what is no entry, if all before is
 * sound.
 */
void vmd_guest_reader_set_slots(struct vmd_guest_reader *reader, const uint64_t *slots, uint64_t n);

/* The defects so far, until more is read; how many. */
uint64_t vmd_guest_reader_defects(const struct vmd_guest_reader *reader, const struct vmd_guest_defect **ret);

/* Whether a description that was read refers to the one at address, as a field's or as a subsection. */
uint32_t vmd_guest_reader_is_nested(const struct vmd_guest_reader *reader, uint64_t address);

/* How most of the lists that were read end: the image's end_flags. */
uint32_t vmd_guest_reader_end_flags(const struct vmd_guest_reader *reader);

/*
 * The description at an address, and those it refers to. Each is read once. VMD_BAD_REFERENCE, VMD_BAD_NAME,
 * VMD_TOO_DEEP, index: the address of the description or field that is wrong, message: what is; VMD_NO_MEMORY.
 */
enum vmd_status vmd_guest_read_desc(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret,
                                    struct vmd_error *err);

/*
 * Looks for descriptions from begin to end, which has its hooks between code_begin and code_end: structs that have
 * their shape, at least one field or subsection, and can be read (which adds them to the tree). Stores at most room
 * addresses, ascending, and returns how many there are. VMD_NO_MEMORY: UINT64_MAX.
 */
uint64_t vmd_guest_find_descs(struct vmd_guest_reader *reader, uint64_t begin, uint64_t end, uint64_t code_begin,
                              uint64_t code_end, uint64_t *found, uint64_t room);
/* cdef: end */

#endif
