/*
 * GHashTables and GTrees of a guest. They are the host's own: a guest has a block with the number of one, which it
 * only hands back. So no guest can damage one, and a snapshot copies them.
 *
 * A container may be destroyed by what it calls (a comparison, a destroy notifier): who calls the guest while he works
 * on one holds it (take, put).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_CONTAINERS_H
#define VMD_GUEST_CONTAINERS_H

#include "guest/internal.h"

enum vmd_container_kind { VMD_TABLE, VMD_TREE };

/* How a table's keys are hashed and compared: by GLib's own functions, or by ones of the guest. */
enum vmd_key_kind { VMD_KEY_DIRECT, VMD_KEY_STRING, VMD_KEY_INT, VMD_KEY_INT64, VMD_KEY_GUEST };

struct vmd_tree_node {
    uint64_t key, value;
};

struct vmd_container {
    struct vmd_guest *guest;
    enum vmd_container_kind kind;
    uint64_t references; /* the guest's */
    unsigned holds;      /* the host's */
    bool is_dead;        /* to be freed with the last hold */
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

/* A new container, whose address in the guest is in ret. NULL: the call fails. */
struct vmd_container *vmd_container_new(struct vmd_guest *guest, enum vmd_container_kind kind, uint64_t *ret);

/* Takes hold of the container at an address of the guest. NULL: there is none of that kind, and the call fails. */
struct vmd_container *vmd_container_take(struct vmd_guest *guest, uint64_t address, enum vmd_container_kind kind);
void vmd_container_put(struct vmd_container *container);

/* Marks it dead: nobody finds it any more. */
void vmd_container_kill(struct vmd_container *container);

/* Counts n more keys (or fewer) in all containers. False: there are too many, and the call fails. */
bool vmd_container_count(struct vmd_guest *guest, int64_t n);

/* Calls the destroy notifiers that a container has. */
void vmd_container_destroy_pair(struct vmd_host_call *call, const struct vmd_container *container, uint64_t key,
                                uint64_t value);

/* g_hash_table_new(hash function, equal function). */
uint64_t vmd_host_new_table(struct vmd_host_call *call);

void vmd_containers_deinit(struct vmd_guest *guest);
void vmd_containers_free(struct vmd_containers *containers);

/* Copies all of a guest's containers; and replaces them by copies of others. VMD_NO_MEMORY. */
enum vmd_status vmd_containers_copy(struct vmd_guest *guest, struct vmd_containers *ret);
enum vmd_status vmd_containers_restore(struct vmd_guest *guest, const struct vmd_containers *from);

#endif
