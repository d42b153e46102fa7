/*
 * Internet addresses as text, converted by the host's own functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <arpa/inet.h>
#include <errno.h>

/* Linux' numbers of address families are the same on all architectures. */
static size_t size_of(uint64_t family)
{
    return family == AF_INET ? sizeof(struct in_addr) : family == AF_INET6 ? sizeof(struct in6_addr) : 0;
}

/* An address of 4 bytes as this process and the guest have it in an integer. */
static uint32_t network_order(const struct vmd_guest *guest, uint32_t address)
{
    return guest->is_swapped ? __builtin_bswap32(address) : address;
}

/* inet_pton(family, text, address) */
static uint64_t host_inet_pton(struct vmd_host_call *call)
{
    uint64_t family = (uint32_t)call->args[0];
    size_t size = size_of(family);
    const char *text = vmd_host_string(call->guest, call->args[1]);
    char address[sizeof(struct in6_addr)], *to = size ? vmd_guest_at(call->guest, call->args[2], size) : NULL;

    if (!size) {
        return vmd_host_errno(call->guest, EAFNOSUPPORT);
    }
    if (!text || !to || inet_pton((int)family, text, address) != 1) {
        return 0;
    }
    memcpy(to, address, size);
    return 1;
}

/* inet_ntop(family, address, text, size) */
static uint64_t host_inet_ntop(struct vmd_host_call *call)
{
    uint64_t family = (uint32_t)call->args[0];
    size_t size = size_of(family), length;
    const char *address = size ? vmd_guest_at(call->guest, call->args[1], size) : NULL;
    char text[INET6_ADDRSTRLEN], *to;

    if (!address || !inet_ntop((int)family, address, text, sizeof(text))) {
        vmd_host_errno(call->guest, EAFNOSUPPORT);
        return 0;
    }
    length = strlen(text) + 1;
    if (length > (uint32_t)call->args[3]) {
        vmd_host_errno(call->guest, ENOSPC);
        return 0;
    }
    to = vmd_guest_at(call->guest, call->args[2], length);
    if (to) {
        memcpy(to, text, length);
    }
    return call->args[2];
}

/* inet_aton(text, address) */
static uint64_t host_inet_aton(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);
    struct in_addr address;

    if (!text || !inet_aton(text, &address)) {
        return 0;
    }
    vmd_guest_store_u32(call->guest, call->args[1], network_order(call->guest, address.s_addr));
    return 1;
}

/* inet_ntoa(address): the text is in memory that is never freed, as it is libc's. */
static uint64_t host_inet_ntoa(struct vmd_host_call *call)
{
    const struct in_addr address = {.s_addr = network_order(call->guest, (uint32_t)call->args[0])};
    char text[INET_ADDRSTRLEN];

    return inet_ntop(AF_INET, &address, text, sizeof(text)) ? vmd_host_put_string(call->guest, text, strlen(text)) : 0;
}

VMD_SERVE({"inet_ntoa", host_inet_ntoa}, {"inet_pton", host_inet_pton}, {"inet_ntop", host_inet_ntop},
          {"inet_aton", host_inet_aton})
