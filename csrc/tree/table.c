/*
 * Descriptions and devices from struct vmd_table, which vmdump/dump/lowering.py packs. See tree.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "tree/tree.h"

/* Position of a walk over a table. */
struct table_cursor {
    struct vmd_tree *tree;
    const struct vmd_table *table;
    struct vmd_error *err;
    uint64_t desc, field, nested, subsection, name;
    const char *names;
    const char *texts;
};

/* Copy the next string before end into the tree; NULL: none, or out of memory. */
static const char *next_text(struct vmd_tree *tree, const char **at, const char *end, size_t *ret_size)
{
    const char *begin = *at, *stop = begin < end ? memchr(begin, '\0', end - begin) : NULL;

    if (!stop || stop - begin > INT32_MAX) {
        return NULL;
    }
    *at = stop + 1;
    *ret_size = stop - begin;
    return vmd_tree_string(tree, begin, *ret_size);
}

/* Copy the next name of the table into the tree. */
static enum vmd_status next_name(struct table_cursor *at, const char **ret, uint32_t *ret_len)
{
    const char *end = at->table->names + at->table->names_size;
    const char *stop = vmd_name_skip_plain(at->names, end);
    size_t size;

    if (stop < end && *stop) {
        stop = memchr(stop, '\0', end - stop);
    }
    size = stop ? (size_t)(stop - at->names) : 0;
    if (!stop || stop == end || size > INT32_MAX || vmd_name_printable_prefix(at->names, size) != size) {
        return vmd_error_set(at->err, VMD_BAD_NAME, at->name, "a name cannot be printed in JSON");
    }
    *ret = vmd_tree_string(at->tree, at->names, size);
    if (!*ret) {
        return vmd_error_set(at->err, VMD_NO_MEMORY, at->desc, "out of memory");
    }
    *ret_len = size;
    at->names = stop + 1;
    at->name++;
    return VMD_OK;
}

/* The description at index ref: a known one or one of an earlier row; NULL: a later row. */
static const struct vmd_desc *reference(const struct table_cursor *at, uint64_t ref)
{
    return ref < at->table->n_known + at->desc ? at->table->refs[ref] : NULL;
}

/* The next nested description; NULL: none. */
static const struct vmd_desc *next_nested(struct table_cursor *at)
{
    return at->nested < at->table->n_nested ? reference(at, at->table->nested[at->nested++]) : NULL;
}

static enum vmd_status add_field_details(struct table_cursor *at, uint64_t n, const struct vmd_field_details **ret)
{
    const struct vmd_table *table = at->table;
    const char *end = table->texts + table->texts_size;
    struct vmd_field_details *details = vmd_tree_alloc(at->tree, n * sizeof(*details));

    if (!details) {
        return vmd_error_set(at->err, VMD_NO_MEMORY, at->desc, "out of memory");
    }
    for (uint64_t i = 0; i < n; i++) {
        const struct vmd_field_details_row *row = &table->field_details[at->field + i];
        size_t info_len = 0, err_hint_len = 0;

        details[i] = (struct vmd_field_details){.offset = row->offset,
                                                .start = row->start,
                                                .num_offset = row->num_offset,
                                                .size_offset = row->size_offset,
                                                .struct_version_id = row->struct_version_id};
        if ((row->has_info && !(details[i].info = next_text(at->tree, &at->texts, end, &info_len))) ||
            (row->has_err_hint && !(details[i].err_hint = next_text(at->tree, &at->texts, end, &err_hint_len)))) {
            return vmd_error_set(at->err, VMD_NO_MEMORY, at->desc, "out of memory");
        }
        details[i].info_len = info_len;
        details[i].err_hint_len = err_hint_len;
    }
    *ret = details;
    return VMD_OK;
}

static enum vmd_status add_fields(struct table_cursor *at, uint64_t n, const struct vmd_field **ret)
{
    struct vmd_field *fields = n < SIZE_MAX / sizeof(*fields) ? vmd_tree_alloc(at->tree, n * sizeof(*fields)) : NULL;

    if (!fields) {
        return vmd_error_set(at->err, VMD_NO_MEMORY, at->desc, "out of memory");
    }
    for (uint64_t i = 0; i < n; i++) {
        const struct vmd_field_row *row = &at->table->fields[at->field + i];
        enum vmd_status status = next_name(at, &fields[i].name, &fields[i].name_len);

        if (status) {
            return status;
        }
        fields[i].vmsd = row->has_vmsd ? next_nested(at) : NULL;
        if (row->has_vmsd && !fields[i].vmsd) {
            return vmd_error_set(at->err, VMD_BAD_REFERENCE, at->desc, "a field refers to a later description");
        }
        fields[i].size = row->size;
        fields[i].flags = row->flags;
        fields[i].num = row->num;
        fields[i].version_id = row->version_id;
        fields[i].field_exists = row->field_exists != 0;
    }
    at->field += n;
    *ret = fields;
    return VMD_OK;
}

static enum vmd_status add_subsections(struct table_cursor *at, uint64_t n, const struct vmd_desc *const **ret)
{
    const struct vmd_desc **list = n < SIZE_MAX / sizeof(*list) ? vmd_tree_alloc(at->tree, n * sizeof(*list)) : NULL;

    if (!list) {
        return vmd_error_set(at->err, VMD_NO_MEMORY, at->desc, "out of memory");
    }
    for (uint64_t i = 0; i < n; i++) {
        list[i] = reference(at, at->table->subsections[at->subsection + i]);
        if (!list[i]) {
            return vmd_error_set(at->err, VMD_BAD_REFERENCE, at->desc, "a subsection refers to a later description");
        }
    }
    at->subsection += n;
    *ret = list;
    return VMD_OK;
}

static enum vmd_status add_desc(struct table_cursor *at, const struct vmd_desc_row *row)
{
    struct vmd_desc *desc = vmd_tree_alloc(at->tree, sizeof(*desc));
    enum vmd_status status;

    if (!desc) {
        return vmd_error_set(at->err, VMD_NO_MEMORY, at->desc, "out of memory");
    }
    memset(desc, 0, sizeof(*desc));
    desc->version_id = row->version_id;
    desc->minimum_version_id = row->minimum_version_id;
    desc->n_fields = row->n_fields < 0 ? 0 : row->n_fields;
    desc->n_subsections = row->n_subsections < 0 ? 0 : row->n_subsections;
    if (desc->n_fields > at->table->n_fields - at->field ||
        desc->n_subsections > at->table->n_subsections - at->subsection) {
        return vmd_error_set(at->err, VMD_BAD_REFERENCE, at->desc, "a list passes the end of the table");
    }
    if (at->table->desc_details) {
        desc->traits = at->table->desc_details[at->desc].traits;
        desc->priority = at->table->desc_details[at->desc].priority;
    }
    status = next_name(at, &desc->name, &desc->name_len);
    if (!status && at->table->field_details) {
        status = add_field_details(at, desc->n_fields, &desc->field_details);
    }
    if (!status && row->n_fields >= 0) {
        status = add_fields(at, desc->n_fields, &desc->fields);
    }
    if (!status && row->n_subsections >= 0) {
        status = add_subsections(at, desc->n_subsections, &desc->subsections);
    }
    if (status) {
        return status;
    }
    if (vmd_desc_measure(desc)) {
        return vmd_error_set(at->err, VMD_TOO_DEEP, at->desc, "descriptions nest too deep");
    }
    at->table->refs[at->table->n_known + at->desc] = desc;
    return VMD_OK;
}

enum vmd_status vmd_tree_add_table(struct vmd_tree *tree, const struct vmd_table *table, struct vmd_error *err)
{
    struct table_cursor at = {.tree = tree, .table = table, .err = err, .names = table->names, .texts = table->texts};

    for (at.desc = 0; at.desc < table->n_descs; at.desc++) {
        enum vmd_status status = add_desc(&at, &table->descs[at.desc]);

        if (status) {
            return status;
        }
    }
    return VMD_OK;
}

enum vmd_status vmd_tree_set_devices(struct vmd_tree *tree, const char *names, uint64_t names_size,
                                     const struct vmd_desc *const *vmsds, uint64_t n_devices, uint32_t print_num,
                                     struct vmd_error *err)
{
    struct vmd_table table = {.names = names, .names_size = names_size};
    struct table_cursor at = {.tree = tree, .table = &table, .err = err, .names = names};
    struct vmd_device *devices =
        n_devices < SIZE_MAX / sizeof(*devices) ? vmd_tree_alloc(tree, n_devices * sizeof(*devices)) : NULL;
    const char *machine;
    uint32_t machine_len;
    enum vmd_status status;

    if (!devices) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    status = next_name(&at, &machine, &machine_len);
    for (uint64_t i = 0; !status && i < n_devices; i++) {
        devices[i] = (struct vmd_device){.vmsd = vmsds[i]};
        devices[i].version_id = vmsds[i]->version_id;
        devices[i].minimum_version_id = vmsds[i]->minimum_version_id;
        status = next_name(&at, &devices[i].name, &devices[i].name_len);
        devices[i].label = devices[i].name;
        devices[i].label_len = devices[i].name_len;
    }
    if (status) {
        return status;
    }
    tree->machine = machine;
    tree->machine_len = machine_len;
    tree->devices = devices;
    tree->n_devices = n_devices;
    tree->print_num = print_num;
    vmd_tree_measure(tree);
    return VMD_OK;
}
