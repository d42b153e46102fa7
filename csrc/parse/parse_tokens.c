/*
 * Errors, white space, numbers, objects and lists: see parse_tokens.h. Strings are in parse_strings.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse/parse_tokens.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Errors */

/* Append the path of frame to text, at most size bytes; returns the untruncated length. */
static size_t print_path(const struct vmd_frame *frame, char *text, size_t size)
{
    size_t used;
    int n;

    if (!frame) {
        n = snprintf(text, size, "$");
        return n;
    }
    used = print_path(frame->up, text, size);
    if (used >= size) {
        return used;
    }
    if (!frame->key.text) {
        n = snprintf(text + used, size - used, "[%llu]", (unsigned long long)frame->index);
    } else if (frame->up) {
        n = snprintf(text + used, size - used, ".%.*s", (int)frame->key.size, frame->key.text);
    } else {
        n = snprintf(text + used, size - used, "[\"%.*s\"]", (int)(frame->key.size < 256 ? frame->key.size : 256),
                     frame->key.text);
    }
    return used + n;
}

enum vmd_status vmd_parse_fail_at(struct vmd_parser *parser, enum vmd_status code, const char *where,
                                  const char *message)
{
    vmd_error_set(parser->err, code, where - parser->begin, message);
    print_path(parser->at, parser->err->path, sizeof(parser->err->path));
    return code;
}

enum vmd_status vmd_parse_fail(struct vmd_parser *parser, const char *message)
{
    return vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos,
                             parser->pos < parser->end ? message : "unexpected end of file");
}

enum vmd_status vmd_parse_fail_memory(struct vmd_parser *parser)
{
    return vmd_parse_fail_at(parser, VMD_NO_MEMORY, parser->pos, "out of memory");
}

/* Space */

void vmd_parse_skip_any_space(struct vmd_parser *parser)
{
    const char *p = parser->pos, *end = parser->end;

    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
        while (end - p >= 8 && vmd_load_u64(p) == VMD_REPEAT_BYTE(' ')) {
            p += 8;
        }
    }
    parser->pos = p;
}

/* Numbers */

enum vmd_status vmd_parse_integer(struct vmd_parser *parser, uint64_t max, uint64_t limit, uint64_t *ret,
                                  bool *negative)
{
    const char *begin, *p;
    uint64_t value = 0;

    vmd_parse_skip_space(parser);
    begin = p = parser->pos;
    *negative = p < parser->end && *p == '-';
    p += *negative;
    if (p >= parser->end || *p < '0' || *p > '9') {
        return vmd_parse_fail(parser, "expected an integer");
    }
    if (*p == '0' && parser->end - p > 1 && p[1] >= '0' && p[1] <= '9') {
        return vmd_parse_fail(parser, "an integer with a leading zero");
    }
    for (; p < parser->end && *p >= '0' && *p <= '9'; p++) {
        if (value > (UINT64_MAX - (*p - '0')) / 10) {
            return vmd_parse_fail(parser, "an integer out of range");
        }
        value = value * 10 + (*p - '0');
    }
    if (p < parser->end && (*p == '.' || *p == 'e' || *p == 'E')) {
        return vmd_parse_fail(parser, "expected an integer, not a fraction or an exponent");
    }
    if (value > (*negative ? limit : max)) {
        return vmd_parse_fail_at(parser, VMD_BAD_JSON, begin, "an integer out of range");
    }
    parser->pos = p;
    *ret = value;
    return VMD_OK;
}

/* Objects */

/* Index of the key text, or -1. The search begins at the key that QEMU prints next. */
static int find_key(const struct vmd_parse_object *object, const char *text, size_t size)
{
    int from = object->next;

    do {
        for (int i = from; object->keys[i].text; i++) {
            if (object->keys[i].size == size && memcmp(object->keys[i].text, text, size) == 0) {
                return i;
            }
        }
    } while (from && !(from = 0));
    return -1;
}

/* Inlined, unlike memcmp. */
static inline bool is_equal(const char *a, const char *b, size_t size)
{
    if (size < 8) {
        return size < 4 ? memcmp(a, b, size) == 0 : memcmp(a, b, 4) == 0 && memcmp(a + size - 4, b + size - 4, 4) == 0;
    }
    for (size_t i = 0; i + 8 < size; i += 8) {
        if (vmd_load_u64(a + i) != vmd_load_u64(b + i)) {
            return false;
        }
    }
    return vmd_load_u64(a + size - 8) == vmd_load_u64(b + size - 8);
}

/* A key without escapes, at or after the one that QEMU prints next. */
static inline bool parse_expected_key(struct vmd_parser *parser, struct vmd_parse_object *object, int *ret)
{
    const char *p = parser->pos;
    size_t left = parser->end - p;

    if (p == parser->end || *p != '"') {
        return false;
    }
    for (const struct vmd_slice *key = object->keys + object->next; key->text; key++) {
        if (left > key->size + 2 && p[1] == *key->text && p[1 + key->size] == '"' &&
            is_equal(p + 1, key->text, key->size)) {
            object->frame.key = *key;
            parser->pos = p + key->size + 2;
            *ret = key - object->keys;
            return true;
        }
    }
    return false;
}

enum vmd_status vmd_parse_key(struct vmd_parser *parser, struct vmd_parse_object *object, int *ret)
{
    const char *where;

    if (!object->begun) {
        if (vmd_parse_expect(parser, '{', "expected an object")) {
            return parser->err->code;
        }
        parser->indent += 2;
        object->frame = (struct vmd_frame){.up = parser->at};
    }
    parser->at = object->frame.up;
    if (vmd_parse_end(parser, '}', !object->begun)) {
        *ret = -1;
        return (object->seen & object->required) == object->required
                   ? VMD_OK
                   : vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos - 1, object->what);
    }
    if (object->begun && vmd_parse_expect(parser, ',', "expected ',' or '}'")) {
        return parser->err->code;
    }
    object->begun = true;
    vmd_parse_skip_space(parser);
    where = parser->pos;
    if (!parse_expected_key(parser, object, ret)) {
        if (vmd_parse_string(parser, &object->frame.key)) {
            return parser->err->code;
        }
        *ret = find_key(object, object->frame.key.text, object->frame.key.size);
        if (*ret < 0) {
            return vmd_parse_fail_at(parser, VMD_BAD_JSON, where, "unknown key");
        }
    }
    if (object->seen & 1u << *ret) {
        return vmd_parse_fail_at(parser, VMD_DUPLICATE, where, "duplicate key");
    }
    object->seen |= 1u << *ret;
    object->next = *ret + 1;
    parser->at = &object->frame;
    return vmd_parse_expect(parser, ':', "expected ':'");
}

/* Lists of words; verbatim objects */

enum vmd_status vmd_parse_texts(struct vmd_parser *parser, const char **ret, uint32_t *ret_n)
{
    size_t bottom = parser->texts.used;
    struct vmd_frame frame = {.up = parser->at};
    uint32_t n = 0;
    bool more;
    enum vmd_status status = vmd_parse_element(parser, &frame, true, &more);

    for (; !status && more; n++) {
        const char *text;
        uint32_t size;
        char *slot;

        status = vmd_parse_text(parser, &text, &size);
        if (status) {
            break;
        }
        slot = vmd_stack_push(&parser->texts, size + 1);
        if (!slot) {
            status = vmd_parse_fail_memory(parser);
            break;
        }
        memcpy(slot, text, size + 1);
        status = vmd_parse_element(parser, &frame, false, &more);
    }
    parser->at = frame.up; /* after an error too: its path is already recorded */
    if (!status) {
        *ret = vmd_stack_pop(&parser->texts, bottom, parser->tree);
        *ret_n = n;
        status = *ret ? VMD_OK : vmd_parse_fail_memory(parser);
    }
    return status;
}

/* The bit of a word; 0: unknown. Bits without a word are written as 0x and hexadecimal digits. */
static uint32_t bit_of(const struct vmd_word *words, const char *text)
{
    uint32_t bits;
    char rest;

    for (; words->word; words++) {
        if (strcmp(words->word, text) == 0) {
            return words->bit;
        }
    }
    return strncmp(text, "0x", 2) == 0 && sscanf(text, "0x%8" SCNx32 "%c", &bits, &rest) == 1 ? bits : 0;
}

enum vmd_status vmd_parse_bits(struct vmd_parser *parser, const struct vmd_word *words, uint32_t *ret)
{
    const char *where, *text;
    uint32_t n;
    enum vmd_status status;

    vmd_parse_skip_space(parser);
    where = parser->pos;
    status = vmd_parse_texts(parser, &text, &n);
    *ret = 0;
    for (uint32_t i = 0; !status && i < n; i++) {
        uint32_t bit = bit_of(words, text);

        if (!bit) {
            return vmd_parse_fail_at(parser, VMD_BAD_JSON, where, "unknown flag or hook");
        }
        *ret |= bit;
        text += strlen(text) + 1;
    }
    return status;
}

enum vmd_status vmd_parse_verbatim_object(struct vmd_parser *parser, const char **ret, uint64_t *ret_size)
{
    const char *begin, *p;
    size_t open = 0;

    vmd_parse_skip_space(parser);
    begin = parser->pos;
    if (begin == parser->end || *begin != '{') {
        return vmd_parse_fail(parser, "expected an object");
    }
    for (p = begin; p < parser->end; p++) {
        if (*p == '"') {
            for (p++; p < parser->end && *p != '"'; p += *p == '\\' ? 2 : 1) {
            }
        } else if (*p == '{' || *p == '[') {
            open++;
        } else if ((*p == '}' || *p == ']') && --open == 0) {
            break;
        }
    }
    if (p >= parser->end) {
        parser->pos = parser->end;
        return vmd_parse_fail(parser, "");
    }
    parser->pos = p + 1;
    *ret = vmd_tree_string(parser->tree, begin, p + 1 - begin);
    *ret_size = p + 1 - begin;
    return *ret ? VMD_OK : vmd_parse_fail_memory(parser);
}
