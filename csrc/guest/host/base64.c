/*
 * GLib's Base64. Source: RFC 4648; GLib ignores other characters when it decodes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* g_base64_encode(data, size) */
static uint64_t host_g_base64_encode(struct vmd_host_call *call)
{
    uint64_t size = call->args[1], text;
    const uint8_t *data = size ? (const uint8_t *)vmd_guest_at(call->guest, call->args[0], size) : NULL;
    char *to;

    size = data ? size : 0;
    text = vmd_host_allocate(call->guest, (size + 2) / 3 * 4 + 1);
    to = vmd_guest_at(call->guest, text, (size + 2) / 3 * 4 + 1);
    if (!to) {
        return 0;
    }
    for (uint64_t i = 0; i < size; i += 3, to += 4) {
        uint32_t left = size - i < 3 ? (uint32_t)(size - i) : 3, group = (uint32_t)data[i] << 16;

        group |= left > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        group |= left > 2 ? data[i + 2] : 0;
        for (uint32_t digit = 0; digit < 4; digit++) {
            to[digit] = digit <= left ? DIGITS[group >> (18 - 6 * digit) & 63] : '=';
        }
    }
    *to = '\0';
    return text;
}

/* Decode; to may be the text itself. Returns the number of bytes. */
static uint64_t decode(const char *text, uint8_t *to)
{
    uint32_t group = 0, n = 0;
    uint64_t size = 0;

    for (; *text && *text != '='; text++) {
        const char *digit = strchr(DIGITS, *text);

        if (digit) {
            group = group << 6 | (uint32_t)(digit - DIGITS);
            n = (n + 1) % 4;
            if (n != 1) {
                to[size++] = (uint8_t)(group >> (n ? 8 - 2 * n : 0));
            }
        }
    }
    return size;
}

static uint64_t decode_to(struct vmd_host_call *call, uint64_t to)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);
    uint8_t *data = text ? (uint8_t *)vmd_guest_at(call->guest, to, strlen(text) + 1) : NULL;
    uint64_t size = data ? decode(text, data) : 0;

    if (data && data != (const uint8_t *)text) {
        data[size] = 0;
    }
    vmd_guest_store_u64(call->guest, call->args[1], size);
    return data ? to : 0;
}

/* g_base64_decode(text, size) */
static uint64_t host_g_base64_decode(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? decode_to(call, vmd_host_allocate(call->guest, strlen(text) + 1)) : 0;
}

/* g_base64_decode_inplace(text, size) */
static uint64_t host_g_base64_decode_inplace(struct vmd_host_call *call)
{
    return decode_to(call, call->args[0]);
}

VMD_SERVE({"g_base64_encode", host_g_base64_encode}, {"g_base64_decode", host_g_base64_decode},
          {"g_base64_decode_inplace", host_g_base64_decode_inplace})
