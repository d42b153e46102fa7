/*
 * Unaligned loads and stores of values in the host's byte order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_LOAD_H
#define VMD_LOAD_H

#include <stdint.h>
#include <string.h>

static inline uint64_t vmd_load_u64(const void *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint16_t vmd_load_u16(const void *from)
{
    uint16_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint32_t vmd_load_u32(const void *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static inline int32_t vmd_load_i32(const void *from)
{
    return (int32_t)vmd_load_u32(from);
}

static inline void vmd_store_u64(void *to, uint64_t value)
{
    memcpy(to, &value, sizeof(value));
}

static inline void vmd_store_u16(void *to, uint16_t value)
{
    memcpy(to, &value, sizeof(value));
}

static inline void vmd_store_u32(void *to, uint32_t value)
{
    memcpy(to, &value, sizeof(value));
}

#endif
