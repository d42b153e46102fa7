/*
 * The scan of machine code for uses of data, which each architecture instantiates with its instructions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_CODE_SCAN_H
#define VMD_CODE_SCAN_H

#include "base/load.h"
#include "guest/code_uses.h"

struct vmd_addresses {
    const uint64_t *sorted;
    uint32_t n;
};

/* Code, and the addresses that are searched for in it. */
struct vmd_code {
    const unsigned char *bytes;
    uint64_t address, size;
    struct vmd_addresses targets, functions;
};

/* Maximum distance in bytes from the load of an address to the call that it is an argument of. */
enum { VMD_CALL_WINDOW = 384 };

static inline int64_t vmd_sign_extend(uint64_t value, int bits)
{
    return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

static inline uint32_t vmd_find_address(const struct vmd_addresses *in, uint64_t address)
{
    uint32_t low = 0, high = in->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (in->sorted[middle] < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < in->n && in->sorted[low] == address ? low : VMD_NO_CALL;
}

/* Decodes the instruction at an offset that has at least 4 bytes: the address that it loads, calls or jumps to, or 0.
 */
typedef uint64_t vmd_decode_fn(const struct vmd_code *code, uint64_t at);

/*
 * Store the uses in code, at most room; returns their number. step: distance of instructions in bytes; skip: that of
 * the load of an address to the first possible call.
 */
static inline __attribute__((always_inline)) uint64_t vmd_scan_uses(const struct vmd_code *code,
                                                                    struct vmd_guest_use *uses, uint64_t room,
                                                                    uint64_t step, uint64_t skip, vmd_decode_fn *loaded,
                                                                    vmd_decode_fn *called)
{
    uint64_t n = 0;

    for (uint64_t at = 0; at + 4 <= code->size; at += step) {
        uint64_t address = loaded(code, at), end = at + skip + VMD_CALL_WINDOW;
        uint32_t target = address ? vmd_find_address(&code->targets, address) : VMD_NO_CALL, function = VMD_NO_CALL;

        if (target == VMD_NO_CALL) {
            continue;
        }
        end = end < code->size ? end : code->size;
        for (uint64_t next = at + skip; next + 4 <= end && function == VMD_NO_CALL; next += step) {
            address = called(code, next);
            function = address ? vmd_find_address(&code->functions, address) : VMD_NO_CALL;
        }
        if (n < room) {
            uses[n] = (struct vmd_guest_use){target, function};
        }
        n++;
    }
    return n;
}

#endif
