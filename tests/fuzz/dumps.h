/*
 * Properties of every tree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FUZZ_DUMPS_H
#define FUZZ_DUMPS_H

#include "tree/tree.h"

/*
 * Trap unless all engines write the same bytes, their number is vmd_tree_size, and each form is parsed and written
 * again unchanged. Trees with a large dump are skipped.
 */
void fuzz_dumps(const struct vmd_tree *tree);

/* Trap unless the extended forms of both are equal. */
void fuzz_same(const struct vmd_tree *tree, const struct vmd_tree *other);

#endif
