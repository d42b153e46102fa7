/*
 * Fuzz target: a dump file (csrc/parse.c), as a whole and in parts, and every dump of what was parsed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse/parse.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dumps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same in parts, of which .ci/fuzz makes the first a small one; whole: what was parsed, or NULL. */
static void check_parts(const struct vmd_tree *whole, const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct vmd_tree *tree = NULL;
    struct vmd_error err;

    if ((fd < 0 && (fd = memfd_create("dump", 0)) < 0) || ftruncate(fd, 0) ||
        pwrite(fd, data, size, 0) != (ssize_t)size || vmd_tree_create(&tree)) {
        abort();
    }
    if ((vmd_tree_parse_file(tree, fd, 0, &err) == VMD_OK) != (whole != NULL)) {
        __builtin_trap(); /* it depends on where the parts end */
    }
    if (whole) {
        fuzz_same(whole, tree);
        fuzz_dumps(tree);
    }
    vmd_tree_destroy(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vmd_tree *tree = NULL;
    struct vmd_error err;
    enum vmd_status status;

    if (vmd_tree_create(&tree)) {
        return 0;
    }
    status = vmd_tree_parse(tree, (const char *)data, size, &err);
    check_parts(status ? NULL : tree, data, size);
    if (!status) {
        fuzz_dumps(tree);
    } else if (err.code != status || err.index > size || !err.message || !memchr(err.path, '\0', sizeof(err.path))) {
        __builtin_trap(); /* who reads this error is told nothing, or of a place that does not exist */
    }
    vmd_tree_destroy(tree);
    return 0;
}
