/*
 * libc's and GLib's characters: case, and tables of character classes. The guest's locale is C.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <ctype.h>

static uint64_t host_toupper(struct vmd_host_call *call)
{
    return (uint64_t)toupper((int)call->args[0]);
}

static uint64_t host_tolower(struct vmd_host_call *call)
{
    return (uint64_t)tolower((int)call->args[0]);
}

/* libc's tables of characters -128 to 255, which its macros read directly: the address of a pointer to 0's entry. */
static uint64_t ctype_table(struct vmd_host_call *call, int which, const void *character_0, size_t entry)
{
    uint64_t *made = &call->guest->state.ctype_tables[which];

    if (*made) {
        return *made;
    }
    uint64_t table = vmd_host_allocate(call->guest, 384 * entry + 8), middle;
    char *to = table ? vmd_guest_at(call->guest, table, 384 * entry + 8) : NULL;

    if (!to) {
        return 0;
    }
    middle = table + 8 + 128 * entry;
    vmd_put_u64(call->guest, to, middle);
    memcpy(to + 8, (const char *)character_0 - 128 * entry, 384 * entry);
    /* The bits of classes are defined by byte; characters are integers. */
    for (size_t i = 0; entry == 4 && i < 384; i++) {
        vmd_put_u32(call->guest, to + 8 + 4 * i, vmd_load_u32(to + 8 + 4 * i));
    }
    *made = table;
    return table;
}

static uint64_t host_ctype_b_loc(struct vmd_host_call *call)
{
    return ctype_table(call, 0, *__ctype_b_loc(), sizeof(**__ctype_b_loc()));
}

static uint64_t host_ctype_tolower_loc(struct vmd_host_call *call)
{
    return ctype_table(call, 1, *__ctype_tolower_loc(), sizeof(**__ctype_tolower_loc()));
}

static uint64_t host_ctype_toupper_loc(struct vmd_host_call *call)
{
    return ctype_table(call, 2, *__ctype_toupper_loc(), sizeof(**__ctype_toupper_loc()));
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
    vmd_put_u64(guest, vmd_guest_find(guest, variable, 8), table);
    for (int c = 0; c < 256; c++) {
        vmd_put_u16(guest, vmd_guest_find(guest, table + (uint64_t)c * 2, 2), ascii_type(c));
    }
    return vmd_guest_define(guest, "g_ascii_table", variable);
}

VMD_SERVE({"toupper", host_toupper}, {"tolower", host_tolower}, {"__ctype_b_loc", host_ctype_b_loc},
          {"__ctype_tolower_loc", host_ctype_tolower_loc}, {"__ctype_toupper_loc", host_ctype_toupper_loc})
