/*
 * Strict parser of -dump-vmstate files: it accepts the keys and values that QEMU prints, in any order and with any
 * white space, and nothing else. The input is neither changed nor retained.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PARSE_H
#define VMD_PARSE_H

#include "tree/tree.h"

/* cdef: begin */
/*
 * Parse text into an empty tree; destroy it on failure. VMD_BAD_JSON, VMD_BAD_NAME, VMD_TOO_DEEP, VMD_DUPLICATE: index
 * is the byte offset of the error and path its JSON path. VMD_NO_MEMORY.
 */
enum vmd_status vmd_tree_parse(struct vmd_tree *tree, const char *text, size_t size, struct vmd_error *err);

/*
 * Parse a regular file from offset to end, or to the end of the file, with a part of it in memory at a time. Errors
 * have no position: parse the text with vmd_tree_parse to get it. VMD_IO, index: errno.
 */
enum vmd_status vmd_tree_parse_file(struct vmd_tree *tree, int fd, uint64_t offset, uint64_t end,
                                    struct vmd_error *err);
/* cdef: end */

#endif
