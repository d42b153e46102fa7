/*
 * What dump files are made of: see parse_tokens.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse/parse_tokens.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Errors */

/* Appends the path of frame to text; how many bytes that takes in all. Never more than size are written. */
static size_t print_path(const struct frame *frame, char *text, size_t size)
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

enum vmd_status vmd_fail_at(struct parser *parser, enum vmd_status code, const char *where, const char *message)
{
    vmd_error_set(parser->err, code, where - parser->begin, message);
    print_path(parser->at, parser->err->path, sizeof(parser->err->path));
    return code;
}

enum vmd_status vmd_fail(struct parser *parser, const char *message)
{
    return vmd_fail_at(parser, VMD_BAD_JSON, parser->pos,
                       parser->pos < parser->end ? message : "the file ends too early");
}

enum vmd_status vmd_fail_memory(struct parser *parser)
{
    return vmd_fail_at(parser, VMD_NO_MEMORY, parser->pos, "out of memory");
}

/* Space */

void vmd_skip_any_space(struct parser *parser)
{
    const char *p = parser->pos, *end = parser->end;

    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
        while (end - p >= 8 && vmd_load_word(p) == VMD_EACH_BYTE(' ')) {
            p += 8;
        }
    }
    parser->pos = p;
}

/* Strings */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX, or -1. */
static int32_t hex_code(const struct parser *parser, const char *p)
{
    int32_t code = 0;

    if (parser->end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);

        if (digit < 0) {
            return -1;
        }
        code = code * 16 + digit;
    }
    return code;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = code;
    } else if (code < 0x800) {
        *out++ = 0xc0 | code >> 6;
        *out++ = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
        *out++ = 0xe0 | code >> 12;
        *out++ = 0x80 | (code >> 6 & 0x3f);
        *out++ = 0x80 | (code & 0x3f);
    } else {
        *out++ = 0xf0 | code >> 18;
        *out++ = 0x80 | (code >> 12 & 0x3f);
        *out++ = 0x80 | (code >> 6 & 0x3f);
        *out++ = 0x80 | (code & 0x3f);
    }
    return out;
}

/* Decodes the escape at *at (behind the backslash) to out; NULL if it is none. */
static char *take_escape(const struct parser *parser, const char **at, char *out)
{
    static const char plain[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    const char *known = *at < parser->end && **at ? strchr(plain, **at) : NULL;
    int32_t code, low;

    if (known) {
        (*at)++;
        *out++ = meaning[known - plain];
        return out;
    }
    if (*at >= parser->end || **at != 'u' || (code = hex_code(parser, *at + 1)) < 0) {
        return NULL;
    }
    *at += 5;
    if (code >= 0xd800 && code < 0xdc00) {
        if (parser->end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' ||
            (low = hex_code(parser, *at + 2)) < 0xdc00 || low > 0xdfff) {
            return NULL;
        }
        *at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return NULL;
    }
    return put_utf8(out, code);
}

/* The rest of a string that has escapes, decoded into the tree. */
static enum vmd_status take_escaped(struct parser *parser, const char *begin, struct slice *ret)
{
    const char *p = begin, *end = begin;
    char *out, *copy;

    while (end < parser->end && *end != '"') {
        end += *end == '\\' ? 2 : 1;
    }
    if (end >= parser->end) {
        parser->pos = parser->end;
        return vmd_fail(parser, "");
    }
    copy = out = vmd_tree_alloc(parser->tree, end - begin);
    if (!copy) {
        return vmd_fail_memory(parser);
    }
    while (p < end) {
        const char *backslash = p;

        if (*p++ != '\\') {
            *out++ = *backslash;
            continue;
        }
        out = take_escape(parser, &p, out);
        if (!out) {
            return vmd_fail_at(parser, VMD_BAD_JSON, backslash, "not a JSON escape");
        }
    }
    *ret = (struct slice){copy, out - copy};
    parser->pos = end + 1;
    return VMD_OK;
}

/* A string of any characters: a slice of the input, or of the tree where it had escapes. */
enum vmd_status vmd_take_slice(struct parser *parser, struct slice *ret)
{
    const char *begin, *p;

    if (!take(parser, '"')) {
        return vmd_fail(parser, "expected a string");
    }
    begin = parser->pos;
    for (p = begin; p < parser->end && *p != '"' && *p != '\\'; p++) {
    }
    if (p >= parser->end || *p != '"') {
        return take_escaped(parser, begin, ret);
    }
    *ret = (struct slice){begin, p - begin};
    parser->pos = p + 1;
    return VMD_OK;
}

/* A string that is printable, as tree.h wants names. */
enum vmd_status vmd_take_string(struct parser *parser, struct slice *ret)
{
    const char *begin;
    size_t printable;
    enum vmd_status status;

    skip_space(parser);
    begin = parser->pos + 1;
    status = vmd_take_slice(parser, ret);
    if (status) {
        return status;
    }
    printable = vmd_printable_prefix(ret->text, ret->size);
    if (printable != ret->size) {
        return vmd_fail_at(
            parser, VMD_BAD_NAME, ret->text == begin ? begin + printable : begin,
            "a name holds a quote, a backslash, a control character or invalid UTF-8: QEMU cannot print it");
    }
    return status;
}

/* A string of any characters but NUL that the tree keeps, ended by NUL. */
enum vmd_status vmd_take_text(struct parser *parser, const char **ret, uint32_t *ret_len)
{
    const char *where;
    struct slice slice;
    enum vmd_status status;

    skip_space(parser);
    where = parser->pos;
    status = vmd_take_slice(parser, &slice);
    if (status) {
        return status;
    }
    if (slice.size > INT32_MAX || memchr(slice.text, '\0', slice.size)) {
        return vmd_fail_at(parser, VMD_BAD_NAME, where, "a text that holds NUL, or more than 2 GiB");
    }
    *ret = vmd_tree_string(parser->tree, slice.text, slice.size);
    *ret_len = slice.size;
    return *ret ? VMD_OK : vmd_fail_memory(parser);
}

/* Numbers */

/* A JSON integer of at most max, or at least -limit with a minus sign (limit 0: none). */
enum vmd_status vmd_take_integer(struct parser *parser, uint64_t max, uint64_t limit, uint64_t *ret, bool *negative)
{
    const char *begin, *p;
    uint64_t value = 0;

    skip_space(parser);
    begin = p = parser->pos;
    *negative = p < parser->end && *p == '-';
    p += *negative;
    if (p >= parser->end || *p < '0' || *p > '9') {
        return vmd_fail(parser, "expected an integer");
    }
    if (*p == '0' && parser->end - p > 1 && p[1] >= '0' && p[1] <= '9') {
        return vmd_fail(parser, "an integer with a leading zero");
    }
    for (; p < parser->end && *p >= '0' && *p <= '9'; p++) {
        if (value > (UINT64_MAX - (*p - '0')) / 10) {
            return vmd_fail(parser, "an integer out of range");
        }
        value = value * 10 + (*p - '0');
    }
    if (p < parser->end && (*p == '.' || *p == 'e' || *p == 'E')) {
        return vmd_fail(parser, "expected an integer, not a fraction or an exponent");
    }
    if (value > (*negative ? limit : max)) {
        return vmd_fail_at(parser, VMD_BAD_JSON, begin, "an integer out of range");
    }
    parser->pos = p;
    *ret = value;
    return VMD_OK;
}

/* Objects */

/* Which of its keys an object has at text, or -1: the one that QEMU would print next, or any. */
static int find_key(const struct object *object, const char *text, size_t size)
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

/* memcmp would be a call. */
static inline bool is_equal(const char *a, const char *b, size_t size)
{
    if (size < 8) {
        return size < 4 ? memcmp(a, b, size) == 0 : memcmp(a, b, 4) == 0 && memcmp(a + size - 4, b + size - 4, 4) == 0;
    }
    for (size_t i = 0; i + 8 < size; i += 8) {
        if (vmd_load_word(a + i) != vmd_load_word(b + i)) {
            return false;
        }
    }
    return vmd_load_word(a + size - 8) == vmd_load_word(b + size - 8);
}

/* Reads a key that is spelled as QEMU does and comes where QEMU prints it, or something behind it. */
static inline bool take_expected_key(struct parser *parser, struct object *object, int *ret)
{
    const char *p = parser->pos;
    size_t left = parser->end - p;

    if (p == parser->end || *p != '"') {
        return false;
    }
    for (const struct slice *key = object->keys + object->next; key->text; key++) {
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

enum vmd_status vmd_next_key(struct parser *parser, struct object *object, int *ret)
{
    const char *where;

    if (!object->begun) {
        if (expect(parser, '{', "expected an object")) {
            return parser->err->code;
        }
        parser->indent += 2;
        object->frame = (struct frame){.up = parser->at};
    }
    parser->at = object->frame.up;
    if (take_end(parser, '}', !object->begun)) {
        *ret = -1;
        return (object->seen & object->required) == object->required
                   ? VMD_OK
                   : vmd_fail_at(parser, VMD_BAD_JSON, parser->pos - 1, object->what);
    }
    if (object->begun && expect(parser, ',', "expected ',' or '}'")) {
        return parser->err->code;
    }
    object->begun = true;
    skip_space(parser);
    where = parser->pos;
    if (!take_expected_key(parser, object, ret)) {
        if (vmd_take_string(parser, &object->frame.key)) {
            return parser->err->code;
        }
        *ret = find_key(object, object->frame.key.text, object->frame.key.size);
        if (*ret < 0) {
            return vmd_fail_at(parser, VMD_BAD_JSON, where, "a key that QEMU does not print");
        }
    }
    if (object->seen & 1u << *ret) {
        return vmd_fail_at(parser, VMD_DUPLICATE, where, "a key twice in one object");
    }
    object->seen |= 1u << *ret;
    object->next = *ret + 1;
    parser->at = &object->frame;
    return expect(parser, ':', "expected ':'");
}

/* Lists of words, and what is kept as it is */

/* A list of strings, each ended by NUL, in the tree. */
enum vmd_status vmd_take_texts(struct parser *parser, const char **ret, uint32_t *ret_n)
{
    size_t bottom = parser->texts.used;
    struct frame frame = {.up = parser->at};
    uint32_t n = 0;
    bool more;
    enum vmd_status status = next_element(parser, &frame, true, &more);

    for (; !status && more; n++) {
        const char *text;
        uint32_t size;
        char *slot;

        status = vmd_take_text(parser, &text, &size);
        if (status) {
            break;
        }
        slot = stack_push(&parser->texts, size + 1);
        if (!slot) {
            status = vmd_fail_memory(parser);
            break;
        }
        memcpy(slot, text, size + 1);
        status = next_element(parser, &frame, false, &more);
    }
    parser->at = frame.up; /* also after an error, which has been told by now */
    if (!status) {
        *ret = vmd_stack_take(&parser->texts, bottom, parser->tree);
        *ret_n = n;
        status = *ret ? VMD_OK : vmd_fail_memory(parser);
    }
    return status;
}

/* The bit of a word; 0: it has none. What has no word is written as 0x and hexadecimal digits. */
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

/* A list of words that stand for bits. */
enum vmd_status vmd_take_bits(struct parser *parser, const struct vmd_word *words, uint32_t *ret)
{
    const char *where, *text;
    uint32_t n;
    enum vmd_status status;

    skip_space(parser);
    where = parser->pos;
    status = vmd_take_texts(parser, &text, &n);
    *ret = 0;
    for (uint32_t i = 0; !status && i < n; i++) {
        uint32_t bit = bit_of(words, text);

        if (!bit) {
            return vmd_fail_at(parser, VMD_BAD_JSON, where, "a word that is none of those that may stand here");
        }
        *ret |= bit;
        text += strlen(text) + 1;
    }
    return status;
}

/* An object, as it stands there. Only its end is looked for: who uses it reads it. */
enum vmd_status vmd_take_object(struct parser *parser, const char **ret, uint64_t *ret_size)
{
    const char *begin, *p;
    size_t open = 0;

    skip_space(parser);
    begin = parser->pos;
    if (begin == parser->end || *begin != '{') {
        return vmd_fail(parser, "expected an object");
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
        return vmd_fail(parser, "");
    }
    parser->pos = p + 1;
    *ret = vmd_tree_string(parser->tree, begin, p + 1 - begin);
    *ret_size = p + 1 - begin;
    return *ret ? VMD_OK : vmd_fail_memory(parser);
}
