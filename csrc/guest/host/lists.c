/*
 * GSList and GList: add, find, copy, sort.
 *
 * Source: GLib 2.74 glib/glist.c, gslist.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/lists.h"

#include <stdlib.h>

/* Insertion */

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

/* Insert data between two links; returns the new head. */
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

/* Search */

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

uint64_t vmd_list_find(struct vmd_host_call *call, uint64_t *prev, uint64_t *index)
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

    return vmd_list_find(call, &prev, &index);
}

static uint64_t host_index(struct vmd_host_call *call)
{
    uint64_t prev, index;

    return vmd_list_find(call, &prev, &index) ? index : (uint64_t)-1;
}

uint64_t vmd_list_find_custom(struct vmd_host_call *call, uint64_t list)
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
    return vmd_list_find_custom(call, call->args[0]);
}

void vmd_list_foreach(struct vmd_host_call *call, uint64_t list, uint64_t function, uint64_t data)
{
    struct walk walk = walk_from(call->guest, list);

    while (step(&walk)) {
        vmd_host_callback(call, function, data_of(call->guest, walk.link), data);
    }
}

static uint64_t host_foreach(struct vmd_host_call *call)
{
    vmd_list_foreach(call, call->args[0], call->args[1], call->args[2]);
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
          {"g_list_foreach", host_foreach}, {"g_slist_foreach", host_foreach}, {"g_list_reverse", host_g_list_reverse},
          {"g_slist_reverse", host_g_slist_reverse}, {"g_list_concat", host_g_list_concat},
          {"g_slist_concat", host_g_slist_concat}, {"g_list_copy", host_g_list_copy},
          {"g_slist_copy", host_g_slist_copy}, {"g_list_copy_deep", host_g_list_copy_deep}, {"g_list_sort", host_sort},
          {"g_slist_sort", host_sort}, {"g_list_sort_with_data", host_sort_with_data},
          {"g_slist_sort_with_data", host_sort_with_data})
