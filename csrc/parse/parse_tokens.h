/*
 * Tokens of dump files: strings, numbers, objects and lists, and the position for errors. The inline functions parse
 * text as QEMU formats it; everything else is left to parse_tokens.c, which parses any JSON and reports errors.
 *
 * Each function skips white space before the token. On success the position is after the token; on failure the
 * functions return the code of parser->err.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PARSE_TOKENS_H
#define VMD_PARSE_TOKENS_H

#include <string.h>

#include "format/extended.h"
#include "tree/stack.h"
#include "tree/tree.h"

struct vmd_slice {
    const char *text;
    size_t size;
};

/* JSON path of the position: a chain of frames on the C stack, outermost last. */
struct vmd_frame {
    const struct vmd_frame *up;
    struct vmd_slice key; /* text NULL: element of a list */
    uint64_t index;
};

/* A parsed description and its text. */
struct vmd_repeat {
    const struct vmd_desc *desc; /* NULL: none */
    const char *text;
    size_t size;
};

enum { VMD_N_REPEATS = 256 }; /* a power of 2 */

struct vmd_parser {
    struct vmd_tree *tree;
    struct vmd_error *err;
    struct vmd_window *window; /* NULL: all text is in memory */
    const char *begin, *pos, *end;
    const struct vmd_frame *at;
    unsigned depth; /* number of enclosing descriptions */
    size_t indent;  /* of the next line in QEMU's format: two for each enclosing object and list */
    struct vmd_stack fields, details, subsections, devices, texts, standalone;
    struct vmd_repeat repeats[VMD_N_REPEATS]; /* indexed by a hash */
};

/* Set the error; return the code. */
enum vmd_status vmd_parse_fail_at(struct vmd_parser *parser, enum vmd_status code, const char *where,
                                  const char *message);
/* VMD_BAD_JSON at the position; at the end of the input the message is replaced. */
enum vmd_status vmd_parse_fail(struct vmd_parser *parser, const char *message);
enum vmd_status vmd_parse_fail_memory(struct vmd_parser *parser);

/* A string of any characters: a slice of the input or, if it has escapes, of the tree. */
enum vmd_status vmd_parse_slice(struct vmd_parser *parser, struct vmd_slice *ret);
/* A string that is a valid name: see tree.h. */
enum vmd_status vmd_parse_string(struct vmd_parser *parser, struct vmd_slice *ret);
/* A string without NUL characters, copied into the tree. */
enum vmd_status vmd_parse_text(struct vmd_parser *parser, const char **ret, uint32_t *ret_len);
/* A list of such strings, NUL-terminated. */
enum vmd_status vmd_parse_texts(struct vmd_parser *parser, const char **ret, uint32_t *ret_n);
/* A list of words, as the bits that they name. */
enum vmd_status vmd_parse_bits(struct vmd_parser *parser, const struct vmd_word *words, uint32_t *ret);
/* The text of an object. Only its end is determined; the user of the text parses it. */
enum vmd_status vmd_parse_verbatim_object(struct vmd_parser *parser, const char **ret, uint64_t *ret_size);
/* A JSON integer from -limit to max; *negative: it has a minus sign. */
enum vmd_status vmd_parse_integer(struct vmd_parser *parser, uint64_t max, uint64_t limit, uint64_t *ret,
                                  bool *negative);

#define VMD_KEY(text) {text, sizeof(text) - 1}

/* State of parsing an object with known keys. */
struct vmd_parse_object {
    const struct vmd_slice *keys; /* in QEMU's order; text NULL ends the list */
    unsigned required, seen;      /* bits: 1 << index of the key */
    int next;                     /* index of the key that QEMU prints next */
    bool begun;
    const char *what; /* message for a missing required key */
    struct vmd_frame frame;
};

/* The index of the next key, or -1 at the end of the object. Sets parser->at to the frame of the key. */
enum vmd_status vmd_parse_key(struct vmd_parser *parser, struct vmd_parse_object *object, int *ret);

/* Whether n bytes are spaces, n even; at least 8 bytes at p are readable. */
static inline bool vmd_parse_are_spaces(const char *p, size_t n)
{
    const uint64_t spaces = VMD_REPEAT_BYTE(' ');

    if (n < 8) {
        for (size_t i = 0; i < n; i += 2) {
            if (p[i] != ' ' || p[i + 1] != ' ') {
                return false;
            }
        }
        return true;
    }
    for (size_t i = 0; i + 8 < n; i += 8) {
        if (vmd_load_u64(p + i) != spaces) {
            return false;
        }
    }
    return vmd_load_u64(p + n - 8) == spaces;
}

void vmd_parse_skip_any_space(struct vmd_parser *parser);

/*
 * QEMU's files are mostly indentation of a known size. Comparing it at once, instead of searching for its end, lets the
 * CPU continue before the comparison is done.
 */
static inline void vmd_parse_skip_space(struct vmd_parser *parser)
{
    const char *p = parser->pos;
    size_t indent = parser->indent;

    if (parser->end - p >= 2) {
        if ((unsigned char)*p > ' ') {
            return;
        }
        if (*p == ' ' && (unsigned char)p[1] > ' ') {
            parser->pos++;
            return;
        }
    }
    if ((size_t)(parser->end - p) > indent + 8 && *p == '\n' && (unsigned char)p[1 + indent] > ' ' &&
        vmd_parse_are_spaces(p + 1, indent)) {
        parser->pos = p + 1 + indent;
        return;
    }
    vmd_parse_skip_any_space(parser);
}

/* The character c, if it is next. */
static inline bool vmd_parse_char(struct vmd_parser *parser, char c)
{
    if (parser->pos == parser->end || *parser->pos != c) {
        vmd_parse_skip_space(parser);
        if (parser->pos == parser->end || *parser->pos != c) {
            return false;
        }
    }
    parser->pos++;
    return true;
}

/* The end of an object or list, if it is next. first: no member has been parsed yet. */
static inline bool vmd_parse_end(struct vmd_parser *parser, char c, bool first)
{
    if (!first && parser->pos < parser->end && *parser->pos == ',') {
        return false;
    }
    parser->indent -= first ? 0 : 2;
    if (vmd_parse_char(parser, c)) {
        parser->indent -= first ? 2 : 0;
        return true;
    }
    parser->indent += first ? 0 : 2;
    return false;
}

static inline enum vmd_status vmd_parse_expect(struct vmd_parser *parser, char c, const char *message)
{
    return vmd_parse_char(parser, c) ? VMD_OK : vmd_parse_fail(parser, message);
}

/* A name, copied into the tree. */
static inline enum vmd_status vmd_parse_name(struct vmd_parser *parser, const char **ret, uint32_t *ret_len)
{
    struct vmd_slice slice;
    const char *stop;

    vmd_parse_skip_space(parser);
    stop = parser->pos < parser->end ? vmd_name_skip_plain(parser->pos + 1, parser->end) : parser->end;
    if (stop < parser->end && *parser->pos == '"' && *stop == '"') {
        slice = (struct vmd_slice){parser->pos + 1, stop - parser->pos - 1};
        parser->pos = stop + 1;
    } else if (vmd_parse_string(parser, &slice)) {
        return parser->err->code;
    }
    if (slice.size > INT32_MAX) {
        return vmd_parse_fail_at(parser, VMD_BAD_NAME, parser->pos, "a name exceeds 2 GiB");
    }
    *ret = vmd_tree_string(parser->tree, slice.text, slice.size);
    *ret_len = slice.size;
    return *ret ? VMD_OK : vmd_parse_fail_memory(parser);
}

/* End of the number of up to nine digits at p, if ',' or a newline follows; else NULL. */
static inline const char *vmd_parse_small_at(const struct vmd_parser *parser, const char *p, uint32_t *ret)
{
    uint32_t value = 0;

    if (parser->end - p < 10 || *p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9')) {
        return NULL;
    }
    if (p[1] == ',' || p[1] == '\n') {
        *ret = *p - '0';
        return p + 1;
    }
    for (int i = 0; i < 9 && *p >= '0' && *p <= '9'; i++, p++) {
        value = 10 * value + (*p - '0');
    }
    *ret = value;
    return *p == ',' || *p == '\n' ? p : NULL;
}

/* Such a number after an optional space, if it is next. */
static inline bool vmd_parse_small(struct vmd_parser *parser, uint32_t *ret)
{
    const char *p = parser->pos;
    uint32_t value;

    p = vmd_parse_small_at(parser, p + (p < parser->end && *p == ' '), &value);
    if (!p) {
        return false;
    }
    parser->pos = p;
    *ret = value;
    return true;
}

/* An int32_t. */
static inline enum vmd_status vmd_parse_int(struct vmd_parser *parser, int32_t *ret)
{
    uint64_t value;
    uint32_t small;
    bool negative;
    enum vmd_status status;

    if (vmd_parse_small(parser, &small)) {
        *ret = small;
        return VMD_OK;
    }
    status = vmd_parse_integer(parser, INT32_MAX, (uint64_t)INT32_MAX + 1, &value, &negative);
    if (!status) {
        *ret = negative ? (int32_t)-(int64_t)value : (int32_t)value;
    }
    return status;
}

static inline enum vmd_status vmd_parse_size(struct vmd_parser *parser, uint64_t *ret)
{
    uint32_t small;
    bool negative;

    if (vmd_parse_small(parser, &small)) {
        *ret = small;
        return VMD_OK;
    }
    return vmd_parse_integer(parser, UINT64_MAX, 0, ret, &negative);
}

static inline enum vmd_status vmd_parse_bool(struct vmd_parser *parser, uint32_t *ret)
{
    vmd_parse_skip_space(parser);
    if (parser->end - parser->pos >= 4 && memcmp(parser->pos, "true", 4) == 0) {
        parser->pos += 4;
        *ret = 1;
    } else if (parser->end - parser->pos >= 5 && memcmp(parser->pos, "false", 5) == 0) {
        parser->pos += 5;
        *ret = 0;
    } else {
        return vmd_parse_fail(parser, "expected true or false");
    }
    return VMD_OK;
}

/* Begin or continue a list; *more: an element follows. At the end parser->at is the frame of the list again. */
static inline enum vmd_status vmd_parse_element(struct vmd_parser *parser, struct vmd_frame *frame, bool begin,
                                                bool *more)
{
    if (begin) {
        if (vmd_parse_expect(parser, '[', "expected a list")) {
            return parser->err->code;
        }
        parser->indent += 2;
        *frame = (struct vmd_frame){.up = parser->at};
    }
    parser->at = frame->up;
    *more = !vmd_parse_end(parser, ']', begin);
    if (*more && !begin) {
        if (vmd_parse_expect(parser, ',', "expected ',' or ']'")) {
            return parser->err->code;
        }
        frame->index++;
    }
    if (*more) {
        parser->at = frame;
    }
    return VMD_OK;
}

#endif
