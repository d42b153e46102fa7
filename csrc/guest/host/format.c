/*
 * printf's conversions.
 *
 * A format is parsed here, so that no conversion sees an argument of another size; numbers are printed by the host's
 * own snprintf. The guest's locale is C.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/format.h"

#include <stdio.h>
#include <stdlib.h>

enum { WIDTH_MAX = 4096, NUMBER_MAX = 400 };

/* Output grows up to VMD_FORMATTED_MAX; the rest is dropped. */

static void append(struct vmd_text *text, const char *bytes, size_t size)
{
    if (size > VMD_FORMATTED_MAX - text->size) {
        size = VMD_FORMATTED_MAX - text->size;
    }
    if (text->size + size >= text->room) {
        size_t room = text->room ? text->room : 128;
        char *grown;

        while (room <= text->size + size) {
            room *= 2;
        }
        grown = realloc(text->bytes, room);
        if (!grown) {
            return;
        }
        text->bytes = grown;
        text->room = room;
    }
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

static void pad(struct vmd_text *text, char with, size_t n)
{
    for (; n; n--) {
        append(text, &with, 1);
    }
}

/* A conversion specification. */
struct specification {
    bool left, plus, space, alternative, zero;
    int width, precision; /* precision -1: none */
    struct vmd_length length;
    char conversion;
};

static const char *read_number(const char *c, int *value, struct vmd_variadic *arguments)
{
    if (*c == '*') {
        *value = (int32_t)vmd_variadic_next(arguments);
        return c + 1;
    }
    *value = 0;
    for (; *c >= '0' && *c <= '9'; c++) {
        *value = *value < WIDTH_MAX ? *value * 10 + (*c - '0') : WIDTH_MAX;
    }
    return c;
}

const char *vmd_host_read_length(const struct vmd_arch *host, const char *format, struct vmd_length *ret)
{
    *ret = (struct vmd_length){.bytes = 4};
    for (;; format++) {
        if (*format == 'h') {
            ret->bytes = ret->bytes == 4 ? 2 : 1;
        } else if (*format == 'l') {
            ret->bytes = host->long_is_int && !ret->is_long ? 4 : 8;
            ret->is_long = true;
        } else if (*format == 'I' && host->long_is_int) { /* Windows: a pointer's size, or that in bits */
            bool is_64 = strncmp(format, "I64", 3) == 0, is_32 = strncmp(format, "I32", 3) == 0;

            ret->bytes = is_32 ? 4 : 8;
            format += is_64 || is_32 ? 2 : 0;
        } else if (*format && strchr("Lqzjt", *format)) {
            ret->bytes = 8;
            ret->is_long_double = *format == 'L';
        } else {
            return format;
        }
    }
}

/* Parse the specification after a %. */
static const char *read_specification(const char *c, struct specification *ret, struct vmd_variadic *arguments)
{
    const struct vmd_arch *host = arguments->call->guest->host;

    *ret = (struct specification){.precision = -1};
    for (;; c++) {
        if (*c == '-') {
            ret->left = true;
        } else if (*c == '+') {
            ret->plus = true;
        } else if (*c == ' ') {
            ret->space = true;
        } else if (*c == '#') {
            ret->alternative = true;
        } else if (*c == '0') {
            ret->zero = true;
        } else if (*c != '\'' && (*c != 'I' || host->long_is_int)) { /* of glibc: digits of the locale */
            break;
        }
    }
    c = read_number(c, &ret->width, arguments);
    if (ret->width < 0) {
        ret->left = true;
        ret->width = ret->width > -WIDTH_MAX ? -ret->width : WIDTH_MAX;
    }
    ret->width = ret->width < WIDTH_MAX ? ret->width : WIDTH_MAX;
    if (*c == '.') {
        c = read_number(c + 1, &ret->precision, arguments);
        ret->precision = ret->precision < WIDTH_MAX ? ret->precision : WIDTH_MAX;
    }
    c = vmd_host_read_length(host, c, &ret->length);
    ret->conversion = *c;
    return *c ? c + 1 : c;
}

static void print_padded(struct vmd_text *out, const struct specification *spec, const char *bytes, size_t size)
{
    size_t padding = (size_t)spec->width > size ? (size_t)spec->width - size : 0;

    if (!spec->left) {
        pad(out, ' ', padding);
    }
    append(out, bytes, size);
    if (spec->left) {
        pad(out, ' ', padding);
    }
}

/* The specification, for the host's snprintf, with width and precision as arguments. */
static void rebuild(const struct specification *spec, const char *length, char *ret)
{
    *ret++ = '%';
    for (const char *flag = "-+ #0"; *flag; flag++) {
        if ((*flag == '-' && spec->left) || (*flag == '+' && spec->plus) || (*flag == ' ' && spec->space) ||
            (*flag == '#' && spec->alternative) || (*flag == '0' && spec->zero)) {
            *ret++ = *flag;
        }
    }
    strcpy(ret, "*.*");
    strcat(ret, length);
    strncat(ret, &spec->conversion, 1);
}

static void print_integer(struct vmd_text *out, const struct specification *spec, uint64_t value)
{
    char format[32], text[WIDTH_MAX + NUMBER_MAX];
    int n;

    if (spec->conversion == 'd' || spec->conversion == 'i') {
        value = spec->length.bytes == 1   ? (uint64_t)(int8_t)value
                : spec->length.bytes == 2 ? (uint64_t)(int16_t)value
                : spec->length.bytes == 4 ? (uint64_t)(int32_t)value
                                          : value;
    } else {
        value = spec->length.bytes == 8 ? value : value & (((uint64_t)1 << 8 * spec->length.bytes) - 1);
    }
    rebuild(spec, "ll", format);
    n = snprintf(text, sizeof(text), format, spec->width, spec->precision, value);
    append(out, text, n > 0 ? (size_t)n : 0);
}

static void print_double(struct vmd_text *out, const struct specification *spec, double value)
{
    char format[32], text[2 * WIDTH_MAX + NUMBER_MAX];
    int n;

    rebuild(spec, "", format);
    n = snprintf(text, sizeof(text), format, spec->width, spec->precision, value);
    append(out, text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : 0);
}

static void print_string(struct vmd_text *out, const struct specification *spec, struct vmd_guest *guest,
                         uint64_t address)
{
    const char *text = "(null)";
    size_t most = spec->precision < 0 ? SIZE_MAX : (size_t)spec->precision, size;

    if (address) {
        /* With a precision it needs no end. */
        uint64_t room = guest->size - (address - guest->base);

        text = spec->precision < 0 ? vmd_host_string(guest, address) : vmd_guest_at(guest, address, 1);
        if (text && spec->precision >= 0) {
            most = most < room ? most : room;
        }
    }
    size = text ? strnlen(text, most) : 0;
    print_padded(out, spec, text ? text : "", size);
}

/* Print one conversion. */
static void convert(struct vmd_text *out, const struct specification *spec, struct vmd_variadic *arguments)
{
    struct vmd_guest *guest = arguments->call->guest;
    const char *reason;
    char c, text[32];
    uint64_t value;

    switch (spec->conversion) {
    case '%':
        append(out, "%", 1);
        break;
    case 'm':
        reason = vmd_host_error_text(guest, vmd_guest_load_u32(guest, guest->errno_at));
        print_padded(out, spec, reason, strlen(reason));
        break;
    case 's':
        print_string(out, spec, guest, vmd_variadic_next(arguments));
        break;
    case 'c':
        c = (char)vmd_variadic_next(arguments);
        print_padded(out, spec, &c, 1);
        break;
    case 'p':
        value = vmd_variadic_next(arguments);
        snprintf(text, sizeof(text), value ? "0x%llx" : "(nil)", (unsigned long long)value);
        print_padded(out, spec, text, strlen(text));
        break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        print_integer(out, spec, vmd_variadic_next(arguments));
        break;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A':
        print_double(out, spec,
                     spec->length.is_long_double ? vmd_variadic_next_long_double(arguments)
                                                 : vmd_variadic_next_double(arguments));
        break;
    default:
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, (uint8_t)spec->conversion, "a printf conversion that is not known");
    }
}

/* Append text with XML's reserved characters escaped. Source: GLib glib/gmarkup.c append_escaped_text. */
static void append_escaped(struct vmd_text *out, const struct vmd_text *text)
{
    static const struct {
        char c;
        const char *escaped;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\'', "&apos;"}, {'"', "&quot;"}};

    for (size_t i = 0; i < text->size; i++) {
        const char *escaped = NULL;

        for (size_t k = 0; k < sizeof(entities) / sizeof(*entities); k++) {
            escaped = text->bytes[i] == entities[k].c ? entities[k].escaped : escaped;
        }
        append(out, escaped ? escaped : text->bytes + i, escaped ? strlen(escaped) : 1);
    }
}

/* Print the arguments, escaped for XML or unchanged. */
bool vmd_host_format_escaped(struct vmd_variadic *arguments, uint64_t format, bool escape, struct vmd_text *out)
{
    struct vmd_guest *guest = arguments->call->guest;
    const char *c = vmd_host_string(guest, format);

    *out = (struct vmd_text){0};
    append(out, "", 0);
    if (!c || !out->bytes) {
        return false;
    }
    while (*c && !guest->err.code && out->size < VMD_FORMATTED_MAX) {
        struct specification spec;
        size_t plain = strcspn(c, "%");

        append(out, c, plain);
        c += plain;
        if (*c == '%') {
            struct vmd_text text = {0};

            c = read_specification(c + 1, &spec, arguments);
            convert(escape ? &text : out, &spec, arguments);
            append_escaped(out, &text);
            free(text.bytes);
        }
    }
    return true;
}

bool vmd_host_format(struct vmd_variadic *arguments, uint64_t format, struct vmd_text *out)
{
    return vmd_host_format_escaped(arguments, format, false, out);
}

VMD_SERVE({"g_log_set_default_handler", vmd_host_zero})
