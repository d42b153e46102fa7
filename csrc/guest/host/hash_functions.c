/*
 * GLib's hash and comparison functions, for guests that call them directly.
 *
 * Source: GLib 2.74 glib/ghash.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

static uint64_t host_g_direct_hash(struct vmd_host_call *call)
{
    return (uint32_t)call->args[0];
}

static uint64_t host_g_direct_equal(struct vmd_host_call *call)
{
    return call->args[0] == call->args[1];
}

static uint64_t host_g_int_hash(struct vmd_host_call *call)
{
    return vmd_guest_load_u32(call->guest, call->args[0]);
}

static uint64_t host_g_int_equal(struct vmd_host_call *call)
{
    return vmd_guest_load_u32(call->guest, call->args[0]) == vmd_guest_load_u32(call->guest, call->args[1]);
}

static uint64_t host_g_int64_hash(struct vmd_host_call *call)
{
    return (uint32_t)vmd_guest_load_u64(call->guest, call->args[0]);
}

static uint64_t host_g_int64_equal(struct vmd_host_call *call)
{
    return vmd_guest_load_u64(call->guest, call->args[0]) == vmd_guest_load_u64(call->guest, call->args[1]);
}

VMD_SERVE({"g_direct_hash", host_g_direct_hash}, {"g_direct_equal", host_g_direct_equal},
          {"g_int_hash", host_g_int_hash}, {"g_int_equal", host_g_int_equal}, {"g_int64_hash", host_g_int64_hash},
          {"g_int64_equal", host_g_int64_equal})
