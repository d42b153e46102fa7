/*
 * Numbers: strtol and its relatives, sscanf, 128-bit division, mathematics.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/variadic.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Text to numbers. What is behind the number goes to *end, if the guest wants it. */

static void put_end(struct vmd_host_call *call, const char *text, const char *end)
{
    if (call->args[1]) {
        vmd_guest_store_u64(call->guest, call->args[1], call->args[0] + (uint64_t)(end - text));
    }
}

static void take_errno(struct vmd_host_call *call)
{
    if (errno) {
        vmd_host_errno(call->guest, errno);
    }
}

static uint64_t host_strtol(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);
    char *end;
    long long value;

    if (!text) {
        return 0;
    }
    errno = 0;
    value = strtoll(text, &end, (int32_t)call->args[2]);
    take_errno(call);
    put_end(call, text, end);
    return (uint64_t)value;
}

static uint64_t host_strtoul(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);
    char *end;
    unsigned long long value;

    if (!text) {
        return 0;
    }
    errno = 0;
    value = strtoull(text, &end, (int32_t)call->args[2]);
    take_errno(call);
    put_end(call, text, end);
    return value;
}

static uint64_t host_atoi(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? (uint64_t)strtoll(text, NULL, 10) : 0;
}

static uint64_t host_strtod(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);
    char *end;
    double value;

    if (text) {
        errno = 0;
        value = strtod(text, &end);
        take_errno(call);
        put_end(call, text, end);
        vmd_cpu_return_double(call->guest, value);
    }
    return 0;
}

static uint64_t host_g_ascii_xdigit_value(struct vmd_host_call *call)
{
    int c = (uint8_t)call->args[0];

    return isdigit(c) ? (uint64_t)(c - '0') : isxdigit(c) ? (uint64_t)(tolower(c) - 'a' + 10) : (uint64_t)-1;
}

static uint64_t host_g_ascii_digit_value(struct vmd_host_call *call)
{
    int c = (uint8_t)call->args[0];

    return isdigit(c) ? (uint64_t)(c - '0') : (uint64_t)-1;
}

/* sscanf */

struct scan {
    struct vmd_variadic arguments;
    const char *text, *next; /* the whole input, and what is left of it */
    uint64_t n;              /* assignments */
};

struct scan_conversion {
    bool suppress;
    unsigned long width; /* 0: none */
    int bytes;
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

static const char *read_conversion(const char *format, struct scan_conversion *ret)
{
    *ret = (struct scan_conversion){.bytes = 4};
    if (*format == '*') {
        ret->suppress = true;
        format++;
    }
    if (isdigit((uint8_t)*format)) {
        char *end;

        ret->width = strtoul(format, &end, 10);
        format = end;
    }
    for (; *format && strchr("hlLqjzt", *format); format++) {
        ret->bytes = *format != 'h' ? 8 : ret->bytes == 4 ? 2 : 1;
    }
    ret->kind = *format;
    format += *format != '\0';
    return ret->kind == '[' ? read_set(format, ret) : format;
}

static void store(struct scan *scan, const struct scan_conversion *conversion, const void *value, size_t size)
{
    char *to;

    if (conversion->suppress) {
        return;
    }
    to = vmd_guest_at(scan->arguments.call->guest, vmd_variadic_next(&scan->arguments), size);
    if (to) {
        memcpy(to, value, size);
    }
}

static bool scan_integer(struct scan *scan, const struct scan_conversion *conversion, int base)
{
    char digits[128], *end;
    size_t width = conversion->width && conversion->width < sizeof(digits) ? conversion->width : sizeof(digits) - 1;
    unsigned long long value;

    while (isspace((uint8_t)*scan->next)) {
        scan->next++;
    }
    width = strnlen(scan->next, width);
    memcpy(digits, scan->next, width);
    digits[width] = '\0';
    value = conversion->kind == 'd' || conversion->kind == 'i' ? (unsigned long long)strtoll(digits, &end, base)
                                                               : strtoull(digits, &end, base);
    if (end == digits) {
        return false;
    }
    scan->next += end - digits;
    store(scan, conversion, &value, (size_t)conversion->bytes);
    scan->n += !conversion->suppress;
    return true;
}

/* %s, %[ and %c: how many characters belong to it. */
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
    uint64_t consumed = (uint64_t)(scan->next - scan->text);
    char *end;
    double value;
    float single;

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
        store(scan, conversion, &consumed, (size_t)conversion->bytes);
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
        store(scan, conversion, conversion->bytes == 8 ? (void *)&value : (void *)&single, (size_t)conversion->bytes);
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
            format = read_conversion(format + 1, &conversion);
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

/* 128-bit division, which compilers leave to a function: arguments and result are pairs of words, the lower first. */

typedef unsigned __int128 u128;
typedef __int128 s128;

static u128 pair(struct vmd_host_call *call, int n)
{
    return (u128)call->args[n + 1] << 64 | call->args[n];
}

static uint64_t return_pair(struct vmd_host_call *call, u128 value)
{
    vmd_cpu_write(call->guest, call->guest->host->result_high, (uint64_t)(value >> 64));
    return (uint64_t)value;
}

static bool is_divisible(struct vmd_host_call *call)
{
    if (!pair(call, 2)) {
        vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, 0, "a division by zero");
        return false;
    }
    return true;
}

static uint64_t host_udivti3(struct vmd_host_call *call)
{
    return is_divisible(call) ? return_pair(call, pair(call, 0) / pair(call, 2)) : 0;
}

static uint64_t host_umodti3(struct vmd_host_call *call)
{
    return is_divisible(call) ? return_pair(call, pair(call, 0) % pair(call, 2)) : 0;
}

/* Of the least number and -1 there is no quotient: the dividend, and no rest. */
static uint64_t host_divti3(struct vmd_host_call *call)
{
    s128 a = (s128)pair(call, 0), b = (s128)pair(call, 2);

    return is_divisible(call) ? return_pair(call, b == -1 ? -(u128)a : (u128)(a / b)) : 0;
}

static uint64_t host_modti3(struct vmd_host_call *call)
{
    s128 a = (s128)pair(call, 0), b = (s128)pair(call, 2);

    return is_divisible(call) ? return_pair(call, b == -1 ? 0 : (u128)(a % b)) : 0;
}

static uint64_t host_popcountdi2(struct vmd_host_call *call)
{
    return (uint64_t)__builtin_popcountll(call->args[0]);
}

/* Mathematics, on the host's own libm. */

#define MATH1(name)                                                                                                    \
    static uint64_t host_##name(struct vmd_host_call *call)                                                            \
    {                                                                                                                  \
        vmd_cpu_return_double(call->guest, name(vmd_cpu_read_double(call->guest, 0)));                                 \
        return 0;                                                                                                      \
    }
#define MATH2(name)                                                                                                    \
    static uint64_t host_##name(struct vmd_host_call *call)                                                            \
    {                                                                                                                  \
        vmd_cpu_return_double(call->guest,                                                                             \
                              name(vmd_cpu_read_double(call->guest, 0), vmd_cpu_read_double(call->guest, 1)));         \
        return 0;                                                                                                      \
    }

MATH1(floor)
MATH1(ceil)
MATH1(sqrt)
MATH1(log)
MATH1(log2)
MATH1(log10)
MATH1(exp)
MATH1(exp2)
MATH1(sin)
MATH1(cos)
MATH1(tan)
MATH1(fabs)
MATH1(round)
MATH1(trunc)
MATH1(rint)
MATH1(nearbyint)
MATH2(pow)
MATH2(fmod)
MATH2(fmin)
MATH2(fmax)

static uint64_t host_ldexp(struct vmd_host_call *call)
{
    vmd_cpu_return_double(call->guest, ldexp(vmd_cpu_read_double(call->guest, 0), (int32_t)call->args[0]));
    return 0;
}

static uint64_t host_frexp(struct vmd_host_call *call)
{
    int exponent;
    double value = frexp(vmd_cpu_read_double(call->guest, 0), &exponent);

    vmd_guest_store_u32(call->guest, call->args[0], (uint32_t)exponent);
    vmd_cpu_return_double(call->guest, value);
    return 0;
}

static uint64_t host_modf(struct vmd_host_call *call)
{
    double whole, rest = modf(vmd_cpu_read_double(call->guest, 0), &whole);
    uint64_t bits;

    memcpy(&bits, &whole, 8);
    vmd_guest_store_u64(call->guest, call->args[0], bits);
    vmd_cpu_return_double(call->guest, rest);
    return 0;
}

static uint64_t host_fma(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;

    vmd_cpu_return_double(
        guest, fma(vmd_cpu_read_double(guest, 0), vmd_cpu_read_double(guest, 1), vmd_cpu_read_double(guest, 2)));
    return 0;
}

static uint64_t host_fmaf(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;

    vmd_cpu_return_float(
        guest, fmaf(vmd_cpu_read_float(guest, 0), vmd_cpu_read_float(guest, 1), vmd_cpu_read_float(guest, 2)));
    return 0;
}

static uint64_t host_sqrtf(struct vmd_host_call *call)
{
    vmd_cpu_return_float(call->guest, sqrtf(vmd_cpu_read_float(call->guest, 0)));
    return 0;
}

static uint64_t host_sincos(struct vmd_host_call *call)
{
    double value = vmd_cpu_read_double(call->guest, 0), results[2] = {sin(value), cos(value)};

    for (int i = 0; i < 2; i++) {
        uint64_t bits;

        memcpy(&bits, &results[i], 8);
        vmd_guest_store_u64(call->guest, call->args[i], bits);
    }
    return 0;
}

VMD_SERVE({"strtol", host_strtol}, {"strtoll", host_strtol}, {"strtoimax", host_strtol},
          {"__isoc23_strtol", host_strtol}, {"__isoc23_strtoll", host_strtol}, {"__isoc23_strtoimax", host_strtol},
          {"g_ascii_strtoll", host_strtol}, {"strtoul", host_strtoul}, {"strtoull", host_strtoul},
          {"strtoumax", host_strtoul}, {"__isoc23_strtoul", host_strtoul}, {"__isoc23_strtoull", host_strtoul},
          {"__isoc23_strtoumax", host_strtoul}, {"g_ascii_strtoull", host_strtoul}, {"atoi", host_atoi},
          {"atol", host_atoi}, {"atoll", host_atoi}, {"strtod", host_strtod}, {"g_ascii_strtod", host_strtod},
          {"g_ascii_xdigit_value", host_g_ascii_xdigit_value}, {"g_ascii_digit_value", host_g_ascii_digit_value},
          {"sscanf", host_sscanf}, {"__isoc99_sscanf", host_sscanf}, {"__isoc23_sscanf", host_sscanf},
          {"__udivti3", host_udivti3}, {"__umodti3", host_umodti3}, {"__divti3", host_divti3},
          {"__modti3", host_modti3}, {"__popcountdi2", host_popcountdi2}, {"floor", host_floor}, {"ceil", host_ceil},
          {"sqrt", host_sqrt}, {"log", host_log}, {"log2", host_log2}, {"log10", host_log10}, {"exp", host_exp},
          {"exp2", host_exp2}, {"sin", host_sin}, {"cos", host_cos}, {"tan", host_tan}, {"fabs", host_fabs},
          {"round", host_round}, {"trunc", host_trunc}, {"rint", host_rint}, {"nearbyint", host_nearbyint},
          {"pow", host_pow}, {"fmod", host_fmod}, {"fmin", host_fmin}, {"fmax", host_fmax}, {"ldexp", host_ldexp},
          {"scalbn", host_ldexp}, {"frexp", host_frexp}, {"modf", host_modf}, {"fma", host_fma}, {"fmaf", host_fmaf},
          {"sqrtf", host_sqrtf}, {"sincos", host_sincos})
