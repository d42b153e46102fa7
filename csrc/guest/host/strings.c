/*
 * Strings and characters, libc's and GLib's. The guest's locale is C, as QEMU has set no other when its
 * constructors run.
 * A part of what a guest sees of its host; see guest_host.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <ctype.h>

const char *vmd_host_string(struct vmd_guest *guest, uint64_t address)
{
    const char *text = vmd_guest_at(guest, address, 1);

    if (text && !memchr(text, '\0', guest->memory + guest->size - text)) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "a string without an end");
        return NULL;
    }
    return text;
}

uint64_t vmd_host_put_string(struct vmd_guest *guest, const char *text, size_t size)
{
    uint64_t copy = vmd_host_allocate(guest, size + 1);
    char *to = copy ? vmd_guest_at(guest, copy, size + 1) : NULL;

    if (to) {
        memmove(to, text, size);
        to[size] = '\0';
    }
    return copy;
}

static uint64_t address_of(struct vmd_host_call *call, const char *host)
{
    return host ? VMD_GUEST_BASE + (host - call->guest->memory) : 0;
}

static uint64_t host_strlen(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0));

    return text ? strlen(text) : 0;
}

static uint64_t host_strcmp(struct vmd_host_call *call)
{
    const char *a = vmd_host_string(call->guest, ARG(0)), *b = vmd_host_string(call->guest, ARG(1));

    return a && b ? (uint64_t)strcmp(a, b) : 0;
}

static uint64_t host_strncmp(struct vmd_host_call *call)
{
    const char *a = vmd_host_string(call->guest, ARG(0)), *b = vmd_host_string(call->guest, ARG(1));

    return a && b ? (uint64_t)strncmp(a, b, ARG(2)) : 0;
}

static uint64_t host_strcasecmp(struct vmd_host_call *call)
{
    const char *a = vmd_host_string(call->guest, ARG(0)), *b = vmd_host_string(call->guest, ARG(1));

    return a && b ? (uint64_t)strcasecmp(a, b) : 0;
}

static uint64_t host_g_strcmp0(struct vmd_host_call *call)
{
    if (!ARG(0) || !ARG(1)) {
        return (uint64_t)((int)(ARG(0) != 0) - (int)(ARG(1) != 0));
    }
    return host_strcmp(call);
}

static uint64_t host_strchr(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0));

    return text ? address_of(call, strchr(text, (int)ARG(1))) : 0;
}

static uint64_t host_strrchr(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0));

    return text ? address_of(call, strrchr(text, (int)ARG(1))) : 0;
}

static uint64_t host_strstr(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0)), *part = vmd_host_string(call->guest, ARG(1));

    return text && part ? address_of(call, strstr(text, part)) : 0;
}

static uint64_t host_strspn(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0)), *set = vmd_host_string(call->guest, ARG(1));

    return text && set ? strspn(text, set) : 0;
}

static uint64_t host_strcspn(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0)), *set = vmd_host_string(call->guest, ARG(1));

    return text && set ? strcspn(text, set) : 0;
}

static uint64_t host_strnlen(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0));

    return text ? strnlen(text, ARG(1)) : 0;
}

static uint64_t host_memcpy(struct vmd_host_call *call)
{
    const char *from = vmd_guest_at(call->guest, ARG(1), ARG(2));
    char *to = vmd_guest_at(call->guest, ARG(0), ARG(2));

    if (from && to) {
        memmove(to, from, ARG(2));
    }
    return ARG(0);
}

static uint64_t host_memset(struct vmd_host_call *call)
{
    char *to = vmd_guest_at(call->guest, ARG(0), ARG(2));

    if (to) {
        memset(to, (int)ARG(1), ARG(2));
    }
    return ARG(0);
}

static uint64_t host_memcmp(struct vmd_host_call *call)
{
    const char *a = vmd_guest_at(call->guest, ARG(0), ARG(2)), *b = vmd_guest_at(call->guest, ARG(1), ARG(2));

    return a && b ? (uint64_t)memcmp(a, b, ARG(2)) : 0;
}

static uint64_t host_strcpy(struct vmd_host_call *call)
{
    const char *from = vmd_host_string(call->guest, ARG(1));
    char *to = from ? vmd_guest_at(call->guest, ARG(0), strlen(from) + 1) : NULL;

    if (to) {
        memmove(to, from, strlen(from) + 1);
    }
    return ARG(0);
}

static uint64_t host_g_strdup(struct vmd_host_call *call)
{
    const char *text = ARG(0) ? vmd_host_string(call->guest, ARG(0)) : NULL;

    return text ? vmd_host_put_string(call->guest, text, strlen(text)) : 0;
}

static uint64_t host_g_strndup(struct vmd_host_call *call)
{
    const char *text = ARG(0) ? vmd_host_string(call->guest, ARG(0)) : NULL;

    return text ? vmd_host_put_string(call->guest, text, strnlen(text, ARG(1))) : 0;
}

static uint64_t host_g_memdup(struct vmd_host_call *call)
{
    const char *from = ARG(0) && ARG(1) ? vmd_guest_at(call->guest, ARG(0), ARG(1)) : NULL;
    uint64_t copy = from ? vmd_host_allocate(call->guest, ARG(1)) : 0;

    if (copy) {
        memmove(vmd_guest_at(call->guest, copy, ARG(1)), from, ARG(1));
    }
    return copy;
}

static uint64_t host_g_str_has_prefix(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0)), *prefix = vmd_host_string(call->guest, ARG(1));

    return text && prefix && strncmp(text, prefix, strlen(prefix)) == 0;
}

static uint64_t host_g_str_has_suffix(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0)), *suffix = vmd_host_string(call->guest, ARG(1));

    return text && suffix && strlen(text) >= strlen(suffix) &&
           strcmp(text + strlen(text) - strlen(suffix), suffix) == 0;
}

static uint64_t host_g_str_equal(struct vmd_host_call *call)
{
    return host_strcmp(call) == 0;
}

static uint64_t host_g_str_hash(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, ARG(0));

    return text ? vmd_str_hash(text) : 0;
}

static uint64_t host_toupper(struct vmd_host_call *call)
{
    return (uint64_t)toupper((int)ARG(0));
}

static uint64_t host_tolower(struct vmd_host_call *call)
{
    return (uint64_t)tolower((int)ARG(0));
}

/* libc's tables of characters -128 to 255, which its macros read directly: the address of a pointer to 0's entry. */
static uint64_t ctype_table(struct vmd_host_call *call, const void *character_0, size_t entry)
{
    uint64_t table = vmd_host_allocate(call->guest, 384 * entry + 8), middle;
    char *to = table ? vmd_guest_at(call->guest, table, 384 * entry + 8) : NULL;

    if (!to) {
        return 0;
    }
    middle = table + 8 + 128 * entry;
    memcpy(to, &middle, 8);
    memcpy(to + 8, (const char *)character_0 - 128 * entry, 384 * entry);
    return table;
}

static uint64_t host_ctype_b_loc(struct vmd_host_call *call)
{
    return ctype_table(call, *__ctype_b_loc(), sizeof(**__ctype_b_loc()));
}

static uint64_t host_ctype_tolower_loc(struct vmd_host_call *call)
{
    return ctype_table(call, *__ctype_tolower_loc(), sizeof(**__ctype_tolower_loc()));
}

static uint64_t host_ctype_toupper_loc(struct vmd_host_call *call)
{
    return ctype_table(call, *__ctype_toupper_loc(), sizeof(**__ctype_toupper_loc()));
}

/* The GAsciiType bits of a character. Source: GLib 2.74 glib/gstrfuncs.h, gstrfuncs.c. */
static uint16_t ascii_type(int c)
{
    bool is[] = {isalnum(c), isalpha(c), iscntrl(c),
                 isdigit(c), isgraph(c), islower(c),
                 isprint(c), ispunct(c), c == ' ' || (c >= '\t' && c <= '\r' && c != '\v'),
                 isupper(c), isxdigit(c)};
    uint16_t bits = 0;

    for (size_t bit = 0; c < 128 && bit < sizeof(is) / sizeof(*is); bit++) {
        bits |= (uint16_t)(is[bit] << bit);
    }
    return bits;
}

enum vmd_status vmd_host_init_ascii_table(struct vmd_guest *guest)
{
    uint64_t variable = vmd_guest_alloc(guest, 8 + 256 * sizeof(uint16_t), 16), table = variable + 8;

    if (!variable) {
        return VMD_NO_MEMORY;
    }
    memcpy(vmd_guest_find(guest, variable, 8), &table, 8);
    for (int c = 0; c < 256; c++) {
        memcpy(vmd_guest_find(guest, table + (uint64_t)c * 2, 2), &(uint16_t){ascii_type(c)}, 2);
    }
    return vmd_guest_define(guest, "g_ascii_table", variable);
}

const struct vmd_host_function vmd_host_strings[] = {
    {"strlen", host_strlen},
    {"strcmp", host_strcmp},
    {"strncmp", host_strncmp},
    {"strcasecmp", host_strcasecmp},
    {"g_ascii_strcasecmp", host_strcasecmp},
    {"g_strcmp0", host_g_strcmp0},
    {"strchr", host_strchr},
    {"strrchr", host_strrchr},
    {"strstr", host_strstr},
    {"strspn", host_strspn},
    {"strcspn", host_strcspn},
    {"strnlen", host_strnlen},
    {"memcpy", host_memcpy},
    {"memmove", host_memcpy},
    {"__memcpy_chk", host_memcpy},
    {"__memmove_chk", host_memcpy},
    {"memset", host_memset},
    {"memcmp", host_memcmp},
    {"strcpy", host_strcpy},
    {"__strcpy_chk", host_strcpy},
    {"strdup", host_g_strdup},
    {"g_strdup", host_g_strdup},
    {"g_intern_string", host_g_strdup},
    {"g_intern_static_string", host_g_strdup},
    {"g_strndup", host_g_strndup},
    {"g_memdup", host_g_memdup},
    {"g_memdup2", host_g_memdup},
    {"g_str_has_prefix", host_g_str_has_prefix},
    {"g_str_has_suffix", host_g_str_has_suffix},
    {"g_str_equal", host_g_str_equal},
    {"g_str_hash", host_g_str_hash},
    {"toupper", host_toupper},
    {"tolower", host_tolower},
    {"g_ascii_toupper", host_toupper},
    {"g_ascii_tolower", host_tolower},
    {"__ctype_b_loc", host_ctype_b_loc},
    {"__ctype_tolower_loc", host_ctype_tolower_loc},
    {"__ctype_toupper_loc", host_ctype_toupper_loc},
    {NULL, NULL},
};
