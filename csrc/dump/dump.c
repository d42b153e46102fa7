/*
 * The entry points: a sink and an engine, put together. See dump.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dump/dump.h"

static enum vmd_status run(const struct vmd_tree *tree, enum vmd_engine engine, struct vmd_sink *sink)
{
    switch (engine) {
    case VMD_ENGINE_STDIO:
        return vmd_dump_stdio(tree, sink);
    case VMD_ENGINE_EXTENDED:
    case VMD_ENGINE_EXTENDED_ROOTS:
        return vmd_dump_extended(tree, engine == VMD_ENGINE_EXTENDED_ROOTS, sink);
    case VMD_ENGINE_FAST:
#ifdef VMD_HAS_AVX2
        if (__builtin_cpu_supports("avx2")) {
            return vmd_dump_fast_avx2(tree, sink);
        }
#endif
        break;
    case VMD_ENGINE_FAST_BASE:
        break;
    }
    return vmd_dump_fast(tree, sink);
}

static enum vmd_status dump(const struct vmd_tree *tree, enum vmd_engine engine, struct vmd_sink *sink)
{
    enum vmd_status status = run(tree, engine, sink);

    if (status) {
        vmd_error_set(sink->err, status, 0, "out of memory");
    } else {
        status = vmd_sink_finish(sink);
    }
    vmd_sink_deinit(sink);
    return status;
}

enum vmd_status vmd_dump_fd(const struct vmd_tree *tree, enum vmd_engine engine, int fd, int (*poll)(void *),
                            void *opaque, struct vmd_error *err)
{
    struct vmd_sink sink;
    enum vmd_status status = vmd_sink_init_fd(&sink, fd, poll, opaque, err);

    return status ? status : dump(tree, engine, &sink);
}

enum vmd_status vmd_dump_memory(const struct vmd_tree *tree, enum vmd_engine engine, char *memory, size_t size,
                                int (*poll)(void *), void *opaque, struct vmd_error *err)
{
    struct vmd_sink sink;
    enum vmd_status status = vmd_sink_init_memory(&sink, memory, size, poll, opaque, err);

    return status ? status : dump(tree, engine, &sink);
}

enum vmd_status vmd_dump_file(const struct vmd_tree *tree, enum vmd_engine engine, FILE *file, int (*poll)(void *),
                              void *opaque, struct vmd_error *err)
{
    struct vmd_sink sink;
    enum vmd_status status = vmd_sink_init_file(&sink, file, poll, opaque, err);

    return status ? status : dump(tree, engine, &sink);
}

enum vmd_status vmd_dump_size(const struct vmd_tree *tree, enum vmd_engine engine, int (*poll)(void *), void *opaque,
                              uint64_t *ret, struct vmd_error *err)
{
    struct vmd_sink sink;
    enum vmd_status status = vmd_sink_init_count(&sink, ret, poll, opaque, err);

    return status ? status : dump(tree, engine, &sink);
}
