/*
 * Lists whose length is not known yet: see stack.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tree/stack.h"

#include <stdlib.h>

bool vmd_stack_grow(struct stack *stack, size_t size)
{
    size_t capacity = (stack->capacity ? 2 * stack->capacity : 4096) + size;
    char *items = realloc(stack->items, capacity);

    if (!items) {
        return false;
    }
    stack->items = items;
    stack->capacity = capacity;
    return true;
}

const void *vmd_stack_take(struct stack *stack, size_t bottom, struct vmd_tree *tree)
{
    size_t size = stack->used - bottom;
    void *copy = vmd_tree_alloc(tree, size);

    if (copy && size) {
        memcpy(copy, stack->items + bottom, size);
    }
    stack->used = bottom;
    return copy;
}
