/*
 * Memory of trees: a list of blocks, each twice the size of the one before, up to a limit. See tree.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tree/tree.h"

enum { BLOCK_MIN = 16 << 10, BLOCK_MAX = 16 << 20, HUGE_PAGE = 2 << 20 };

struct block {
    struct block *next;
};

struct vmd_arena {
    struct block *blocks;
    char *pos;
    char *end;
    size_t block_size;
};

enum vmd_status vmd_tree_create(struct vmd_tree **ret)
{
    struct vmd_tree *tree = calloc(1, sizeof(*tree) + sizeof(struct vmd_arena));

    if (!tree) {
        return VMD_NO_MEMORY;
    }
    tree->arena = (struct vmd_arena *)(tree + 1);
    tree->arena->block_size = BLOCK_MIN;
    vmd_tree_measure(tree);
    *ret = tree;
    return VMD_OK;
}

void vmd_tree_destroy(struct vmd_tree *tree)
{
    if (!tree) {
        return;
    }
    for (struct block *block = tree->arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(tree);
}

/*
 * Blocks of the largest size use huge pages: a tree of millions of fields spends as long in page faults of small pages
 * as in filling them. No real dump is as large, and a fragmented kernel may take long to find huge pages, so smaller
 * trees do without.
 */
static void *block_alloc(size_t size)
{
    void *memory;

    if (size < BLOCK_MAX) {
        return malloc(size);
    }
    memory = aligned_alloc(HUGE_PAGE, size);
#ifdef MADV_HUGEPAGE
    if (memory) {
        madvise(memory, size, MADV_HUGEPAGE); /* advice: without effect if refused */
    }
#endif
    return memory;
}

/* Reserve size bytes and the padding after them. */
static bool arena_grow(struct vmd_arena *arena, size_t size)
{
    size_t block_size = arena->block_size;
    struct block *block;

    if (size > SIZE_MAX / 2) {
        return false;
    }
    size += sizeof(*block) + VMD_PADDING;
    if (block_size < size) {
        block_size = size < BLOCK_MAX ? size : (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    }
    block = block_alloc(block_size);
    if (!block) {
        return false;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->pos = (char *)(block + 1);
    arena->end = (char *)block + block_size - VMD_PADDING;
    /* Bytes after a string may be read, though never printed: initialise them. */
    memset(arena->end, 0, VMD_PADDING);
    if (arena->block_size < BLOCK_MAX) {
        arena->block_size *= 2;
    }
    return true;
}

void *vmd_tree_alloc(struct vmd_tree *tree, size_t size)
{
    struct vmd_arena *arena = tree->arena;
    size_t skip = -(uintptr_t)arena->pos & 7;
    char *memory;

    if (!arena->pos || (size_t)(arena->end - arena->pos) < skip + size) {
        if (!arena_grow(arena, size)) {
            return NULL;
        }
        skip = 0;
    }
    memory = arena->pos + skip;
    arena->pos = memory + size;
    return memory;
}

const char *vmd_tree_string(struct vmd_tree *tree, const char *text, size_t size)
{
    struct vmd_arena *arena = tree->arena;
    char *copy;

    if (!arena->pos || (size_t)(arena->end - arena->pos) < size + 1) {
        if (!arena_grow(arena, size + 1)) {
            return NULL;
        }
    }
    copy = arena->pos;
    memcpy(copy, text, size);
    copy[size] = '\0';
    arena->pos += size + 1;
    return copy;
}

const char *vmd_tree_short_string(struct vmd_tree *tree, const char *text, size_t size)
{
    struct vmd_arena *arena = tree->arena;
    char *copy = arena->pos;

    if (!copy || (size_t)(arena->end - copy) < size + 1) {
        return vmd_tree_string(tree, text, size);
    }
    memcpy(copy, text, VMD_PADDING); /* the arena's end is followed by as many bytes */
    copy[size] = '\0';
    arena->pos += size + 1;
    return copy;
}
