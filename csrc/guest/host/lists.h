/*
 * GSList {data, next} and GList {data, next, prev}, in the guest's memory: links and walks.
 *
 * A walk visits at most as many links as the guest's memory can hold, so that a cyclic list ends it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VMD_GUEST_HOST_LISTS_H
#define VMD_GUEST_HOST_LISTS_H

#include "guest/internal.h"

enum { DATA = 0, NEXT = 8, PREV = 16, LINK_SIZE = 24 };

static inline uint64_t data_of(struct vmd_guest *guest, uint64_t link)
{
    return vmd_guest_load_u64(guest, link + DATA);
}

static inline uint64_t new_link(struct vmd_guest *guest, uint64_t data, uint64_t next, uint64_t prev)
{
    uint64_t link = vmd_host_allocate(guest, LINK_SIZE);
    char *to = link ? vmd_guest_at(guest, link, LINK_SIZE) : NULL;

    if (to) {
        vmd_put_u64(guest, to + DATA, data);
        vmd_put_u64(guest, to + NEXT, next);
        vmd_put_u64(guest, to + PREV, prev);
    }
    return link;
}

/* A walk over links: while (step(&walk)) ... walk.link. The next link is read before the body runs. */
struct walk {
    struct vmd_guest *guest;
    uint64_t link, next, n;
};

static inline struct walk walk_from(struct vmd_guest *guest, uint64_t list)
{
    return (struct walk){.guest = guest, .next = list};
}

static inline bool step(struct walk *walk)
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

static inline uint64_t last_of(struct vmd_guest *guest, uint64_t list)
{
    struct walk walk = walk_from(guest, list);
    uint64_t last = 0;

    while (step(&walk)) {
        last = walk.link;
    }
    return last;
}

/* Links two neighbours; either may be missing. GSLists have no PREV: there doubly is false. */
static inline void connect(struct vmd_guest *guest, uint64_t prev, uint64_t next, bool doubly)
{
    if (prev) {
        vmd_guest_store_u64(guest, prev + NEXT, next);
    }
    if (next && doubly) {
        vmd_guest_store_u64(guest, next + PREV, prev);
    }
}

/* Call function(data, user data) for each element. */
void vmd_list_foreach(struct vmd_host_call *call, uint64_t list, uint64_t function, uint64_t data);

/* Return the first link for which the call's function returns 0, or 0. */
uint64_t vmd_list_find_custom(struct vmd_host_call *call, uint64_t list);

/* Return the link that holds the call's second argument, its predecessor and index; 0: none. */
uint64_t vmd_list_find(struct vmd_host_call *call, uint64_t *prev, uint64_t *index);

/* Free all links, and call destroy for each element unless it is 0. */
void vmd_list_free(struct vmd_host_call *call, uint64_t list, uint64_t destroy);

/* Unlink a link of a GList; returns the new head. */
uint64_t vmd_list_unlink(struct vmd_guest *guest, uint64_t list, uint64_t link);

#endif
