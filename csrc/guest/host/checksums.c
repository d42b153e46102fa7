/*
 * zlib's checksums. Source: RFC 1950 (Adler-32), ISO 3309 (CRC-32).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

enum { ADLER_BASE = 65521 };

static const uint32_t CRC_POLYNOMIAL = 0xedb88320;

/* adler32(adler, data, size); without data, the initial value. */
static uint64_t host_adler32(struct vmd_host_call *call)
{
    uint64_t size = (uint32_t)call->args[2];
    uint32_t low = (uint32_t)call->args[0] & 0xffff, high = (uint32_t)call->args[0] >> 16;
    const uint8_t *data = call->args[1] ? (const uint8_t *)vmd_guest_at(call->guest, call->args[1], size) : NULL;

    if (!data) {
        return 1;
    }
    for (uint64_t i = 0; i < size; i++) {
        low = (low + data[i]) % ADLER_BASE;
        high = (high + low) % ADLER_BASE;
    }
    return high << 16 | low;
}

/* crc32(crc, data, size); without data, the initial value. */
static uint64_t host_crc32(struct vmd_host_call *call)
{
    uint64_t size = (uint32_t)call->args[2];
    uint32_t crc = ~(uint32_t)call->args[0];
    const uint8_t *data = call->args[1] ? (const uint8_t *)vmd_guest_at(call->guest, call->args[1], size) : NULL;

    if (!data) {
        return 0;
    }
    for (uint64_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ CRC_POLYNOMIAL : crc >> 1;
        }
    }
    return ~crc;
}

VMD_SERVE({"adler32", host_adler32}, {"crc32", host_crc32})
