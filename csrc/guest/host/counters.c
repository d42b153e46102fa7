/*
 * Event counters (eventfd), and poll. A counter is readable unless it is 0; descriptors of other kinds are never ready.
 * Nothing else runs meanwhile, so that poll does not wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

#include <errno.h>
#include <poll.h>

enum { COUNTER_SIZE = 8, POLLFD_SIZE = 8, EVENTS = 4, REVENTS = 6 };

/* eventfd(value, flags) */
static uint64_t host_eventfd(struct vmd_host_call *call)
{
    return vmd_host_new_file(call->guest,
                             &(struct vmd_open_file){.kind = VMD_FILE_COUNTER, .position = (uint32_t)call->args[0]});
}

uint64_t vmd_host_read_counter(struct vmd_guest *guest, struct vmd_open_file *file, uint64_t to, uint64_t size)
{
    if (size < COUNTER_SIZE) {
        return vmd_host_errno(guest, EINVAL);
    }
    if (!file->position) {
        return vmd_host_errno(guest, EAGAIN);
    }
    vmd_guest_store_u64(guest, to, file->position);
    file->position = 0;
    return COUNTER_SIZE;
}

uint64_t vmd_host_write_counter(struct vmd_guest *guest, struct vmd_open_file *file, uint64_t from, uint64_t size)
{
    const char *at = size < COUNTER_SIZE ? NULL : vmd_guest_at(guest, from, COUNTER_SIZE);
    uint64_t value;

    if (!at) {
        return vmd_host_errno(guest, EINVAL);
    }
    value = vmd_get_u64(guest, at);
    if (value >= UINT64_MAX - file->position) {
        return vmd_host_errno(guest, EAGAIN);
    }
    file->position += value;
    return COUNTER_SIZE;
}

uint64_t vmd_host_poll(struct vmd_guest *guest, uint64_t to, uint64_t n)
{
    char *at = n ? vmd_guest_at(guest, to, POLLFD_SIZE * n) : NULL;
    uint64_t ready = 0;

    for (uint64_t i = 0; at && i < n; i++, at += POLLFD_SIZE) {
        const struct vmd_open_file *file = vmd_host_file(guest, vmd_get_u32(guest, at));
        bool is_ready =
            file && file->kind == VMD_FILE_COUNTER && file->position && vmd_get_u16(guest, at + EVENTS) & POLLIN;

        vmd_put_u16(guest, at + REVENTS, is_ready ? POLLIN : 0);
        ready += is_ready;
    }
    return ready;
}

/* poll(fds, n, ...) */
static uint64_t host_poll(struct vmd_host_call *call)
{
    return vmd_host_poll(call->guest, call->args[0], (uint32_t)call->args[1]);
}

VMD_SERVE({"eventfd", host_eventfd}, {"poll", host_poll}, {"ppoll", host_poll}, {"g_poll", host_poll})
