/*
 * Every form of a tree, compared. See dumps.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dumps.h"

#include <stdlib.h>

#include "dump/dump.h"
#include "parse/parse.h"

enum { SIZE_MAX_DUMPED = 1 << 20 };

/* Too large: the first time that it is asked is after 16 MiB. */
static int stop(void *opaque)
{
    return 1;
}

/* A dump in memory of exactly its size, so that ASan sees a byte too many. */
static char *dump(const struct vmd_tree *tree, enum vmd_engine engine, uint64_t size)
{
    char *memory = malloc(size);
    struct vmd_error err;

    if (!memory || vmd_dump_memory(tree, engine, memory, size, NULL, NULL, &err)) {
        __builtin_trap();
    }
    return memory;
}

static void check_same(const char *memory, const struct vmd_tree *tree, enum vmd_engine engine, uint64_t size)
{
    struct vmd_error err;
    uint64_t counted;
    char *other;

    if (vmd_dump_size(tree, engine, stop, NULL, &counted, &err) || counted != size) {
        __builtin_trap();
    }
    other = dump(tree, engine, size);
    if (memcmp(memory, other, size)) {
        __builtin_trap();
    }
    free(other);
}

/* What was written says all that it was written from; that no device type is there twice, its source looks after. */
static void check_parsed(const char *memory, enum vmd_engine engine, uint64_t size)
{
    struct vmd_tree *tree = NULL;
    struct vmd_error err;

    if (vmd_tree_create(&tree)) {
        abort();
    }
    if (!vmd_tree_parse(tree, memory, size, &err)) {
        check_same(memory, tree, engine, size);
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

    if (!vmd_dump_size(tree, VMD_ENGINE_EXTENDED_ROOTS, stop, NULL, &size, &err) && size <= SIZE_MAX_DUMPED) {
        memory = dump(tree, VMD_ENGINE_EXTENDED_ROOTS, size);
        check_same(memory, other, VMD_ENGINE_EXTENDED_ROOTS, size);
        free(memory);
    }
}

void fuzz_dumps(const struct vmd_tree *tree)
{
    static const enum vmd_engine extended[] = {VMD_ENGINE_EXTENDED, VMD_ENGINE_EXTENDED_ROOTS};
    uint64_t size = vmd_tree_size(tree);
    struct vmd_error err;
    char *memory;

    if (size > SIZE_MAX_DUMPED) {
        return;
    }
    memory = dump(tree, VMD_ENGINE_FAST, size);
    check_same(memory, tree, VMD_ENGINE_STDIO, size);
    check_same(memory, tree, VMD_ENGINE_FAST_BASE, size);
    check_parsed(memory, VMD_ENGINE_FAST, size);
    free(memory);
    for (int i = 0; i < 2; i++) {
        enum vmd_status status = vmd_dump_size(tree, extended[i], stop, NULL, &size, &err);

        if (status && status != VMD_INTERRUPTED) {
            __builtin_trap();
        }
        if (!status && size <= SIZE_MAX_DUMPED) {
            memory = dump(tree, extended[i], size);
            check_parsed(memory, extended[i], size);
            free(memory);
        }
    }
}
