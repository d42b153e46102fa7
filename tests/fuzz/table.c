/*
 * Fuzz target: descriptions as Python packs them (csrc/tree/tree.c): two tables, the second of which may refer to the
 * first, devices, their details and standalone, and every dump of them. The input is counts, rows, references and texts
 * with their sizes before them, as corpus.py writes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "bytes.h"
#include "dumps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 1200, TABLES = 2, DEVICES = 8 };

/* What is left of the input. */
struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t take(struct input *in)
{
    return fuzz_byte(&in->data, &in->size);
}

static uint32_t take_count(struct input *in)
{
    uint32_t count = take(in);

    return count < 0xf0 ? count : (count << 8 | take(in)) % ROWS_MAX;
}

/* Small, or near the ends of its type. */
static uint64_t take_number(struct input *in)
{
    uint64_t byte = take(in);

    return byte < 0xe0 ? byte : (byte & 16 ? (uint64_t)-1 : 1) << (byte & 15) * 4;
}

/* In memory of exactly their size, so that ASan sees one too many. */
static void *rows(uint64_t n, size_t size)
{
    void *memory = calloc(n + !n, size);

    if (!memory) {
        abort();
    }
    return n ? memory : realloc(memory, 1);
}

/* Strings that stand behind each other. Of texts nobody asks whether they are UTF-8, Python's are: free them. */
static char *take_texts(struct input *in, uint64_t *ret_size)
{
    uint32_t size = take_count(in);
    char *texts;

    *ret_size = size < in->size ? size : in->size;
    texts = rows(*ret_size, 1);
    for (uint64_t i = 0; i < *ret_size; i++) {
        texts[i] = take(in) & 0x7f;
    }
    return texts;
}

/* Likewise names, which are checked. */
static const char *take_names(struct input *in, uint64_t *ret_size)
{
    uint32_t size = take_count(in);
    const char *names = (const char *)in->data;

    *ret_size = size < in->size ? size : in->size;
    in->data += *ret_size;
    in->size -= *ret_size;
    return names;
}

static uint32_t *take_indices(struct input *in, uint64_t n)
{
    uint32_t *indices = rows(n, sizeof(*indices));

    for (uint64_t i = 0; i < n; i++) {
        indices[i] = take_count(in);
    }
    return indices;
}

static void take_fields(struct input *in, struct vmd_table *table)
{
    struct vmd_field_row *fields = rows(table->n_fields, sizeof(*fields));
    struct vmd_field_details_row *details = rows(table->n_fields, sizeof(*details));

    for (uint64_t i = 0; i < table->n_fields; i++) {
        uint8_t bits = take(in);

        fields[i].flags = (bits & 1 ? VMD_ARRAY : 0) | (bits & 2 ? VMD_MUST_EXIST : 0) | (bits & 4 ? 0x80000001 : 0);
        fields[i].field_exists = bits & 8;
        fields[i].has_vmsd = bits & 16;
        details[i].has_info = bits & 32;
        details[i].has_err_hint = bits & 64;
        fields[i].size = take_number(in);
        if (bits & 128) {
            fields[i].num = take_number(in);
            fields[i].version_id = take_number(in);
            details[i].offset = take_number(in);
            details[i].start = take_number(in);
            details[i].num_offset = take_number(in);
            details[i].size_offset = take_number(in);
            details[i].struct_version_id = take_number(in);
        }
    }
    table->fields = fields;
    table->field_details = details;
}

static void take_descs(struct input *in, struct vmd_table *table)
{
    struct vmd_desc_row *descs = rows(table->n_descs, sizeof(*descs));
    struct vmd_desc_details_row *details = rows(table->n_descs, sizeof(*details));

    for (uint64_t i = 0; i < table->n_descs; i++) {
        descs[i].n_fields = (int)take_count(in) - 1;
        descs[i].n_subsections = (int)take_count(in) - 1;
        descs[i].version_id = take_number(in);
        descs[i].minimum_version_id = take_number(in);
        details[i].traits = VMD_DETAILED | take_number(in) << 1;
        details[i].priority = take_number(in);
    }
    table->descs = descs;
    table->desc_details = details;
}

/* A table behind known, and as *refs the descriptions of both; whether the tree took it. */
static bool add_table(struct input *in, struct vmd_tree *tree, const struct vmd_desc ***refs, uint64_t *n_refs)
{
    bool detailed = take(in) & 1, added;
    struct vmd_table table = {.n_known = *n_refs};
    struct vmd_error err;

    table.n_descs = take_count(in);
    table.n_fields = take_count(in);
    table.n_nested = take_count(in);
    table.n_subsections = take_count(in);
    take_descs(in, &table);
    take_fields(in, &table);
    table.nested = take_indices(in, table.n_nested);
    table.subsections = take_indices(in, table.n_subsections);
    *refs = realloc(*refs, (*n_refs + table.n_descs + 1) * sizeof(**refs));
    table.refs = *refs;
    table.names = take_names(in, &table.names_size);
    table.texts = take_texts(in, &table.texts_size);
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

/* Devices, what is known of them, and standalone; then all that can be written. */
static void use(struct input *in, struct vmd_tree *tree, const struct vmd_desc *const *refs, uint64_t n_refs)
{
    uint64_t n_devices = n_refs ? take(in) % DEVICES : 0, n_standalone = n_refs ? take(in) % DEVICES : 0;
    const struct vmd_desc *devices[DEVICES], *standalone[DEVICES];
    uint8_t n_parents = take(in), bits = take(in);
    uint32_t counts[2 * DEVICES];
    uint64_t names_size, producer_size, standalone_size;
    char *device_texts, *standalone_texts;
    const char *names;
    struct vmd_error err;

    for (uint64_t i = 0; i < n_devices; i++) {
        devices[i] = refs[take_count(in) % n_refs];
    }
    for (uint64_t i = 0; i < n_standalone; i++) {
        standalone[i] = refs[take_count(in) % n_refs];
        counts[2 * i] = take(in) % 4;
        counts[2 * i + 1] = take(in) % 4;
    }
    names = take_names(in, &names_size);
    device_texts = take_texts(in, &producer_size);
    standalone_texts = take_texts(in, &standalone_size);
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
