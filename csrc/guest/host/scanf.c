/*
 * sscanf.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/format.h"
#include "guest/host/numbers.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* sscanf */

struct scan {
    struct vmd_variadic arguments;
    const char *text, *next; /* the whole input, and the rest */
    uint64_t n;              /* assignments */
};

struct scan_conversion {
    bool suppress;
    unsigned long width; /* 0: none */
    struct vmd_length length;
    char kind;
    bool set[256], inverted; /* of %[ */
};

static const char *read_set(const char *format, struct scan_conversion *ret)
{
    if (*format == '^') {
        ret->inverted = true;
        format++;
    }
    for (const char *first = format; *format && (*format != ']' || format == first); format++) {
        if (format[1] == '-' && format[2] && format[2] != ']') {
            for (int c = (uint8_t)format[0]; c <= (uint8_t)format[2]; c++) {
                ret->set[c] = true;
            }
            format += 2;
        } else {
            ret->set[(uint8_t)*format] = true;
        }
    }
    return *format ? format + 1 : format;
}

static const char *read_conversion(const struct vmd_arch *host, const char *format, struct scan_conversion *ret)
{
    *ret = (struct scan_conversion){0};
    if (*format == '*') {
        ret->suppress = true;
        format++;
    }
    if (isdigit((uint8_t)*format)) {
        char *end;

        ret->width = strtoul(format, &end, 10);
        format = end;
    }
    format = vmd_host_read_length(host, format, &ret->length);
    ret->kind = *format;
    format += *format != '\0';
    return ret->kind == '[' ? read_set(format, ret) : format;
}

/* Store the low bytes of a value. */
static void store(struct scan *scan, const struct scan_conversion *conversion, uint64_t value, size_t size)
{
    const struct vmd_guest *guest = scan->arguments.call->guest;
    char bytes[8], *to;

    if (conversion->suppress) {
        return;
    }
    to = vmd_guest_at(scan->arguments.call->guest, vmd_variadic_next(&scan->arguments), size);
    if (to) {
        vmd_put_u64(guest, bytes, value);
        memcpy(to, guest->host->is_big_endian ? bytes + 8 - size : bytes, size);
    }
}

static bool scan_integer(struct scan *scan, const struct scan_conversion *conversion, int base)
{
    char digits[128];
    size_t width = conversion->width && conversion->width < sizeof(digits) ? conversion->width : sizeof(digits) - 1;
    struct vmd_integer number;

    while (isspace((uint8_t)*scan->next)) {
        scan->next++;
    }
    width = strnlen(scan->next, width);
    memcpy(digits, scan->next, width);
    digits[width] = '\0';
    number = vmd_host_read_integer(
        digits, base,
        (struct vmd_integer_kind){.bits = 64, .is_signed = conversion->kind == 'd' || conversion->kind == 'i'});
    if (!number.length) {
        return false;
    }
    scan->next += number.length;
    store(scan, conversion, number.value, (size_t)conversion->length.bytes);
    scan->n += !conversion->suppress;
    return true;
}

/* %s, %[ and %c: the number of characters that it consumes. */
static size_t span(const struct scan *scan, const struct scan_conversion *conversion)
{
    size_t most = conversion->width ? conversion->width : conversion->kind == 'c' ? 1 : SIZE_MAX, n = 0;

    for (; n < most && scan->next[n]; n++) {
        uint8_t c = (uint8_t)scan->next[n];

        if ((conversion->kind == 's' && isspace(c)) ||
            (conversion->kind == '[' && conversion->set[c] == conversion->inverted)) {
            break;
        }
    }
    return n;
}

static bool scan_characters(struct scan *scan, const struct scan_conversion *conversion)
{
    struct vmd_guest *guest = scan->arguments.call->guest;
    uint64_t to;
    char *at;
    size_t n;

    while (conversion->kind == 's' && isspace((uint8_t)*scan->next)) {
        scan->next++;
    }
    n = span(scan, conversion);
    if (!n) {
        return false;
    }
    if (!conversion->suppress) {
        to = vmd_variadic_next(&scan->arguments);
        at = vmd_guest_at(guest, to, n + (conversion->kind != 'c'));
        if (at) {
            memcpy(at, scan->next, n);
            if (conversion->kind != 'c') {
                at[n] = '\0';
            }
        }
        scan->n++;
    }
    scan->next += n;
    return true;
}

static bool scan_one(struct scan *scan, const struct scan_conversion *conversion)
{
    bool is_double = conversion->length.is_long || conversion->length.is_long_double;
    uint64_t consumed = (uint64_t)(scan->next - scan->text);
    char *end;
    double value;
    float single;
    uint32_t bits;

    switch (conversion->kind) {
    case 'd':
    case 'u':
        return scan_integer(scan, conversion, 10);
    case 'i':
        return scan_integer(scan, conversion, 0);
    case 'x':
    case 'X':
    case 'p':
        return scan_integer(scan, conversion, 16);
    case 'o':
        return scan_integer(scan, conversion, 8);
    case 's':
    case 'c':
    case '[':
        return scan_characters(scan, conversion);
    case 'n':
        store(scan, conversion, consumed, (size_t)conversion->length.bytes);
        return true;
    case '%':
        return *scan->next == '%' ? scan->next++, true : false;
    case 'f':
    case 'g':
    case 'e':
        value = strtod(scan->next, &end);
        single = (float)value;
        if (end == scan->next) {
            return false;
        }
        scan->next = end;
        memcpy(&consumed, &value, 8);
        memcpy(&bits, &single, 4);
        store(scan, conversion, is_double ? consumed : bits, is_double ? 8 : 4);
        scan->n += !conversion->suppress;
        return true;
    default:
        scan->arguments.call->import->is_missed = true;
        return false;
    }
}

static uint64_t host_sscanf(struct vmd_host_call *call)
{
    struct scan scan = {.arguments = vmd_variadic_of(call, 2), .text = vmd_host_string(call->guest, call->args[0])};
    const char *format = vmd_host_string(call->guest, call->args[1]);
    struct scan_conversion conversion;

    scan.next = scan.text;
    while (scan.text && format && *format) {
        if (isspace((uint8_t)*format)) {
            format++;
            while (isspace((uint8_t)*scan.next)) {
                scan.next++;
            }
        } else if (*format == '%') {
            format = read_conversion(call->guest->host, format + 1, &conversion);
            if (!scan_one(&scan, &conversion)) {
                return scan.n || *scan.next ? scan.n : (uint64_t)-1;
            }
        } else if (*scan.next == *format) {
            scan.next++;
            format++;
        } else {
            return scan.n || *scan.next ? scan.n : (uint64_t)-1;
        }
    }
    return scan.n;
}

VMD_SERVE({"sscanf", host_sscanf}, {"__isoc99_sscanf", host_sscanf}, {"__isoc23_sscanf", host_sscanf})
