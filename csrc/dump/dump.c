/*
 * Entry points: each connects an engine to a sink. See dump.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dump/dump.h"

static enum vmd_status dump_qemu(const struct vmd_tree *tree, enum vmd_engine engine, struct vmd_sink *sink)
{
    switch (engine) {
    case VMD_ENGINE_STDIO:
        return vmd_dump_stdio(tree, sink);
    case VMD_ENGINE_FAST:
#ifdef VMD_HAS_AVX2
        if (__builtin_cpu_supports("avx2")) {
            return vmd_dump_fast_avx2(tree, sink);
        }
#endif
        break;
    case VMD_ENGINE_FAST_BASELINE:
        break;
    }
    return vmd_dump_fast(tree, sink);
}

static enum vmd_status dump(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form,
                            struct vmd_sink *sink)
{
    bool standalone = form == VMD_FORM_EXTENDED_STANDALONE;
    /* Without metadata both forms are the same bytes, which the fast engine writes sooner. */
    bool extended = form != VMD_FORM_QEMU && vmd_extended_differs(tree, standalone);
    enum vmd_status status = extended ? vmd_dump_extended(tree, standalone, sink) : dump_qemu(tree, engine, sink);

    if (status) {
        vmd_error_set(sink->err, status, 0, "out of memory");
    } else {
        status = vmd_sink_finish(sink);
    }
    vmd_sink_deinit(sink);
    return status;
}

enum vmd_status vmd_dump_fd(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form, int fd,
                            int (*poll)(void *), void *opaque, struct vmd_error *err)
{
    struct vmd_sink sink;
    enum vmd_status status = vmd_sink_init_fd(&sink, fd, poll, opaque, err);

    return status ? status : dump(tree, engine, form, &sink);
}

enum vmd_status vmd_dump_memory(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form, char *memory,
                                size_t size, int (*poll)(void *), void *opaque, struct vmd_error *err)
{
    struct vmd_sink sink;
    enum vmd_status status = vmd_sink_init_memory(&sink, memory, size, poll, opaque, err);

    return status ? status : dump(tree, engine, form, &sink);
}

enum vmd_status vmd_dump_file(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form, FILE *file,
                              int (*poll)(void *), void *opaque, struct vmd_error *err)
{
    struct vmd_sink sink;
    enum vmd_status status = vmd_sink_init_file(&sink, file, poll, opaque, err);

    return status ? status : dump(tree, engine, form, &sink);
}

enum vmd_status vmd_dump_size(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form,
                              int (*poll)(void *), void *opaque, uint64_t *ret, struct vmd_error *err)
{
    struct vmd_sink sink;
    enum vmd_status status = vmd_sink_init_count(&sink, ret, poll, opaque, err);

    return status ? status : dump(tree, engine, form, &sink);
}
