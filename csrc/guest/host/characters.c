/*
 * libc's and GLib's characters: case, and tables of character classes. The guest's locale is C.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <ctype.h>

static uint64_t host_toupper(struct vmd_host_call *call)
{
    int32_t c = (int32_t)call->args[0];

    return (uint64_t)(c >= 0 && c < 128 ? toupper(c) : c);
}

static uint64_t host_tolower(struct vmd_host_call *call)
{
    int32_t c = (int32_t)call->args[0];

    return (uint64_t)(c >= 0 && c < 128 ? tolower(c) : c);
}

/* The bits of isupper and others, of character classes in the C locale. Source: glibc 2.36 ctype/ctype.h. */
static uint16_t class_bits(int c)
{
    bool is[] = {isupper(c), islower(c),  isalpha(c),
                 isdigit(c), isxdigit(c), isspace(c),
                 isprint(c), isgraph(c),  c == ' ' || c == '\t',
                 iscntrl(c), ispunct(c),  isalnum(c)};
    uint16_t bits = 0;

    for (size_t bit = 0; bit < sizeof(is) / sizeof(*is); bit++) {
        bits |= (uint16_t)(is[bit] << bit);
    }
    return bits;
}

/* libc's tables of characters, which its macros read directly. */
enum ctype_table { CTYPE_CLASSES, CTYPE_TOLOWER, CTYPE_TOUPPER };

/*
 * Write the entry of a character from -128 to 255. That of -1, EOF, is its own; other negative ones are those of the
 * same byte. Bits of classes are in the same bytes on all hosts. Source: glibc 2.36 locale/C-ctype.c.
 */
static void put_ctype(struct vmd_guest *guest, enum ctype_table which, int c, char *to)
{
    int byte = c & 0xff;
    bool is_ascii = c >= 0 && c < 128;

    if (which == CTYPE_CLASSES) {
        uint16_t bits = is_ascii ? class_bits(c) : 0;

        to[0] = (char)(bits >> 8);
        to[1] = (char)bits;
    } else if (c == -1 || !is_ascii) {
        vmd_put_u32(guest, to, c == -1 ? UINT32_MAX : (uint32_t)byte);
    } else {
        vmd_put_u32(guest, to, (uint32_t)(which == CTYPE_TOLOWER ? tolower(c) : toupper(c)));
    }
}

/* The address of a pointer to the entry of character 0. */
static uint64_t ctype_table(struct vmd_host_call *call, enum ctype_table which)
{
    uint64_t *made = &call->guest->state.ctype_tables[which];

    if (*made) {
        return *made;
    }
    size_t entry = which == CTYPE_CLASSES ? 2 : 4;
    uint64_t table = vmd_host_allocate(call->guest, 384 * entry + 8);
    char *to = table ? vmd_guest_at(call->guest, table, 384 * entry + 8) : NULL;

    if (!to) {
        return 0;
    }
    vmd_put_u64(call->guest, to, table + 8 + 128 * entry);
    for (int c = -128; c < 256; c++) {
        put_ctype(call->guest, which, c, to + 8 + (size_t)(c + 128) * entry);
    }
    *made = table;
    return table;
}

static uint64_t host_ctype_b_loc(struct vmd_host_call *call)
{
    return ctype_table(call, CTYPE_CLASSES);
}

static uint64_t host_ctype_tolower_loc(struct vmd_host_call *call)
{
    return ctype_table(call, CTYPE_TOLOWER);
}

static uint64_t host_ctype_toupper_loc(struct vmd_host_call *call)
{
    return ctype_table(call, CTYPE_TOUPPER);
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

/* isalpha and so on, of libraries whose headers have no tables for them */
#define CHARACTER_TEST(is)                                                                                             \
    static uint64_t host_##is(struct vmd_host_call *call)                                                              \
    {                                                                                                                  \
        uint32_t c = (uint32_t)call->args[0];                                                                          \
                                                                                                                       \
        return c < 128 && is((int)c);                                                                                  \
    }

CHARACTER_TEST(isalnum)
CHARACTER_TEST(isalpha)
CHARACTER_TEST(iscntrl)
CHARACTER_TEST(isdigit)
CHARACTER_TEST(isgraph)
CHARACTER_TEST(islower)
CHARACTER_TEST(isprint)
CHARACTER_TEST(ispunct)
CHARACTER_TEST(isspace)
CHARACTER_TEST(isupper)
CHARACTER_TEST(isxdigit)

VMD_SERVE({"isalnum", host_isalnum}, {"isalpha", host_isalpha}, {"iscntrl", host_iscntrl}, {"isdigit", host_isdigit},
          {"isgraph", host_isgraph}, {"islower", host_islower}, {"isprint", host_isprint}, {"ispunct", host_ispunct},
          {"isspace", host_isspace}, {"isupper", host_isupper}, {"isxdigit", host_isxdigit}, {"toupper", host_toupper},
          {"tolower", host_tolower}, {"__ctype_b_loc", host_ctype_b_loc},
          {"__ctype_tolower_loc", host_ctype_tolower_loc}, {"__ctype_toupper_loc", host_ctype_toupper_loc})
