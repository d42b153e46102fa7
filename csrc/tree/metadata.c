/*
 * Metadata of a tree that QEMU's own dump leaves out: device classes, standalone descriptions, the producer. See
 * tree.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "tree/tree.h"

/* Copy n consecutive NUL-terminated strings; NULL: there are fewer, or out of memory. */
static const char *copy_texts(struct vmd_tree *tree, const char **at, const char *end, uint32_t n)
{
    const char *begin = *at, *stop = begin;
    char *copy;

    for (uint32_t i = 0; i < n; i++) {
        stop = stop < end ? memchr(stop, '\0', end - stop) : NULL;
        if (!stop) {
            return NULL;
        }
        stop++;
    }
    copy = vmd_tree_alloc(tree, stop - begin + 1);
    if (copy) {
        memcpy(copy, begin, stop - begin);
        *at = stop;
    }
    return copy;
}

enum vmd_status vmd_tree_set_device_details(struct vmd_tree *tree, uint64_t device, const char *texts,
                                            uint64_t texts_size, uint32_t n_parents, uint32_t has_desc,
                                            uint32_t has_module, uint32_t is_abstract, struct vmd_error *err)
{
    struct vmd_device_details *details = vmd_tree_alloc(tree, sizeof(*details));
    const char *end = texts + texts_size;

    if (!details || device >= tree->n_devices) {
        return vmd_error_set(err, details ? VMD_BAD_REFERENCE : VMD_NO_MEMORY, device, "no such device");
    }
    *details = (struct vmd_device_details){.n_parents = n_parents, .is_abstract = is_abstract};
    if (!(details->parents = copy_texts(tree, &texts, end, n_parents)) ||
        (has_desc && !(details->desc = copy_texts(tree, &texts, end, 1))) ||
        (has_module && !(details->module = copy_texts(tree, &texts, end, 1)))) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, device, "too few texts, or out of memory");
    }
    /* The tree is not shared yet. */
    ((struct vmd_device *)tree->devices)[device].details = details;
    return VMD_OK;
}

enum vmd_status vmd_tree_set_standalone(struct vmd_tree *tree, const struct vmd_desc *const *vmsds,
                                        const uint32_t *counts, uint64_t n_standalone, const char *texts,
                                        uint64_t texts_size, struct vmd_error *err)
{
    struct vmd_standalone *standalone =
        n_standalone < SIZE_MAX / sizeof(*standalone) ? vmd_tree_alloc(tree, n_standalone * sizeof(*standalone)) : NULL;
    const char *end = texts + texts_size;

    if (!standalone) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    for (uint64_t i = 0; i < n_standalone; i++) {
        standalone[i] =
            (struct vmd_standalone){.vmsd = vmsds[i], .n_uses = counts[2 * i], .n_types = counts[2 * i + 1]};
        if (!(standalone[i].symbol = copy_texts(tree, &texts, end, 1)) ||
            !(standalone[i].uses = copy_texts(tree, &texts, end, standalone[i].n_uses)) ||
            !(standalone[i].types = copy_texts(tree, &texts, end, standalone[i].n_types))) {
            return vmd_error_set(err, VMD_BAD_REFERENCE, i, "too few texts, or out of memory");
        }
        if (!*standalone[i].symbol) {
            standalone[i].symbol = NULL;
        }
    }
    tree->standalone = standalone;
    tree->n_standalone = n_standalone;
    return VMD_OK;
}

enum vmd_status vmd_tree_set_producer(struct vmd_tree *tree, const char *json, uint64_t size, struct vmd_error *err)
{
    const char *copy = vmd_tree_string(tree, json, size);

    if (!copy) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    tree->producer = copy;
    tree->producer_size = size;
    return VMD_OK;
}
