/*
 * Functions of the compiler's run-time library: 128-bit division, population count.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

/* 128-bit division, which compilers leave to a function: arguments and result are pairs of words, the lower first. */

typedef unsigned __int128 u128;
typedef __int128 s128;

static u128 pair(struct vmd_host_call *call, int n)
{
    return (u128)call->args[n + 1] << 64 | call->args[n];
}

static uint64_t return_pair(struct vmd_host_call *call, u128 value)
{
    vmd_cpu_write(call->guest, call->guest->host->result_high, (uint64_t)(value >> 64));
    return (uint64_t)value;
}

static bool is_divisible(struct vmd_host_call *call)
{
    if (!pair(call, 2)) {
        vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, 0, "a division by zero");
        return false;
    }
    return true;
}

static uint64_t host_udivti3(struct vmd_host_call *call)
{
    return is_divisible(call) ? return_pair(call, pair(call, 0) / pair(call, 2)) : 0;
}

static uint64_t host_umodti3(struct vmd_host_call *call)
{
    return is_divisible(call) ? return_pair(call, pair(call, 0) % pair(call, 2)) : 0;
}

/* The least number divided by -1 overflows: the quotient is the dividend, the remainder 0. */
static uint64_t host_divti3(struct vmd_host_call *call)
{
    s128 a = (s128)pair(call, 0), b = (s128)pair(call, 2);

    return is_divisible(call) ? return_pair(call, b == -1 ? -(u128)a : (u128)(a / b)) : 0;
}

static uint64_t host_modti3(struct vmd_host_call *call)
{
    s128 a = (s128)pair(call, 0), b = (s128)pair(call, 2);

    return is_divisible(call) ? return_pair(call, b == -1 ? 0 : (u128)(a % b)) : 0;
}

static uint64_t host_popcountdi2(struct vmd_host_call *call)
{
    return (uint64_t)__builtin_popcountll(call->args[0]);
}

VMD_SERVE({"__udivti3", host_udivti3}, {"__umodti3", host_umodti3}, {"__divti3", host_divti3},
          {"__modti3", host_modti3}, {"__popcountdi2", host_popcountdi2})
