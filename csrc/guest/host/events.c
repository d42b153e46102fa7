/*
 * Event loops: other contexts and sources of GLib than those of main_context.c, epoll, sockets. They have no events:
 * objects are allocated, and descriptors are never ready.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

#include <errno.h>

enum { OPAQUE_SIZE = 192 };

static uint64_t host_new_opaque(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, OPAQUE_SIZE);
}

static uint64_t host_new_descriptor(struct vmd_host_call *call)
{
    return vmd_host_new_file(call->guest, &(struct vmd_open_file){.kind = VMD_FILE_EVENT});
}

static uint64_t new_pair(struct vmd_host_call *call, uint64_t to)
{
    uint64_t first = host_new_descriptor(call), second = host_new_descriptor(call);

    vmd_guest_store_u32(call->guest, to, (uint32_t)first);
    vmd_guest_store_u32(call->guest, to + 4, (uint32_t)second);
    return (int64_t)second < 0 ? second : 0;
}

static uint64_t host_pipe(struct vmd_host_call *call)
{
    return new_pair(call, call->args[0]);
}

static uint64_t host_socketpair(struct vmd_host_call *call)
{
    return new_pair(call, call->args[3]);
}

static uint64_t host_g_unix_open_pipe(struct vmd_host_call *call)
{
    return new_pair(call, call->args[0]) == 0;
}

static uint64_t not_ready(struct vmd_host_call *call)
{
    return vmd_host_errno(call->guest, EAGAIN);
}

static uint64_t refused(struct vmd_host_call *call)
{
    return vmd_host_errno(call->guest, EACCES);
}

/* io_uring and Linux AIO are missing, as on an old kernel. */
static uint64_t host_io_uring_queue_init(struct vmd_host_call *call)
{
    return (uint64_t)-ENOSYS;
}

VMD_SERVE({"g_main_context_new", host_new_opaque}, {"g_main_context_ref", vmd_host_same},
          {"g_main_context_get_thread_default", vmd_host_zero}, {"g_main_context_acquire", vmd_host_one},
          {"g_main_loop_new", host_new_opaque}, {"g_main_loop_ref", vmd_host_same},
          {"g_timeout_source_new", host_new_opaque}, {"g_idle_source_new", host_new_opaque},
          {"g_timeout_source_new_seconds", host_new_opaque}, {"g_source_ref", vmd_host_same},
          {"g_source_get_id", vmd_host_one}, {"g_source_add_unix_fd", vmd_host_one}, {"g_timeout_add", vmd_host_one},
          {"g_idle_add", vmd_host_one}, {"g_unix_fd_add_full", vmd_host_one}, {"g_object_ref", vmd_host_same},
          NOTHING("g_source_unref"), NOTHING("g_source_is_destroyed"), NOTHING("g_source_set_name"),
          NOTHING("g_source_set_static_name"), NOTHING("g_source_set_can_recurse"), NOTHING("g_source_set_priority"),
          NOTHING("g_source_add_child_source"), NOTHING("g_source_remove_child_source"),
          NOTHING("g_main_context_unref"), NOTHING("g_main_context_release"), NOTHING("g_main_context_wakeup"),
          NOTHING("g_main_context_iteration"), NOTHING("g_main_context_query"),
          NOTHING("g_main_context_push_thread_default"), NOTHING("g_main_context_pop_thread_default"),
          NOTHING("g_main_context_find_source_by_id"), NOTHING("g_main_loop_quit"), NOTHING("g_main_loop_unref"),
          NOTHING("g_object_unref"), {"epoll_create1", host_new_descriptor}, {"timerfd_create", host_new_descriptor},
          {"signalfd", host_new_descriptor}, {"socket", host_new_descriptor}, {"inotify_init1", vmd_host_unsupported},
          {"pipe", host_pipe}, {"pipe2", host_pipe}, {"socketpair", host_socketpair},
          {"g_unix_open_pipe", host_g_unix_open_pipe}, {"g_unix_set_fd_nonblocking", vmd_host_one},
          NOTHING("eventfd_read"), NOTHING("eventfd_write"), NOTHING("epoll_ctl"), NOTHING("epoll_wait"),
          NOTHING("fcntl"), NOTHING("fcntl64"), NOTHING("shutdown"), NOTHING("setsockopt"), NOTHING("dup2"),
          {"recv", not_ready}, {"recvmsg", not_ready}, {"readv", not_ready}, {"send", not_ready},
          {"sendmsg", not_ready}, {"accept4", not_ready}, {"connect", refused}, {"bind", refused}, {"listen", refused},
          {"getaddrinfo", vmd_host_one}, {"io_uring_queue_init", host_io_uring_queue_init},
          {"io_uring_queue_init_params", host_io_uring_queue_init}, NOTHING("io_uring_queue_exit"),
          {"io_setup", host_io_uring_queue_init}, NOTHING("io_destroy"))
