/*
 * What must hold of any tree that was made, whoever made it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FUZZ_DUMPS_H
#define FUZZ_DUMPS_H

#include "tree/tree.h"

/*
 * Traps unless both engines write the same bytes, as many as the size formula says, and what is written in either form
 * is parsed and written again as it was. Trees whose dump is too large to be written in a moment are let be.
 */
void fuzz_dumps(const struct vmd_tree *tree);

/* Traps unless the extended forms of both are the same bytes. */
void fuzz_same(const struct vmd_tree *tree, const struct vmd_tree *other);

#endif
