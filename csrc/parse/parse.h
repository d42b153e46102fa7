/*
 * From the bytes of a -dump-vmstate file to a tree, strictly: what QEMU prints, in any order of keys and any white
 * space, and nothing else. The input is neither changed nor kept.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PARSE_H
#define VMD_PARSE_H

#include "tree/tree.h"

/* cdef: begin */
/*
 * Fills an empty tree (on failure: destroy it). VMD_BAD_JSON, VMD_BAD_NAME, VMD_TOO_DEEP, VMD_DUPLICATE: index is the
 * byte offset of the error and path its JSON path. VMD_NO_MEMORY.
 */
enum vmd_status vmd_tree_parse(struct vmd_tree *tree, const char *text, size_t size, struct vmd_error *err);

/*
 * The same for a regular file, from an offset to its end, without having all of it in memory. Of an error it tells no
 * place: who wants to know parses the text. VMD_IO, index: errno.
 */
enum vmd_status vmd_tree_parse_file(struct vmd_tree *tree, int fd, uint64_t offset, struct vmd_error *err);
/* cdef: end */

#endif
