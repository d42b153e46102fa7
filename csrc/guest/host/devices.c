/*
 * Devices of the host: /dev/net/tun (tap.c), and if the host profile has them /dev/sgx_vepc and /dev/kvm (kvm.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

bool vmd_host_open_device(struct vmd_guest *guest, const char *path, struct vmd_open_file *ret)
{
    if (vmd_host_open_kvm(guest, path, ret) || vmd_host_open_tap(path, ret)) {
        return true;
    }
    *ret = (struct vmd_open_file){.kind = VMD_FILE_DEVICE};
    return guest->sgx_vepc && strcmp(path, "/dev/sgx_vepc") == 0;
}

bool vmd_host_is_device(struct vmd_guest *guest, uint64_t path)
{
    const char *text = vmd_host_string(guest, path);
    struct vmd_open_file file;

    return text && vmd_host_open_device(guest, text, &file);
}
