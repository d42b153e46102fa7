/*
 * GLib's UTF-8 functions.
 *
 * Source: GLib 2.74 glib/gutf8.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/format.h"

/* UTF-8 */

size_t vmd_host_encode_utf8(uint32_t c, char *out)
{
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0, 0xf8, 0xfc};
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : c < 0x200000 ? 4 : c < 0x4000000 ? 5 : 6;

    for (size_t i = size; --i;) {
        out[i] = (char)((c & 0x3f) | 0x80);
        c >>= 6;
    }
    out[0] = (char)(c | first[size]);
    return size;
}

static uint64_t host_g_unichar_to_utf8(struct vmd_host_call *call)
{
    char bytes[6], *to;
    size_t size = vmd_host_encode_utf8((uint32_t)call->args[0], bytes);

    if (call->args[1] && (to = vmd_guest_at(call->guest, call->args[1], size))) {
        memcpy(to, bytes, size);
    }
    return size;
}

/* The character that begins text, and its bytes; 0 bytes: it is not valid. */
static size_t decode_utf8(const char *text, size_t room, uint32_t *ret)
{
    uint8_t c = room ? (uint8_t)*text : 0xff;
    size_t size = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (!size || size > room) {
        return 0;
    }
    *ret = size == 1 ? c : c & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if (((uint8_t)text[i] & 0xc0) != 0x80) {
            return 0;
        }
        *ret = *ret << 6 | ((uint8_t)text[i] & 0x3f);
    }
    return *ret < least[size] || *ret > 0x10ffff || *ret >> 11 == 0x1b ? 0 : size;
}

static uint64_t host_g_utf8_get_char(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);
    uint32_t c;

    return text && decode_utf8(text, strnlen(text, 4) + 1, &c) ? c : (uint64_t)-1;
}

static uint64_t host_g_utf8_validate(struct vmd_host_call *call)
{
    const char *text = (int64_t)call->args[1] < 0 ? vmd_host_string(call->guest, call->args[0])
                                                  : vmd_guest_at(call->guest, call->args[0], call->args[1]);
    size_t size = !text ? 0 : (int64_t)call->args[1] < 0 ? strlen(text) : call->args[1], at = 0, n;
    uint32_t c;

    while (at < size && (n = decode_utf8(text + at, size - at, &c)) && c) {
        at += n;
    }
    if (call->args[2]) {
        vmd_guest_store_u64(call->guest, call->args[2], call->args[0] + at);
    }
    return text && at == size;
}

VMD_SERVE({"g_unichar_to_utf8", host_g_unichar_to_utf8}, {"g_utf8_get_char", host_g_utf8_get_char},
          {"g_utf8_validate", host_g_utf8_validate})
