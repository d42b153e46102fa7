/*
 * Execution of VEX-encoded instructions: see vex.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/vex.h"

#include "guest/insn.h"

/* First bytes of encodings, and the bytes, invalid in 64-bit mode, that they are overwritten with. */
static const struct {
    uint8_t first, invalid;
    const char *name;
} encodings[] = {
    {0xc5, 0x06, "an AVX instruction"},
    {0xc4, 0x07, "an AVX instruction"},
    {0x62, 0x0e, "an AVX instruction"},
    {0x8f, 0x16, "an AVX instruction"},
};

enum { N_ENCODINGS = sizeof(encodings) / sizeof(*encodings) };

void vmd_vex_overwrite(uint8_t *code, size_t size)
{
    size_t at = vmd_x86_64_prefixes(code, size);

    for (size_t i = 0; at < size && i < N_ENCODINGS; i++) {
        if (code[at] == encodings[i].first) {
            code[at] = encodings[i].invalid;
            break;
        }
    }
}

size_t vmd_vex_execute(struct vmd_guest *guest, uint64_t pc, const uint8_t *code, size_t size)
{
    size_t at = vmd_x86_64_prefixes(code, size);

    for (size_t i = 0; at < size && i < N_ENCODINGS; i++) {
        if (code[at] == encodings[i].first || code[at] == encodings[i].invalid) {
            vmd_guest_fail(guest, VMD_UNSUPPORTED, pc, encodings[i].name);
            break;
        }
    }
    return 0;
}
