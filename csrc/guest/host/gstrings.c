/*
 * GLib's string utilities: compare, search, change in place.
 *
 * Source: GLib 2.74 glib/gstrfuncs.c, gpattern.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>

static uint64_t host_g_strcmp0(struct vmd_host_call *call)
{
    if (!call->args[0] || !call->args[1]) {
        return (uint64_t)((int)(call->args[0] != 0) - (int)(call->args[1] != 0));
    }
    return vmd_host_strcmp(call);
}

static uint64_t host_g_strndup(struct vmd_host_call *call)
{
    const char *text = call->args[0] ? vmd_host_string(call->guest, call->args[0]) : NULL;

    return text ? vmd_host_put_string(call->guest, text, strnlen(text, call->args[1])) : 0;
}

static uint64_t host_g_memdup(struct vmd_host_call *call)
{
    const char *from = call->args[0] && call->args[1] ? vmd_guest_at(call->guest, call->args[0], call->args[1]) : NULL;
    uint64_t copy = from ? vmd_host_allocate(call->guest, call->args[1]) : 0;

    if (copy) {
        memmove(vmd_guest_at(call->guest, copy, call->args[1]), from, call->args[1]);
    }
    return copy;
}

static uint64_t host_g_str_has_prefix(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]),
               *prefix = vmd_host_string(call->guest, call->args[1]);

    return text && prefix && strncmp(text, prefix, strlen(prefix)) == 0;
}

static uint64_t host_g_str_has_suffix(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]),
               *suffix = vmd_host_string(call->guest, call->args[1]);

    return text && suffix && strlen(text) >= strlen(suffix) &&
           strcmp(text + strlen(text) - strlen(suffix), suffix) == 0;
}

static uint64_t host_g_str_equal(struct vmd_host_call *call)
{
    return vmd_host_strcmp(call) == 0;
}

static uint64_t host_g_str_hash(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? vmd_str_hash(text) : 0;
}

/* Search */

static uint64_t host_g_strrstr(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]), *part = vmd_host_string(call->guest, call->args[1]);

    if (part && !*part) {
        return call->args[0];
    }
    for (size_t at = text && part && strlen(text) >= strlen(part) ? strlen(text) - strlen(part) + 1 : 0; at--;) {
        if (strncmp(text + at, part, strlen(part)) == 0) {
            return call->args[0] + at;
        }
    }
    return 0;
}

static uint64_t host_g_strstr_len(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    const char *part = vmd_host_string(guest, call->args[2]), *text = vmd_guest_at(guest, call->args[0], 1), *found;
    uint64_t room = guest->size - (call->args[0] - guest->base);

    if (!text || !part) {
        return 0;
    }
    found = memmem(text, strnlen(text, call->args[1] < room ? call->args[1] : room), part, strlen(part));
    return found ? call->args[0] + (uint64_t)(found - text) : 0;
}

static uint64_t host_g_pattern_match_simple(struct vmd_host_call *call)
{
    const char *pattern = vmd_host_string(call->guest, call->args[0]),
               *text = vmd_host_string(call->guest, call->args[1]);

    return pattern && text && fnmatch(pattern, text, FNM_NOESCAPE) == 0;
}

/* Change in place */

static char *writable(struct vmd_host_call *call, size_t *size)
{
    char *text = (char *)vmd_host_string(call->guest, call->args[0]);

    *size = text ? strlen(text) : 0;
    return text;
}

static uint64_t host_g_strchug(struct vmd_host_call *call)
{
    size_t size, spaces = 0;
    char *text = writable(call, &size);

    while (spaces < size && isspace((uint8_t)text[spaces])) {
        spaces++;
    }
    if (text) {
        memmove(text, text + spaces, size - spaces + 1);
    }
    return call->args[0];
}

static uint64_t host_g_strchomp(struct vmd_host_call *call)
{
    size_t size;
    char *text = writable(call, &size);

    while (size && isspace((uint8_t)text[size - 1])) {
        text[--size] = '\0';
    }
    return call->args[0];
}

/* Replace the characters that are (or are not) in a set. */
static uint64_t replace(struct vmd_host_call *call, const char *set, bool if_in_set)
{
    size_t size;
    char *text = writable(call, &size);

    for (size_t i = 0; set && i < size; i++) {
        if ((strchr(set, text[i]) != NULL) == if_in_set) {
            text[i] = (char)call->args[2];
        }
    }
    return call->args[0];
}

static uint64_t host_g_strcanon(struct vmd_host_call *call)
{
    return replace(call, vmd_host_string(call->guest, call->args[1]), false);
}

static uint64_t host_g_strdelimit(struct vmd_host_call *call)
{
    return replace(call, call->args[1] ? vmd_host_string(call->guest, call->args[1]) : "_-|> <.", true);
}

static uint64_t host_g_strreverse(struct vmd_host_call *call)
{
    size_t size;
    char *text = writable(call, &size);

    for (size_t i = 0; i < size / 2; i++) {
        char c = text[i];

        text[i] = text[size - 1 - i];
        text[size - 1 - i] = c;
    }
    return call->args[0];
}

static uint64_t change_case(struct vmd_host_call *call, bool up)
{
    struct vmd_guest *guest = call->guest;
    const char *text = vmd_host_string(guest, call->args[0]);
    uint64_t size = text ? strnlen(text, call->args[1]) : 0, copy = text ? vmd_host_put_string(guest, text, size) : 0;
    char *to = copy ? vmd_guest_at(guest, copy, size + 1) : NULL;

    for (uint64_t i = 0; to && i < size; i++) {
        to[i] = (char)(up ? toupper((uint8_t)to[i]) : tolower((uint8_t)to[i]));
    }
    return copy;
}

static uint64_t host_g_ascii_strdown(struct vmd_host_call *call)
{
    return change_case(call, false);
}

static uint64_t host_g_ascii_strup(struct vmd_host_call *call)
{
    return change_case(call, true);
}

/* The difference of the first different characters: in lower case, at a string's end unchanged. */
static uint64_t compare_ascii(struct vmd_host_call *call, uint64_t most)
{
    const char *a = vmd_host_string(call->guest, call->args[0]), *b = vmd_host_string(call->guest, call->args[1]);

    for (uint64_t i = 0; a && b && i < most; i++) {
        int difference = tolower((uint8_t)a[i]) - tolower((uint8_t)b[i]);

        if (!a[i] || !b[i]) {
            return (uint64_t)((uint8_t)a[i] - (uint8_t)b[i]);
        }
        if (difference) {
            return (uint64_t)difference;
        }
    }
    return 0;
}

static uint64_t host_g_ascii_strcasecmp(struct vmd_host_call *call)
{
    return compare_ascii(call, UINT64_MAX);
}

static uint64_t host_g_ascii_strncasecmp(struct vmd_host_call *call)
{
    return compare_ascii(call, call->args[2]);
}

static uint64_t host_g_ascii_toupper(struct vmd_host_call *call)
{
    return (uint64_t)toupper((uint8_t)call->args[0]);
}

static uint64_t host_g_ascii_tolower(struct vmd_host_call *call)
{
    return (uint64_t)tolower((uint8_t)call->args[0]);
}

/* Copy to a buffer of limited size; returns the length of the whole. */
static uint64_t copy_to(struct vmd_host_call *call, uint64_t used)
{
    struct vmd_guest *guest = call->guest;
    const char *text = vmd_host_string(guest, call->args[1]);
    uint64_t size = text ? strlen(text) : 0, room = call->args[2] > used ? call->args[2] - used - 1 : 0;
    uint64_t n = size < room ? size : room;
    char *to = text && call->args[2] > used ? vmd_guest_at(guest, call->args[0] + used, n + 1) : NULL;

    if (to) {
        memmove(to, text, n);
        to[n] = '\0';
    }
    return used + size;
}

static uint64_t host_g_strlcpy(struct vmd_host_call *call)
{
    return copy_to(call, 0);
}

static uint64_t host_g_strlcat(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? copy_to(call, strnlen(text, call->args[2])) : 0;
}

static uint64_t host_g_strnfill(struct vmd_host_call *call)
{
    uint64_t n = call->args[0], text = vmd_host_allocate(call->guest, n < UINT64_MAX ? n + 1 : n);
    char *to = text ? vmd_guest_at(call->guest, text, n) : NULL;

    if (to) {
        memset(to, (int)call->args[1], n);
    }
    return text;
}

VMD_SERVE({"g_strcmp0", host_g_strcmp0}, {"g_strndup", host_g_strndup}, {"g_memdup", host_g_memdup},
          {"g_memdup2", host_g_memdup}, {"g_str_has_prefix", host_g_str_has_prefix},
          {"g_str_has_suffix", host_g_str_has_suffix}, {"g_str_equal", host_g_str_equal},
          {"g_str_hash", host_g_str_hash}, {"g_strrstr", host_g_strrstr}, {"g_strstr_len", host_g_strstr_len},
          {"g_pattern_match_simple", host_g_pattern_match_simple}, {"g_strchug", host_g_strchug},
          {"g_strchomp", host_g_strchomp}, {"g_strcanon", host_g_strcanon}, {"g_strdelimit", host_g_strdelimit},
          {"g_strreverse", host_g_strreverse}, {"g_ascii_strdown", host_g_ascii_strdown},
          {"g_ascii_strup", host_g_ascii_strup}, {"g_ascii_strcasecmp", host_g_ascii_strcasecmp},
          {"g_ascii_strncasecmp", host_g_ascii_strncasecmp}, {"g_ascii_toupper", host_g_ascii_toupper},
          {"g_ascii_tolower", host_g_ascii_tolower}, {"g_strlcpy", host_g_strlcpy}, {"strlcpy", host_g_strlcpy},
          {"g_strlcat", host_g_strlcat}, {"g_strnfill", host_g_strnfill})
