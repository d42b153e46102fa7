/*
 * /dev/net/tun: TAP interfaces of Linux 6.2 to 6.16. They have all offloads of these kernels, and no packets.
 *
 * Numbers and struct layouts are those of Linux' include/uapi/linux/if_tun.h and if.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

#include <errno.h>

/* ioctl numbers without direction and size: type 'T', then the function */
enum {
    SET_IFF = 202,
    GET_FEATURES = 207,
    SET_OFFLOAD = 208,
    GET_IFF = 210,
    SET_SNDBUF = 212,
    GET_VNET_HDR_SIZE = 215,
    SET_VNET_HDR_SIZE = 216,
    SET_QUEUE = 217,
    SET_VNET_LE = 220,
};

/* IFF_TUN, IFF_TAP, IFF_NO_PI, IFF_ONE_QUEUE, IFF_VNET_HDR, IFF_MULTI_QUEUE */
enum { TUN = 1, TAP = 2, NO_PI = 0x1000, ONE_QUEUE = 0x2000, VNET_HDR = 0x4000, MULTI_QUEUE = 0x100 };

/* TUN_F_CSUM to TUN_F_USO6: checksums, TSO4, TSO6, TSO_ECN, UFO, USO4, USO6 */
enum { OFFLOADS = 0x7f };

/* struct ifreq {name, flags} */
enum { IFREQ_FLAGS = 16, IFREQ_SIZE = 40, VNET_HDR_SIZE = 12 };

bool vmd_host_open_tap(const char *path, struct vmd_open_file *ret)
{
    *ret = (struct vmd_open_file){.kind = VMD_FILE_DEVICE, .device = VMD_DEVICE_TAP};
    return strcmp(path, "/dev/net/tun") == 0;
}

uint64_t vmd_host_tap_call(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    char *ifreq;

    switch ((uint32_t)call->args[1] & 0xff) {
    case GET_FEATURES:
        vmd_guest_store_u32(guest, call->args[2], TUN | TAP | NO_PI | ONE_QUEUE | VNET_HDR | MULTI_QUEUE);
        return 0;
    case SET_OFFLOAD:
        return call->args[2] & ~(uint64_t)OFFLOADS ? vmd_host_errno(guest, EINVAL) : 0;
    case GET_IFF:
        ifreq = vmd_guest_at(guest, call->args[2], IFREQ_SIZE);
        if (ifreq) {
            memset(ifreq, 0, IFREQ_SIZE);
            strcpy(ifreq, "tap0");
            vmd_store_u32(ifreq + IFREQ_FLAGS, TAP | NO_PI | VNET_HDR);
        }
        return 0;
    case GET_VNET_HDR_SIZE:
        vmd_guest_store_u32(guest, call->args[2], VNET_HDR_SIZE);
        return 0;
    case SET_IFF:
    case SET_SNDBUF:
    case SET_VNET_HDR_SIZE:
    case SET_QUEUE:
    case SET_VNET_LE:
        return 0;
    default:
        return vmd_host_errno(guest, EINVAL);
    }
}

VMD_SERVE({"if_nametoindex", vmd_host_one})
