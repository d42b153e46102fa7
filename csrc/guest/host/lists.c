/*
 * GSList {data, next}, GList {data, next, prev}, and GQueue {head, tail, length}, all in the guest's memory.
 *
 * A walk ends after as many links as the guest's memory can hold, so that a list that goes in a circle is no trap.
 *
 * Source: GLib 2.74 glib/glist.c, gslist.c, gqueue.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <stdlib.h>

enum { DATA = 0, NEXT = 8, PREV = 16, LINK_SIZE = 24 };

static uint64_t data_of(struct vmd_guest *guest, uint64_t link)
{
    return vmd_guest_load_u64(guest, link + DATA);
}

static uint64_t new_link(struct vmd_guest *guest, uint64_t data, uint64_t next, uint64_t prev)
{
    uint64_t link = vmd_host_allocate(guest, LINK_SIZE);
    char *to = link ? vmd_guest_at(guest, link, LINK_SIZE) : NULL;

    if (to) {
        vmd_store_u64(to + DATA, data);
        vmd_store_u64(to + NEXT, next);
        vmd_store_u64(to + PREV, prev);
    }
    return link;
}

/* A walk over links: while (step(&walk)) ... walk.link. The next link is read before the body runs. */
struct walk {
    struct vmd_guest *guest;
    uint64_t link, next, n;
};

static struct walk walk_from(struct vmd_guest *guest, uint64_t list)
{
    return (struct walk){.guest = guest, .next = list};
}

static bool step(struct walk *walk)
{
    walk->link = walk->next;
    if (!walk->link || walk->guest->err.code) {
        return false;
    }
    if (walk->n++ > walk->guest->size / LINK_SIZE) {
        vmd_guest_fail(walk->guest, VMD_BAD_REFERENCE, walk->link, "a list that goes in a circle");
        return false;
    }
    walk->next = vmd_guest_load_u64(walk->guest, walk->link + NEXT);
    return !walk->guest->err.code;
}

static uint64_t last_of(struct vmd_guest *guest, uint64_t list)
{
    struct walk walk = walk_from(guest, list);
    uint64_t last = 0;

    while (step(&walk)) {
        last = walk.link;
    }
    return last;
}

/* Links two neighbours; either may be missing. GSLists have no PREV: there doubly is false. */
static void connect(struct vmd_guest *guest, uint64_t prev, uint64_t next, bool doubly)
{
    if (prev) {
        vmd_guest_store_u64(guest, prev + NEXT, next);
    }
    if (next && doubly) {
        vmd_guest_store_u64(guest, next + PREV, prev);
    }
}

/* Adding */

static uint64_t host_g_slist_prepend(struct vmd_host_call *call)
{
    return new_link(call->guest, call->args[1], call->args[0], 0);
}

static uint64_t host_g_list_prepend(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t prev = call->args[0] ? vmd_guest_load_u64(guest, call->args[0] + PREV) : 0,
             link = new_link(guest, call->args[1], call->args[0], prev);

    connect(guest, prev, link, true);
    connect(guest, link, call->args[0], true);
    return link;
}

static uint64_t add_last(struct vmd_host_call *call, bool doubly)
{
    uint64_t last = last_of(call->guest, call->args[0]),
             link = new_link(call->guest, call->args[1], 0, doubly ? last : 0);

    if (!call->guest->err.code) {
        connect(call->guest, last, link, doubly);
    }
    return call->args[0] ? call->args[0] : link;
}

static uint64_t host_g_slist_append(struct vmd_host_call *call)
{
    return add_last(call, false);
}

static uint64_t host_g_list_append(struct vmd_host_call *call)
{
    return add_last(call, true);
}

/* Puts data between two links; the new head. */
static uint64_t put_between(struct vmd_guest *guest, uint64_t list, uint64_t prev, uint64_t next, uint64_t data,
                            bool doubly)
{
    uint64_t link = new_link(guest, data, next, doubly ? prev : 0);

    connect(guest, prev, link, doubly);
    connect(guest, link, next, doubly);
    return prev ? list : link;
}

static uint64_t insert_at(struct vmd_host_call *call, bool doubly)
{
    struct walk walk = walk_from(call->guest, call->args[0]);
    int32_t position = (int32_t)call->args[2];
    uint64_t prev = 0, next = call->args[0];

    while (position-- != 0 && step(&walk)) {
        prev = walk.link;
        next = walk.next;
    }
    return put_between(call->guest, call->args[0], prev, next, call->args[1], doubly);
}

static uint64_t host_g_list_insert(struct vmd_host_call *call)
{
    return insert_at(call, true);
}

static uint64_t host_g_slist_insert(struct vmd_host_call *call)
{
    return insert_at(call, false);
}

/* g_list_insert_before(list, sibling, data) */
static uint64_t insert_before(struct vmd_host_call *call, bool doubly)
{
    struct walk walk = walk_from(call->guest, call->args[0]);
    uint64_t prev = 0;

    while (walk.next != call->args[1] && step(&walk)) {
        prev = walk.link;
    }
    return put_between(call->guest, call->args[0], prev, walk.next, call->args[2], doubly);
}

static uint64_t host_g_list_insert_before(struct vmd_host_call *call)
{
    return insert_before(call, true);
}

static uint64_t host_g_slist_insert_before(struct vmd_host_call *call)
{
    return insert_before(call, false);
}

/* Before the first element that is not less. */
static uint64_t insert_sorted(struct vmd_host_call *call, bool doubly, bool has_data)
{
    struct walk walk = walk_from(call->guest, call->args[0]);
    uint64_t prev = 0, next = call->args[0];

    while (step(&walk)) {
        if (vmd_host_compare(call, call->args[2], call->args[1], data_of(call->guest, walk.link), has_data,
                             call->args[3]) <= 0) {
            break;
        }
        prev = walk.link;
        next = walk.next;
    }
    return put_between(call->guest, call->args[0], prev, next, call->args[1], doubly);
}

static uint64_t host_g_list_insert_sorted(struct vmd_host_call *call)
{
    return insert_sorted(call, true, false);
}

static uint64_t host_g_slist_insert_sorted(struct vmd_host_call *call)
{
    return insert_sorted(call, false, false);
}

static uint64_t host_g_list_insert_sorted_with_data(struct vmd_host_call *call)
{
    return insert_sorted(call, true, true);
}

/* Finding */

static uint64_t host_length(struct vmd_host_call *call)
{
    struct walk walk = walk_from(call->guest, call->args[0]);
    uint64_t n = 0;

    while (step(&walk)) {
        n++;
    }
    return n;
}

static uint64_t host_last(struct vmd_host_call *call)
{
    return last_of(call->guest, call->args[0]);
}

static uint64_t host_g_list_first(struct vmd_host_call *call)
{
    uint64_t link = call->args[0], prev, n = 0;

    while (link && (prev = vmd_guest_load_u64(call->guest, link + PREV)) && n++ < call->guest->size / LINK_SIZE) {
        link = prev;
    }
    return link;
}

static uint64_t nth(struct vmd_host_call *call)
{
    struct walk walk = walk_from(call->guest, call->args[0]);

    for (uint32_t n = 0; step(&walk); n++) {
        if (n == (uint32_t)call->args[1]) {
            return walk.link;
        }
    }
    return 0;
}

static uint64_t host_nth_data(struct vmd_host_call *call)
{
    uint64_t link = nth(call);

    return link ? data_of(call->guest, link) : 0;
}

static uint64_t find(struct vmd_host_call *call, uint64_t *prev, uint64_t *index)
{
    struct walk walk = walk_from(call->guest, call->args[0]);

    for (*prev = *index = 0; step(&walk); ++*index) {
        if (data_of(call->guest, walk.link) == call->args[1]) {
            return walk.link;
        }
        *prev = walk.link;
    }
    return 0;
}

static uint64_t host_find(struct vmd_host_call *call)
{
    uint64_t prev, index;

    return find(call, &prev, &index);
}

static uint64_t host_index(struct vmd_host_call *call)
{
    uint64_t prev, index;

    return find(call, &prev, &index) ? index : (uint64_t)-1;
}

static uint64_t find_custom(struct vmd_host_call *call, uint64_t list)
{
    struct walk walk = walk_from(call->guest, list);

    while (step(&walk)) {
        if (vmd_host_compare(call, call->args[2], data_of(call->guest, walk.link), call->args[1], false, 0) == 0) {
            return walk.link;
        }
    }
    return 0;
}

static uint64_t host_find_custom(struct vmd_host_call *call)
{
    return find_custom(call, call->args[0]);
}

static void for_each(struct vmd_host_call *call, uint64_t list, uint64_t function, uint64_t data)
{
    struct walk walk = walk_from(call->guest, list);

    while (step(&walk)) {
        vmd_host_callback(call, function, data_of(call->guest, walk.link), data);
    }
}

static uint64_t host_foreach(struct vmd_host_call *call)
{
    for_each(call, call->args[0], call->args[1], call->args[2]);
    return 0;
}

/* Removing */

/* Takes a link of a GList out of its list; the new head. */
static uint64_t unlink_link(struct vmd_guest *guest, uint64_t list, uint64_t link)
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
    uint64_t prev, index, link = find(call, &prev, &index), list = call->args[0];

    if (link) {
        list = unlink_link(call->guest, list, link);
        vmd_host_free(call->guest, link);
    }
    return list;
}

static uint64_t host_g_list_remove_link(struct vmd_host_call *call)
{
    return call->args[1] ? unlink_link(call->guest, call->args[0], call->args[1]) : call->args[0];
}

static uint64_t host_g_list_delete_link(struct vmd_host_call *call)
{
    uint64_t list = call->args[1] ? unlink_link(call->guest, call->args[0], call->args[1]) : call->args[0];

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
    uint64_t prev, index, link = find(call, &prev, &index);

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

static void free_list(struct vmd_host_call *call, uint64_t list, uint64_t destroy)
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
    free_list(call, call->args[0], 0);
    return 0;
}

static uint64_t host_free_1(struct vmd_host_call *call)
{
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

static uint64_t host_free_full(struct vmd_host_call *call)
{
    free_list(call, call->args[0], call->args[1]);
    return 0;
}

/* Whole lists */

static uint64_t reverse(struct vmd_host_call *call, bool doubly)
{
    struct walk walk = walk_from(call->guest, call->args[0]);
    uint64_t head = 0;

    while (step(&walk)) {
        vmd_guest_store_u64(call->guest, walk.link + NEXT, head);
        if (doubly) {
            vmd_guest_store_u64(call->guest, walk.link + PREV, walk.next);
        }
        head = walk.link;
    }
    return head;
}

static uint64_t host_g_slist_reverse(struct vmd_host_call *call)
{
    return reverse(call, false);
}

static uint64_t host_g_list_reverse(struct vmd_host_call *call)
{
    return reverse(call, true);
}

static uint64_t concat(struct vmd_host_call *call, bool doubly)
{
    uint64_t last = last_of(call->guest, call->args[0]);

    if (call->args[1]) {
        connect(call->guest, last, call->args[1], doubly);
    }
    return call->args[0] ? call->args[0] : call->args[1];
}

static uint64_t host_g_slist_concat(struct vmd_host_call *call)
{
    return concat(call, false);
}

static uint64_t host_g_list_concat(struct vmd_host_call *call)
{
    return concat(call, true);
}

/* With a function: its result for (data, user data) instead of the data. */
static uint64_t copy(struct vmd_host_call *call, bool doubly, uint64_t function)
{
    struct walk walk = walk_from(call->guest, call->args[0]);
    uint64_t head = 0, last = 0;

    while (step(&walk)) {
        uint64_t data = data_of(call->guest, walk.link), link;

        data = function ? vmd_host_callback(call, function, data, call->args[2]) : data;
        link = new_link(call->guest, data, 0, doubly ? last : 0);
        connect(call->guest, last, link, doubly);
        head = head ? head : link;
        last = link;
    }
    return head;
}

static uint64_t host_g_slist_copy(struct vmd_host_call *call)
{
    return copy(call, false, 0);
}

static uint64_t host_g_list_copy(struct vmd_host_call *call)
{
    return copy(call, true, 0);
}

static uint64_t host_g_list_copy_deep(struct vmd_host_call *call)
{
    return copy(call, true, call->args[1]);
}

/* Sorts by merging, stably, over data alone: the links stay and get the data in order. */
static uint64_t sort(struct vmd_host_call *call, bool has_data)
{
    struct walk walk = walk_from(call->guest, call->args[0]);
    uint64_t n = host_length(call), array = n ? vmd_host_allocate(call->guest, 8 * n) : 0, i = 0;

    while (array && step(&walk)) {
        vmd_guest_store_u64(call->guest, array + 8 * i++, data_of(call->guest, walk.link));
    }
    vmd_host_sort_pointers(call, array, i, call->args[1], has_data, call->args[2]);
    walk = walk_from(call->guest, call->args[0]);
    for (i = 0; array && i < n && step(&walk);) {
        vmd_guest_store_u64(call->guest, walk.link + DATA, vmd_guest_load_u64(call->guest, array + 8 * i++));
    }
    vmd_host_free(call->guest, array);
    return call->args[0];
}

static uint64_t host_sort(struct vmd_host_call *call)
{
    return sort(call, false);
}

static uint64_t host_sort_with_data(struct vmd_host_call *call)
{
    return sort(call, true);
}

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
    free_list(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD), 0);
    return host_g_queue_init(call);
}

static uint64_t host_g_queue_free(struct vmd_host_call *call)
{
    free_list(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD), 0);
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

static uint64_t host_g_queue_free_full(struct vmd_host_call *call)
{
    free_list(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD), call->args[1]);
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

/* Puts data between two links of a queue. */
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

/* Takes a link out of a queue; its data. */
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
    unlink_link(guest, 0, link);
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
    for_each(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD), call->args[1], call->args[2]);
    return 0;
}

static uint64_t host_g_queue_find_custom(struct vmd_host_call *call)
{
    return find_custom(call, vmd_guest_load_u64(call->guest, call->args[0] + HEAD));
}

VMD_SERVE({"g_slist_prepend", host_g_slist_prepend}, {"g_list_prepend", host_g_list_prepend},
          {"g_slist_append", host_g_slist_append}, {"g_list_append", host_g_list_append},
          {"g_list_insert", host_g_list_insert}, {"g_slist_insert", host_g_slist_insert},
          {"g_list_insert_before", host_g_list_insert_before}, {"g_slist_insert_before", host_g_slist_insert_before},
          {"g_list_insert_sorted", host_g_list_insert_sorted}, {"g_slist_insert_sorted", host_g_slist_insert_sorted},
          {"g_list_insert_sorted_with_data", host_g_list_insert_sorted_with_data}, {"g_slist_length", host_length},
          {"g_list_length", host_length}, {"g_list_last", host_last}, {"g_slist_last", host_last},
          {"g_list_first", host_g_list_first}, {"g_list_nth", nth}, {"g_slist_nth", nth},
          {"g_list_nth_data", host_nth_data}, {"g_slist_nth_data", host_nth_data}, {"g_list_find", host_find},
          {"g_slist_find", host_find}, {"g_list_index", host_index}, {"g_slist_index", host_index},
          {"g_list_find_custom", host_find_custom}, {"g_slist_find_custom", host_find_custom},
          {"g_list_foreach", host_foreach}, {"g_slist_foreach", host_foreach}, {"g_list_remove", host_g_list_remove},
          {"g_list_remove_link", host_g_list_remove_link}, {"g_list_delete_link", host_g_list_delete_link},
          {"g_slist_remove", host_g_slist_remove}, {"g_slist_remove_link", host_g_slist_remove_link},
          {"g_slist_delete_link", host_g_slist_delete_link}, {"g_list_free", host_free}, {"g_slist_free", host_free},
          {"g_list_free_1", host_free_1}, {"g_slist_free_1", host_free_1}, {"g_list_free_full", host_free_full},
          {"g_slist_free_full", host_free_full}, {"g_list_reverse", host_g_list_reverse},
          {"g_slist_reverse", host_g_slist_reverse}, {"g_list_concat", host_g_list_concat},
          {"g_slist_concat", host_g_slist_concat}, {"g_list_copy", host_g_list_copy},
          {"g_slist_copy", host_g_slist_copy}, {"g_list_copy_deep", host_g_list_copy_deep}, {"g_list_sort", host_sort},
          {"g_slist_sort", host_sort}, {"g_list_sort_with_data", host_sort_with_data},
          {"g_slist_sort_with_data", host_sort_with_data}, {"g_queue_new", host_g_queue_new},
          {"g_queue_init", host_g_queue_init}, {"g_queue_clear", host_g_queue_clear},
          {"g_queue_free", host_g_queue_free}, {"g_queue_free_full", host_g_queue_free_full},
          {"g_queue_push_tail", host_g_queue_push_tail}, {"g_queue_push_head", host_g_queue_push_head},
          {"g_queue_insert_sorted", host_g_queue_insert_sorted}, {"g_queue_pop_head", host_g_queue_pop_head},
          {"g_queue_pop_tail", host_g_queue_pop_tail}, {"g_queue_unlink", host_g_queue_unlink},
          {"g_queue_delete_link", host_g_queue_delete_link}, {"g_queue_remove", host_g_queue_remove},
          {"g_queue_peek_head", host_g_queue_peek_head}, {"g_queue_peek_tail", host_g_queue_peek_tail},
          {"g_queue_is_empty", host_g_queue_is_empty}, {"g_queue_get_length", host_g_queue_get_length},
          {"g_queue_foreach", host_g_queue_foreach}, {"g_queue_find_custom", host_g_queue_find_custom})
