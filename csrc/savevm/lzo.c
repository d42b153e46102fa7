/*
 * LZO1X decompression. See savevm.h.
 *
 * An instruction copies a match of earlier output and up to three literals; a byte below 16 means a run of literals,
 * or a short match, depending on the literals before it (state: their number, 4 after a run).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <string.h>

#include "savevm/savevm.h"

enum { AFTER_RUN = 4, FAR = 0x4000, MIDDLE = 0x800 };

struct lzo {
    const uint8_t *in, *in_end;
    uint8_t *out, *start, *out_end;
    bool failed;
};

static uint32_t next_byte(struct lzo *lzo)
{
    if (lzo->in == lzo->in_end) {
        lzo->failed = true;
        return 1; /* ends loops over zeros */
    }
    return *lzo->in++;
}

static uint32_t next_le16(struct lzo *lzo)
{
    uint32_t low = next_byte(lzo);

    return low | next_byte(lzo) << 8;
}

/* A length whose field of an instruction is 0 continues in bytes. */
static uint64_t length(struct lzo *lzo, uint32_t field, uint32_t base)
{
    uint64_t value = 0;
    uint32_t byte;

    if (field) {
        return field;
    }
    while (!(byte = next_byte(lzo))) {
        value += 255;
    }
    return value + base + byte;
}

static void copy_literals(struct lzo *lzo, uint64_t size)
{
    if (lzo->failed || size > (uint64_t)(lzo->in_end - lzo->in) || size > (uint64_t)(lzo->out_end - lzo->out)) {
        lzo->failed = true;
        return;
    }
    memcpy(lzo->out, lzo->in, size);
    lzo->in += size;
    lzo->out += size;
}

static void copy_match(struct lzo *lzo, uint64_t distance, uint64_t size)
{
    if (lzo->failed || distance > (uint64_t)(lzo->out - lzo->start) || size > (uint64_t)(lzo->out_end - lzo->out)) {
        lzo->failed = true;
        return;
    }
    for (; size; size--, lzo->out++) {
        *lzo->out = *(lzo->out - distance); /* may overlap */
    }
}

/* Execute an instruction of at least 16, or a short match. Returns false at the end marker. */
static bool execute(struct lzo *lzo, uint32_t code, uint32_t *state)
{
    uint64_t distance, size;
    uint32_t word = code;

    if (code >= 64) {
        size = (code >> 5) + 1;
        distance = 1 + (code >> 2 & 7) + (uint64_t)(next_byte(lzo) << 3);
    } else if (code >= 32) {
        size = length(lzo, code & 31, 31) + 2;
        word = next_le16(lzo);
        distance = 1 + (word >> 2);
    } else if (code >= 16) {
        size = length(lzo, code & 7, 7) + 2;
        word = next_le16(lzo);
        distance = ((uint64_t)(code & 8) << 11) + (word >> 2);
        if (!distance) {
            return false;
        }
        distance += FAR;
    } else {
        size = *state == AFTER_RUN ? 3 : 2;
        distance = (*state == AFTER_RUN ? 1 + MIDDLE : 1) + (code >> 2) + (uint64_t)(next_byte(lzo) << 2);
    }
    copy_match(lzo, distance, size);
    *state = word & 3;
    copy_literals(lzo, *state);
    return true;
}

int64_t vmd_lzo1x_decompress(const char *data, uint64_t size, char *out, uint64_t room)
{
    struct lzo lzo = {.in = (const uint8_t *)data,
                      .in_end = (const uint8_t *)data + size,
                      .out = (uint8_t *)out,
                      .start = (uint8_t *)out,
                      .out_end = (uint8_t *)out + room};
    uint32_t state = 0;

    if (size && lzo.in[0] > 17) {
        uint32_t literals = next_byte(&lzo) - 17;

        copy_literals(&lzo, literals);
        state = literals < 4 ? literals : AFTER_RUN;
    }
    while (!lzo.failed) {
        uint32_t code = next_byte(&lzo);

        if (code < 16 && !state) {
            copy_literals(&lzo, length(&lzo, code, 15) + 3);
            state = AFTER_RUN;
        } else if (!execute(&lzo, code, &state)) {
            return lzo.failed || lzo.in != lzo.in_end ? -1 : (int64_t)(lzo.out - lzo.start);
        }
    }
    return -1;
}
