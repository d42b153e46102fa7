/*
 * Uses of data by machine code: see code_uses.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/code_scan.h"
#include "guest/internal.h"

uint64_t vmd_guest_find_uses(const struct vmd_guest *guest, uint64_t begin, uint64_t end, const uint64_t *targets,
                             uint32_t n_targets, const uint64_t *functions, uint32_t n_functions,
                             struct vmd_guest_use *uses, uint64_t room)
{
    const char *bytes = end > begin ? vmd_guest_find(guest, begin, end - begin) : NULL;
    const struct vmd_code code = {.bytes = (const unsigned char *)bytes,
                                  .address = begin,
                                  .size = end - begin,
                                  .targets = {targets, n_targets},
                                  .functions = {functions, n_functions}};

    return bytes ? guest->host->find_uses(&code, uses, room) : 0;
}
