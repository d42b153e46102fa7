/*
 * Devices of the host: /dev/sgx_vepc, if the host profile has it. KVM's is to come.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

#include <errno.h>

bool vmd_host_open_device(struct vmd_guest *guest, const char *path, struct vmd_open_file *ret)
{
    *ret = (struct vmd_open_file){.kind = VMD_FILE_DEVICE};
    return guest->sgx_vepc && strcmp(path, "/dev/sgx_vepc") == 0;
}

bool vmd_host_is_device(struct vmd_guest *guest, uint64_t path)
{
    const char *text = vmd_host_string(guest, path);
    struct vmd_open_file file;

    return text && vmd_host_open_device(guest, text, &file);
}

static uint64_t host_ioctl(struct vmd_host_call *call)
{
    return vmd_host_errno(call->guest, ENOTTY);
}

VMD_SERVE({"ioctl", host_ioctl})
