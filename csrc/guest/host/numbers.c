/*
 * Text to numbers: strtol and related functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/numbers.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* The value of a digit; 36: it is none. */
static unsigned digit_value(char c)
{
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'z' ? (unsigned)(c - 'a' + 10)
           : c >= 'A' && c <= 'Z' ? (unsigned)(c - 'A' + 10)
                                  : 36;
}

/* Whether text begins with a prefix (0x, 0b), which a digit of the base has to follow. */
static bool has_prefix(const char *text, char letter, unsigned base)
{
    return text[0] == '0' && (text[1] | 0x20) == letter && digit_value(text[2]) < base;
}

struct vmd_integer vmd_host_read_integer(const char *text, int base, struct vmd_integer_kind kind)
{
    const char *c = text + strspn(text, " \t\n\v\f\r"), *digits;
    bool is_negative = *c == '-', is_too_large = false;
    uint64_t value = 0, limit = kind.bits == 64 ? UINT64_MAX : UINT32_MAX;

    if (base < 0 || base == 1 || base > 36) {
        return (struct vmd_integer){.error = EINVAL};
    }
    c += *c == '-' || *c == '+';
    if ((base == 0 || base == 16) && has_prefix(c, 'x', 16)) {
        c += 2;
        base = 16;
    } else if ((base == 0 || base == 2) && kind.has_binary && has_prefix(c, 'b', 2)) {
        c += 2;
        base = 2;
    } else if (base == 0) {
        base = *c == '0' ? 8 : 10;
    }
    for (digits = c; digit_value(*c) < (unsigned)base; c++) {
        is_too_large |= __builtin_mul_overflow(value, (uint64_t)base, &value);
        is_too_large |= __builtin_add_overflow(value, digit_value(*c), &value);
    }
    if (c == digits) {
        return (struct vmd_integer){0};
    }
    limit = kind.is_signed ? limit / 2 + is_negative : limit;
    if (is_too_large || value > limit) {
        value = kind.is_signed && is_negative ? -limit : limit;
        return (struct vmd_integer){value, (size_t)(c - text), ERANGE};
    }
    value = is_negative ? -value : value;
    return (struct vmd_integer){kind.is_signed ? value : value & limit, (size_t)(c - text), 0};
}

/* strtol(text, &end, base) and its relatives. */
static uint64_t read_integer(struct vmd_host_call *call, struct vmd_integer_kind kind)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);
    struct vmd_integer number =
        text ? vmd_host_read_integer(text, (int32_t)call->args[2], kind) : (struct vmd_integer){0};

    if (number.error) {
        vmd_host_errno(call->guest, number.error);
    }
    if (text && call->args[1]) {
        vmd_guest_store_u64(call->guest, call->args[1], call->args[0] + number.length);
    }
    return number.value;
}

static unsigned bits_of_long(const struct vmd_host_call *call)
{
    return call->guest->host->long_is_int ? 32 : 64;
}

static uint64_t host_strtol(struct vmd_host_call *call)
{
    return read_integer(call, (struct vmd_integer_kind){.bits = bits_of_long(call), .is_signed = true});
}

static uint64_t host_strtoul(struct vmd_host_call *call)
{
    return read_integer(call, (struct vmd_integer_kind){.bits = bits_of_long(call)});
}

static uint64_t host_strtoll(struct vmd_host_call *call)
{
    return read_integer(call, (struct vmd_integer_kind){.bits = 64, .is_signed = true});
}

static uint64_t host_strtoull(struct vmd_host_call *call)
{
    return read_integer(call, (struct vmd_integer_kind){.bits = 64});
}

/* Those of glibc since 2.38, where long has 64 bits, for code that is compiled as C23 or for GNU extensions. */

static uint64_t host_isoc23_strtoll(struct vmd_host_call *call)
{
    return read_integer(call, (struct vmd_integer_kind){.bits = 64, .is_signed = true, .has_binary = true});
}

static uint64_t host_isoc23_strtoull(struct vmd_host_call *call)
{
    return read_integer(call, (struct vmd_integer_kind){.bits = 64, .has_binary = true});
}

/* atoi and its relatives */

static uint64_t decimal(struct vmd_host_call *call, unsigned bits)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? vmd_host_read_integer(text, 10, (struct vmd_integer_kind){.bits = bits, .is_signed = true}).value : 0;
}

static uint64_t host_atol(struct vmd_host_call *call)
{
    return decimal(call, bits_of_long(call));
}

static uint64_t host_atoll(struct vmd_host_call *call)
{
    return decimal(call, 64);
}

/* What is out of range is undefined in ISO C: glibc and macOS drop the upper bits of a long. */
static uint64_t host_atoi(struct vmd_host_call *call)
{
    return (uint64_t)(int32_t)host_atol(call);
}

static uint64_t host_strtod(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);
    char *end;
    double value;

    if (text) {
        errno = 0;
        value = strtod(text, &end);
        if (errno) {
            vmd_host_errno(call->guest, errno);
        }
        if (call->args[1]) {
            vmd_guest_store_u64(call->guest, call->args[1], call->args[0] + (uint64_t)(end - text));
        }
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

VMD_SERVE({"strtol", host_strtol}, {"strtoll", host_strtoll}, {"strtoimax", host_strtoll},
          {"__isoc23_strtol", host_isoc23_strtoll}, {"__isoc23_strtoll", host_isoc23_strtoll},
          {"__isoc23_strtoimax", host_isoc23_strtoll}, {"g_ascii_strtoll", host_strtoll}, {"strtoul", host_strtoul},
          {"strtoull", host_strtoull}, {"strtoumax", host_strtoull}, {"__isoc23_strtoul", host_isoc23_strtoull},
          {"__isoc23_strtoull", host_isoc23_strtoull}, {"__isoc23_strtoumax", host_isoc23_strtoull},
          {"g_ascii_strtoull", host_strtoull}, {"atoi", host_atoi}, {"atol", host_atol}, {"atoll", host_atoll},
          {"strtod", host_strtod}, {"g_ascii_strtod", host_strtod}, {"g_ascii_xdigit_value", host_g_ascii_xdigit_value},
          {"g_ascii_digit_value", host_g_ascii_digit_value})
