/*
 * What dump files are made of: strings, numbers, objects and lists, with their place for errors. What nearly all of a
 * file is, as QEMU writes it, is read by the inline functions below; whatever they are not sure of they leave to those
 * of parse_tokens.c, which read any JSON and know what is wrong with the rest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PARSE_TOKENS_H
#define VMD_PARSE_TOKENS_H

#include <string.h>

#include "format/extended.h"
#include "tree/stack.h"
#include "tree/tree.h"

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

/* A description that has been read. */
struct told {
    const struct vmd_desc *desc; /* NULL: none */
    const char *text;
    size_t size;
};

enum { VMD_N_TOLD = 256 }; /* a power of 2 */

struct parser {
    struct vmd_tree *tree;
    struct vmd_error *err;
    struct input *input; /* NULL: the text is there as a whole */
    const char *begin, *pos, *end;
    const struct frame *at;
    unsigned depth; /* descriptions around this place */
    size_t indent;  /* of the next line, if QEMU wrote it: two for each object and list around it */
    struct stack fields, details, subsections, devices, texts, roots;
    struct told told[VMD_N_TOLD]; /* by a hash: the last of it */
};

/* Errors: they return the code. */
enum vmd_status vmd_fail_at(struct parser *parser, enum vmd_status code, const char *where, const char *message);
/* At the position; at the end of the file it says so instead. */
enum vmd_status vmd_fail(struct parser *parser, const char *message);
enum vmd_status vmd_fail_memory(struct parser *parser);

/* A string of any characters: a slice of the input, or of the tree where it had escapes. */
enum vmd_status vmd_take_slice(struct parser *parser, struct slice *ret);
/* A string that is printable, as tree.h wants names. */
enum vmd_status vmd_take_string(struct parser *parser, struct slice *ret);
/* A string of any characters but NUL that the tree keeps, ended by NUL. */
enum vmd_status vmd_take_text(struct parser *parser, const char **ret, uint32_t *ret_len);
/* A list of them, each ended by NUL. */
enum vmd_status vmd_take_texts(struct parser *parser, const char **ret, uint32_t *ret_n);
/* A list of words that stand for bits. */
enum vmd_status vmd_take_bits(struct parser *parser, const struct vmd_word *words, uint32_t *ret);
/* An object, as it stands there. */
enum vmd_status vmd_take_object(struct parser *parser, const char **ret, uint64_t *ret_size);
/* A JSON integer of at most max, or at least -limit with a minus sign (limit 0: none). */
enum vmd_status vmd_take_integer(struct parser *parser, uint64_t max, uint64_t limit, uint64_t *ret, bool *negative);

#define KEY(text) {text, sizeof(text) - 1}

/* The state of reading an object whose keys are known: which have been seen, as bits. */
struct object {
    const struct slice *keys; /* in QEMU's order; ends in one without text */
    unsigned required, seen;
    int next; /* the key that QEMU would print next */
    bool begun;
    const char *what; /* message when a required key is missing */
    struct frame frame;
};

/* The next key of an object, as an index, or -1 at its end. Begin and end set the frame. */
enum vmd_status vmd_next_key(struct parser *parser, struct object *object, int *ret);

/* Whether n bytes are spaces; 8 bytes from p on can be read. */
static inline bool are_spaces(const char *p, size_t n)
{
    const uint64_t spaces = VMD_EACH_BYTE(' ');

    if (n < 8) {
        for (size_t i = 0; i < n; i += 2) {
            if (p[i] != ' ' || p[i + 1] != ' ') {
                return false;
            }
        }
        return true;
    }
    for (size_t i = 0; i + 8 < n; i += 8) {
        if (vmd_load_word(p + i) != spaces) {
            return false;
        }
    }
    return vmd_load_word(p + n - 8) == spaces;
}

void vmd_skip_any_space(struct parser *parser);

/*
 * QEMU's files are mostly indentation, and how much follows is known: where it is so, the CPU need not wait for what it
 * reads there to know where to read on.
 */
static inline void skip_space(struct parser *parser)
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
        are_spaces(p + 1, indent)) {
        parser->pos = p + 1 + indent;
        return;
    }
    vmd_skip_any_space(parser);
}

/* Skips space and reads c. */
static inline bool take(struct parser *parser, char c)
{
    if (parser->pos == parser->end || *parser->pos != c) {
        skip_space(parser);
        if (parser->pos == parser->end || *parser->pos != c) {
            return false;
        }
    }
    parser->pos++;
    return true;
}

/* Reads the end of an object or list, if it is there; first: nothing of it has been read yet. */
static inline bool take_end(struct parser *parser, char c, bool first)
{
    if (!first && parser->pos < parser->end && *parser->pos == ',') {
        return false;
    }
    parser->indent -= first ? 0 : 2;
    if (take(parser, c)) {
        parser->indent -= first ? 2 : 0;
        return true;
    }
    parser->indent += first ? 0 : 2;
    return false;
}

static inline enum vmd_status expect(struct parser *parser, char c, const char *message)
{
    return take(parser, c) ? VMD_OK : vmd_fail(parser, message);
}

/* A string that the tree keeps: of printable characters. */
static inline enum vmd_status take_name(struct parser *parser, const char **ret, uint32_t *ret_len)
{
    struct slice slice;
    const char *stop;

    skip_space(parser);
    stop = parser->pos < parser->end ? vmd_skip_plain(parser->pos + 1, parser->end) : parser->end;
    if (stop < parser->end && *parser->pos == '"' && *stop == '"') {
        slice = (struct slice){parser->pos + 1, stop - parser->pos - 1};
        parser->pos = stop + 1;
    } else if (vmd_take_string(parser, &slice)) {
        return parser->err->code;
    }
    if (slice.size > INT32_MAX) {
        return vmd_fail_at(parser, VMD_BAD_NAME, parser->pos, "a name of more than 2 GiB");
    }
    *ret = vmd_tree_string(parser->tree, slice.text, slice.size);
    *ret_len = slice.size;
    return *ret ? VMD_OK : vmd_fail_memory(parser);
}

/* Where a number of few digits ends that stands at p, if nothing follows that could belong to it; else NULL. */
static inline const char *read_small(const struct parser *parser, const char *p, uint32_t *ret)
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

/* Reads such a number, with a space before it. */
static inline bool take_small(struct parser *parser, uint32_t *ret)
{
    const char *p = parser->pos;
    uint32_t value;

    p = read_small(parser, p + (p < parser->end && *p == ' '), &value);
    if (!p) {
        return false;
    }
    parser->pos = p;
    *ret = value;
    return true;
}

/* An int as C prints it with %d. */
static inline enum vmd_status take_int(struct parser *parser, int32_t *ret)
{
    uint64_t value;
    uint32_t small;
    bool negative;
    enum vmd_status status;

    if (take_small(parser, &small)) {
        *ret = small;
        return VMD_OK;
    }
    status = vmd_take_integer(parser, INT32_MAX, (uint64_t)INT32_MAX + 1, &value, &negative);
    if (!status) {
        *ret = negative ? (int32_t)-(int64_t)value : (int32_t)value;
    }
    return status;
}

static inline enum vmd_status take_size(struct parser *parser, uint64_t *ret)
{
    uint32_t small;
    bool negative;

    if (take_small(parser, &small)) {
        *ret = small;
        return VMD_OK;
    }
    return vmd_take_integer(parser, UINT64_MAX, 0, ret, &negative);
}

static inline enum vmd_status take_bool(struct parser *parser, uint32_t *ret)
{
    skip_space(parser);
    if (parser->end - parser->pos >= 4 && memcmp(parser->pos, "true", 4) == 0) {
        parser->pos += 4;
        *ret = 1;
    } else if (parser->end - parser->pos >= 5 && memcmp(parser->pos, "false", 5) == 0) {
        parser->pos += 5;
        *ret = 0;
    } else {
        return vmd_fail(parser, "expected true or false");
    }
    return VMD_OK;
}

/* Begins (index 0) or continues a list; *more is false at its end, and at is back at the list. */
static inline enum vmd_status next_element(struct parser *parser, struct frame *frame, bool begin, bool *more)
{
    if (begin) {
        if (expect(parser, '[', "expected a list")) {
            return parser->err->code;
        }
        parser->indent += 2;
        *frame = (struct frame){.up = parser->at};
    }
    parser->at = frame->up;
    *more = !take_end(parser, ']', begin);
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

#endif
