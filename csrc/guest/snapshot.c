/*
 * Snapshots of guests. See snapshot.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/snapshot.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/containers.h"

struct vmd_guest_snapshot {
    void *cpu;
    struct vmd_guest_state state;
    struct vmd_containers containers;
    size_t n_objects; /* number of linked objects */
};

char *vmd_snapshot_map(struct vmd_guest *guest)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *memory;

    if (guest->limits.rewindable) {
        guest->memory_file = memfd_create("vmdump-guest", MFD_CLOEXEC);
        if (guest->memory_file < 0 || ftruncate(guest->memory_file, (off_t)guest->size)) {
            return NULL;
        }
        flags = MAP_SHARED | MAP_NORESERVE;
    }
    memory = mmap(NULL, guest->size, PROT_READ | PROT_WRITE, flags, guest->memory_file, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Map the file privately over the guest's memory. */
static enum vmd_status map_private(struct vmd_guest *guest)
{
    char *memory = mmap(guest->memory, guest->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                        guest->memory_file, 0);

    return memory == MAP_FAILED ? VMD_NO_MEMORY : VMD_OK;
}

enum vmd_status vmd_guest_snapshot(struct vmd_guest *guest)
{
    struct vmd_guest_snapshot *snapshot;

    if (guest->memory_file < 0 || guest->snapshot) {
        return VMD_BAD_REFERENCE;
    }
    snapshot = calloc(1, sizeof(*snapshot));
    if (!snapshot) {
        return VMD_NO_MEMORY;
    }
    snapshot->cpu = vmd_cpu_save(guest);
    if (!snapshot->cpu || vmd_containers_copy(guest, &snapshot->containers) || map_private(guest)) {
        if (snapshot->cpu) {
            vmd_cpu_forget(guest, snapshot->cpu);
        }
        vmd_containers_free(&snapshot->containers);
        free(snapshot);
        return VMD_NO_MEMORY;
    }
    snapshot->state = guest->state;
    snapshot->n_objects = guest->n_objects;
    vmd_cpu_keep_paused(guest);
    guest->snapshot = snapshot;
    return VMD_OK;
}

enum vmd_status vmd_guest_rewind(struct vmd_guest *guest)
{
    const struct vmd_guest_snapshot *snapshot = guest->snapshot;

    if (!snapshot) {
        return VMD_BAD_REFERENCE;
    }
    if (map_private(guest) || vmd_containers_restore(guest, &snapshot->containers)) {
        return VMD_NO_MEMORY;
    }
    guest->state = snapshot->state;
    vmd_cpu_restore(guest, snapshot->cpu);
    vmd_cpu_restore_paused(guest);
    if (guest->n_objects != snapshot->n_objects) {
        vmd_cpu_flush(guest); /* a later object may be mapped at the same address */
        guest->n_objects = snapshot->n_objects;
    }
    return VMD_OK;
}

void vmd_snapshot_destroy(struct vmd_guest *guest)
{
    if (guest->snapshot) {
        vmd_cpu_forget(guest, guest->snapshot->cpu);
        vmd_containers_free(&guest->snapshot->containers);
        free(guest->snapshot);
    }
}
