/*
 * Which names can be printed in JSON unescaped, as QEMU prints them. See the invariants in tree.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tree/tree.h"

/* Bytes of the well-formed UTF-8 sequence of more than one byte at text, 0 if there is none (Unicode 15, table 3-7). */
static size_t utf8_sequence(const unsigned char *text, size_t size)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (text[0] >= 0xc2 && text[0] <= 0xdf) {
        length = 2;
    } else if (text[0] >= 0xe0 && text[0] <= 0xef) {
        length = 3;
        low = text[0] == 0xe0 ? 0xa0 : low;
        high = text[0] == 0xed ? 0x9f : high;
    } else if (text[0] >= 0xf0 && text[0] <= 0xf4) {
        length = 4;
        low = text[0] == 0xf0 ? 0x90 : low;
        high = text[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (size < length || text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (text[i] < 0x80 || text[i] > 0xbf) {
            return 0;
        }
    }
    return length;
}

size_t vmd_name_printable_prefix(const char *text, size_t size)
{
    const char *end = text + size, *p = text;

    while ((p = vmd_name_skip_plain(p, end)) < end) {
        size_t length = utf8_sequence((const unsigned char *)p, end - p);

        if (!length) {
            break;
        }
        p += length;
    }
    return p - text;
}
