/*
 * GSList and GList: a GSList is {data, next}, a GList {data, next, prev}.
 * A part of what a guest sees of its host; see guest_host.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

static uint64_t new_link(struct vmd_host_call *call, uint64_t data, uint64_t next)
{
    uint64_t link = vmd_host_allocate(call->guest, 24);
    char *to = link ? vmd_guest_at(call->guest, link, 24) : NULL;

    if (to) {
        memcpy(to, &data, 8);
        memcpy(to + 8, &next, 8);
        memset(to + 16, 0, 8);
    }
    return link;
}

static uint64_t host_g_slist_prepend(struct vmd_host_call *call)
{
    return new_link(call, ARG(1), ARG(0));
}

static uint64_t host_g_slist_append(struct vmd_host_call *call)
{
    uint64_t fresh = new_link(call, ARG(1), 0), link = ARG(0);

    if (!link) {
        return fresh;
    }
    for (uint64_t n = 0; n < call->guest->size / 16; n++) {
        char *at = vmd_guest_at(call->guest, link, 16);

        if (!at) {
            return 0;
        }
        if (!vmd_load(at + 8)) {
            memcpy(at + 8, &fresh, 8);
            return ARG(0);
        }
        link = vmd_load(at + 8);
    }
    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, ARG(0), "a list that goes in a circle");
    return 0;
}

static uint64_t host_g_slist_length(struct vmd_host_call *call)
{
    uint64_t n = 0;
    const char *at;

    for (uint64_t link = ARG(0); link && (at = vmd_guest_at(call->guest, link, 16)); link = vmd_load(at + 8)) {
        if (n++ > call->guest->size / 16) {
            vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, ARG(0), "a list that goes in a circle");
            break;
        }
    }
    return n;
}

const struct vmd_host_function vmd_host_lists[] = {
    {"g_slist_prepend", host_g_slist_prepend},
    {"g_list_prepend", host_g_slist_prepend},
    {"g_slist_append", host_g_slist_append},
    {"g_list_append", host_g_slist_append},
    {"g_slist_length", host_g_slist_length},
    {"g_list_length", host_g_slist_length},
    {NULL, NULL},
};
