/*
 * Clocks and random numbers, both fixed: two boots of the same command line are the same.
 *
 * A clock moves by some microseconds each time that it is read, so that no loop waits for it forever.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/time.h"

#include <time.h>

/* Starts are in seconds, a step in microseconds. */
enum { MONOTONIC_START = 1000, REAL_START = 1700000000, STEP = 10, MILLION = 1000000 };

static uint64_t time_since(struct vmd_guest *guest, uint64_t start)
{
    guest->state.ticks += STEP;
    return start * MILLION + guest->state.ticks;
}

uint64_t vmd_host_monotonic_time(struct vmd_guest *guest)
{
    return time_since(guest, MONOTONIC_START);
}

uint64_t vmd_host_real_time(struct vmd_guest *guest)
{
    return time_since(guest, REAL_START);
}

static uint64_t host_g_get_monotonic_time(struct vmd_host_call *call)
{
    return vmd_host_monotonic_time(call->guest);
}

static uint64_t host_g_get_real_time(struct vmd_host_call *call)
{
    return vmd_host_real_time(call->guest);
}

/* {seconds, nanoseconds or microseconds} */
static void put_time(struct vmd_guest *guest, uint64_t address, uint64_t microseconds, uint64_t per_microsecond)
{
    vmd_guest_store_u64(guest, address, microseconds / MILLION);
    vmd_guest_store_u64(guest, address + 8, microseconds % MILLION * per_microsecond);
}

uint64_t vmd_host_clock_gettime(struct vmd_host_call *call)
{
    bool is_real = (int32_t)call->args[0] == CLOCK_REALTIME;

    put_time(call->guest, call->args[1],
             is_real ? vmd_host_real_time(call->guest) : vmd_host_monotonic_time(call->guest), 1000);
    return 0;
}

static uint64_t host_clock_getres(struct vmd_host_call *call)
{
    vmd_guest_store_u64(call->guest, call->args[1], 0);
    vmd_guest_store_u64(call->guest, call->args[1] + 8, 1);
    return 0;
}

uint64_t vmd_host_gettimeofday(struct vmd_host_call *call)
{
    put_time(call->guest, call->args[0], vmd_host_real_time(call->guest), 1);
    return 0;
}

uint64_t vmd_host_time(struct vmd_host_call *call)
{
    uint64_t seconds = vmd_host_real_time(call->guest) / MILLION;

    if (call->args[0]) {
        vmd_guest_store_u64(call->guest, call->args[0], seconds);
    }
    return seconds;
}

/* struct tm begins with nine ints and has 56 bytes on Linux. The time zone is UTC. */

enum { TM_SIZE = 56 };

static uint64_t put_tm(struct vmd_guest *guest, uint64_t seconds_at, uint64_t to)
{
    time_t seconds = (time_t)vmd_guest_load_u64(guest, seconds_at);
    struct tm tm;
    char *at;

    to = to ? to : vmd_host_allocate(guest, TM_SIZE);
    at = to ? vmd_guest_at(guest, to, TM_SIZE) : NULL;
    if (at && gmtime_r(&seconds, &tm)) {
        const int fields[] = {tm.tm_sec,  tm.tm_min,  tm.tm_hour, tm.tm_mday, tm.tm_mon,
                              tm.tm_year, tm.tm_wday, tm.tm_yday, 0};

        memset(at, 0, TM_SIZE);
        for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
            vmd_put_u32(guest, at + 4 * i, (uint32_t)fields[i]);
        }
    }
    return to;
}

static uint64_t host_gmtime_r(struct vmd_host_call *call)
{
    return put_tm(call->guest, call->args[0], call->args[1]);
}

static uint64_t host_gmtime(struct vmd_host_call *call)
{
    return put_tm(call->guest, call->args[0], 0);
}

static uint64_t host_timegm(struct vmd_host_call *call)
{
    const char *at = vmd_guest_at(call->guest, call->args[0], TM_SIZE);
    struct tm tm = {0};
    int fields[9];

    if (!at) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        fields[i] = vmd_get_i32(call->guest, at + 4 * i);
    }
    tm = (struct tm){.tm_sec = fields[0],
                     .tm_min = fields[1],
                     .tm_hour = fields[2],
                     .tm_mday = fields[3],
                     .tm_mon = fields[4],
                     .tm_year = fields[5]};
    return (uint64_t)timegm(&tm);
}

/* The contents of GDateTime and GTimer are not used. */

static uint64_t host_new_opaque(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, 64);
}

static uint64_t host_g_date_time_to_unix(struct vmd_host_call *call)
{
    return REAL_START;
}

static uint64_t host_free_opaque(struct vmd_host_call *call)
{
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

static uint64_t host_g_timer_elapsed(struct vmd_host_call *call)
{
    vmd_cpu_return_double(call->guest, 0);
    return 0;
}

/* Random numbers */

enum { RANDOM = 4 };

static uint64_t host_random(struct vmd_host_call *call)
{
    return RANDOM;
}

/* g_rand_int_range(rand, begin, end), g_random_int_range(begin, end) */
static uint64_t host_g_rand_int_range(struct vmd_host_call *call)
{
    return call->args[1];
}

static uint64_t host_getrandom(struct vmd_host_call *call)
{
    char *to = call->args[1] ? vmd_guest_at(call->guest, call->args[0], call->args[1]) : NULL;

    if (to) {
        memset(to, 0, call->args[1]);
    }
    return call->args[1];
}

VMD_SERVE({"g_get_monotonic_time", host_g_get_monotonic_time}, {"g_get_real_time", host_g_get_real_time},
          {"clock_gettime", vmd_host_clock_gettime}, {"clock_getres", host_clock_getres},
          {"gettimeofday", vmd_host_gettimeofday}, {"time", vmd_host_time}, {"gmtime_r", host_gmtime_r},
          {"localtime_r", host_gmtime_r}, {"gmtime", host_gmtime}, {"localtime", host_gmtime}, {"mktime", host_timegm},
          {"timegm", host_timegm}, {"tzset", vmd_host_zero}, {"usleep", vmd_host_zero}, {"sleep", vmd_host_zero},
          {"nanosleep", vmd_host_zero}, {"g_usleep", vmd_host_zero}, {"g_date_time_new_now_utc", host_new_opaque},
          {"g_date_time_new_now_local", host_new_opaque}, {"g_date_time_new_from_unix_utc", host_new_opaque},
          {"g_date_time_new_from_unix_local", host_new_opaque}, {"g_date_time_to_unix", host_g_date_time_to_unix},
          {"g_date_time_unref", host_free_opaque}, {"g_timer_new", host_new_opaque},
          {"g_timer_destroy", host_free_opaque}, {"g_timer_elapsed", host_g_timer_elapsed},
          {"g_random_int", host_random}, {"rand", host_random}, {"random", host_random},
          {"g_rand_new", host_new_opaque}, {"g_rand_new_with_seed", host_new_opaque},
          {"g_rand_new_with_seed_array", host_new_opaque}, {"g_rand_free", host_free_opaque},
          {"g_rand_int", host_random}, {"g_rand_int_range", host_g_rand_int_range},
          {"g_random_int_range", vmd_host_same}, {"getrandom", host_getrandom}, {"srand", vmd_host_zero},
          {"srandom", vmd_host_zero})
