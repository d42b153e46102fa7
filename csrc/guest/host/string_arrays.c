/*
 * GLib's arrays of strings: split, join, copy.
 *
 * Source: GLib 2.74 glib/gstrfuncs.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/joined.h"

#include <stdlib.h>

/* Arrays of strings, which end in NULL */

enum { STRINGS_MAX = 1 << 20 };

static uint64_t strv_length(struct vmd_guest *guest, uint64_t strv)
{
    uint64_t n = 0;

    while (n < STRINGS_MAX && vmd_guest_load_u64(guest, strv + 8 * n)) {
        n++;
    }
    return n;
}

static uint64_t host_g_strv_length(struct vmd_host_call *call)
{
    return strv_length(call->guest, call->args[0]);
}

static uint64_t host_g_strfreev(struct vmd_host_call *call)
{
    uint64_t n = call->args[0] ? strv_length(call->guest, call->args[0]) : 0;

    for (uint64_t i = 0; i < n; i++) {
        vmd_host_free(call->guest, vmd_guest_load_u64(call->guest, call->args[0] + 8 * i));
    }
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

static uint64_t host_g_strdupv(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t n = call->args[0] ? strv_length(guest, call->args[0]) : 0,
             copy = call->args[0] ? vmd_host_allocate(guest, 8 * (n + 1)) : 0;

    for (uint64_t i = 0; i < n && !guest->err.code; i++) {
        const char *text = vmd_host_string(guest, vmd_guest_load_u64(guest, call->args[0] + 8 * i));

        vmd_guest_store_u64(guest, copy + 8 * i, text ? vmd_host_put_string(guest, text, strlen(text)) : 0);
    }
    return copy;
}

static uint64_t host_g_strv_contains(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    const char *wanted = vmd_host_string(guest, call->args[1]);
    uint64_t n = strv_length(guest, call->args[0]);

    for (uint64_t i = 0; wanted && i < n; i++) {
        const char *text = vmd_host_string(guest, vmd_guest_load_u64(guest, call->args[0] + 8 * i));

        if (text && strcmp(text, wanted) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Splits text at delimiters: at a whole string, or at any character of a set. At most max parts; 0: no limit. */
static uint64_t split(struct vmd_host_call *call, bool is_set)
{
    struct vmd_guest *guest = call->guest;
    const char *text = vmd_host_string(guest, call->args[0]), *delimiter = vmd_host_string(guest, call->args[1]);
    size_t step = delimiter ? (is_set ? 1 : strlen(delimiter)) : 0, n = 0, room = 16;
    uint64_t most = (int32_t)call->args[2] > 0 ? (uint32_t)call->args[2] : STRINGS_MAX,
             strv = vmd_host_allocate(guest, 8 * room);

    if (!text || !step || !strv) {
        return 0;
    }
    while (*text && !guest->err.code) {
        const char *end = n + 1 >= most ? NULL : is_set ? strpbrk(text, delimiter) : strstr(text, delimiter);
        uint64_t part = vmd_host_put_string(guest, text, end ? (size_t)(end - text) : strlen(text));

        if (n + 2 >= room) {
            room *= 2;
            strv = vmd_host_reallocate(guest, strv, 8 * room);
        }
        vmd_guest_store_u64(guest, strv + 8 * n++, part);
        text = end ? end + step : "";
        if (end && !*text && n < most) { /* a delimiter at the end is followed by an empty part */
            vmd_guest_store_u64(guest, strv + 8 * n++, vmd_host_put_string(guest, "", 0));
        }
    }
    vmd_guest_store_u64(guest, strv + 8 * n, 0);
    return strv;
}

static uint64_t host_g_strsplit(struct vmd_host_call *call)
{
    return split(call, false);
}

static uint64_t host_g_strsplit_set(struct vmd_host_call *call)
{
    return split(call, true);
}

/* Joining: text that is put together in the guest. */

void vmd_join(struct vmd_joined *joined, uint64_t text)
{
    const char *part = vmd_host_string(joined->guest, text);
    uint64_t size = part ? strlen(part) : 0;
    char *to;

    if (!part) {
        return;
    }
    if (joined->size + size + 1 > joined->room) {
        joined->room = 2 * (joined->size + size + 1);
        joined->address = vmd_host_reallocate(joined->guest, joined->address, joined->room);
        part = vmd_host_string(joined->guest, text);
    }
    to = joined->address ? vmd_guest_at(joined->guest, joined->address, joined->size + size + 1) : NULL;
    if (to && part) {
        memcpy(to + joined->size, part, size);
        to[joined->size += size] = '\0';
    }
}

struct vmd_joined vmd_joined_of(struct vmd_host_call *call)
{
    return (struct vmd_joined){.guest = call->guest, .address = vmd_host_put_string(call->guest, "", 0), .room = 1};
}

static uint64_t host_g_strconcat(struct vmd_host_call *call)
{
    struct vmd_variadic arguments = vmd_variadic_of(call, 0);
    struct vmd_joined joined;
    uint64_t text = vmd_variadic_next(&arguments);

    if (!text) {
        return 0;
    }
    joined = vmd_joined_of(call);
    for (int n = 0; text && n < STRINGS_MAX && !call->guest->err.code; n++) {
        vmd_join(&joined, text);
        text = vmd_variadic_next(&arguments);
    }
    return joined.address;
}

static uint64_t host_g_strjoin(struct vmd_host_call *call)
{
    struct vmd_variadic arguments = vmd_variadic_of(call, 1);
    struct vmd_joined joined = vmd_joined_of(call);
    uint64_t text;

    for (int n = 0; n < STRINGS_MAX && !call->guest->err.code && (text = vmd_variadic_next(&arguments)); n++) {
        if (n && call->args[0]) {
            vmd_join(&joined, call->args[0]);
        }
        vmd_join(&joined, text);
    }
    return joined.address;
}

static uint64_t host_g_strjoinv(struct vmd_host_call *call)
{
    struct vmd_joined joined = vmd_joined_of(call);
    uint64_t n = strv_length(call->guest, call->args[1]);

    for (uint64_t i = 0; i < n && !call->guest->err.code; i++) {
        if (i && call->args[0]) {
            vmd_join(&joined, call->args[0]);
        }
        vmd_join(&joined, vmd_guest_load_u64(call->guest, call->args[1] + 8 * i));
    }
    return joined.address;
}

VMD_SERVE({"g_strv_length", host_g_strv_length}, {"g_strfreev", host_g_strfreev}, {"g_strdupv", host_g_strdupv},
          {"g_strv_contains", host_g_strv_contains}, {"g_strsplit", host_g_strsplit},
          {"g_strsplit_set", host_g_strsplit_set}, {"g_strconcat", host_g_strconcat}, {"g_strjoin", host_g_strjoin},
          {"g_strjoinv", host_g_strjoinv})
