/*
 * GQueue {head, tail, length}.
 *
 * Source: GLib 2.74 glib/gqueue.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/lists.h"

/* GQueue */

enum { HEAD = 0, TAIL = 8, LENGTH = 16, QUEUE_SIZE = 24 };

static void resize_queue(struct vmd_guest *guest, uint64_t queue, int by)
{
    vmd_guest_store_u32(guest, queue + LENGTH, vmd_guest_load_u32(guest, queue + LENGTH) + (uint32_t)by);
}

static uint64_t host_g_queue_new(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, QUEUE_SIZE);
}

static uint64_t host_g_queue_init(struct vmd_host_call *call)
{
    char *queue = vmd_guest_at(call->guest, call->args[0], QUEUE_SIZE);

    if (queue) {
        memset(queue, 0, QUEUE_SIZE);
    }
    return 0;
}

static uint64_t host_g_queue_clear(struct vmd_host_call *call)
{
    vmd_list_free(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD), 0);
    return host_g_queue_init(call);
}

static uint64_t host_g_queue_free(struct vmd_host_call *call)
{
    vmd_list_free(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD), 0);
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

static uint64_t host_g_queue_free_full(struct vmd_host_call *call)
{
    vmd_list_free(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD), call->args[1]);
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

/* Insert data between two links of a queue. */
static void put_into_queue(struct vmd_guest *guest, uint64_t queue, uint64_t prev, uint64_t next, uint64_t data)
{
    uint64_t link = new_link(guest, data, next, prev);

    connect(guest, prev, link, true);
    connect(guest, link, next, true);
    if (!prev) {
        vmd_guest_store_u64(guest, queue + HEAD, link);
    }
    if (!next) {
        vmd_guest_store_u64(guest, queue + TAIL, link);
    }
    resize_queue(guest, queue, 1);
}

static uint64_t host_g_queue_push_tail(struct vmd_host_call *call)
{
    put_into_queue(call->guest, call->args[0], vmd_guest_load_u64(call->guest, call->args[0] + TAIL), 0, call->args[1]);
    return 0;
}

static uint64_t host_g_queue_push_head(struct vmd_host_call *call)
{
    put_into_queue(call->guest, call->args[0], 0, vmd_guest_load_u64(call->guest, call->args[0] + HEAD), call->args[1]);
    return 0;
}

/* g_queue_insert_sorted(queue, data, compare, user_data) */
static uint64_t host_g_queue_insert_sorted(struct vmd_host_call *call)
{
    struct walk walk = walk_from(call->guest, vmd_guest_load_u64(call->guest, call->args[0] + HEAD));
    uint64_t prev = 0, next = walk.next;

    while (step(&walk) && vmd_host_compare(call, call->args[2], data_of(call->guest, walk.link), call->args[1], true,
                                           call->args[3]) < 0) {
        prev = walk.link;
        next = walk.next;
    }
    put_into_queue(call->guest, call->args[0], prev, next, call->args[1]);
    return 0;
}

/* Remove a link from a queue; returns its data. */
static uint64_t take_from_queue(struct vmd_guest *guest, uint64_t queue, uint64_t link, bool destroy)
{
    uint64_t next, prev, data;

    if (!link) {
        return 0;
    }
    next = vmd_guest_load_u64(guest, link + NEXT);
    prev = vmd_guest_load_u64(guest, link + PREV);
    data = data_of(guest, link);
    if (!next) {
        vmd_guest_store_u64(guest, queue + TAIL, prev);
    }
    if (!prev) {
        vmd_guest_store_u64(guest, queue + HEAD, next);
    }
    vmd_list_unlink(guest, 0, link);
    resize_queue(guest, queue, -1);
    if (destroy) {
        vmd_host_free(guest, link);
    }
    return data;
}

static uint64_t host_g_queue_pop_head(struct vmd_host_call *call)
{
    return take_from_queue(call->guest, call->args[0], vmd_guest_load_u64(call->guest, call->args[0] + HEAD), true);
}

static uint64_t host_g_queue_pop_tail(struct vmd_host_call *call)
{
    return take_from_queue(call->guest, call->args[0], vmd_guest_load_u64(call->guest, call->args[0] + TAIL), true);
}

static uint64_t host_g_queue_unlink(struct vmd_host_call *call)
{
    return take_from_queue(call->guest, call->args[0], call->args[1], false);
}

static uint64_t host_g_queue_delete_link(struct vmd_host_call *call)
{
    return take_from_queue(call->guest, call->args[0], call->args[1], true);
}

static uint64_t host_g_queue_remove(struct vmd_host_call *call)
{
    struct walk walk = walk_from(call->guest, vmd_guest_load_u64(call->guest, call->args[0] + HEAD));

    while (step(&walk)) {
        if (data_of(call->guest, walk.link) == call->args[1]) {
            take_from_queue(call->guest, call->args[0], walk.link, true);
            return 1;
        }
    }
    return 0;
}

static uint64_t peek(struct vmd_host_call *call, uint64_t offset)
{
    uint64_t link = vmd_guest_load_u64(call->guest, call->args[0] + offset);

    return link ? data_of(call->guest, link) : 0;
}

static uint64_t host_g_queue_peek_head(struct vmd_host_call *call)
{
    return peek(call, HEAD);
}

static uint64_t host_g_queue_peek_tail(struct vmd_host_call *call)
{
    return peek(call, TAIL);
}

static uint64_t host_g_queue_is_empty(struct vmd_host_call *call)
{
    return !vmd_guest_load_u64(call->guest, call->args[0] + HEAD);
}

static uint64_t host_g_queue_get_length(struct vmd_host_call *call)
{
    return vmd_guest_load_u32(call->guest, call->args[0] + LENGTH);
}

static uint64_t host_g_queue_foreach(struct vmd_host_call *call)
{
    vmd_list_foreach(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD), call->args[1], call->args[2]);
    return 0;
}

static uint64_t host_g_queue_find_custom(struct vmd_host_call *call)
{
    return vmd_list_find_custom(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD));
}

VMD_SERVE({"g_queue_new", host_g_queue_new}, {"g_queue_init", host_g_queue_init}, {"g_queue_clear", host_g_queue_clear},
          {"g_queue_free", host_g_queue_free}, {"g_queue_free_full", host_g_queue_free_full},
          {"g_queue_push_tail", host_g_queue_push_tail}, {"g_queue_push_head", host_g_queue_push_head},
          {"g_queue_insert_sorted", host_g_queue_insert_sorted}, {"g_queue_pop_head", host_g_queue_pop_head},
          {"g_queue_pop_tail", host_g_queue_pop_tail}, {"g_queue_unlink", host_g_queue_unlink},
          {"g_queue_delete_link", host_g_queue_delete_link}, {"g_queue_remove", host_g_queue_remove},
          {"g_queue_peek_head", host_g_queue_peek_head}, {"g_queue_peek_tail", host_g_queue_peek_tail},
          {"g_queue_is_empty", host_g_queue_is_empty}, {"g_queue_get_length", host_g_queue_get_length},
          {"g_queue_foreach", host_g_queue_foreach}, {"g_queue_find_custom", host_g_queue_find_custom})
