/*
 * GTree: nodes that are kept sorted in an array.
 *
 * Source: GLib 2.74 glib/gtree.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "guest/containers.h"

static struct vmd_container *tree_at(struct vmd_host_call *call)
{
    return vmd_container_take(call->guest, call->args[0], VMD_TREE);
}

static uint64_t new_tree(struct vmd_host_call *call, uint64_t data, uint64_t destroy_key, uint64_t destroy_value)
{
    uint64_t handle = 0;
    struct vmd_container *tree = vmd_container_new(call->guest, VMD_TREE, &handle);

    if (tree) {
        tree->compare_function = call->args[0];
        tree->compare_data = data;
        tree->destroy_key = destroy_key;
        tree->destroy_value = destroy_value;
    }
    return handle;
}

static uint64_t host_g_tree_new(struct vmd_host_call *call)
{
    return new_tree(call, 0, 0, 0);
}

static uint64_t host_g_tree_new_with_data(struct vmd_host_call *call)
{
    return new_tree(call, call->args[1], 0, 0);
}

static uint64_t host_g_tree_new_full(struct vmd_host_call *call)
{
    return new_tree(call, call->args[1], call->args[2], call->args[3]);
}

/* The position of a key, or its insertion point. The function may change the tree: callers check the position. */
static bool find(struct vmd_host_call *call, const struct vmd_container *tree, uint64_t key, size_t *place)
{
    size_t low = 0, high = tree->n_nodes;

    while (low < high && high <= tree->n_nodes && !call->guest->err.code) {
        size_t middle = low + (high - low) / 2;
        int order =
            vmd_host_compare(call, tree->compare_function, key, tree->nodes[middle].key, true, tree->compare_data);

        if (!order) {
            *place = middle;
            return middle < tree->n_nodes;
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    *place = low < tree->n_nodes ? low : tree->n_nodes;
    return false;
}

static void add_node(struct vmd_host_call *call, struct vmd_container *tree, size_t place, uint64_t key, uint64_t value)
{
    size_t room = tree->nodes_room ? 2 * tree->nodes_room : 16;
    struct vmd_tree_node *nodes;

    if (!vmd_container_count(call->guest, 1)) {
        return;
    }
    if (tree->n_nodes == tree->nodes_room) {
        nodes = realloc(tree->nodes, room * sizeof(*nodes));
        if (!nodes) {
            vmd_guest_fail(call->guest, VMD_NO_MEMORY, 0, "out of memory");
            return;
        }
        tree->nodes = nodes;
        tree->nodes_room = room;
    }
    memmove(tree->nodes + place + 1, tree->nodes + place, (tree->n_nodes++ - place) * sizeof(*tree->nodes));
    tree->nodes[place] = (struct vmd_tree_node){key, value};
}

static uint64_t insert(struct vmd_host_call *call, bool replace)
{
    struct vmd_container *tree = tree_at(call);
    struct vmd_tree_node old;
    size_t place;

    if (!tree) {
        return 0;
    }
    if (find(call, tree, call->args[1], &place)) {
        old = tree->nodes[place];
        tree->nodes[place] = (struct vmd_tree_node){replace ? call->args[1] : old.key, call->args[2]};
        vmd_container_destroy_pair(call, tree, replace ? old.key : call->args[1], old.value);
    } else {
        add_node(call, tree, place, call->args[1], call->args[2]);
    }
    vmd_container_put(tree);
    return 0;
}

static uint64_t host_g_tree_insert(struct vmd_host_call *call)
{
    return insert(call, false);
}

static uint64_t host_g_tree_replace(struct vmd_host_call *call)
{
    return insert(call, true);
}

static uint64_t host_g_tree_lookup(struct vmd_host_call *call)
{
    struct vmd_container *tree = tree_at(call);
    uint64_t value = 0;
    size_t place;

    if (tree) {
        value = find(call, tree, call->args[1], &place) ? tree->nodes[place].value : 0;
        vmd_container_put(tree);
    }
    return value;
}

static uint64_t host_g_tree_lookup_extended(struct vmd_host_call *call)
{
    struct vmd_container *tree = tree_at(call);
    bool found = false;
    size_t place;

    if (!tree) {
        return 0;
    }
    if (find(call, tree, call->args[1], &place)) {
        found = true;
        if (call->args[2]) {
            vmd_guest_store_u64(call->guest, call->args[2], tree->nodes[place].key);
        }
        if (call->args[3]) {
            vmd_guest_store_u64(call->guest, call->args[3], tree->nodes[place].value);
        }
    }
    vmd_container_put(tree);
    return found;
}

static uint64_t take_out(struct vmd_host_call *call, bool destroy)
{
    struct vmd_container *tree = tree_at(call);
    bool found = false;
    size_t place;

    if (!tree) {
        return 0;
    }
    if (find(call, tree, call->args[1], &place)) {
        struct vmd_tree_node node = tree->nodes[place];

        found = true;
        memmove(tree->nodes + place, tree->nodes + place + 1, (--tree->n_nodes - place) * sizeof(*tree->nodes));
        vmd_container_count(call->guest, -1);
        if (destroy) {
            vmd_container_destroy_pair(call, tree, node.key, node.value);
        }
    }
    vmd_container_put(tree);
    return found;
}

static uint64_t host_g_tree_remove(struct vmd_host_call *call)
{
    return take_out(call, true);
}

static uint64_t host_g_tree_steal(struct vmd_host_call *call)
{
    return take_out(call, false);
}

static uint64_t host_g_tree_nnodes(struct vmd_host_call *call)
{
    struct vmd_container *tree = tree_at(call);
    uint64_t n = 0;

    if (tree) {
        n = tree->n_nodes;
        vmd_container_put(tree);
    }
    return n;
}

static uint64_t host_g_tree_foreach(struct vmd_host_call *call)
{
    struct vmd_container *tree = tree_at(call);

    if (!tree) {
        return 0;
    }
    for (size_t i = 0; i < tree->n_nodes && !call->guest->err.code; i++) {
        uint64_t args[] = {tree->nodes[i].key, tree->nodes[i].value, call->args[2]};

        if ((uint32_t)vmd_host_call_guest(call, call->args[1], args, 3)) {
            break;
        }
    }
    vmd_container_put(tree);
    return 0;
}

/* g_tree_search(tree, function(key, data), data): the function returns the direction */
static uint64_t host_g_tree_search(struct vmd_host_call *call)
{
    struct vmd_container *tree = tree_at(call);
    size_t low = 0, high = tree ? tree->n_nodes : 0;
    uint64_t value = 0;

    if (!tree) {
        return 0;
    }
    while (low < high && high <= tree->n_nodes && !call->guest->err.code) {
        size_t middle = low + (high - low) / 2;
        struct vmd_tree_node node = tree->nodes[middle];
        int order = vmd_host_compare(call, call->args[1], node.key, call->args[2], false, 0);

        if (!order) {
            value = node.value;
            break;
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    vmd_container_put(tree);
    return value;
}

static void remove_all(struct vmd_host_call *call, struct vmd_container *tree)
{
    struct vmd_tree_node *nodes = tree->nodes;
    size_t n = tree->n_nodes;

    tree->nodes = NULL;
    tree->n_nodes = tree->nodes_room = 0;
    vmd_container_count(call->guest, -(int64_t)n);
    for (size_t i = 0; i < n; i++) {
        vmd_container_destroy_pair(call, tree, nodes[i].key, nodes[i].value);
    }
    free(nodes);
}

static uint64_t host_g_tree_remove_all(struct vmd_host_call *call)
{
    struct vmd_container *tree = tree_at(call);

    if (tree) {
        remove_all(call, tree);
        vmd_container_put(tree);
    }
    return 0;
}

static uint64_t host_g_tree_ref(struct vmd_host_call *call)
{
    struct vmd_container *tree = tree_at(call);

    if (tree) {
        tree->references++;
        vmd_container_put(tree);
    }
    return call->args[0];
}

static void unref(struct vmd_host_call *call, struct vmd_container *tree)
{
    if (!--tree->references) {
        remove_all(call, tree);
        vmd_container_kill(tree);
        vmd_host_free(call->guest, call->args[0]);
    }
}

static uint64_t host_g_tree_unref(struct vmd_host_call *call)
{
    struct vmd_container *tree = tree_at(call);

    if (tree) {
        unref(call, tree);
        vmd_container_put(tree);
    }
    return 0;
}

static uint64_t host_g_tree_destroy(struct vmd_host_call *call)
{
    struct vmd_container *tree = tree_at(call);

    if (tree) {
        remove_all(call, tree);
        unref(call, tree);
        vmd_container_put(tree);
    }
    return 0;
}

VMD_SERVE({"g_tree_new", host_g_tree_new}, {"g_tree_new_with_data", host_g_tree_new_with_data},
          {"g_tree_new_full", host_g_tree_new_full}, {"g_tree_insert", host_g_tree_insert},
          {"g_tree_replace", host_g_tree_replace}, {"g_tree_lookup", host_g_tree_lookup},
          {"g_tree_lookup_extended", host_g_tree_lookup_extended}, {"g_tree_remove", host_g_tree_remove},
          {"g_tree_steal", host_g_tree_steal}, {"g_tree_nnodes", host_g_tree_nnodes},
          {"g_tree_foreach", host_g_tree_foreach}, {"g_tree_search", host_g_tree_search},
          {"g_tree_remove_all", host_g_tree_remove_all}, {"g_tree_ref", host_g_tree_ref},
          {"g_tree_unref", host_g_tree_unref}, {"g_tree_destroy", host_g_tree_destroy})
