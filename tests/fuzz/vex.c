/*
 * Fuzz target: instructions that the emulator executes itself (csrc/guest/vex/, csrc/guest/arch/s390x.c). The first
 * byte is the architecture, the rest code, of which one instruction after the other is overwritten and executed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vmd_guest *guest = fuzz_guest(fuzz_byte(&data, &size) & 1 ? LINUX_S390X : LINUX_X86_64, data, size);
    const struct vmd_replacement *replacement = guest->host->replacement;
    uint8_t *code = (uint8_t *)vmd_guest_find(guest, FUZZ_BASE, size);
    size_t at = 0, found;

    while (at < size && (found = replacement->find(code + at, size - at, size - at)) != SIZE_MAX) {
        uint8_t copy[16] = {0};
        size_t length, room;

        at += found;
        room = size - at < sizeof(copy) ? size - at : sizeof(copy);
        memcpy(copy, code + at, room);
        length = replacement->execute(guest, FUZZ_BASE + at, copy, room);
        replacement->overwrite(copy, room);
        if (replacement->find(copy, 1, room) != SIZE_MAX) {
            __builtin_trap(); /* it is still one */
        }
        vmd_error_set(&guest->err, VMD_OK, 0, NULL);
        if (replacement->execute(guest, FUZZ_BASE + at, copy, room) != length) {
            __builtin_trap(); /* overwriting changes what it does */
        }
        vmd_error_set(&guest->err, VMD_OK, 0, NULL);
        at += length ? length : 1;
    }
    vmd_guest_destroy(guest);
    return 0;
}
