/*
 * Shapes of sections: many devices of a dump differ in nothing but their names, and need to be compared only once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_SHAPES_H
#define VMD_SHAPES_H

#include "stream/stream.h"

/* cdef: begin */
/*
 * Number the shapes of sections, from 1: shapes[i] and shapes[j] are equal if the sections have the same versions, and
 * descriptions that are equal but for their names. 0: the description has subsections or nested descriptions.
 * VMD_NO_MEMORY.
 */
enum vmd_status vmd_shapes_number(const struct vmd_stream_section *sections, uint64_t n, uint32_t *shapes);
/* cdef: end */

#endif
