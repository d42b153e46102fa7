/*
 * Shapes of sections: see shapes.h. Sorting, unlike hashing, takes no longer for hostile dumps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stream/shapes.h"

#include <stdlib.h>
#include <string.h>

static const struct vmd_desc *desc_of(const struct vmd_stream_section *section)
{
    return (const struct vmd_desc *)(uintptr_t)section->vmsd;
}

static bool is_plain(const struct vmd_desc *desc)
{
    for (uint64_t i = 0; i < desc->n_fields; i++) {
        if (desc->fields[i].vmsd) {
            return false;
        }
    }
    return !desc->n_subsections;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_text(const char *a, uint32_t a_len, const char *b, uint32_t b_len)
{
    return a_len == b_len && a_len ? memcmp(a, b, a_len) : compare_numbers(a_len, b_len);
}

static int compare_fields(const struct vmd_desc *a, const struct vmd_desc *b, uint64_t i)
{
    struct vmd_stream_field left = vmd_stream_field_of(a, i), right = vmd_stream_field_of(b, i);
    int order = memcmp(&left, &right, sizeof(left));

    if (!order) {
        order = compare_text(a->fields[i].name, a->fields[i].name_len, b->fields[i].name, b->fields[i].name_len);
    }
    if (!order) {
        struct vmd_text a_info = vmd_stream_info_of(a, i), b_info = vmd_stream_info_of(b, i);

        order = compare_text(a_info.text, a_info.len, b_info.text, b_info.len);
    }
    return order;
}

static int compare_descs(const struct vmd_desc *a, const struct vmd_desc *b)
{
    int order = compare_numbers(a->n_fields, b->n_fields);

    if (a == b) {
        return 0;
    }
    order = order ? order : compare_numbers((uint32_t)a->version_id, (uint32_t)b->version_id);
    order = order ? order : compare_numbers((uint32_t)a->minimum_version_id, (uint32_t)b->minimum_version_id);
    order = order ? order : compare_numbers(a->traits, b->traits);
    for (uint64_t i = 0; !order && i < a->n_fields; i++) {
        order = compare_fields(a, b, i);
    }
    return order;
}

static int compare_sections(const void *a, const void *b)
{
    const struct vmd_stream_section *left = *(const struct vmd_stream_section *const *)a;
    const struct vmd_stream_section *right = *(const struct vmd_stream_section *const *)b;
    int order = compare_numbers((uint32_t)left->version_id, (uint32_t)right->version_id);

    order = order ? order : compare_numbers((uint32_t)left->minimum_version_id, (uint32_t)right->minimum_version_id);
    return order ? order : compare_descs(desc_of(left), desc_of(right));
}

enum vmd_status vmd_shapes_number(const struct vmd_stream_section *sections, uint64_t n, uint32_t *shapes)
{
    const struct vmd_stream_section **sorted = malloc((n + 1) * sizeof(const struct vmd_stream_section *));
    uint64_t n_sorted = 0;
    uint32_t number = 0;

    if (!sorted) {
        return VMD_NO_MEMORY;
    }
    for (uint64_t i = 0; i < n; i++) {
        shapes[i] = 0;
        if (is_plain(desc_of(&sections[i]))) {
            sorted[n_sorted++] = &sections[i];
        }
    }
    qsort(sorted, n_sorted, sizeof(*sorted), compare_sections);
    for (uint64_t i = 0; i < n_sorted; i++) {
        if (!i || compare_sections(&sorted[i - 1], &sorted[i])) {
            number++;
        }
        shapes[sorted[i] - sections] = number;
    }
    free(sorted);
    return VMD_OK;
}
