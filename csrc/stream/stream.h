/*
 * Migration stream as `vmdump check` needs it of a tree, in few calls: its sections, the comparison of descriptions,
 * and the fields of those that differ.
 *
 * Addresses are of struct vmd_desc. All functions are thread-safe: trees are immutable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_STREAM_H
#define VMD_STREAM_H

#include "tree/tree.h"

/* cdef: begin */
/* A section: of a device or, after all devices, of a standalone description. */
struct vmd_stream_section {
    uint64_t vmsd; /* address */
    int32_t version_id;
    int32_t minimum_version_id;
};

/* A field of a description. */
struct vmd_stream_field {
    uint64_t vmsd; /* address; 0: none */
    uint64_t size;
    uint64_t offset; /* here and below, VMD_UNKNOWN: unknown or absent */
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
 * Read the sections of a tree: n_devices + n_standalone rows and, as NUL-terminated text, for each the type name (of a
 * standalone description its symbol, or nothing) and the name of the description.
 */
void vmd_stream_read_sections(const struct vmd_tree *tree, struct vmd_stream_section *rows, char *text);

/* Whether the dump has the number of elements of any array, as QEMU's own do since 8.2. */
uint32_t vmd_stream_has_nums(const struct vmd_tree *tree);

/* Flags of vmd_stream_compare. */
#define VMD_STREAM_NUMS 1  /* compare "num" of descriptions that are not detailed */
#define VMD_STREAM_HOOKS 2 /* b must not have a pre_load or post_load that a lacks, if both are detailed */

/*
 * Compare descriptions pair by pair: equal[i] is 1 if a[i] and b[i] have the same bytes in the stream, in the same
 * version, under the same names. If both are detailed, all metadata counts, else only what QEMU's dump prints. Memory
 * layout (offsets, sizes of structs) does not count. VMD_NO_MEMORY.
 */
enum vmd_status vmd_stream_compare(const uint64_t *a, const uint64_t *b, uint64_t n, uint32_t flags, uint8_t *equal);

/* Findings of vmd_stream_find_risks, anywhere in a description. */
#define VMD_STREAM_RISK 1  /* the destination may refuse or misread the stream although the descriptions are equal */
#define VMD_STREAM_ARRAY 2 /* an array or, if the dump has no numbers of elements, a field that may be one */

/*
 * Find out why equal descriptions may still fail to load: a subsection that the destination does not find (it has the
 * name of an earlier one, or a name that does not begin with its parent's), a version below the minimum, unmigratable,
 * a field whose bytes the description does not specify. The last is, with details, a field with a VMStateInfo that is
 * not among the n_known NUL-terminated names in known, else a field without a size. found[i]: flags of descs[i].
 * VMD_NO_MEMORY.
 */
enum vmd_status vmd_stream_find_risks(const uint64_t *descs, uint64_t n, uint32_t detailed, uint32_t nums,
                                      const char *known, uint64_t n_known, uint8_t *found);

/* Bytes of text that vmd_stream_read_fields writes. */
uint64_t vmd_stream_fields_text_size(const struct vmd_desc *desc);

/*
 * Read a description: n_fields rows; the addresses of its subsections; and, as NUL-terminated text, its name, then for
 * each field its name and that of its VMStateInfo (empty: none).
 */
void vmd_stream_read_fields(const struct vmd_desc *desc, struct vmd_stream_field *rows, uint64_t *subsections,
                            char *text);
/* cdef: end */

struct vmd_text {
    const char *text;
    uint32_t len;
};

/* Row i of vmd_stream_read_fields. */
struct vmd_stream_field vmd_stream_field_of(const struct vmd_desc *desc, uint64_t i);

/* The name of the VMStateInfo of field i; len is 0: none. */
struct vmd_text vmd_stream_info_of(const struct vmd_desc *desc, uint64_t i);

#endif
