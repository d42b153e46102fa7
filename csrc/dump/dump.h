/*
 * Writing trees as dumps. QEMU's form has two engines with equal output: "fast" is the one to use, "stdio" is the
 * reference. The extended form has an engine of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_DUMP_H
#define VMD_DUMP_H

#include <stdio.h>

#include "dump/sink.h"
#include "tree/tree.h"

/* cdef: begin */
/* Code that writes QEMU's form. */
enum vmd_engine {
    VMD_ENGINE_FAST = 0,          /* templates; with AVX2 where the CPU has it */
    VMD_ENGINE_STDIO = 1,         /* fprintf, in the shape of QEMU's code: the reference */
    VMD_ENGINE_FAST_BASELINE = 2, /* VMD_ENGINE_FAST as on CPUs without AVX2: for tests */
};

/* Form of a dump. */
enum vmd_form {
    VMD_FORM_QEMU = 0,                /* as -dump-vmstate prints it */
    VMD_FORM_EXTENDED = 1,            /* with metadata of devices, descriptions and fields: see extended.h */
    VMD_FORM_EXTENDED_STANDALONE = 2, /* VMD_FORM_EXTENDED with the standalone descriptions */
};

/*
 * Dump tree to a file descriptor, to size bytes of memory (VMD_FORM_QEMU needs vmd_tree_size bytes), or to a FILE*. The
 * extended forms have one engine: for them engine is ignored. poll is called every 16 MiB of output and when a signal
 * interrupts a write; nonzero stops the dump; NULL: no calls. Thread-safe, for the same tree too.
 * VMD_NO_MEMORY; VMD_INTERRUPTED; VMD_IO, index: errno; VMD_TOO_LARGE: size is too small.
 */
enum vmd_status vmd_dump_fd(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form, int fd,
                            int (*poll)(void *), void *opaque, struct vmd_error *err);
enum vmd_status vmd_dump_memory(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form, char *memory,
                                size_t size, int (*poll)(void *), void *opaque, struct vmd_error *err);
enum vmd_status vmd_dump_file(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form, FILE *file,
                              int (*poll)(void *), void *opaque, struct vmd_error *err);

/* Count the bytes of a dump by writing it to nowhere. VMD_NO_MEMORY, VMD_INTERRUPTED. */
enum vmd_status vmd_dump_size(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form,
                              int (*poll)(void *), void *opaque, uint64_t *ret, struct vmd_error *err);
/* cdef: end */

/* The engines. They leave errors in the sink; VMD_NO_MEMORY is their own. */
enum vmd_status vmd_dump_fast(const struct vmd_tree *tree, struct vmd_sink *sink);
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VMD_HAS_AVX2
enum vmd_status vmd_dump_fast_avx2(const struct vmd_tree *tree, struct vmd_sink *sink);
#endif
enum vmd_status vmd_dump_stdio(const struct vmd_tree *tree, struct vmd_sink *sink);
enum vmd_status vmd_dump_extended(const struct vmd_tree *tree, bool roots, struct vmd_sink *sink);
/* Whether the extended form may differ from QEMU's. If not, the fast engine writes both. */
bool vmd_extended_differs(const struct vmd_tree *tree, bool standalone);

#endif
