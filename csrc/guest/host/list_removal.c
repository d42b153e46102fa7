/*
 * GSList and GList: remove elements, free lists.
 *
 * Source: GLib 2.74 glib/glist.c, gslist.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/lists.h"

uint64_t vmd_list_unlink(struct vmd_guest *guest, uint64_t list, uint64_t link)
{
    uint64_t next = vmd_guest_load_u64(guest, link + NEXT), prev = vmd_guest_load_u64(guest, link + PREV);

    connect(guest, prev, next, true);
    if (next && !prev) {
        vmd_guest_store_u64(guest, next + PREV, 0);
    }
    vmd_guest_store_u64(guest, link + NEXT, 0);
    vmd_guest_store_u64(guest, link + PREV, 0);
    return link == list ? next : list;
}

static uint64_t host_g_list_remove(struct vmd_host_call *call)
{
    uint64_t prev, index, link = vmd_list_find(call, &prev, &index), list = call->args[0];

    if (link) {
        list = vmd_list_unlink(call->guest, list, link);
        vmd_host_free(call->guest, link);
    }
    return list;
}

static uint64_t host_g_list_remove_link(struct vmd_host_call *call)
{
    return call->args[1] ? vmd_list_unlink(call->guest, call->args[0], call->args[1]) : call->args[0];
}

static uint64_t host_g_list_delete_link(struct vmd_host_call *call)
{
    uint64_t list = call->args[1] ? vmd_list_unlink(call->guest, call->args[0], call->args[1]) : call->args[0];

    vmd_host_free(call->guest, call->args[1]);
    return list;
}

static uint64_t remove_from_slist(struct vmd_host_call *call, uint64_t link, uint64_t prev, bool destroy)
{
    uint64_t next;

    if (!link) {
        return call->args[0];
    }
    next = vmd_guest_load_u64(call->guest, link + NEXT);
    if (prev) {
        vmd_guest_store_u64(call->guest, prev + NEXT, next);
    }
    if (destroy) {
        vmd_host_free(call->guest, link);
    } else {
        vmd_guest_store_u64(call->guest, link + NEXT, 0);
    }
    return prev ? call->args[0] : next;
}

static uint64_t host_g_slist_remove(struct vmd_host_call *call)
{
    uint64_t prev, index, link = vmd_list_find(call, &prev, &index);

    return remove_from_slist(call, link, prev, true);
}

static uint64_t slist_take_link(struct vmd_host_call *call, bool destroy)
{
    struct walk walk = walk_from(call->guest, call->args[0]);
    uint64_t prev = 0;

    while (step(&walk) && walk.link != call->args[1]) {
        prev = walk.link;
    }
    return remove_from_slist(call, walk.link == call->args[1] ? walk.link : 0, prev, destroy);
}

static uint64_t host_g_slist_remove_link(struct vmd_host_call *call)
{
    return slist_take_link(call, false);
}

static uint64_t host_g_slist_delete_link(struct vmd_host_call *call)
{
    return slist_take_link(call, true);
}

void vmd_list_free(struct vmd_host_call *call, uint64_t list, uint64_t destroy)
{
    struct walk walk = walk_from(call->guest, list);

    while (step(&walk)) {
        uint64_t data = data_of(call->guest, walk.link);

        if (destroy) {
            vmd_host_call_guest(call, destroy, &data, 1);
        }
        vmd_host_free(call->guest, walk.link);
    }
}

static uint64_t host_free(struct vmd_host_call *call)
{
    vmd_list_free(call, call->args[0], 0);
    return 0;
}

static uint64_t host_free_1(struct vmd_host_call *call)
{
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

static uint64_t host_free_full(struct vmd_host_call *call)
{
    vmd_list_free(call, call->args[0], call->args[1]);
    return 0;
}

VMD_SERVE({"g_list_remove", host_g_list_remove}, {"g_list_remove_link", host_g_list_remove_link},
          {"g_list_delete_link", host_g_list_delete_link}, {"g_slist_remove", host_g_slist_remove},
          {"g_slist_remove_link", host_g_slist_remove_link}, {"g_slist_delete_link", host_g_slist_delete_link},
          {"g_list_free", host_free}, {"g_slist_free", host_free}, {"g_list_free_1", host_free_1},
          {"g_slist_free_1", host_free_1}, {"g_list_free_full", host_free_full}, {"g_slist_free_full", host_free_full})
