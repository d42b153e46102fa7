/*
 * Fuzz target: packed descriptions (csrc/tree/table.c, metadata.c): two tables, the second of which may refer to the
 * first, devices and their metadata, standalone descriptions, and every dump of them. The input consists of counts,
 * rows, references and texts with their sizes, as corpus.py writes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "bytes.h"
#include "dumps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 1200, TABLES = 2, DEVICES = 8 };

/* The rest of the input. */
struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t read_byte(struct input *in)
{
    return fuzz_byte(&in->data, &in->size);
}

static uint32_t read_count(struct input *in)
{
    uint32_t count = read_byte(in);

    return count < 0xf0 ? count : (count << 8 | read_byte(in)) % ROWS_MAX;
}

/* A small number, or one near the limits of its type. */
static uint64_t read_number(struct input *in)
{
    uint64_t byte = read_byte(in);

    return byte < 0xe0 ? byte : (byte & 16 ? (uint64_t)-1 : 1) << (byte & 15) * 4;
}

/* Memory of exactly their size, so that ASan detects an overflow. */
static void *rows(uint64_t n, size_t size)
{
    void *memory = calloc(n + !n, size);

    if (!memory) {
        abort();
    }
    return n ? memory : realloc(memory, 1);
}

/* Consecutive strings, to be freed. Texts must be UTF-8, which the core does not check: they are ASCII here. */
static char *read_texts(struct input *in, uint64_t *ret_size)
{
    uint32_t size = read_count(in);
    char *texts;

    *ret_size = size < in->size ? size : in->size;
    texts = rows(*ret_size, 1);
    for (uint64_t i = 0; i < *ret_size; i++) {
        texts[i] = read_byte(in) & 0x7f;
    }
    return texts;
}

/* Consecutive names, which the core checks. */
static const char *read_names(struct input *in, uint64_t *ret_size)
{
    uint32_t size = read_count(in);
    const char *names = (const char *)in->data;

    *ret_size = size < in->size ? size : in->size;
    in->data += *ret_size;
    in->size -= *ret_size;
    return names;
}

static uint32_t *read_indices(struct input *in, uint64_t n)
{
    uint32_t *indices = rows(n, sizeof(*indices));

    for (uint64_t i = 0; i < n; i++) {
        indices[i] = read_count(in);
    }
    return indices;
}

static void read_fields(struct input *in, struct vmd_table *table)
{
    struct vmd_field_row *fields = rows(table->n_fields, sizeof(*fields));
    struct vmd_field_details_row *details = rows(table->n_fields, sizeof(*details));

    for (uint64_t i = 0; i < table->n_fields; i++) {
        uint8_t bits = read_byte(in);

        fields[i].flags = (bits & 1 ? VMD_ARRAY : 0) | (bits & 2 ? VMD_MUST_EXIST : 0) | (bits & 4 ? 0x80000001 : 0);
        fields[i].field_exists = bits & 8;
        fields[i].has_vmsd = bits & 16;
        details[i].has_info = bits & 32;
        details[i].has_err_hint = bits & 64;
        fields[i].size = read_number(in);
        if (bits & 128) {
            fields[i].num = read_number(in);
            fields[i].version_id = read_number(in);
            details[i].offset = read_number(in);
            details[i].start = read_number(in);
            details[i].num_offset = read_number(in);
            details[i].size_offset = read_number(in);
            details[i].struct_version_id = read_number(in);
        }
    }
    table->fields = fields;
    table->field_details = details;
}

static void read_descs(struct input *in, struct vmd_table *table)
{
    struct vmd_desc_row *descs = rows(table->n_descs, sizeof(*descs));
    struct vmd_desc_details_row *details = rows(table->n_descs, sizeof(*details));

    for (uint64_t i = 0; i < table->n_descs; i++) {
        descs[i].n_fields = (int)read_count(in) - 1;
        descs[i].n_subsections = (int)read_count(in) - 1;
        descs[i].version_id = read_number(in);
        descs[i].minimum_version_id = read_number(in);
        details[i].traits = VMD_DETAILED | read_number(in) << 1;
        details[i].priority = read_number(in);
    }
    table->descs = descs;
    table->desc_details = details;
}

/* Add a table that may refer to *refs, and append its descriptions to *refs. False: the table is invalid. */
static bool add_table(struct input *in, struct vmd_tree *tree, const struct vmd_desc ***refs, uint64_t *n_refs)
{
    bool detailed = read_byte(in) & 1, added;
    struct vmd_table table = {.n_known = *n_refs};
    struct vmd_error err;

    table.n_descs = read_count(in);
    table.n_fields = read_count(in);
    table.n_nested = read_count(in);
    table.n_subsections = read_count(in);
    read_descs(in, &table);
    read_fields(in, &table);
    table.nested = read_indices(in, table.n_nested);
    table.subsections = read_indices(in, table.n_subsections);
    *refs = realloc(*refs, (*n_refs + table.n_descs + 1) * sizeof(**refs));
    table.refs = *refs;
    table.names = read_names(in, &table.names_size);
    table.texts = read_texts(in, &table.texts_size);
    if (!detailed) {
        free((void *)table.desc_details);
        free((void *)table.field_details);
        table.desc_details = NULL;
        table.field_details = NULL;
    }
    added = !vmd_tree_add_table(tree, &table, &err);
    free((void *)table.texts);
    free((void *)table.descs);
    free((void *)table.fields);
    free((void *)table.desc_details);
    free((void *)table.field_details);
    free((void *)table.nested);
    free((void *)table.subsections);
    *n_refs += table.n_descs;
    return added;
}

/* Set devices, their metadata and standalone descriptions; then write all forms. */
static void use(struct input *in, struct vmd_tree *tree, const struct vmd_desc *const *refs, uint64_t n_refs)
{
    uint64_t n_devices = n_refs ? read_byte(in) % DEVICES : 0, n_standalone = n_refs ? read_byte(in) % DEVICES : 0;
    const struct vmd_desc *devices[DEVICES], *standalone[DEVICES];
    uint8_t n_parents = read_byte(in), bits = read_byte(in);
    uint32_t counts[2 * DEVICES];
    uint64_t names_size, producer_size, standalone_size;
    char *device_texts, *standalone_texts;
    const char *names;
    struct vmd_error err;

    for (uint64_t i = 0; i < n_devices; i++) {
        devices[i] = refs[read_count(in) % n_refs];
    }
    for (uint64_t i = 0; i < n_standalone; i++) {
        standalone[i] = refs[read_count(in) % n_refs];
        counts[2 * i] = read_byte(in) % 4;
        counts[2 * i + 1] = read_byte(in) % 4;
    }
    names = read_names(in, &names_size);
    device_texts = read_texts(in, &producer_size);
    standalone_texts = read_texts(in, &standalone_size);
    if (!vmd_tree_set_devices(tree, names, names_size, devices, n_devices, bits & 1, &err)) {
        if (bits & 2) {
            vmd_tree_set_device_details(tree, bits >> 5, device_texts, producer_size, n_parents, bits & 4, bits & 8,
                                        bits & 16, &err);
        }
        vmd_tree_set_standalone(tree, standalone, counts, n_standalone, standalone_texts, standalone_size, &err);
        fuzz_dumps(tree);
    }
    free(device_texts);
    free(standalone_texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    const struct vmd_desc **refs = NULL;
    struct vmd_tree *tree = NULL;
    uint64_t n_refs = 0;
    bool added = !vmd_tree_create(&tree);

    for (int i = 0; added && i < TABLES; i++) {
        added = add_table(&in, tree, &refs, &n_refs);
    }
    if (added) {
        use(&in, tree, refs, n_refs);
    }
    free(refs);
    vmd_tree_destroy(tree);
    return 0;
}
