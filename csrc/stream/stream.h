/*
 * What a check needs of trees, in few calls: which sections there are, which descriptions put the same on the wire, and
 * the rows of those that do not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_WIRE_H
#define VMD_WIRE_H

#include "tree/tree.h"

/* cdef: begin */
/* A section: of a device, or, behind all devices, of a description on no device class. */
struct vmd_section_row {
    uint64_t vmsd; /* the address of its struct vmd_desc */
    int32_t version_id;
    int32_t minimum_version_id;
};

/* A field of a description. */
struct vmd_wire_row {
    uint64_t vmsd; /* the address of its struct vmd_desc; 0: none */
    uint64_t size;
    uint64_t offset; /* here and below VMD_UNKNOWN: not known, or none */
    uint64_t num_offset;
    uint64_t size_offset;
    int32_t num;
    int32_t version_id;
    int32_t struct_version_id;
    uint32_t flags;
    uint32_t field_exists;
    uint32_t reserved;
};

/* Bytes of text that vmd_wire_sections writes. */
uint64_t vmd_wire_sections_text(const struct vmd_tree *tree);

/*
 * The sections of a tree: n_devices + n_roots rows, and as text, each ended by NUL, the type name (of a root: its
 * symbol, or nothing) and the description's name of each.
 */
void vmd_wire_sections(const struct vmd_tree *tree, struct vmd_section_row *rows, char *text);

/* Whether a dump tells of any array how many elements it has: QEMU's own do since 8.2. */
uint32_t vmd_wire_tells_nums(const struct vmd_tree *tree);

/*
 * Whether descriptions put the same bytes on the wire, in the same version, under the same names: equal[i] is 1 if a[i]
 * and b[i] do. Where both are detailed, by all that is known; else by what QEMU's dump prints, "num" only with nums.
 * Where memory lies (offsets, sizes of structs) does not count. Addresses are of struct vmd_desc. VMD_NO_MEMORY.
 */
enum vmd_status vmd_wire_equal(const uint64_t *a, const uint64_t *b, uint64_t n, uint32_t nums, uint8_t *equal);

/*
 * Whether two subsections of one list share a name, somewhere in a description: found[i] is 1 if in descs[i], an
 * address. VMD_NO_MEMORY.
 */
enum vmd_status vmd_wire_namesakes(const uint64_t *descs, uint64_t n, uint8_t *found);

/* Bytes of text that vmd_wire_fields writes. */
uint64_t vmd_wire_fields_text(const struct vmd_desc *desc);

/*
 * The fields of a description, n_fields rows; the addresses of its subsections; and as text, each ended by NUL, its
 * name, then of each field the name and the VMStateInfo's (nothing where there is none).
 */
void vmd_wire_fields(const struct vmd_desc *desc, struct vmd_wire_row *rows, uint64_t *subsections, char *text);
/* cdef: end */

#endif
