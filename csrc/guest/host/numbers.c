/*
 * Text to numbers: strtol and related functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/variadic.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* Text to numbers. *end gets the address after the number, unless end is NULL. */

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

VMD_SERVE({"strtol", host_strtol}, {"strtoll", host_strtol}, {"strtoimax", host_strtol},
          {"__isoc23_strtol", host_strtol}, {"__isoc23_strtoll", host_strtol}, {"__isoc23_strtoimax", host_strtol},
          {"g_ascii_strtoll", host_strtol}, {"strtoul", host_strtoul}, {"strtoull", host_strtoul},
          {"strtoumax", host_strtoul}, {"__isoc23_strtoul", host_strtoul}, {"__isoc23_strtoull", host_strtoul},
          {"__isoc23_strtoumax", host_strtoul}, {"g_ascii_strtoull", host_strtoul}, {"atoi", host_atoi},
          {"atol", host_atoi}, {"atoll", host_atoi}, {"strtod", host_strtod}, {"g_ascii_strtod", host_strtod},
          {"g_ascii_xdigit_value", host_g_ascii_xdigit_value}, {"g_ascii_digit_value", host_g_ascii_digit_value})
