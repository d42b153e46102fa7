/*
 * What a check needs of trees, in few calls: which sections there are, which descriptions put the same on the wire, and
 * the rows of those that do not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_STREAM_H
#define VMD_STREAM_H

#include "tree/tree.h"

/* cdef: begin */
/* A section: of a device, or, behind all devices, of a description on no device class. */
struct vmd_stream_section {
    uint64_t vmsd; /* the address of its struct vmd_desc */
    int32_t version_id;
    int32_t minimum_version_id;
};

/* A field of a description. */
struct vmd_stream_field {
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

/* Bytes of text that vmd_stream_read_sections writes. */
uint64_t vmd_stream_sections_text_size(const struct vmd_tree *tree);

/*
 * The sections of a tree: n_devices + n_roots rows, and as text, each ended by NUL, the type name (of a root: its
 * symbol, or nothing) and the description's name of each.
 */
void vmd_stream_read_sections(const struct vmd_tree *tree, struct vmd_stream_section *rows, char *text);

/* Whether a dump tells of any array how many elements it has: QEMU's own do since 8.2. */
uint32_t vmd_stream_has_nums(const struct vmd_tree *tree);

/* What vmd_stream_compare looks at. */
#define VMD_STREAM_NUMS 1  /* "num", where the descriptions are not detailed */
#define VMD_STREAM_HOOKS 2 /* b has no pre_load or post_load that a lacks, where both are detailed */

/*
 * Whether descriptions put the same bytes on the wire, in the same version, under the same names: equal[i] is 1 if a[i]
 * and b[i] do. Where both are detailed, by all that is known; else by what QEMU's dump prints. Where memory lies
 * (offsets, sizes of structs) does not count. Addresses are of struct vmd_desc. VMD_NO_MEMORY.
 */
enum vmd_status vmd_stream_compare(const uint64_t *a, const uint64_t *b, uint64_t n, uint32_t looks, uint8_t *equal);

/* What vmd_stream_find_risks finds, somewhere in a description. */
#define VMD_STREAM_RISK                                                                                                \
    1 /* of two equal ones the destination may refuse, or misread, what the source sends; see below                    \
       */
#define VMD_STREAM_ARRAY 2 /* an array, if the dump tells numbers of elements; else a field that may be one */

/*
 * Why descriptions that are equal on both sides need not load: a subsection that is not found (its name is that of
 * another one before it, or does not begin with the name of its parent), a version that is below the minimum,
 * unmigratable, a field whose bytes the description does not tell. The last is, detailed, one with a VMStateInfo that
 * is not among the n_known names in known, each ended by NUL; else one that has no size. found[i]: flags of descs[i],
 * an address. VMD_NO_MEMORY.
 */
enum vmd_status vmd_stream_find_risks(const uint64_t *descs, uint64_t n, uint32_t detailed, uint32_t nums,
                                      const char *known, uint64_t n_known, uint8_t *found);

/* Bytes of text that vmd_stream_read_fields writes. */
uint64_t vmd_stream_fields_text_size(const struct vmd_desc *desc);

/*
 * The fields of a description, n_fields rows; the addresses of its subsections; and as text, each ended by NUL, its
 * name, then of each field the name and the VMStateInfo's (nothing where there is none).
 */
void vmd_stream_read_fields(const struct vmd_desc *desc, struct vmd_stream_field *rows, uint64_t *subsections,
                            char *text);
/* cdef: end */

#endif
