/*
 * Fuzz target: a dump file (csrc/parse.c), and every dump of what was parsed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse.h"

#include "dumps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vmd_tree *tree = NULL;
    struct vmd_error err;
    enum vmd_status status;

    if (vmd_tree_create(&tree)) {
        return 0;
    }
    status = vmd_tree_parse(tree, (const char *)data, size, &err);
    if (!status) {
        fuzz_dumps(tree);
    } else if (err.code != status || err.index > size || !err.message || !memchr(err.path, '\0', sizeof(err.path))) {
        __builtin_trap(); /* who reads this error is told nothing, or of a place that does not exist */
    }
    vmd_tree_destroy(tree);
    return 0;
}
