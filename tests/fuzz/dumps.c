/*
 * Comparison of all forms and engines: see dumps.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dumps.h"

#include <stdlib.h>

#include "dump/dump.h"
#include "parse/parse.h"

enum { SIZE_MAX_DUMPED = 1 << 20 };

/* Poll callback, first called after 16 MiB: skip the dump. */
static int stop(void *opaque)
{
    return 1;
}

/* A dump in memory of exactly its size, so that ASan detects an overflow. */
static char *dump(const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form, uint64_t size)
{
    char *memory = malloc(size);
    struct vmd_error err;

    if (!memory || vmd_dump_memory(tree, engine, form, memory, size, NULL, NULL, &err)) {
        __builtin_trap();
    }
    return memory;
}

static void check_same(const char *memory, const struct vmd_tree *tree, enum vmd_engine engine, enum vmd_form form,
                       uint64_t size)
{
    struct vmd_error err;
    uint64_t counted;
    char *other;

    if (vmd_dump_size(tree, engine, form, stop, NULL, &counted, &err) || counted != size) {
        __builtin_trap();
    }
    other = dump(tree, engine, form, size);
    if (memcmp(memory, other, size)) {
        __builtin_trap();
    }
    free(other);
}

/* Parsing a dump and writing it again gives the same bytes. Duplicate device types are rejected; sources avoid them. */
static void check_parsed(const char *memory, enum vmd_engine engine, enum vmd_form form, uint64_t size)
{
    struct vmd_tree *tree = NULL;
    struct vmd_error err;

    if (vmd_tree_create(&tree)) {
        abort();
    }
    if (!vmd_tree_parse(tree, memory, size, &err)) {
        check_same(memory, tree, engine, form, size);
    } else if (err.code != VMD_DUPLICATE) {
        __builtin_trap();
    }
    vmd_tree_destroy(tree);
}

void fuzz_same(const struct vmd_tree *tree, const struct vmd_tree *other)
{
    uint64_t size;
    struct vmd_error err;
    char *memory;

    if (!vmd_dump_size(tree, VMD_ENGINE_FAST, VMD_FORM_EXTENDED_STANDALONE, stop, NULL, &size, &err) &&
        size <= SIZE_MAX_DUMPED) {
        memory = dump(tree, VMD_ENGINE_FAST, VMD_FORM_EXTENDED_STANDALONE, size);
        check_same(memory, other, VMD_ENGINE_FAST, VMD_FORM_EXTENDED_STANDALONE, size);
        free(memory);
    }
}

void fuzz_dumps(const struct vmd_tree *tree)
{
    static const enum vmd_form extended[] = {VMD_FORM_EXTENDED, VMD_FORM_EXTENDED_STANDALONE};
    uint64_t size = vmd_tree_size(tree);
    struct vmd_error err;
    char *memory;

    if (size > SIZE_MAX_DUMPED) {
        return;
    }
    memory = dump(tree, VMD_ENGINE_FAST, VMD_FORM_QEMU, size);
    check_same(memory, tree, VMD_ENGINE_STDIO, VMD_FORM_QEMU, size);
    check_same(memory, tree, VMD_ENGINE_FAST_BASELINE, VMD_FORM_QEMU, size);
    check_parsed(memory, VMD_ENGINE_FAST, VMD_FORM_QEMU, size);
    free(memory);
    for (int i = 0; i < 2; i++) {
        enum vmd_status status = vmd_dump_size(tree, VMD_ENGINE_FAST, extended[i], stop, NULL, &size, &err);

        if (status && status != VMD_INTERRUPTED) {
            __builtin_trap();
        }
        if (!status && size <= SIZE_MAX_DUMPED) {
            memory = dump(tree, VMD_ENGINE_FAST, extended[i], size);
            check_parsed(memory, VMD_ENGINE_FAST, extended[i], size);
            free(memory);
        }
    }
}
