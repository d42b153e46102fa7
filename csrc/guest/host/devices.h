/*
 * File descriptors, shared by files.c, counters.c, main_context.c and others.
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

/* The content of a file of the services. False: no such file. */
bool vmd_host_read_file(struct vmd_guest *guest, const char *path, const char **data, uint64_t *size);

/* Whether the services have a directory of that path. */
bool vmd_host_is_directory(struct vmd_guest *guest, const char *path);

/* Open the file of a path of the guest; returns a descriptor, or -1 with errno set. */
uint64_t vmd_host_open_path(struct vmd_guest *guest, uint64_t path_at);

/* Copy bytes of a file from a position to the guest; returns their number. */
uint64_t vmd_host_read_at(struct vmd_guest *guest, const struct vmd_open_file *file, uint64_t place, uint64_t to,
                          uint64_t n);

/* read and write of an event counter; they return the number of bytes, or -1 with errno set. */
uint64_t vmd_host_read_counter(struct vmd_guest *guest, struct vmd_open_file *file, uint64_t to, uint64_t size);
uint64_t vmd_host_write_counter(struct vmd_guest *guest, struct vmd_open_file *file, uint64_t from, uint64_t size);

/* poll: {descriptor, events, revents}[n] is at an address; returns the number of ready descriptors. */
uint64_t vmd_host_poll(struct vmd_guest *guest, uint64_t to, uint64_t n);

/* A host function whose result is NULL, with errno ENOENT. */
uint64_t vmd_host_find_nothing(struct vmd_host_call *call);

/* Whether the host profile has a device of that path; ret: the open file. */
bool vmd_host_open_device(struct vmd_guest *guest, const char *path, struct vmd_open_file *ret);

/* vmd_open_file.device: which device it is; those of KVM are in kvm.c. */
enum { VMD_DEVICE_TAP = 16 };

/* The same for /dev/net/tun alone; and an ioctl on it. */
bool vmd_host_open_tap(const char *path, struct vmd_open_file *ret);
uint64_t vmd_host_tap_call(struct vmd_host_call *call);

/* The same for /dev/kvm alone. */
bool vmd_host_open_kvm(struct vmd_guest *guest, const char *path, struct vmd_open_file *ret);

/* KVM_SET_* and KVM_GET_*: a GET copies what the corresponding SET of the same descriptor has stored. */
uint64_t vmd_host_kvm_state(struct vmd_host_call *call, uint32_t function);

/* The same for a path of the guest. */
bool vmd_host_is_device(struct vmd_guest *guest, uint64_t path);

/* Set a GError if the guest passes a pointer for it. */
void vmd_host_set_gerror(struct vmd_guest *guest, uint64_t error_at, const char *message);

#endif
