/*
 * Containers of a guest: numbers and lifetime. See containers.h; their functions are in host/hash_tables.c and
 * host/trees.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/containers.h"

#include <stdlib.h>

/* More than any QEMU needs, and few enough to bound the memory that a hostile one allocates. */
enum { CONTAINERS_MAX = 1 << 16, KEYS_MAX = 1 << 21 };

/* In the guest: its number, and a word that identifies the kind and is not a pointer. */
enum { HANDLE_SIZE = 16 };
static const uint64_t MARK = 0x6e6f6374616e7276;

static bool reserve(struct vmd_containers *containers)
{
    size_t room = containers->room ? 2 * containers->room : 256;
    struct vmd_container **all;

    if (containers->n < containers->room) {
        return true;
    }
    all = room <= CONTAINERS_MAX ? realloc(containers->all, room * sizeof(struct vmd_container *)) : NULL;
    if (!all) {
        return false;
    }
    containers->all = all;
    containers->room = room;
    return true;
}

static bool find_number(struct vmd_containers *containers, uint64_t *number)
{
    while (containers->first_free < containers->n && containers->all[containers->first_free]) {
        containers->first_free++;
    }
    *number = containers->first_free;
    if (*number == containers->n) {
        if (!reserve(containers)) {
            return false;
        }
        containers->n++;
    }
    return true;
}

static void free_container(struct vmd_container *container)
{
    vmd_ghash_deinit(&container->hash);
    free(container->nodes);
    free(container);
}

struct vmd_container *vmd_container_new(struct vmd_guest *guest, enum vmd_container_kind kind, uint64_t *ret)
{
    struct vmd_containers *containers = &guest->containers;
    struct vmd_container *container = calloc(1, sizeof(*container));
    uint64_t handle = vmd_host_allocate(guest, HANDLE_SIZE), number;

    if (!container || !handle || !find_number(containers, &number)) {
        free(container);
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "it makes more hash tables than QEMU ever does");
        return NULL;
    }
    *container = (struct vmd_container){.guest = guest, .kind = kind, .references = 1, .number = number};
    containers->all[number] = container;
    vmd_guest_store_u64(guest, handle, number);
    vmd_guest_store_u64(guest, handle + 8, MARK + kind);
    *ret = handle;
    return container;
}

struct vmd_container *vmd_container_take(struct vmd_guest *guest, uint64_t address, enum vmd_container_kind kind)
{
    const char *handle = vmd_guest_at(guest, address, HANDLE_SIZE);
    uint64_t number = handle ? vmd_get_u64(guest, handle) : 0;
    struct vmd_container *container =
        handle && vmd_get_u64(guest, handle + 8) == MARK + kind && number < guest->containers.n
            ? guest->containers.all[number]
            : NULL;

    if (!container || container->kind != kind) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "no hash table");
        return NULL;
    }
    container->holds++;
    return container;
}

void vmd_container_put(struct vmd_container *container)
{
    if (!--container->holds && container->is_dead) {
        free_container(container);
    }
}

void vmd_container_kill(struct vmd_container *container)
{
    struct vmd_containers *containers = &container->guest->containers;

    if (!container->is_dead) {
        container->is_dead = true;
        containers->all[container->number] = NULL;
        if (container->number < containers->first_free) {
            containers->first_free = container->number;
        }
    }
}

bool vmd_container_count(struct vmd_guest *guest, int64_t n)
{
    guest->containers.n_keys += (uint64_t)n;
    if (n > 0 && guest->containers.n_keys > KEYS_MAX) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "its hash tables have more keys than QEMU's ever do");
        return false;
    }
    return true;
}

void vmd_container_destroy_pair(struct vmd_host_call *call, const struct vmd_container *container, uint64_t key,
                                uint64_t value)
{
    if (container->destroy_key) {
        vmd_host_call_guest(call, container->destroy_key, &key, 1);
    }
    if (container->destroy_value) {
        vmd_host_call_guest(call, container->destroy_value, &value, 1);
    }
}

/* All containers */

void vmd_containers_free(struct vmd_containers *containers)
{
    for (size_t i = 0; i < containers->n; i++) {
        if (containers->all[i]) {
            free_container(containers->all[i]);
        }
    }
    free(containers->all);
    *containers = (struct vmd_containers){0};
}

void vmd_containers_deinit(struct vmd_guest *guest)
{
    vmd_containers_free(&guest->containers);
}

static struct vmd_container *copy_container(const struct vmd_container *container)
{
    struct vmd_container *copy = malloc(sizeof(*copy));

    if (!copy) {
        return NULL;
    }
    *copy = *container;
    copy->holds = 0;
    copy->hash = (struct vmd_ghash){0};
    copy->nodes = NULL;
    if (container->kind == VMD_TABLE) {
        if (vmd_ghash_copy(&container->hash, &copy->hash)) {
            free(copy);
            return NULL;
        }
        copy->hash.context = copy;
    } else if (container->n_nodes) {
        copy->nodes = malloc(container->n_nodes * sizeof(*copy->nodes));
        if (!copy->nodes) {
            free(copy);
            return NULL;
        }
        memcpy(copy->nodes, container->nodes, container->n_nodes * sizeof(*copy->nodes));
        copy->nodes_room = container->n_nodes;
    } else {
        copy->nodes_room = 0;
    }
    return copy;
}

static enum vmd_status copy_all(const struct vmd_containers *from, struct vmd_containers *ret)
{
    *ret = *from;
    ret->all = calloc(from->room + 1, sizeof(*ret->all));
    for (size_t i = 0; ret->all && i < from->n; i++) {
        if (from->all[i] && !(ret->all[i] = copy_container(from->all[i]))) {
            vmd_containers_free(ret);
        }
    }
    if (!ret->all) {
        *ret = (struct vmd_containers){0};
        return VMD_NO_MEMORY;
    }
    return VMD_OK;
}

enum vmd_status vmd_containers_copy(struct vmd_guest *guest, struct vmd_containers *ret)
{
    return copy_all(&guest->containers, ret);
}

enum vmd_status vmd_containers_restore(struct vmd_guest *guest, const struct vmd_containers *from)
{
    struct vmd_containers fresh;

    if (copy_all(from, &fresh)) {
        return VMD_NO_MEMORY;
    }
    vmd_containers_free(&guest->containers);
    guest->containers = fresh;
    return VMD_OK;
}
