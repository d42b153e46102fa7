/*
 * GHashTables and GTrees of a guest. Their data is outside of the guest's memory, which has only a block with the
 * container's number; so a guest cannot corrupt them, and a snapshot copies them.
 *
 * A callback (a comparison, a destroy notifier) may destroy the container: code that calls the guest while it uses a
 * container holds it (take, put).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_CONTAINERS_H
#define VMD_GUEST_CONTAINERS_H

#include "guest/internal.h"

enum vmd_container_kind { VMD_TABLE, VMD_TREE };

/* Hash and comparison functions of a table: GLib's, or the guest's own. */
enum vmd_key_kind { VMD_KEY_DIRECT, VMD_KEY_STRING, VMD_KEY_INT, VMD_KEY_INT64, VMD_KEY_GUEST };

struct vmd_tree_node {
    uint64_t key, value;
};

struct vmd_container {
    struct vmd_guest *guest;
    enum vmd_container_kind kind;
    uint64_t references; /* the guest's */
    unsigned holds;      /* the host's */
    bool is_dead;        /* freed with the last hold */
    uint64_t number;
    uint64_t destroy_key, destroy_value; /* functions of the guest, or 0 */
    /* tables */
    struct vmd_ghash hash;
    enum vmd_key_kind key_kind;
    uint64_t hash_function, equal_function;
    /* trees: sorted nodes */
    struct vmd_tree_node *nodes;
    size_t n_nodes, nodes_room;
    uint64_t compare_function, compare_data;
};

/* Create a container; ret: its address in the guest. NULL: the call fails. */
struct vmd_container *vmd_container_new(struct vmd_guest *guest, enum vmd_container_kind kind, uint64_t *ret);

/* Hold the container at an address of the guest. NULL: no container of that kind, and the call fails. */
struct vmd_container *vmd_container_take(struct vmd_guest *guest, uint64_t address, enum vmd_container_kind kind);
void vmd_container_put(struct vmd_container *container);

/* Mark it dead: take no longer finds it. */
void vmd_container_kill(struct vmd_container *container);

/* Add n (may be negative) to the number of keys in all containers. False: too many, and the call fails. */
bool vmd_container_count(struct vmd_guest *guest, int64_t n);

/* Call the destroy notifiers of a container, if any. */
void vmd_container_destroy_pair(struct vmd_host_call *call, const struct vmd_container *container, uint64_t key,
                                uint64_t value);

/* g_hash_table_new(hash function, equal function). */
uint64_t vmd_host_new_table(struct vmd_host_call *call);

void vmd_containers_deinit(struct vmd_guest *guest);
void vmd_containers_free(struct vmd_containers *containers);

/* Copy all containers of a guest; replace them by copies of others. VMD_NO_MEMORY. */
enum vmd_status vmd_containers_copy(struct vmd_guest *guest, struct vmd_containers *ret);
enum vmd_status vmd_containers_restore(struct vmd_guest *guest, const struct vmd_containers *from);

#endif
