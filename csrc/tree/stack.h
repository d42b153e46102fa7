/*
 * Stack for lists of unknown length. All levels of nesting share one; the elements of a list are contiguous and are
 * copied into the tree when the list ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_STACK_H
#define VMD_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "tree/tree.h"

/* Zero-initialised when empty. The owner frees items. */
struct vmd_stack {
    char *items;
    size_t used, capacity; /* bytes */
};

/* Reserve size bytes more than the capacity. False: out of memory. */
bool vmd_stack_grow(struct vmd_stack *stack, size_t size);

/* Copy the elements above bottom into the tree and pop them; NULL: out of memory. */
const void *vmd_stack_pop(struct vmd_stack *stack, size_t bottom, struct vmd_tree *tree);

/* Push an uninitialised element of size bytes, valid until the next push; NULL: out of memory. */
static inline void *vmd_stack_push(struct vmd_stack *stack, size_t size)
{
    if (stack->capacity - stack->used < size && !vmd_stack_grow(stack, size)) {
        return NULL;
    }
    stack->used += size;
    return stack->items + stack->used - size;
}

#endif
