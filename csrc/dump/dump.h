/*
 * Writing a tree as QEMU's -dump-vmstate does. Two engines, byte for byte alike: "stdio", fprintf in QEMU's shape, is
 * the reference; "fast" is the one to use. A third one writes the extended form.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_DUMP_H
#define VMD_DUMP_H

#include <stdio.h>

#include "dump/sink.h"
#include "tree/tree.h"

/* cdef: begin */
enum vmd_engine {
    VMD_ENGINE_FAST = 0,
    VMD_ENGINE_STDIO = 1,
    VMD_ENGINE_EXTENDED = 2,       /* another form, with all that is known of devices: see extended.h */
    VMD_ENGINE_EXTENDED_ROOTS = 3, /* the same, with the descriptions that are on no device class */
    VMD_ENGINE_FAST_BASE = 4,      /* the fast one as it is on CPUs without AVX2: for tests */
};

/*
 * Dumps tree to a file descriptor, to size bytes of memory (vmd_tree_size says how many it takes), or to a FILE*. poll
 * is asked every 16 MiB and when a signal interrupts a write: nonzero ends the dump; NULL: never asked. No globals:
 * any number of dumps may run at once, of one tree too.
 * VMD_NO_MEMORY; VMD_INTERRUPTED; VMD_IO, index: errno; VMD_TOO_LARGE: size is too small.
 */
enum vmd_status vmd_dump_fd(const struct vmd_tree *tree, enum vmd_engine engine, int fd, int (*poll)(void *),
                            void *opaque, struct vmd_error *err);
enum vmd_status vmd_dump_memory(const struct vmd_tree *tree, enum vmd_engine engine, char *memory, size_t size,
                                int (*poll)(void *), void *opaque, struct vmd_error *err);
enum vmd_status vmd_dump_file(const struct vmd_tree *tree, enum vmd_engine engine, FILE *file, int (*poll)(void *),
                              void *opaque, struct vmd_error *err);

/* How many bytes that takes, by doing it; VMD_NO_MEMORY, VMD_INTERRUPTED. */
enum vmd_status vmd_dump_size(const struct vmd_tree *tree, enum vmd_engine engine, int (*poll)(void *), void *opaque,
                              uint64_t *ret, struct vmd_error *err);
/* cdef: end */

/* The engines. They leave errors in the sink; VMD_NO_MEMORY is theirs too. */
enum vmd_status vmd_dump_fast(const struct vmd_tree *tree, struct vmd_sink *sink);
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VMD_HAS_AVX2
enum vmd_status vmd_dump_fast_avx2(const struct vmd_tree *tree, struct vmd_sink *sink);
#endif
enum vmd_status vmd_dump_stdio(const struct vmd_tree *tree, struct vmd_sink *sink);
enum vmd_status vmd_dump_extended(const struct vmd_tree *tree, bool roots, struct vmd_sink *sink);

#endif
