/*
 * The parser: see parse.h. Recursive descent over a known schema; each function leaves the position behind what it has
 * read, or reports the offset at which it stopped. Lists are gathered on stacks that all levels of nesting share, and
 * copied into the tree when their end is known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extended.h"

#define VMD_NO_POSITION UINT32_MAX /* in details.reserved: the field has no position in a list */

struct slice {
    const char *text;
    size_t size;
};

/* Where in the document the parser stands: a chain of frames on the C stack, outermost last. */
struct frame {
    const struct frame *up;
    struct slice key; /* text NULL: an element of a list */
    uint64_t index;
};

struct stack {
    char *items;
    size_t used, capacity; /* bytes */
};

struct parser {
    struct vmd_tree *tree;
    struct vmd_error *err;
    const char *begin, *pos, *end;
    const struct frame *at;
    unsigned depth; /* descriptions around this place */
    struct stack fields, details, subsections, devices, texts, roots;
};

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

static enum vmd_status fail_at(struct parser *parser, enum vmd_status code, const char *where, const char *message)
{
    vmd_error_set(parser->err, code, where - parser->begin, message);
    print_path(parser->at, parser->err->path, sizeof(parser->err->path));
    return code;
}

static enum vmd_status fail(struct parser *parser, const char *message)
{
    return fail_at(parser, VMD_BAD_JSON, parser->pos, parser->pos < parser->end ? message : "the file ends too early");
}

static enum vmd_status no_memory(struct parser *parser)
{
    return fail_at(parser, VMD_NO_MEMORY, parser->pos, "out of memory");
}

/* Stacks */

static void *stack_push(struct stack *stack, size_t size)
{
    if (stack->capacity - stack->used < size) {
        size_t capacity = (stack->capacity ? 2 * stack->capacity : 4096) + size;
        char *items = realloc(stack->items, capacity);

        if (!items) {
            return NULL;
        }
        stack->items = items;
        stack->capacity = capacity;
    }
    stack->used += size;
    return stack->items + stack->used - size;
}

/* Copies what stands on the stack above bottom into the tree and takes it off. */
static const void *stack_take(struct stack *stack, size_t bottom, struct vmd_tree *tree)
{
    size_t size = stack->used - bottom;
    void *copy = vmd_tree_alloc(tree, size);

    if (copy && size) {
        memcpy(copy, stack->items + bottom, size);
    }
    stack->used = bottom;
    return copy;
}

/* Tokens */

static inline void skip_space(struct parser *parser)
{
    const char *p = parser->pos, *end = parser->end;

    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) {
        p++;
        /* QEMU's files are mostly indentation. */
        while (end - p >= 8 && memcmp(p, "        ", 8) == 0) {
            p += 8;
        }
    }
    parser->pos = p;
}

/* Skips space and reads c. */
static inline bool take(struct parser *parser, char c)
{
    skip_space(parser);
    if (parser->pos < parser->end && *parser->pos == c) {
        parser->pos++;
        return true;
    }
    return false;
}

static enum vmd_status expect(struct parser *parser, char c, const char *message)
{
    return take(parser, c) ? VMD_OK : fail(parser, message);
}

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
        return fail(parser, "");
    }
    copy = out = vmd_tree_alloc(parser->tree, end - begin);
    if (!copy) {
        return no_memory(parser);
    }
    while (p < end) {
        const char *backslash = p;

        if (*p++ != '\\') {
            *out++ = *backslash;
            continue;
        }
        out = take_escape(parser, &p, out);
        if (!out) {
            return fail_at(parser, VMD_BAD_JSON, backslash, "not a JSON escape");
        }
    }
    *ret = (struct slice){copy, out - copy};
    parser->pos = end + 1;
    return VMD_OK;
}

/* A string of any characters: a slice of the input, or of the tree where it had escapes. */
static enum vmd_status take_slice(struct parser *parser, struct slice *ret)
{
    const char *begin, *p;

    if (!take(parser, '"')) {
        return fail(parser, "expected a string");
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
static enum vmd_status take_string(struct parser *parser, struct slice *ret)
{
    const char *begin;
    size_t printable;
    enum vmd_status status;

    skip_space(parser);
    begin = parser->pos + 1;
    status = take_slice(parser, ret);
    if (status) {
        return status;
    }
    printable = vmd_printable_prefix(ret->text, ret->size);
    if (printable != ret->size) {
        return fail_at(parser, VMD_BAD_NAME, ret->text == begin ? begin + printable : begin,
                       "a name holds a quote, a backslash, a control character or invalid UTF-8: QEMU cannot print it");
    }
    return status;
}

/* A string that the tree keeps. */
static enum vmd_status take_name(struct parser *parser, const char **ret, uint32_t *ret_len)
{
    struct slice slice;
    enum vmd_status status = take_string(parser, &slice);

    if (status) {
        return status;
    }
    if (slice.size > INT32_MAX) {
        return fail_at(parser, VMD_BAD_NAME, parser->pos, "a name of more than 2 GiB");
    }
    *ret = vmd_tree_string(parser->tree, slice.text, slice.size);
    *ret_len = slice.size;
    return *ret ? VMD_OK : no_memory(parser);
}

/* A string of any characters but NUL that the tree keeps, ended by NUL. */
static enum vmd_status take_text(struct parser *parser, const char **ret, uint32_t *ret_len)
{
    const char *where;
    struct slice slice;
    enum vmd_status status;

    skip_space(parser);
    where = parser->pos;
    status = take_slice(parser, &slice);
    if (status) {
        return status;
    }
    if (slice.size > INT32_MAX || memchr(slice.text, '\0', slice.size)) {
        return fail_at(parser, VMD_BAD_NAME, where, "a text that holds NUL, or more than 2 GiB");
    }
    *ret = vmd_tree_string(parser->tree, slice.text, slice.size);
    *ret_len = slice.size;
    return *ret ? VMD_OK : no_memory(parser);
}

/* A JSON integer of at most max, or at least -limit with a minus sign (limit 0: none). */
static enum vmd_status take_integer(struct parser *parser, uint64_t max, uint64_t limit, uint64_t *ret, bool *negative)
{
    const char *begin, *p;
    uint64_t value = 0;

    skip_space(parser);
    begin = p = parser->pos;
    *negative = p < parser->end && *p == '-';
    p += *negative;
    if (p >= parser->end || *p < '0' || *p > '9') {
        return fail(parser, "expected an integer");
    }
    if (*p == '0' && parser->end - p > 1 && p[1] >= '0' && p[1] <= '9') {
        return fail(parser, "an integer with a leading zero");
    }
    for (; p < parser->end && *p >= '0' && *p <= '9'; p++) {
        if (value > (UINT64_MAX - (*p - '0')) / 10) {
            return fail(parser, "an integer out of range");
        }
        value = value * 10 + (*p - '0');
    }
    if (p < parser->end && (*p == '.' || *p == 'e' || *p == 'E')) {
        return fail(parser, "expected an integer, not a fraction or an exponent");
    }
    if (value > (*negative ? limit : max)) {
        return fail_at(parser, VMD_BAD_JSON, begin, "an integer out of range");
    }
    parser->pos = p;
    *ret = value;
    return VMD_OK;
}

/* An int as C prints it with %d. */
static enum vmd_status take_int(struct parser *parser, int32_t *ret)
{
    uint64_t value;
    bool negative;
    enum vmd_status status = take_integer(parser, INT32_MAX, (uint64_t)INT32_MAX + 1, &value, &negative);

    if (!status) {
        *ret = negative ? (int32_t)-(int64_t)value : (int32_t)value;
    }
    return status;
}

static enum vmd_status take_size(struct parser *parser, uint64_t *ret)
{
    bool negative;

    return take_integer(parser, UINT64_MAX, 0, ret, &negative);
}

static enum vmd_status take_bool(struct parser *parser, uint32_t *ret)
{
    static const struct slice words[] = {{"false", 5}, {"true", 4}};

    skip_space(parser);
    for (uint32_t i = 0; i < 2; i++) {
        size_t size = words[i].size;

        if ((size_t)(parser->end - parser->pos) >= size && memcmp(parser->pos, words[i].text, size) == 0) {
            parser->pos += size;
            *ret = i;
            return VMD_OK;
        }
    }
    return fail(parser, "expected true or false");
}

/* Objects and lists */

/* The state of reading an object whose keys are known: which have been seen, as bits. */
struct object {
    const char *const *keys; /* ends in NULL */
    unsigned required, seen;
    bool begun;
    const char *what; /* message when a required key is missing */
    struct frame frame;
};

/* The next key of an object, as an index, or -1 at its end. Begin and end set the frame. */
static enum vmd_status next_key(struct parser *parser, struct object *object, int *ret)
{
    const char *where;
    enum vmd_status status;

    if (!object->begun) {
        status = expect(parser, '{', "expected an object");
        if (status) {
            return status;
        }
        object->frame = (struct frame){.up = parser->at};
    }
    parser->at = object->frame.up;
    if (take(parser, '}')) {
        *ret = -1;
        return (object->seen & object->required) == object->required
                   ? VMD_OK
                   : fail_at(parser, VMD_BAD_JSON, parser->pos - 1, object->what);
    }
    if (object->begun && expect(parser, ',', "expected ',' or '}'")) {
        return parser->err->code;
    }
    object->begun = true;
    skip_space(parser);
    where = parser->pos;
    status = take_string(parser, &object->frame.key);
    if (status) {
        return status;
    }
    for (*ret = 0; object->keys[*ret]; ++*ret) {
        if (strlen(object->keys[*ret]) == object->frame.key.size &&
            memcmp(object->keys[*ret], object->frame.key.text, object->frame.key.size) == 0) {
            break;
        }
    }
    if (!object->keys[*ret]) {
        return fail_at(parser, VMD_BAD_JSON, where, "a key that QEMU does not print");
    }
    if (object->seen & 1u << *ret) {
        return fail_at(parser, VMD_DUPLICATE, where, "a key twice in one object");
    }
    object->seen |= 1u << *ret;
    parser->at = &object->frame;
    return expect(parser, ':', "expected ':'");
}

/* Begins (index 0) or continues a list; *more is false at its end, and at is back at the list. */
static enum vmd_status next_element(struct parser *parser, struct frame *frame, bool begin, bool *more)
{
    if (begin) {
        if (expect(parser, '[', "expected a list")) {
            return parser->err->code;
        }
        *frame = (struct frame){.up = parser->at};
    }
    parser->at = frame->up;
    *more = !take(parser, ']');
    if (*more && !begin) {
        if (expect(parser, ',', "expected ',' or ']'")) {
            return parser->err->code;
        }
        frame->index++;
    }
    if (*more) {
        parser->at = frame;
    }
    return VMD_OK;
}

/* Lists of words, and what is kept as it is */

/* A list of strings, each ended by NUL, in the tree. */
static enum vmd_status take_texts(struct parser *parser, const char **ret, uint32_t *ret_n)
{
    size_t bottom = parser->texts.used;
    struct frame frame;
    uint32_t n = 0;
    bool more;
    enum vmd_status status = next_element(parser, &frame, true, &more);

    for (; !status && more; n++) {
        const char *text;
        uint32_t size;
        char *slot;

        status = take_text(parser, &text, &size);
        if (status) {
            return status;
        }
        slot = stack_push(&parser->texts, size + 1);
        if (!slot) {
            return no_memory(parser);
        }
        memcpy(slot, text, size + 1);
        status = next_element(parser, &frame, false, &more);
    }
    if (!status) {
        *ret = stack_take(&parser->texts, bottom, parser->tree);
        *ret_n = n;
        status = *ret ? VMD_OK : no_memory(parser);
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
static enum vmd_status take_bits(struct parser *parser, const struct vmd_word *words, uint32_t *ret)
{
    const char *where, *text;
    uint32_t n;
    enum vmd_status status;

    skip_space(parser);
    where = parser->pos;
    status = take_texts(parser, &text, &n);
    *ret = 0;
    for (uint32_t i = 0; !status && i < n; i++) {
        uint32_t bit = bit_of(words, text);

        if (!bit) {
            return fail_at(parser, VMD_BAD_JSON, where, "a word that is none of those that may stand here");
        }
        *ret |= bit;
        text += strlen(text) + 1;
    }
    return status;
}

/* An object, as it stands there. Only its end is looked for: who uses it reads it. */
static enum vmd_status take_object(struct parser *parser, const char **ret, uint64_t *ret_size)
{
    const char *begin, *p;
    size_t open = 0;

    skip_space(parser);
    begin = parser->pos;
    if (begin == parser->end || *begin != '{') {
        return fail(parser, "expected an object");
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
        return fail(parser, "");
    }
    parser->pos = p + 1;
    *ret = vmd_tree_string(parser->tree, begin, p + 1 - begin);
    *ret_size = p + 1 - begin;
    return *ret ? VMD_OK : no_memory(parser);
}

/* The schema */

static enum vmd_status take_desc(struct parser *parser, const struct vmd_desc **ret);

/* Pushes a list of fields. Validations are those that are assertions; QEMU itself prints the others alone. */
static enum vmd_status push_fields(struct parser *parser, bool validations);

static enum vmd_status take_field(struct parser *parser, struct vmd_field *field, struct vmd_field_details *details,
                                  bool *ret_detailed)
{
    enum {
        FIELD,
        VERSION,
        EXISTS,
        NUM,
        SIZE,
        DESCRIPTION,
        INFO,
        FLAGS,
        OFFSET,
        STRUCT_VERSION,
        START,
        NUM_OFFSET,
        SIZE_OFFSET,
        ERR_HINT,
        POSITION
    };
    static const char *const keys[] = {
        "field",  "version_id",        "field_exists", "num",        "size",        "Description", "info",     "flags",
        "offset", "struct_version_id", "start",        "num_offset", "size_offset", "err_hint",    "position", NULL};
    struct object object = {.keys = keys,
                            .required = 1u << FIELD | 1u << VERSION | 1u << EXISTS | 1u << SIZE,
                            .what = "a field lacks field, version_id, field_exists or size"};
    enum vmd_status status;
    uint64_t position = VMD_NO_POSITION;
    int key;

    memset(field, 0, sizeof(*field));
    *details = (struct vmd_field_details){.offset = VMD_UNKNOWN, .num_offset = VMD_UNKNOWN, .size_offset = VMD_UNKNOWN};
    while (!(status = next_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case FIELD:
            status = take_name(parser, &field->name, &field->name_len);
            break;
        case VERSION:
            status = take_int(parser, &field->version_id);
            break;
        case EXISTS:
            status = take_bool(parser, &field->field_exists);
            break;
        case NUM:
            status = take_int(parser, &field->num);
            break;
        case SIZE:
            status = take_size(parser, &field->size);
            break;
        case DESCRIPTION:
            status = take_desc(parser, &field->vmsd);
            break;
        case INFO:
            status = take_text(parser, &details->info, &details->info_len);
            break;
        case FLAGS:
            status = take_bits(parser, vmd_flag_words, &field->flags);
            break;
        case OFFSET:
            status = take_size(parser, &details->offset);
            break;
        case STRUCT_VERSION:
            status = take_int(parser, &details->struct_version_id);
            break;
        case START:
            status = take_size(parser, &details->start);
            break;
        case NUM_OFFSET:
            status = take_size(parser, &details->num_offset);
            break;
        case SIZE_OFFSET:
            status = take_size(parser, &details->size_offset);
            break;
        case ERR_HINT:
            status = take_text(parser, &details->err_hint, &details->err_hint_len);
            break;
        case POSITION:
            status = take_size(parser, &position);
            break;
        }
        if (status) {
            break;
        }
    }
    *ret_detailed = object.seen & 1u << FLAGS;
    if (!*ret_detailed && object.seen & 1u << NUM) {
        field->flags |= VMD_ARRAY; /* QEMU prints it of those alone */
    }
    details->reserved = position < VMD_NO_POSITION ? (uint32_t)position : VMD_NO_POSITION;
    return status;
}

static enum vmd_status push_fields(struct parser *parser, bool validations)
{
    struct frame frame;
    bool more, detailed;
    enum vmd_status status = next_element(parser, &frame, true, &more);

    while (!status && more) {
        struct vmd_field field, *field_slot;
        struct vmd_field_details details, *details_slot;

        status = take_field(parser, &field, &details, &detailed);
        if (status) {
            return status;
        }
        if (validations != !!(field.flags & VMD_MUST_EXIST) || validations != (details.reserved != VMD_NO_POSITION)) {
            return fail_at(parser, VMD_BAD_JSON, parser->pos,
                           "a field that is in the wrong list: those with MUST_EXIST and a position are Validations");
        }
        field_slot = stack_push(&parser->fields, sizeof(field));
        if (!field_slot) {
            return no_memory(parser);
        }
        *field_slot = field;
        if (detailed) {
            details_slot = stack_push(&parser->details, sizeof(details));
            if (!details_slot) {
                return no_memory(parser);
            }
            *details_slot = details;
        }
        status = next_element(parser, &frame, false, &more);
    }
    return status;
}

/* A list of fields, taken off the stack; details: one each, or none. */
struct fields {
    struct vmd_field *fields; /* NULL: no list */
    struct vmd_field_details *details;
    uint64_t n, n_details;
};

static enum vmd_status take_fields(struct parser *parser, bool validations, struct fields *ret)
{
    size_t bottom = parser->fields.used, details_bottom = parser->details.used;
    enum vmd_status status = push_fields(parser, validations);

    if (!status) {
        ret->n = (parser->fields.used - bottom) / sizeof(*ret->fields);
        ret->n_details = (parser->details.used - details_bottom) / sizeof(*ret->details);
        ret->fields = (void *)stack_take(&parser->fields, bottom, parser->tree);
        ret->details = (void *)stack_take(&parser->details, details_bottom, parser->tree);
        status = ret->fields && ret->details ? VMD_OK : no_memory(parser);
    }
    return status;
}

/* Puts validations back between the fields, to where their positions say. */
static enum vmd_status merge_validations(struct parser *parser, struct fields *fields, const struct fields *validations)
{
    uint64_t n = fields->n + validations->n, next = 0;
    struct fields merged = {.n = n, .n_details = n};

    merged.fields = vmd_tree_alloc(parser->tree, n * sizeof(*merged.fields));
    merged.details = vmd_tree_alloc(parser->tree, n * sizeof(*merged.details));
    if (!merged.fields || !merged.details) {
        return no_memory(parser);
    }
    for (uint64_t i = 0; i < n; i++) {
        bool validation = next < validations->n && validations->details[next].reserved == i;
        const struct fields *from = validation ? validations : fields;
        uint64_t at = validation ? next : i - next;

        if (at >= from->n) {
            return fail_at(parser, VMD_BAD_JSON, parser->pos, "Validations whose positions are not in the list");
        }
        merged.fields[i] = from->fields[at];
        merged.details[i] = from->details[at];
        merged.details[i].reserved = 0;
        next += validation;
    }
    *fields = merged;
    return VMD_OK;
}

/* Sets the fields of a description whose members have all been read. */
static enum vmd_status set_fields(struct parser *parser, struct vmd_desc *desc, struct fields *fields,
                                  const struct fields *validations)
{
    bool detailed = desc->traits & VMD_DETAILED;

    if (fields->n_details != (detailed ? fields->n : 0) || validations->n_details != validations->n ||
        (validations->fields && (!detailed || !fields->fields))) {
        return fail_at(parser, VMD_BAD_JSON, parser->pos,
                       "details of a part: needed of a description and flags of all its fields go together");
    }
    if (validations->n && merge_validations(parser, fields, validations)) {
        return parser->err->code;
    }
    for (uint64_t i = 0; detailed && i < fields->n; i++) {
        fields->details[i].reserved = 0;
    }
    desc->fields = fields->fields;
    desc->field_details = detailed && fields->fields ? fields->details : NULL;
    desc->n_fields = fields->n;
    return VMD_OK;
}

static enum vmd_status take_subsections(struct parser *parser, struct vmd_desc *desc)
{
    size_t bottom = parser->subsections.used;
    struct frame frame;
    bool more;
    enum vmd_status status = next_element(parser, &frame, true, &more);

    while (!status && more) {
        const struct vmd_desc *subsection, **slot;

        status = take_desc(parser, &subsection);
        if (status) {
            return status;
        }
        slot = stack_push(&parser->subsections, sizeof(subsection));
        if (!slot) {
            return no_memory(parser);
        }
        *slot = subsection;
        status = next_element(parser, &frame, false, &more);
    }
    if (!status) {
        desc->n_subsections = (parser->subsections.used - bottom) / sizeof(*desc->subsections);
        desc->subsections = stack_take(&parser->subsections, bottom, parser->tree);
        status = desc->subsections ? VMD_OK : no_memory(parser);
    }
    return status;
}

/* Sets a trait if the value says so. */
static enum vmd_status take_trait(struct parser *parser, uint32_t trait, uint32_t *traits)
{
    uint32_t value;
    enum vmd_status status = take_bool(parser, &value);

    if (!status && value) {
        *traits |= trait;
    }
    return status;
}

static enum vmd_status take_desc_members(struct parser *parser, struct vmd_desc *desc)
{
    enum {
        NAME,
        VERSION,
        MINIMUM,
        FIELDS,
        SUBSECTIONS,
        NEEDED,
        HOOKS,
        PRIORITY,
        UNMIGRATABLE,
        EARLY_SETUP,
        VALIDATIONS
    };
    static const char *const keys[] = {"name",        "version_id", "minimum_version_id", "Fields",       "Subsections",
                                       "needed",      "hooks",      "priority",           "unmigratable", "early_setup",
                                       "Validations", NULL};
    struct object object = {.keys = keys,
                            .required = 1u << NAME | 1u << VERSION | 1u << MINIMUM,
                            .what = "a description lacks name, version_id or minimum_version_id"};
    struct fields fields = {0}, validations = {0};
    enum vmd_status status;
    uint32_t hooks = 0;
    int key;

    while (!(status = next_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case NAME:
            status = take_name(parser, &desc->name, &desc->name_len);
            break;
        case VERSION:
            status = take_int(parser, &desc->version_id);
            break;
        case MINIMUM:
            status = take_int(parser, &desc->minimum_version_id);
            break;
        case FIELDS:
            status = take_fields(parser, false, &fields);
            break;
        case SUBSECTIONS:
            status = take_subsections(parser, desc);
            break;
        case NEEDED:
            desc->traits |= VMD_DETAILED;
            status = take_trait(parser, VMD_NEEDED, &desc->traits);
            break;
        case HOOKS:
            status = take_bits(parser, vmd_hook_words, &hooks);
            break;
        case PRIORITY:
            status = take_int(parser, &desc->priority);
            break;
        case UNMIGRATABLE:
            status = take_trait(parser, VMD_UNMIGRATABLE, &desc->traits);
            break;
        case EARLY_SETUP:
            status = take_trait(parser, VMD_EARLY_SETUP, &desc->traits);
            break;
        case VALIDATIONS:
            status = take_fields(parser, true, &validations);
            break;
        }
        if (status) {
            break;
        }
    }
    desc->traits |= hooks;
    return status ? status : set_fields(parser, desc, &fields, &validations);
}

static enum vmd_status take_desc(struct parser *parser, const struct vmd_desc **ret)
{
    struct vmd_desc *desc;
    enum vmd_status status;

    /* The depth is limited on the way down, so that the C stack is; vmd_desc_measure cannot exceed it then. */
    if (parser->depth == VMD_MAX_DEPTH) {
        return fail_at(parser, VMD_TOO_DEEP, parser->pos, "descriptions nest deeper than 1000");
    }
    desc = vmd_tree_alloc(parser->tree, sizeof(*desc));
    if (!desc) {
        return no_memory(parser);
    }
    memset(desc, 0, sizeof(*desc));
    parser->depth++;
    status = take_desc_members(parser, desc);
    parser->depth--;
    if (!status) {
        vmd_desc_measure(desc);
        *ret = desc;
    }
    return status;
}

/* A description that is on no device class. */
static enum vmd_status take_root(struct parser *parser, struct vmd_root *root)
{
    enum { USES, TYPES, SYMBOL, DESCRIPTION };
    static const char *const keys[] = {"uses", "types", "symbol", "Description", NULL};
    struct object object = {.keys = keys,
                            .required = 1u << USES | 1u << DESCRIPTION,
                            .what = "a description on no device class lacks uses or Description"};
    enum vmd_status status;
    uint32_t size;
    int key;

    memset(root, 0, sizeof(*root));
    while (!(status = next_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case USES:
            status = take_texts(parser, &root->uses, &root->n_uses);
            break;
        case TYPES:
            status = take_texts(parser, &root->types, &root->n_types);
            break;
        case SYMBOL:
            status = take_text(parser, &root->symbol, &size);
            break;
        case DESCRIPTION:
            status = take_desc(parser, &root->vmsd);
            break;
        }
        if (status) {
            break;
        }
    }
    return status;
}

static enum vmd_status take_roots(struct parser *parser)
{
    struct frame frame;
    bool more;
    enum vmd_status status = next_element(parser, &frame, true, &more);

    while (!status && more) {
        struct vmd_root root, *slot;

        status = take_root(parser, &root);
        if (status) {
            return status;
        }
        slot = stack_push(&parser->roots, sizeof(root));
        if (!slot) {
            return no_memory(parser);
        }
        *slot = root;
        status = next_element(parser, &frame, false, &more);
    }
    if (!status) {
        parser->tree->n_roots = parser->roots.used / sizeof(struct vmd_root);
        parser->tree->roots = stack_take(&parser->roots, 0, parser->tree);
        status = parser->tree->roots ? VMD_OK : no_memory(parser);
    }
    return status;
}

static enum vmd_status take_machine(struct parser *parser)
{
    enum { NAME, PRINTS_NUM, PRODUCER, DESCRIPTIONS };
    static const char *const keys[] = {"Name", "prints_num", "producer", "Descriptions", NULL};
    struct object object = {.keys = keys, .required = 1u << NAME, .what = "vmschkmachine lacks Name"};
    struct vmd_tree *tree = parser->tree;
    enum vmd_status status;
    int key;

    while (!(status = next_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case NAME:
            status = take_name(parser, &tree->machine, &tree->machine_len);
            break;
        case PRINTS_NUM:
            status = take_bool(parser, &tree->print_num);
            break;
        case PRODUCER:
            status = take_object(parser, &tree->about, &tree->about_size);
            break;
        case DESCRIPTIONS:
            status = take_roots(parser);
            break;
        }
        if (status) {
            break;
        }
    }
    return status;
}

static enum vmd_status set_device_details(struct parser *parser, struct vmd_device *device,
                                          const struct vmd_device_details *details)
{
    struct vmd_device_details *copy = vmd_tree_alloc(parser->tree, sizeof(*copy));

    if (!copy) {
        return no_memory(parser);
    }
    *copy = *details;
    device->details = copy;
    return VMD_OK;
}

static enum vmd_status take_device(struct parser *parser, struct vmd_device *device)
{
    enum { NAME, VERSION, MINIMUM, DESCRIPTION, PARENTS, ABSTRACT, DESC, MODULE };
    static const char *const keys[] = {
        "Name", "version_id", "minimum_version_id", "Description", "parents", "abstract", "desc", "module", NULL};
    struct object object = {.keys = keys,
                            .required = 1u << NAME | 1u << VERSION | 1u << MINIMUM | 1u << DESCRIPTION,
                            .what = "a device lacks Name, version_id, minimum_version_id or Description"};
    const struct slice type = parser->at->key;
    struct vmd_device_details details = {0};
    enum vmd_status status;
    uint32_t size;
    int key;

    memset(device, 0, sizeof(*device));
    while (!(status = next_key(parser, &object, &key)) && key >= 0) {
        const char *where = parser->pos;

        switch (key) {
        case NAME:
            status = take_name(parser, &device->name, &device->name_len);
            if (!status && (device->name_len != type.size || memcmp(device->name, type.text, type.size))) {
                status = fail_at(parser, VMD_BAD_JSON, where, "a device's Name is not its key");
            }
            break;
        case VERSION:
            status = take_int(parser, &device->version_id);
            break;
        case MINIMUM:
            status = take_int(parser, &device->minimum_version_id);
            break;
        case DESCRIPTION:
            status = take_desc(parser, &device->vmsd);
            break;
        case PARENTS:
            status = take_texts(parser, &details.parents, &details.n_parents);
            break;
        case ABSTRACT:
            status = take_bool(parser, &details.is_abstract);
            break;
        case DESC:
            status = take_text(parser, &details.desc, &size);
            break;
        case MODULE:
            status = take_text(parser, &details.module, &size);
            break;
        }
        if (status) {
            break;
        }
    }
    return status || !details.parents ? status : set_device_details(parser, device, &details);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct vmd_device *const *)a)->name, (*(const struct vmd_device *const *)b)->name);
}

/* Two devices of one name are two meanings of one key: which one counts depends on who reads the file. */
static enum vmd_status check_duplicates(struct parser *parser)
{
    uint64_t n = parser->tree->n_devices;
    const struct vmd_device **sorted = malloc(n * sizeof(*sorted) + 1);
    enum vmd_status status = VMD_OK;

    if (!sorted) {
        return no_memory(parser);
    }
    for (uint64_t i = 0; i < n; i++) {
        sorted[i] = &parser->tree->devices[i];
    }
    qsort(sorted, n, sizeof(*sorted), compare_names);
    for (uint64_t i = 1; i < n && !status; i++) {
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
            struct frame frame = {.key = {sorted[i]->name, sorted[i]->name_len}};

            parser->at = &frame;
            status = fail_at(parser, VMD_DUPLICATE, parser->begin, "a device type twice in one file");
            parser->at = NULL;
        }
    }
    free(sorted);
    return status;
}

static enum vmd_status take_member(struct parser *parser, struct frame *frame)
{
    static const char machine[] = "vmschkmachine";
    struct vmd_device device, *slot;
    const char *where;
    enum vmd_status status;

    skip_space(parser);
    where = parser->pos;
    status = take_string(parser, &frame->key);
    if (status || (status = expect(parser, ':', "expected ':'"))) {
        return status;
    }
    parser->at = frame;
    if (frame->key.size == sizeof(machine) - 1 && memcmp(frame->key.text, machine, frame->key.size) == 0) {
        return parser->tree->machine ? fail_at(parser, VMD_DUPLICATE, where, "vmschkmachine twice in one file")
                                     : take_machine(parser);
    }
    status = take_device(parser, &device);
    if (status) {
        return status;
    }
    slot = stack_push(&parser->devices, sizeof(device));
    if (!slot) {
        return no_memory(parser);
    }
    *slot = device;
    return VMD_OK;
}

static enum vmd_status take_file(struct parser *parser)
{
    struct frame frame = {0};
    bool first = true;

    if (expect(parser, '{', "expected an object: not a file of -dump-vmstate")) {
        return parser->err->code;
    }
    for (; !take(parser, '}'); first = false) {
        if (!first && expect(parser, ',', "expected ',' or '}'")) {
            return parser->err->code;
        }
        if (take_member(parser, &frame)) {
            return parser->err->code;
        }
        parser->at = NULL;
    }
    skip_space(parser);
    if (parser->pos < parser->end) {
        return fail_at(parser, VMD_BAD_JSON, parser->pos, "text behind the end of the document");
    }
    if (!parser->tree->machine) {
        return fail_at(parser, VMD_BAD_JSON, parser->pos, "no vmschkmachine: not a file of -dump-vmstate");
    }
    parser->tree->n_devices = parser->devices.used / sizeof(struct vmd_device);
    parser->tree->devices = stack_take(&parser->devices, 0, parser->tree);
    return parser->tree->devices ? check_duplicates(parser) : no_memory(parser);
}

enum vmd_status vmd_tree_parse(struct vmd_tree *tree, const char *text, size_t size, struct vmd_error *err)
{
    struct parser parser = {.tree = tree, .err = err, .begin = text, .pos = text, .end = text + size};
    enum vmd_status status;

    vmd_error_set(err, VMD_OK, 0, NULL);
    tree->print_num = 1;
    status = take_file(&parser);
    free(parser.fields.items);
    free(parser.details.items);
    free(parser.subsections.items);
    free(parser.devices.items);
    free(parser.texts.items);
    free(parser.roots.items);
    return status;
}
