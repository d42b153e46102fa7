/*
 * File descriptors, shared by files.c, events.c and kvm.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_DEVICES_H
#define VMD_GUEST_HOST_DEVICES_H

#include "guest/internal.h"

/* The open file behind a descriptor, or NULL. */
struct vmd_open_file *vmd_host_file(struct vmd_guest *guest, uint64_t descriptor);

/* Allocate a descriptor; too many: -1, and errno is set. */
uint64_t vmd_host_new_file(struct vmd_guest *guest, const struct vmd_open_file *file);

/* Whether the host profile has a device of that path; ret: the open file. */
bool vmd_host_open_device(struct vmd_guest *guest, const char *path, struct vmd_open_file *ret);

/* The same for /dev/kvm alone. */
bool vmd_host_open_kvm(struct vmd_guest *guest, const char *path, struct vmd_open_file *ret);

/* KVM_SET_* and KVM_GET_*: a GET copies what the corresponding SET of the same descriptor has stored. */
uint64_t vmd_host_kvm_state(struct vmd_host_call *call, uint32_t function);

/* The same for a path of the guest. */
bool vmd_host_is_device(struct vmd_guest *guest, uint64_t path);

/* Set a GError if the guest passes a pointer for it. */
void vmd_host_set_gerror(struct vmd_guest *guest, uint64_t error_at, const char *message);

#endif
