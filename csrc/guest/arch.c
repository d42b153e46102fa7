/*
 * The list of hosts. See arch.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch.h"

static struct vmd_arch_entry *entries;

void vmd_arch_register(struct vmd_arch_entry *entry)
{
    entry->next = entries;
    entries = entry;
}

const struct vmd_arch *vmd_arch_of(uint16_t e_machine, enum vmd_platform platform)
{
    const struct vmd_arch_entry *entry = entries;

    while (entry && (entry->arch->e_machine != e_machine || entry->arch->platform != platform)) {
        entry = entry->next;
    }
    return entry ? entry->arch : NULL;
}

int vmd_number_here(const struct vmd_number *numbers, int there, int missing)
{
    for (; numbers->here; numbers++) {
        if (numbers->there == there) {
            return numbers->here;
        }
    }
    return missing;
}

int vmd_number_there(const struct vmd_number *numbers, int here, int missing)
{
    for (; numbers->here; numbers++) {
        if (numbers->here == here) {
            return numbers->there;
        }
    }
    return missing;
}
