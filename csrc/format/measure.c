/*
 * Output sizes of descriptions and trees, computed from the printf formats of format.h. Sums saturate instead of
 * wrapping, so an oversized tree is refused by its size.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "format/format.h"
#include "tree/tree.h"

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    return b && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

static uint64_t decimals(uint64_t value)
{
    uint64_t count = 1;

    while (value >= 10) {
        value /= 10;
        count++;
    }
    return count;
}

static uint64_t signed_decimals(int32_t value)
{
    return value < 0 ? 1 + decimals(-(int64_t)value) : decimals(value);
}

/* Bytes of a line without its value. conversion: of the value; indent: of the line relative to its part. */
#define LINE(format, conversion, indent) (sizeof(format) - sizeof("%*s" conversion) + (indent))

enum {
    FIELD_BYTES = LINE(VMD_FMT_FIELD_OPEN, "", 0) + LINE(VMD_FMT_FIELD_NAME, "%s", VMD_INDENT_MEMBER) +
        LINE(VMD_FMT_FIELD_VERSION, "%d", VMD_INDENT_MEMBER) + LINE(VMD_FMT_FIELD_ALWAYS, "", VMD_INDENT_MEMBER) +
        LINE(VMD_FMT_FIELD_SIZE, "%zu", VMD_INDENT_MEMBER) + LINE(VMD_FMT_CLOSE, "", 0),
    FIELD_LINES = 6,
    FIELD_EXISTS_LESS = sizeof(VMD_FMT_FIELD_ALWAYS) - sizeof(VMD_FMT_FIELD_EXISTS),
    NUM_BYTES = LINE(VMD_FMT_FIELD_NUM, "%d", VMD_INDENT_MEMBER),
    DESC_BYTES = LINE(VMD_FMT_DESC_OPEN, "", 0) + LINE(VMD_FMT_DESC_NAME, "%s", VMD_INDENT_MEMBER) +
        LINE(VMD_FMT_DESC_VERSION, "%d", VMD_INDENT_MEMBER) + LINE(VMD_FMT_DESC_MINIMUM, "%d", VMD_INDENT_MEMBER) +
        LINE(VMD_FMT_CLOSE, "", 0),
    DESC_LINES = 5,
    SUBSECTION_LESS = sizeof(VMD_FMT_DESC_OPEN) - sizeof(VMD_FMT_SUBSECTION_OPEN),
    FIELDS_BYTES = LINE(VMD_FMT_FIELDS_OPEN, "", VMD_INDENT_MEMBER) + LINE(VMD_FMT_LIST_CLOSE, "", VMD_INDENT_MEMBER),
    SUBSECTIONS_BYTES = LINE(VMD_FMT_SUBSECTIONS_OPEN, "", VMD_INDENT_MEMBER) +
        LINE(VMD_FMT_LIST_CLOSE, "", VMD_INDENT_MEMBER),
    LIST_LINES = 2,
    NEXT_BYTES = sizeof(VMD_FMT_NEXT) - 1,
    DEVICE_BYTES = LINE(VMD_FMT_DEVICE_OPEN, "%s", 0) + LINE(VMD_FMT_DEVICE_NAME, "%s", VMD_INDENT_MEMBER) +
        LINE(VMD_FMT_DEVICE_VERSION, "%d", VMD_INDENT_MEMBER) + LINE(VMD_FMT_DEVICE_MINIMUM, "%d", VMD_INDENT_MEMBER) +
        LINE(VMD_FMT_CLOSE, "", 0),
    DEVICE_LINES = 5,
    FILE_BYTES = sizeof(VMD_FMT_BEGIN) - 1 + sizeof(VMD_FMT_MACHINE) - sizeof("%s") + sizeof(VMD_FMT_END) - 1,
};

static void extent_add(struct vmd_extent *sum, uint64_t bytes, uint64_t lines)
{
    sum->bytes = add(sum->bytes, bytes);
    sum->lines = add(sum->lines, lines);
}

/* Add a part that is indented by indent. */
static void extent_add_part(struct vmd_extent *sum, const struct vmd_extent *part, uint64_t indent)
{
    extent_add(sum, add(part->bytes, multiply(indent, part->lines)), part->lines);
}

static void deepen(struct vmd_desc *desc, const struct vmd_desc *below)
{
    desc->depth = desc->depth > below->depth ? desc->depth : below->depth + 1;
}

/* All fields are in memory, so the sums of their own bytes cannot overflow. */
static void measure_fields(struct vmd_desc *desc)
{
    uint64_t n = 0, bytes = 0, n_nums = 0, num_bytes = 0;

    for (const struct vmd_field *field = desc->fields; field < desc->fields + desc->n_fields; field++) {
        if (field->vmsd) {
            deepen(desc, field->vmsd); /* MUST_EXIST fields too: the extended form prints them */
        }
        if (field->flags & VMD_MUST_EXIST) {
            continue;
        }
        n++;
        bytes += (uint64_t)field->name_len + signed_decimals(field->version_id) + decimals(field->size);
        bytes -= field->field_exists ? FIELD_EXISTS_LESS : 0;
        if (field->flags & VMD_ARRAY) {
            n_nums++;
            num_bytes += signed_decimals(field->num);
        }
        if (field->vmsd) {
            bytes += NEXT_BYTES;
            extent_add_part(&desc->extent, &field->vmsd->extent, VMD_INDENT_ELEMENT + VMD_INDENT_MEMBER);
            extent_add_part(&desc->num_extent, &field->vmsd->num_extent, VMD_INDENT_ELEMENT + VMD_INDENT_MEMBER);
            desc->n_total = add(desc->n_total, field->vmsd->n_total);
        }
    }
    bytes += n * (FIELD_BYTES + VMD_INDENT_ELEMENT * FIELD_LINES) + (n ? (n - 1) * NEXT_BYTES : 0);
    extent_add(&desc->extent, bytes + FIELDS_BYTES, n * FIELD_LINES + LIST_LINES);
    extent_add(&desc->num_extent, num_bytes + n_nums * (NUM_BYTES + VMD_INDENT_ELEMENT), n_nums);
    desc->n_total = add(desc->n_total, n);
}

enum vmd_status vmd_desc_measure(struct vmd_desc *desc)
{
    desc->depth = 1;
    desc->n_total = 0;
    desc->num_extent = (struct vmd_extent){0, 0};
    desc->extent.bytes = DESC_BYTES + (uint64_t)desc->name_len + signed_decimals(desc->version_id) +
                         signed_decimals(desc->minimum_version_id);
    desc->extent.lines = DESC_LINES;
    if (desc->fields) {
        measure_fields(desc);
    }
    if (desc->subsections) {
        extent_add(&desc->extent, SUBSECTIONS_BYTES, LIST_LINES);
        for (uint64_t i = 0; i < desc->n_subsections; i++) {
            const struct vmd_desc *subsection = desc->subsections[i];

            extent_add(&desc->extent, i ? NEXT_BYTES : 0, 0);
            extent_add_part(&desc->extent, &subsection->extent, VMD_INDENT_ELEMENT);
            extent_add_part(&desc->num_extent, &subsection->num_extent, VMD_INDENT_ELEMENT);
            if (desc->extent.bytes != UINT64_MAX) {
                desc->extent.bytes -= SUBSECTION_LESS;
            }
            desc->n_total = add(desc->n_total, subsection->n_total);
            deepen(desc, subsection);
        }
    }
    return desc->depth > VMD_MAX_DEPTH ? VMD_TOO_DEEP : VMD_OK;
}

void vmd_tree_measure(struct vmd_tree *tree)
{
    struct vmd_extent sum = {FILE_BYTES + (uint64_t)tree->machine_len, 0};

    for (uint64_t i = 0; i < tree->n_devices; i++) {
        const struct vmd_device *device = &tree->devices[i];

        extent_add(&sum, NEXT_BYTES + DEVICE_BYTES + VMD_INDENT_DEVICE * DEVICE_LINES, 0);
        extent_add(&sum,
                   (uint64_t)device->name_len + device->label_len + signed_decimals(device->version_id) +
                       signed_decimals(device->minimum_version_id),
                   0);
        if (device->vmsd->traits & VMD_NO_DESCRIPTION) {
            sum.bytes -= sizeof(VMD_FMT_NEXT) - 1;
            continue;
        }
        extent_add_part(&sum, &device->vmsd->extent, VMD_INDENT_DEVICE + VMD_INDENT_MEMBER);
        if (tree->print_num) {
            extent_add_part(&sum, &device->vmsd->num_extent, VMD_INDENT_DEVICE + VMD_INDENT_MEMBER);
        }
    }
    tree->size = sum.bytes;
}

uint64_t vmd_tree_size(const struct vmd_tree *tree)
{
    return tree->size;
}

uint64_t vmd_tree_fields(const struct vmd_tree *tree)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < tree->n_devices; i++) {
        sum = add(sum, tree->devices[i].vmsd->n_total);
    }
    return sum;
}
