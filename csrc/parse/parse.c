/*
 * Entry points of the parser and the outermost object of a file: see parse.h. Recursive descent over a known schema;
 * each function leaves the position after what it has parsed, or reports the offset at which it stopped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse/parse.h"

#include <stdlib.h>
#include <string.h>

#include "parse/parse_schema.h"
#include "parse/parse_window.h"

/* A device and the hash of its name. */
struct hashed {
    uint64_t hash;
    const struct vmd_device *device;
};

/* FNV-1a */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325;

    while (*name) {
        hash = (hash ^ (unsigned char)*name++) * 0x100000001b3;
    }
    return hash;
}

/* Order by hash: names are scattered in memory, so they are compared only if hashes are equal. */
static int compare_hashed(const void *a, const void *b)
{
    const struct hashed *left = a, *right = b;

    if (left->hash != right->hash) {
        return left->hash < right->hash ? -1 : 1;
    }
    return strcmp(left->device->name, right->device->name);
}

/* Reject duplicate names of devices: JSON readers disagree on which of two equal keys counts. */
static enum vmd_status check_duplicates(struct vmd_parser *parser)
{
    uint64_t n = parser->tree->n_devices;
    struct hashed *sorted = malloc(n * sizeof(*sorted) + 1);
    enum vmd_status status = VMD_OK;

    if (!sorted) {
        return vmd_parse_fail_memory(parser);
    }
    for (uint64_t i = 0; i < n; i++) {
        sorted[i].device = &parser->tree->devices[i];
        sorted[i].hash = hash_name(sorted[i].device->name);
    }
    qsort(sorted, n, sizeof(*sorted), compare_hashed);
    for (uint64_t i = 1; i < n && !status; i++) {
        if (compare_hashed(&sorted[i - 1], &sorted[i]) == 0) {
            const struct vmd_device *device = sorted[i].device;
            struct vmd_frame frame = {.key = {device->name, device->name_len}};

            parser->at = &frame;
            status = vmd_parse_fail_at(parser, VMD_DUPLICATE, parser->begin, "duplicate device type");
            parser->at = NULL;
        }
    }
    free(sorted);
    return status;
}

static enum vmd_status parse_member(struct vmd_parser *parser, struct vmd_frame *frame)
{
    static const char machine[] = "vmschkmachine";
    struct vmd_device device, *slot;
    const char *where;
    enum vmd_status status;

    vmd_parse_skip_space(parser);
    where = parser->pos;
    status = vmd_parse_string(parser, &frame->key);
    if (status || (status = vmd_parse_expect(parser, ':', "expected ':'"))) {
        return status;
    }
    parser->at = frame;
    if (frame->key.size == sizeof(machine) - 1 && memcmp(frame->key.text, machine, frame->key.size) == 0) {
        return parser->tree->machine ? vmd_parse_fail_at(parser, VMD_DUPLICATE, where, "duplicate vmschkmachine")
                                     : vmd_parse_machine(parser);
    }
    status = vmd_parse_device(parser, &device);
    if (status) {
        return status;
    }
    slot = vmd_stack_push(&parser->devices, sizeof(device));
    if (!slot) {
        return vmd_parse_fail_memory(parser);
    }
    *slot = device;
    return VMD_OK;
}

/* Skip white space up to the next text or the end of the file. */
static enum vmd_status skip_to_text(struct vmd_parser *parser)
{
    vmd_parse_skip_space(parser);
    while (parser->pos == parser->end && parser->window && !parser->window->ended) {
        if (vmd_window_refill(parser)) {
            return parser->err->code;
        }
        vmd_parse_skip_space(parser);
    }
    return VMD_OK;
}

/* A member of the outermost object and the comma before it; *more: the object has not ended. */
static enum vmd_status parse_next_member(struct vmd_parser *parser, bool first, bool *more)
{
    struct vmd_frame frame = {0};

    *more = !vmd_parse_end(parser, '}', first);
    if (*more && !first && vmd_parse_expect(parser, ',', "expected ',' or '}'")) {
        return parser->err->code;
    }
    return *more ? parse_member(parser, &frame) : VMD_OK;
}

/* As parse_next_member; repeat with a larger window until the member is in memory as a whole. */
static enum vmd_status parse_whole_member(struct vmd_parser *parser, bool first, bool *more)
{
    const struct vmd_tree tree = *parser->tree;
    size_t devices = parser->devices.used;

    for (;;) {
        const char *begin = parser->pos;
        enum vmd_status status = parse_next_member(parser, first, more);

        if (!status || status == VMD_NO_MEMORY || !parser->window || parser->window->ended) {
            return status;
        }
        *parser->tree = tree;
        parser->devices.used = devices;
        parser->fields.used = parser->details.used = parser->subsections.used = 0;
        parser->texts.used = parser->standalone.used = 0;
        parser->at = NULL;
        parser->depth = 0;
        parser->indent = 2;
        parser->pos = begin;
        vmd_error_set(parser->err, VMD_OK, 0, NULL);
        status = vmd_window_refill(parser);
        if (status) {
            return status;
        }
    }
}

static enum vmd_status parse_document(struct vmd_parser *parser)
{
    bool more = true;

    if (skip_to_text(parser) || vmd_parse_expect(parser, '{', "expected an object: not a -dump-vmstate file")) {
        return parser->err->code;
    }
    parser->indent = 2;
    for (bool first = true; more; first = false) {
        if (parse_whole_member(parser, first, &more)) {
            return parser->err->code;
        }
        parser->at = NULL;
    }
    if (skip_to_text(parser)) {
        return parser->err->code;
    }
    if (parser->pos < parser->end) {
        return vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos, "text after the end of the document");
    }
    if (!parser->tree->machine) {
        return vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos, "no vmschkmachine: not a -dump-vmstate file");
    }
    parser->tree->n_devices = parser->devices.used / sizeof(struct vmd_device);
    parser->tree->devices = vmd_stack_pop(&parser->devices, 0, parser->tree);
    if (!parser->tree->devices) {
        return vmd_parse_fail_memory(parser);
    }
    vmd_tree_measure(parser->tree);
    return check_duplicates(parser);
}

static enum vmd_status parse(struct vmd_parser *parser)
{
    enum vmd_status status;

    vmd_error_set(parser->err, VMD_OK, 0, NULL);
    parser->tree->print_num = 1;
    status = parser->window ? vmd_window_refill(parser) : VMD_OK;
    if (!status) {
        status = parse_document(parser);
    }
    free(parser->fields.items);
    free(parser->details.items);
    free(parser->subsections.items);
    free(parser->devices.items);
    free(parser->texts.items);
    free(parser->standalone.items);
    return status;
}

enum vmd_status vmd_tree_parse(struct vmd_tree *tree, const char *text, size_t size, struct vmd_error *err)
{
    struct vmd_parser parser = {.tree = tree, .err = err, .begin = text, .pos = text, .end = text + size};

    return parse(&parser);
}

enum vmd_status vmd_tree_parse_file(struct vmd_tree *tree, int fd, uint64_t offset, uint64_t end, struct vmd_error *err)
{
    struct vmd_window window;
    struct vmd_parser parser = {.tree = tree, .err = err, .window = &window};
    enum vmd_status status;

    if (vmd_window_init(&window, fd, offset, end)) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    parser.begin = parser.pos = parser.end = window.text;
    status = parse(&parser);
    vmd_window_deinit(&window);
    return status;
}
