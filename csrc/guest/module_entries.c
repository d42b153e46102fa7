/*
 * Module init functions of a QEMU. See module_entries.h.
 *
 * struct ModuleEntry { void (*init)(void); QTAILQ_ENTRY(ModuleEntry) node; module_init_type type; } comes from
 * g_malloc0, and node is {address of the next entry, address of the previous node or of the list's head}; the first
 * word of both of these is the address of this entry. No other data looks like that: register_module_init, which makes
 * the entries, need not be known, and may have been inlined.
 *
 * Source: QEMU 5.2 to 11.1 util/module.c, include/qemu/queue.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/module_entries.h"

#include "guest/internal.h"

enum { NODE = 8, PREVIOUS = 16, TYPE = 24, ENTRY_SIZE = 32 };
enum { TYPES_MAX = 32 }; /* far above MODULE_INIT_MAX */

struct search {
    const struct vmd_guest *guest;
    uint64_t code_begin, code_end;
    struct vmd_module_entry *ret;
    size_t n, room;
};

static const char *entry_at(const struct search *search, uint64_t address)
{
    const struct vmd_guest *guest = search->guest;
    const char *entry = address % 8 ? NULL : vmd_guest_find(guest, address, ENTRY_SIZE), *node;

    if (!entry || vmd_get_u64(guest, entry) - search->code_begin >= search->code_end - search->code_begin ||
        vmd_get_u32(guest, entry + TYPE) >= TYPES_MAX || vmd_get_u32(guest, entry + TYPE + 4)) {
        return NULL;
    }
    node = vmd_guest_find(guest, vmd_get_u64(guest, entry + PREVIOUS), 8);
    return node && vmd_get_u64(guest, node) == address ? entry : NULL;
}

/* Add the list that begins with an entry, if all of it has one type. */
static void add_list(struct search *search, uint64_t first)
{
    const struct vmd_guest *guest = search->guest;
    uint32_t type = vmd_get_u32(guest, entry_at(search, first) + TYPE),
             list = search->n ? search->ret[search->n - 1].list + 1 : 0;
    size_t n = search->n;
    const char *entry;

    /* It ends: the previous node of each entry is the one that it was reached by. */
    for (uint64_t at = first, from = 0; at; from = at, at = vmd_get_u64(guest, entry + NODE)) {
        entry = entry_at(search, at);
        if (!entry || vmd_get_u32(guest, entry + TYPE) != type || n == search->room ||
            (from && vmd_get_u64(guest, entry + PREVIOUS) != from + NODE)) {
            return;
        }
        search->ret[n++] = (struct vmd_module_entry){vmd_get_u64(guest, entry), type, list};
    }
    search->n = n;
}

size_t vmd_guest_find_module_entries(const struct vmd_guest *guest, uint64_t begin, uint64_t end, uint64_t code_begin,
                                     uint64_t code_end, struct vmd_module_entry *ret, size_t room)
{
    struct search search = {guest, code_begin, code_end, ret, 0, room};

    for (uint64_t at = (begin + 7) & -(uint64_t)8; at < end && code_begin < code_end; at += 8) {
        const char *entry = entry_at(&search, at);

        if (entry && !entry_at(&search, vmd_get_u64(guest, entry + PREVIOUS) - NODE)) {
            add_list(&search, at);
        }
    }
    return search.n;
}
