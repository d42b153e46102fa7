/*
 * A dump as rows. See rows.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stream/rows.h"
#include "stream/text_table.h"

#include <stdlib.h>
#include <string.h>

/* A chunk ends when the strings of a column pass this; offsets are int32_t. */
enum { MAX_TEXT = 64 << 20 };

/* A description whose rows are being read: next counts its fields, then its subsections. */
struct frame {
    const struct vmd_desc *desc;
    uint64_t next;
    size_t prefix; /* bytes of the path that the rows of desc have in common */
};

struct reader {
    struct vmd_rows rows; /* first: its address is the reader's */
    const struct vmd_tree *tree;
    uint64_t room; /* rows */
    uint64_t owner;
    const struct vmd_desc *head; /* description whose row is next: of the device that has just got its row */
    struct frame frames[VMD_MAX_DEPTH + 1];
    uint64_t depth;
    char *path;
    size_t path_size, path_room;
    struct vmd_text_table tables[VMD_ROWS_N_TEXTS];
    bool is_full;
    bool no_memory;
};

/* Index of a string in the dictionary of a column. */
static int32_t intern(struct reader *reader, int column, const char *text, size_t size)
{
    struct vmd_text_table *table = &reader->tables[column];
    int32_t index = vmd_text_table_intern(table, &reader->rows.texts[column], text, size);

    if (index < 0) {
        reader->no_memory = true;
        return 0;
    }
    reader->is_full |= table->text_size > MAX_TEXT;
    return index;
}

/* Cells of the row that is being added. */

static void mark_valid(struct reader *reader, struct vmd_rows_column *column)
{
    column->valid[reader->rows.n / 8] |= (char)(1 << reader->rows.n % 8);
    column->n_valid++;
}

static void set_code(struct reader *reader, int column, int32_t value)
{
    struct vmd_rows_column *codes = &reader->rows.codes[column];

    ((int32_t *)codes->values)[reader->rows.n] = value;
    mark_valid(reader, codes);
}

static void set_int(struct reader *reader, int column, int64_t value)
{
    struct vmd_rows_column *ints = &reader->rows.ints[column];

    ((int64_t *)ints->values)[reader->rows.n] = value;
    mark_valid(reader, ints);
}

static void set_bit(struct reader *reader, int column, bool value)
{
    struct vmd_rows_column *bits = &reader->rows.bits[column];

    bits->values[reader->rows.n / 8] |= (char)(value << reader->rows.n % 8);
    mark_valid(reader, bits);
}

/* A string of the tree, whose address identifies it. */
static void set_text(struct reader *reader, int column, const char *text, size_t size)
{
    struct vmd_text_table *table = &reader->tables[column];

    if (text != table->last) {
        table->last_code = intern(reader, column, text, size);
        table->last = text;
    }
    set_code(reader, column, table->last_code);
}

static uint64_t at_most_int64(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : value;
}

/* Rows */

static void begin_row(struct reader *reader, int kind)
{
    const struct vmd_tree *tree = reader->tree;
    const struct vmd_desc *section;

    set_code(reader, VMD_ROWS_KIND, kind);
    set_code(reader, VMD_ROWS_PATH, intern(reader, VMD_ROWS_PATH, reader->path, reader->path_size));
    if (reader->owner < tree->n_devices) {
        const struct vmd_device *device = &tree->devices[reader->owner];

        set_text(reader, VMD_ROWS_TYPE, device->name, device->name_len);
        section = device->vmsd->traits & VMD_NO_DESCRIPTION ? NULL : device->vmsd;
    } else {
        section = tree->standalone[reader->owner - tree->n_devices].vmsd;
    }
    if (section) {
        set_text(reader, VMD_ROWS_SECTION, section->name, section->name_len);
    }
}

static void add_device(struct reader *reader, const struct vmd_device *device)
{
    begin_row(reader, VMD_ROW_DEVICE);
    set_code(reader, VMD_ROWS_OWNER, (int32_t)reader->owner);
    set_text(reader, VMD_ROWS_NAME, device->name, device->name_len);
    if (!(device->vmsd->traits & VMD_NO_DESCRIPTION)) {
        set_text(reader, VMD_ROWS_DESCRIPTION, device->vmsd->name, device->vmsd->name_len);
    }
    set_int(reader, VMD_ROWS_VERSION_ID, device->version_id);
    set_int(reader, VMD_ROWS_MINIMUM_VERSION_ID, device->minimum_version_id);
    reader->rows.n++;
}

static void add_desc(struct reader *reader, const struct vmd_desc *desc, int kind)
{
    begin_row(reader, kind);
    if (!reader->depth && reader->owner >= reader->tree->n_devices) {
        set_code(reader, VMD_ROWS_OWNER, (int32_t)reader->owner);
    }
    set_text(reader, VMD_ROWS_NAME, desc->name, desc->name_len);
    set_text(reader, VMD_ROWS_DESCRIPTION, desc->name, desc->name_len);
    set_int(reader, VMD_ROWS_VERSION_ID, desc->version_id);
    set_int(reader, VMD_ROWS_MINIMUM_VERSION_ID, desc->minimum_version_id);
    if (desc->traits & VMD_DETAILED) {
        set_bit(reader, VMD_ROWS_UNMIGRATABLE, desc->traits & VMD_UNMIGRATABLE);
        set_bit(reader, VMD_ROWS_NEEDED, desc->traits & VMD_NEEDED);
        set_int(reader, VMD_ROWS_PRIORITY, desc->priority);
    }
    reader->rows.n++;
}

static void add_field(struct reader *reader, const struct vmd_desc *desc, uint64_t i)
{
    const struct vmd_field *field = &desc->fields[i];
    const struct vmd_field_details *details = desc->field_details ? &desc->field_details[i] : NULL;

    begin_row(reader, VMD_ROW_FIELD);
    set_text(reader, VMD_ROWS_NAME, field->name, field->name_len);
    set_text(reader, VMD_ROWS_DESCRIPTION, desc->name, desc->name_len);
    set_int(reader, VMD_ROWS_VERSION_ID, field->version_id);
    set_int(reader, VMD_ROWS_SIZE, (int64_t)at_most_int64(field->size));
    set_bit(reader, VMD_ROWS_FIELD_EXISTS, field->field_exists);
    if (desc->traits & VMD_DETAILED) {
        set_int(reader, VMD_ROWS_STRUCT_VERSION_ID, details ? details->struct_version_id : 0);
        if (details && details->info && details->info_len) {
            set_text(reader, VMD_ROWS_INFO, details->info, details->info_len);
        }
        set_int(reader, VMD_ROWS_NUM, field->num);
        if (details && details->offset != VMD_UNKNOWN) {
            set_int(reader, VMD_ROWS_OFFSET, (int64_t)at_most_int64(details->offset));
        }
        set_int(reader, VMD_ROWS_FLAGS, field->flags);
        set_code(reader, VMD_ROWS_FLAG_NAMES,
                 intern(reader, VMD_ROWS_FLAG_NAMES, (const char *)&field->flags, sizeof(field->flags)));
    } else if (field->num) { /* QEMU before 8.2 prints no number of elements: it is 0 here */
        set_int(reader, VMD_ROWS_NUM, field->num);
    }
    reader->rows.n++;
}

/* Walk */

static void append_name(struct reader *reader, const char *name, size_t size)
{
    if (reader->path_room - reader->path_size <= size) {
        size_t room = 2 * (reader->path_size + size) + 256;
        char *path = realloc(reader->path, room);

        if (!path) {
            reader->no_memory = true;
            return;
        }
        reader->path = path;
        reader->path_room = room;
    }
    memcpy(reader->path + reader->path_size, name, size);
    reader->path_size += size;
}

static void descend(struct reader *reader, const struct vmd_desc *desc)
{
    if (reader->depth) {
        append_name(reader, ".", 1);
    }
    reader->frames[reader->depth++] = (struct frame){desc, 0, reader->path_size};
}

/* The next row of the innermost description, or its end. */
static void step_inside(struct reader *reader)
{
    struct frame *frame = &reader->frames[reader->depth - 1];
    const struct vmd_desc *desc = frame->desc;

    reader->path_size = frame->prefix;
    if (frame->next < desc->n_fields) {
        uint64_t i = frame->next++;

        append_name(reader, desc->fields[i].name, desc->fields[i].name_len);
        add_field(reader, desc, i);
        reader->head = desc->fields[i].vmsd;
    } else if (frame->next - desc->n_fields < desc->n_subsections) {
        const struct vmd_desc *subsection = desc->subsections[frame->next++ - desc->n_fields];

        append_name(reader, subsection->name, subsection->name_len);
        add_desc(reader, subsection, VMD_ROW_SUBSECTION);
        descend(reader, subsection);
    } else if (!--reader->depth) {
        reader->owner++;
    }
}

static void step(struct reader *reader)
{
    const struct vmd_tree *tree = reader->tree;

    if (reader->head) {
        const struct vmd_desc *desc = reader->head;

        reader->head = NULL;
        add_desc(reader, desc, VMD_ROW_DESCRIPTION);
        descend(reader, desc);
    } else if (reader->depth) {
        step_inside(reader);
    } else {
        reader->path_size = 0;
        if (reader->owner >= tree->n_devices) {
            reader->head = tree->standalone[reader->owner - tree->n_devices].vmsd;
            return;
        }
        add_device(reader, &tree->devices[reader->owner]);
        if (tree->devices[reader->owner].vmsd->traits & VMD_NO_DESCRIPTION) {
            reader->owner++;
        } else {
            reader->head = tree->devices[reader->owner].vmsd;
        }
    }
}

/* Rows below a description, itself not included, until *n passes max. No deeper than VMD_MAX_DEPTH: trees are not. */
static void count_below(const struct vmd_desc *desc, uint64_t max, uint64_t *n)
{
    *n += desc->n_fields + desc->n_subsections;
    for (uint64_t i = 0; i < desc->n_fields && *n <= max; i++) {
        if (desc->fields[i].vmsd) {
            ++*n;
            count_below(desc->fields[i].vmsd, max, n);
        }
    }
    for (uint64_t i = 0; i < desc->n_subsections && *n <= max; i++) {
        count_below(desc->subsections[i], max, n);
    }
}

static uint64_t count_rows(const struct vmd_tree *tree, uint64_t max)
{
    uint64_t n = tree->n_devices + tree->n_standalone;

    for (uint64_t i = 0; i < tree->n_devices && n <= max; i++) {
        if (!(tree->devices[i].vmsd->traits & VMD_NO_DESCRIPTION)) {
            n++;
            count_below(tree->devices[i].vmsd, max, &n);
        }
    }
    for (uint64_t i = 0; i < tree->n_standalone && n <= max; i++) {
        count_below(tree->standalone[i].vmsd, max, &n);
    }
    return n;
}

/* Memory */

static bool create_columns(struct vmd_rows_column *columns, int n, uint64_t size, uint64_t bits_size)
{
    for (int i = 0; i < n; i++) {
        columns[i].values = malloc(size);
        columns[i].valid = malloc(bits_size);
        if (!columns[i].values || !columns[i].valid) {
            return false;
        }
    }
    return true;
}

static void clear_columns(struct vmd_rows_column *columns, int n, uint64_t size, uint64_t bits_size)
{
    for (int i = 0; i < n; i++) {
        memset(columns[i].values, 0, size);
        memset(columns[i].valid, 0, bits_size);
        columns[i].n_valid = 0;
    }
}

static void destroy_columns(struct vmd_rows_column *columns, int n)
{
    for (int i = 0; i < n; i++) {
        free(columns[i].values);
        free(columns[i].valid);
    }
}

enum vmd_status vmd_rows_create(const struct vmd_tree *tree, uint64_t chunk, uint64_t max_rows, struct vmd_rows **ret)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    uint64_t bits_size;

    if (!reader) {
        return VMD_NO_MEMORY;
    }
    reader->tree = tree;
    reader->rows.n_all = count_rows(tree, max_rows);
    reader->room = reader->rows.n_all < chunk ? reader->rows.n_all : chunk;
    bits_size = reader->room / 8 + 1;
    append_name(reader, "", 0);
    if (reader->no_memory ||
        !create_columns(reader->rows.codes, VMD_ROWS_N_CODES, (reader->room + 1) * sizeof(int32_t), bits_size) ||
        !create_columns(reader->rows.ints, VMD_ROWS_N_INTS, (reader->room + 1) * sizeof(int64_t), bits_size) ||
        !create_columns(reader->rows.bits, VMD_ROWS_N_BITS, bits_size, bits_size)) {
        vmd_rows_destroy(&reader->rows);
        return VMD_NO_MEMORY;
    }
    *ret = &reader->rows;
    return VMD_OK;
}

void vmd_rows_destroy(struct vmd_rows *rows)
{
    struct reader *reader = (struct reader *)rows;

    if (!reader) {
        return;
    }
    destroy_columns(rows->codes, VMD_ROWS_N_CODES);
    destroy_columns(rows->ints, VMD_ROWS_N_INTS);
    destroy_columns(rows->bits, VMD_ROWS_N_BITS);
    for (int i = 0; i < VMD_ROWS_N_TEXTS; i++) {
        vmd_text_table_deinit(&reader->tables[i], &rows->texts[i]);
    }
    free(reader->path);
    free(reader);
}

enum vmd_status vmd_rows_next(struct vmd_rows *rows)
{
    struct reader *reader = (struct reader *)rows;
    uint64_t bits_size = reader->room / 8 + 1;

    rows->n = 0;
    reader->is_full = false;
    clear_columns(rows->codes, VMD_ROWS_N_CODES, (reader->room + 1) * sizeof(int32_t), bits_size);
    clear_columns(rows->ints, VMD_ROWS_N_INTS, (reader->room + 1) * sizeof(int64_t), bits_size);
    clear_columns(rows->bits, VMD_ROWS_N_BITS, bits_size, bits_size);
    for (int i = 0; i < VMD_ROWS_N_TEXTS; i++) {
        vmd_text_table_clear(&reader->tables[i], &rows->texts[i]);
    }
    while (rows->n < reader->room && !reader->is_full && !reader->no_memory &&
           reader->owner < reader->tree->n_devices + reader->tree->n_standalone) {
        step(reader);
    }
    return reader->no_memory ? VMD_NO_MEMORY : VMD_OK;
}

uint32_t vmd_rows_has_device_details(const struct vmd_tree *tree)
{
    for (uint64_t i = 0; i < tree->n_devices; i++) {
        if (tree->devices[i].details) {
            return 1;
        }
    }
    return 0;
}
