/*
 * Consumption of the fuzzer's bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FUZZ_BYTES_H
#define FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Consume the next byte; 0 at the end. */
static inline uint8_t fuzz_byte(const uint8_t **data, size_t *size)
{
    if (!*size) {
        return 0;
    }
    --*size;
    return *(*data)++;
}

#endif
