/*
 * Making trees: memory, names, tables, sizes. See tree.h for the invariants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tree/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/format.h"

/* Memory: a list of blocks, each twice as large as the one before, up to a limit. */

enum { BLOCK_MIN = 16 << 10, BLOCK_MAX = 16 << 20, HUGE_PAGE = 2 << 20 };

struct block {
    struct block *next;
};

struct vmd_arena {
    struct block *blocks;
    char *pos;
    char *end;
    size_t block_size;
};

enum vmd_status vmd_tree_create(struct vmd_tree **ret)
{
    struct vmd_tree *tree = calloc(1, sizeof(*tree) + sizeof(struct vmd_arena));

    if (!tree) {
        return VMD_NO_MEMORY;
    }
    tree->arena = (struct vmd_arena *)(tree + 1);
    tree->arena->block_size = BLOCK_MIN;
    vmd_tree_measure(tree);
    *ret = tree;
    return VMD_OK;
}

void vmd_tree_destroy(struct vmd_tree *tree)
{
    if (!tree) {
        return;
    }
    for (struct block *block = tree->arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(tree);
}

/*
 * The largest ones in large pages: of small ones a tree of millions of fields has so many that getting them takes as
 * long as filling them. No real dump is as large; and a kernel whose memory is in pieces may take its time to find
 * large pages.
 */
static void *block_alloc(size_t size)
{
    void *memory;

    if (size < BLOCK_MAX) {
        return malloc(size);
    }
    memory = aligned_alloc(HUGE_PAGE, size);
#ifdef MADV_HUGEPAGE
    if (memory) {
        madvise(memory, size, MADV_HUGEPAGE); /* a wish: where it is not granted nothing changes */
    }
#endif
    return memory;
}

/* Makes room for size bytes and the padding behind them. */
static bool arena_grow(struct vmd_arena *arena, size_t size)
{
    size_t block_size = arena->block_size;
    struct block *block;

    if (size > SIZE_MAX / 2) {
        return false;
    }
    size += sizeof(*block) + VMD_PADDING;
    if (block_size < size) {
        block_size = size < BLOCK_MAX ? size : (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    }
    block = block_alloc(block_size);
    if (!block) {
        return false;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->pos = (char *)(block + 1);
    arena->end = (char *)block + block_size - VMD_PADDING;
    /* What is read behind a string but never printed is still initialised. */
    memset(arena->end, 0, VMD_PADDING);
    if (arena->block_size < BLOCK_MAX) {
        arena->block_size *= 2;
    }
    return true;
}

void *vmd_tree_alloc(struct vmd_tree *tree, size_t size)
{
    struct vmd_arena *arena = tree->arena;
    size_t skip = -(uintptr_t)arena->pos & 7;
    char *memory;

    if (!arena->pos || (size_t)(arena->end - arena->pos) < skip + size) {
        if (!arena_grow(arena, size)) {
            return NULL;
        }
        skip = 0;
    }
    memory = arena->pos + skip;
    arena->pos = memory + size;
    return memory;
}

const char *vmd_tree_string(struct vmd_tree *tree, const char *text, size_t size)
{
    struct vmd_arena *arena = tree->arena;
    char *copy;

    if (!arena->pos || (size_t)(arena->end - arena->pos) < size + 1) {
        if (!arena_grow(arena, size + 1)) {
            return NULL;
        }
    }
    copy = arena->pos;
    memcpy(copy, text, size);
    copy[size] = '\0';
    arena->pos += size + 1;
    return copy;
}

const char *vmd_tree_short_string(struct vmd_tree *tree, const char *text, size_t size)
{
    struct vmd_arena *arena = tree->arena;
    char *copy = arena->pos;

    if (!copy || (size_t)(arena->end - copy) < size + 1) {
        return vmd_tree_string(tree, text, size);
    }
    memcpy(copy, text, VMD_PADDING); /* there is as much behind the arena's end */
    copy[size] = '\0';
    arena->pos += size + 1;
    return copy;
}

/* Names */

/* Bytes of the well-formed UTF-8 sequence of more than one byte at text, 0 if there is none (Unicode 15, table 3-7). */
static size_t utf8_sequence(const unsigned char *text, size_t size)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (text[0] >= 0xc2 && text[0] <= 0xdf) {
        length = 2;
    } else if (text[0] >= 0xe0 && text[0] <= 0xef) {
        length = 3;
        low = text[0] == 0xe0 ? 0xa0 : low;
        high = text[0] == 0xed ? 0x9f : high;
    } else if (text[0] >= 0xf0 && text[0] <= 0xf4) {
        length = 4;
        low = text[0] == 0xf0 ? 0x90 : low;
        high = text[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (size < length || text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (text[i] < 0x80 || text[i] > 0xbf) {
            return 0;
        }
    }
    return length;
}

size_t vmd_printable_prefix(const char *text, size_t size)
{
    const char *end = text + size, *p = text;

    while ((p = vmd_skip_plain(p, end)) < end) {
        size_t length = utf8_sequence((const unsigned char *)p, end - p);

        if (!length) {
            break;
        }
        p += length;
    }
    return p - text;
}

/* Sizes: saturating sums, so that a tree that is too large is found by its size and never wraps round. */

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

/* Bytes of a line's literal part, where conversion is the value in it and indent how deep it stands in its part. */
#define LINE(format, conversion, indent) (sizeof(format) - sizeof("%*s" conversion) + (indent))

enum {
    FIELD_BYTES = LINE(FMT_FIELD_OPEN, "", 0) + LINE(FMT_FIELD_NAME, "%s", INDENT_MEMBER) +
        LINE(FMT_FIELD_VERSION, "%d", INDENT_MEMBER) + LINE(FMT_FIELD_ALWAYS, "", INDENT_MEMBER) +
        LINE(FMT_FIELD_SIZE, "%zu", INDENT_MEMBER) + LINE(FMT_CLOSE, "", 0),
    FIELD_LINES = 6,
    FIELD_EXISTS_LESS = sizeof(FMT_FIELD_ALWAYS) - sizeof(FMT_FIELD_EXISTS),
    NUM_BYTES = LINE(FMT_FIELD_NUM, "%d", INDENT_MEMBER),
    DESC_BYTES = LINE(FMT_DESC_OPEN, "", 0) + LINE(FMT_DESC_NAME, "%s", INDENT_MEMBER) +
        LINE(FMT_DESC_VERSION, "%d", INDENT_MEMBER) + LINE(FMT_DESC_MINIMUM, "%d", INDENT_MEMBER) +
        LINE(FMT_CLOSE, "", 0),
    DESC_LINES = 5,
    SUBSECTION_LESS = sizeof(FMT_DESC_OPEN) - sizeof(FMT_SUBSECTION_OPEN),
    FIELDS_BYTES = LINE(FMT_FIELDS_OPEN, "", INDENT_MEMBER) + LINE(FMT_LIST_CLOSE, "", INDENT_MEMBER),
    SUBSECTIONS_BYTES = LINE(FMT_SUBSECTIONS_OPEN, "", INDENT_MEMBER) + LINE(FMT_LIST_CLOSE, "", INDENT_MEMBER),
    LIST_LINES = 2,
    NEXT_BYTES = sizeof(FMT_NEXT) - 1,
    DEVICE_BYTES = LINE(FMT_DEVICE_OPEN, "%s", 0) + LINE(FMT_DEVICE_NAME, "%s", INDENT_MEMBER) +
        LINE(FMT_DEVICE_VERSION, "%d", INDENT_MEMBER) + LINE(FMT_DEVICE_MINIMUM, "%d", INDENT_MEMBER) +
        LINE(FMT_CLOSE, "", 0),
    DEVICE_LINES = 5,
    FILE_BYTES = sizeof(FMT_BEGIN) - 1 + sizeof(FMT_MACHINE) - sizeof("%s") + sizeof(FMT_END) - 1,
};

static void extent_add(struct vmd_extent *sum, uint64_t bytes, uint64_t lines)
{
    sum->bytes = add(sum->bytes, bytes);
    sum->lines = add(sum->lines, lines);
}

/* Adds a part that stands indent deeper. */
static void extent_add_part(struct vmd_extent *sum, const struct vmd_extent *part, uint64_t indent)
{
    extent_add(sum, add(part->bytes, multiply(indent, part->lines)), part->lines);
}

static void deepen(struct vmd_desc *desc, const struct vmd_desc *below)
{
    desc->depth = desc->depth > below->depth ? desc->depth : below->depth + 1;
}

/* The list of fields. They are in memory, so that the sums of what they take themselves cannot wrap round. */
static void measure_fields(struct vmd_desc *desc)
{
    uint64_t n = 0, bytes = 0, n_nums = 0, num_bytes = 0;

    for (const struct vmd_field *field = desc->fields; field < desc->fields + desc->n_fields; field++) {
        if (field->vmsd) {
            deepen(desc, field->vmsd); /* below assertions too: the extended form has them */
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
            extent_add_part(&desc->extent, &field->vmsd->extent, INDENT_ELEMENT + INDENT_MEMBER);
            extent_add_part(&desc->num_extent, &field->vmsd->num_extent, INDENT_ELEMENT + INDENT_MEMBER);
            desc->n_total = add(desc->n_total, field->vmsd->n_total);
        }
    }
    bytes += n * (FIELD_BYTES + INDENT_ELEMENT * FIELD_LINES) + (n ? (n - 1) * NEXT_BYTES : 0);
    extent_add(&desc->extent, bytes + FIELDS_BYTES, n * FIELD_LINES + LIST_LINES);
    extent_add(&desc->num_extent, num_bytes + n_nums * (NUM_BYTES + INDENT_ELEMENT), n_nums);
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
            extent_add_part(&desc->extent, &subsection->extent, INDENT_ELEMENT);
            extent_add_part(&desc->num_extent, &subsection->num_extent, INDENT_ELEMENT);
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

        extent_add(&sum, NEXT_BYTES + DEVICE_BYTES + INDENT_DEVICE * DEVICE_LINES, 0);
        extent_add(&sum,
                   2 * (uint64_t)device->name_len + signed_decimals(device->version_id) +
                       signed_decimals(device->minimum_version_id),
                   0);
        extent_add_part(&sum, &device->vmsd->extent, INDENT_DEVICE + INDENT_MEMBER);
        if (tree->print_num) {
            extent_add_part(&sum, &device->vmsd->num_extent, INDENT_DEVICE + INDENT_MEMBER);
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

/* Tables */

/* Where a table's walk stands. */
struct table_cursor {
    struct vmd_tree *tree;
    const struct vmd_table *table;
    struct vmd_error *err;
    uint64_t desc, field, nested, subsection, name;
    const char *names;
    const char *texts;
};

/* The next of the strings that end at end, copied into the tree; NULL: there is none, or no memory. */
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

/* The next name of the table, copied into the tree. */
static enum vmd_status next_name(struct table_cursor *at, const char **ret, uint32_t *ret_len)
{
    const char *end = at->table->names + at->table->names_size;
    const char *stop = vmd_skip_plain(at->names, end);
    size_t size;

    if (stop < end && *stop) {
        stop = memchr(stop, '\0', end - stop);
    }
    size = stop ? (size_t)(stop - at->names) : 0;
    if (!stop || stop == end || size > INT32_MAX || vmd_printable_prefix(at->names, size) != size) {
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

/* What reference ref (0: the first) stands for: a known description or one that the table made before. */
static const struct vmd_desc *reference(const struct table_cursor *at, uint64_t ref)
{
    return ref < at->table->n_known + at->desc ? at->table->refs[ref] : NULL;
}

/* The description of the next field that has one; NULL: there is none. */
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

/* What is known beside the descriptions */

/* Copies n strings to where they stand behind each other, each ended by NUL; NULL: there are fewer, or no memory. */
static const char *take_texts(struct vmd_tree *tree, const char **at, const char *end, uint32_t n)
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
    if (!(details->parents = take_texts(tree, &texts, end, n_parents)) ||
        (has_desc && !(details->desc = take_texts(tree, &texts, end, 1))) ||
        (has_module && !(details->module = take_texts(tree, &texts, end, 1)))) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, device, "too few texts, or out of memory");
    }
    /* Sources call this before anyone else sees the tree. */
    ((struct vmd_device *)tree->devices)[device].details = details;
    return VMD_OK;
}

enum vmd_status vmd_tree_set_roots(struct vmd_tree *tree, const struct vmd_desc *const *vmsds, const uint32_t *counts,
                                   uint64_t n_roots, const char *texts, uint64_t texts_size, struct vmd_error *err)
{
    struct vmd_root *roots =
        n_roots < SIZE_MAX / sizeof(*roots) ? vmd_tree_alloc(tree, n_roots * sizeof(*roots)) : NULL;
    const char *end = texts + texts_size;

    if (!roots) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    for (uint64_t i = 0; i < n_roots; i++) {
        roots[i] = (struct vmd_root){.vmsd = vmsds[i], .n_uses = counts[2 * i], .n_types = counts[2 * i + 1]};
        if (!(roots[i].symbol = take_texts(tree, &texts, end, 1)) ||
            !(roots[i].uses = take_texts(tree, &texts, end, roots[i].n_uses)) ||
            !(roots[i].types = take_texts(tree, &texts, end, roots[i].n_types))) {
            return vmd_error_set(err, VMD_BAD_REFERENCE, i, "too few texts, or out of memory");
        }
        if (!*roots[i].symbol) {
            roots[i].symbol = NULL;
        }
    }
    tree->roots = roots;
    tree->n_roots = n_roots;
    return VMD_OK;
}

enum vmd_status vmd_tree_set_about(struct vmd_tree *tree, const char *json, uint64_t size, struct vmd_error *err)
{
    const char *copy = vmd_tree_string(tree, json, size);

    if (!copy) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    tree->about = copy;
    tree->about_size = size;
    return VMD_OK;
}
