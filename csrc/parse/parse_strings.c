/*
 * Strings with and without escapes: see parse_tokens.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse/parse_tokens.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Value of the four digits of \uXXXX, or -1. */
static int32_t hex_code(const struct vmd_parser *parser, const char *p)
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

static char *write_utf8(char *out, uint32_t code)
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

/* Decode the escape at *at (after the backslash) to out; NULL: invalid. */
static char *parse_escape(const struct vmd_parser *parser, const char **at, char *out)
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
    return write_utf8(out, code);
}

/* A string with escapes, decoded into the tree. */
static enum vmd_status parse_escaped(struct vmd_parser *parser, const char *begin, struct vmd_slice *ret)
{
    const char *p = begin, *end = begin;
    char *out, *copy;

    while (end < parser->end && *end != '"') {
        end += *end == '\\' ? 2 : 1;
    }
    if (end >= parser->end) {
        parser->pos = parser->end;
        return vmd_parse_fail(parser, "");
    }
    copy = out = vmd_tree_alloc(parser->tree, end - begin);
    if (!copy) {
        return vmd_parse_fail_memory(parser);
    }
    while (p < end) {
        const char *backslash = p;

        if (*p++ != '\\') {
            *out++ = *backslash;
            continue;
        }
        out = parse_escape(parser, &p, out);
        if (!out) {
            return vmd_parse_fail_at(parser, VMD_BAD_JSON, backslash, "invalid escape sequence");
        }
    }
    *ret = (struct vmd_slice){copy, out - copy};
    parser->pos = end + 1;
    return VMD_OK;
}

enum vmd_status vmd_parse_slice(struct vmd_parser *parser, struct vmd_slice *ret)
{
    const char *begin, *p;

    if (!vmd_parse_char(parser, '"')) {
        return vmd_parse_fail(parser, "expected a string");
    }
    begin = parser->pos;
    for (p = begin; p < parser->end && *p != '"' && *p != '\\'; p++) {
    }
    if (p >= parser->end || *p != '"') {
        return parse_escaped(parser, begin, ret);
    }
    *ret = (struct vmd_slice){begin, p - begin};
    parser->pos = p + 1;
    return VMD_OK;
}

enum vmd_status vmd_parse_string(struct vmd_parser *parser, struct vmd_slice *ret)
{
    const char *begin;
    size_t printable;
    enum vmd_status status;

    vmd_parse_skip_space(parser);
    begin = parser->pos + 1;
    status = vmd_parse_slice(parser, ret);
    if (status) {
        return status;
    }
    printable = vmd_name_printable_prefix(ret->text, ret->size);
    if (printable != ret->size) {
        return vmd_parse_fail_at(
            parser, VMD_BAD_NAME, ret->text == begin ? begin + printable : begin,
            "a name contains a quote, a backslash, a control character or invalid UTF-8; QEMU cannot print it");
    }
    return status;
}

enum vmd_status vmd_parse_text(struct vmd_parser *parser, const char **ret, uint32_t *ret_len)
{
    const char *where;
    struct vmd_slice slice;
    enum vmd_status status;

    vmd_parse_skip_space(parser);
    where = parser->pos;
    status = vmd_parse_slice(parser, &slice);
    if (status) {
        return status;
    }
    if (slice.size > INT32_MAX || memchr(slice.text, '\0', slice.size)) {
        return vmd_parse_fail_at(parser, VMD_BAD_NAME, where, "a text contains NUL or exceeds 2 GiB");
    }
    *ret = vmd_tree_string(parser->tree, slice.text, slice.size);
    *ret_len = slice.size;
    return *ret ? VMD_OK : vmd_parse_fail_memory(parser);
}
