/*
 * Lists whose length is not known yet: all levels of nesting share a stack, on which the elements of a list stand
 * behind each other until its end is found and they are copied into the tree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_STACK_H
#define VMD_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "tree/tree.h"

/* All zero: an empty one. Who made it frees items. */
struct stack {
    char *items;
    size_t used, capacity; /* bytes */
};

bool vmd_stack_grow(struct stack *stack, size_t size);

/* Copies what stands on the stack above bottom into the tree and takes it off; NULL: there is no memory. */
const void *vmd_stack_take(struct stack *stack, size_t bottom, struct vmd_tree *tree);

/* Room for an element of size bytes, until the next one is pushed; NULL: there is no memory. */
static inline void *stack_push(struct stack *stack, size_t size)
{
    if (stack->capacity - stack->used < size && !vmd_stack_grow(stack, size)) {
        return NULL;
    }
    stack->used += size;
    return stack->items + stack->used - size;
}

#endif
