/*
 * Uses of addresses by code: see guest_uses.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/code_uses.h"

#include <string.h>

#include "guest/internal.h"

/* How far a call stands behind the instruction that takes its argument's address, at most, in bytes. */
enum { CALL_WINDOW = 384 };

/* How far an add stands behind the adrp whose page it completes, at most, in instructions. */
enum { ADD_WINDOW = 16 };

struct code {
    const unsigned char *bytes;
    uint64_t address, size;
};

struct addresses {
    const uint64_t *sorted;
    uint32_t n;
};

static uint32_t u32(const unsigned char *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static uint32_t find(const struct addresses *in, uint64_t address)
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

/* x86-64: lea disp32(%rip),%r64; call rel32 and, for a tail call, jmp rel32. Found at any byte: what is looked for are
 * addresses that are known, so that a match by chance is one in millions. */

static uint32_t x86_64_call(const struct code *code, uint64_t at, const struct addresses *functions)
{
    uint64_t end = code->size - at > CALL_WINDOW ? at + CALL_WINDOW : code->size;

    for (; at + 5 <= end; at++) {
        if (code->bytes[at] == 0xe8 || code->bytes[at] == 0xe9) {
            uint64_t to = code->address + at + 5 + (uint64_t)(int32_t)u32(code->bytes + at + 1);
            uint32_t function = find(functions, to);

            if (function != VMD_NO_CALL) {
                return function;
            }
        }
    }
    return VMD_NO_CALL;
}

static uint64_t x86_64_target(const struct code *code, uint64_t at)
{
    const unsigned char *bytes = code->bytes + at;

    if (code->size - at < 7 || (bytes[0] & 0xfb) != 0x48 || bytes[1] != 0x8d || (bytes[2] & 0xc7) != 0x05) {
        return 0;
    }
    return code->address + at + 7 + (uint64_t)(int32_t)u32(bytes + 3);
}

/* AArch64: adrp and add; bl and, for a tail call, b. */

static int64_t sign_extend(uint64_t value, int bits)
{
    return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

static uint32_t aarch64_call(const struct code *code, uint64_t at, const struct addresses *functions)
{
    uint64_t end = code->size - at > CALL_WINDOW ? at + CALL_WINDOW : code->size;

    for (; at + 4 <= end; at += 4) {
        uint32_t instruction = u32(code->bytes + at);

        if ((instruction & 0x7c000000) == 0x14000000) {
            uint64_t to = code->address + at + 4 * (uint64_t)sign_extend(instruction & 0x3ffffff, 26);
            uint32_t function = find(functions, to);

            if (function != VMD_NO_CALL) {
                return function;
            }
        }
    }
    return VMD_NO_CALL;
}

static uint64_t aarch64_target(const struct code *code, uint64_t at)
{
    uint32_t adrp = u32(code->bytes + at), page_register = adrp & 31;
    uint64_t immediate = (adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3);
    uint64_t page = ((code->address + at) & ~0xfffull) + 4096 * (uint64_t)sign_extend(immediate, 21);

    if ((adrp & 0x9f000000) != 0x90000000) {
        return 0;
    }
    for (int i = 1; i <= ADD_WINDOW && at + 4 * (uint64_t)i + 4 <= code->size; i++) {
        uint32_t add = u32(code->bytes + at + 4 * (uint64_t)i);

        /* add Xd, Xn, #imm, not shifted */
        if ((add & 0xffc00000) == 0x91000000 && (add >> 5 & 31) == page_register) {
            return page + (add >> 10 & 0xfff);
        }
        /* Another adrp to the same register begins another address. */
        if ((add & 0x9f000000) == 0x90000000 && (add & 31) == page_register) {
            break;
        }
    }
    return 0;
}

uint64_t vmd_guest_find_uses(const struct vmd_guest *guest, uint64_t begin, uint64_t end, const uint64_t *targets,
                             uint32_t n_targets, const uint64_t *functions, uint32_t n_functions,
                             struct vmd_guest_use *uses, uint64_t room)
{
    const char *bytes = end > begin ? vmd_guest_find(guest, begin, end - begin) : NULL;
    struct code code = {(const unsigned char *)bytes, begin, end - begin};
    struct addresses known_targets = {targets, n_targets}, known_functions = {functions, n_functions};
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    uint64_t n = 0, step = x86_64 ? 1 : 4;

    if (!bytes) {
        return 0;
    }
    for (uint64_t at = 0; at + 4 <= code.size; at += step) {
        uint64_t address = x86_64 ? x86_64_target(&code, at) : aarch64_target(&code, at);
        uint32_t target = address ? find(&known_targets, address) : VMD_NO_CALL;

        if (target == VMD_NO_CALL) {
            continue;
        }
        if (n < room) {
            uses[n].target = target;
            uses[n].function =
                x86_64 ? x86_64_call(&code, at + 7, &known_functions) : aarch64_call(&code, at + 8, &known_functions);
        }
        n++;
    }
    return n;
}
