/*
 * State and shared functions of the description reader: read_descriptions.c (descriptions and fields), read_lists.c
 * (lists of fields and subsections), description_shape.c (what a description looks like), find_descriptions.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_DESCRIPTION_READER_H
#define VMD_DESCRIPTION_READER_H

#include "base/ghash.h"
#include "base/load.h"
#include "guest/internal.h"
#include "guest/read_descriptions.h"
#include "tree/stack.h"

/* VMStateFlags whose meaning differs between versions of QEMU. */
enum {
    VMD_END_8_2 = 0x10000,   /* VMS_END; in newer QEMUs VMS_ARRAY_OF_POINTER_AUTO_ALLOC */
    VMD_END_MOVED = 0x20000, /* VMS_END there */
};

struct vmd_guest_reader {
    struct vmd_guest *guest;
    struct vmd_tree *tree;
    struct vmd_layout layout;
    struct vmd_ghash made;   /* address -> struct vmd_desc *; 0: being read */
    struct vmd_ghash nested; /* addresses of descriptions that another one refers to */
    struct vmd_error *err;
    unsigned depth;
    bool is_looking;    /* in vmd_guest_find_descs */
    uint64_t n_ends[3]; /* number of lists by the flags of their end */
    const uint64_t *slots;
    uint64_t n_slots;
    struct vmd_guest_defect *defects;
    uint64_t n_defects;
    struct vmd_stack fields, details, subsections; /* of the lists being read */
};

/* Set the reader's error; returns the code. address: of the description, field or list that is wrong. */
static inline enum vmd_status vmd_reader_fail(struct vmd_guest_reader *reader, enum vmd_status code, uint64_t address,
                                              const char *message)
{
    return vmd_error_set(reader->err, code, address, message);
}

/* Record a defect that does not stop reading. Fails if there are more than any QEMU has. */
enum vmd_status vmd_reader_add_defect(struct vmd_guest_reader *reader, uint64_t address, const char *what);

/* Read the description that a field or a list of subsections refers to. */
enum vmd_status vmd_reader_read_nested(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret);

/* Read the field at address; from: its bytes. */
enum vmd_status vmd_reader_read_field(struct vmd_guest_reader *reader, uint64_t address, const char *from,
                                      struct vmd_field *field, struct vmd_field_details *details);

/* Read the lists at address into desc. Failed lists take no memory of the tree: most candidates have no list. */
enum vmd_status vmd_reader_read_fields(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc);
enum vmd_status vmd_reader_read_subsections(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc);

/* Whether a description may be at address: a name and small numbers, or a stub of zeros. */
bool vmd_reader_may_be_desc(const struct vmd_guest_reader *reader, uint64_t address);

/* Whether a field may be at address: it begins with a name. */
bool vmd_reader_may_be_field(const struct vmd_guest_reader *reader, uint64_t address);

/* Whether a name is at address: printable ASCII up to NUL, a blank (not at the start) or 64 bytes. */
bool vmd_reader_is_name(const struct vmd_guest *guest, uint64_t address);

/* Above any version (some are dates, such as 20061112) and any priority, and less than the upper half of a pointer. */
enum { VMD_NUMBER_MAX = 1 << 25, VMD_PRIORITY_MAX = 64 };

static inline bool vmd_reader_is_small(const struct vmd_guest_reader *reader, const char *from, int32_t max)
{
    int32_t number = vmd_get_i32(reader->guest, from);

    return number >= 0 && number <= max;
}

#endif
