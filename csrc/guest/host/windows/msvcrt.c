/*
 * Microsoft's C runtime (msvcrt, UCRT): functions with other names or other types than elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/format.h"
#include "guest/variadic.h"

#include <stdlib.h>

/* _aligned_malloc(size, alignment), whose blocks are never reused */
static uint64_t host_aligned_malloc(struct vmd_host_call *call)
{
    uint64_t align = call->args[1];

    return align & (align - 1) ? 0 : vmd_guest_alloc(call->guest, call->args[0], align < 16 ? 16 : align);
}

/* Standard streams: three FILEs */

enum { STREAM_SIZE = 48, STREAMS = 3 };

static uint64_t streams(struct vmd_guest *guest)
{
    if (!guest->state.streams) {
        guest->state.streams = vmd_host_allocate(guest, STREAMS * STREAM_SIZE);
    }
    return guest->state.streams;
}

static uint64_t host_iob_func(struct vmd_host_call *call)
{
    return streams(call->guest);
}

/* __acrt_iob_func(number) */
static uint64_t host_acrt_iob_func(struct vmd_host_call *call)
{
    return streams(call->guest) + STREAM_SIZE * (uint64_t)((uint32_t)call->args[0] % STREAMS);
}

/* UCRT's printf functions: __stdio_common_vsprintf(options, buffer, size, format, locale, list) */
static uint64_t host_common_vsprintf(struct vmd_host_call *call)
{
    struct vmd_variadic arguments = vmd_variadic_list(call, vmd_host_arg(call, 5));
    uint64_t size = call->args[2], n, length = 0;
    struct vmd_text text;
    char *to;

    if (vmd_host_format(&arguments, call->args[3], &text)) {
        length = text.size;
        n = length < size ? length + 1 : size;
        to = n && call->args[1] ? vmd_guest_at(call->guest, call->args[1], n) : NULL;
        if (to) {
            memcpy(to, text.bytes, n - 1);
            to[n - 1] = '\0';
        }
    }
    free(text.bytes);
    return length;
}

/* __stdio_common_vfprintf(options, stream, format, locale, list) */
static uint64_t host_common_vfprintf(struct vmd_host_call *call)
{
    struct vmd_variadic arguments = vmd_variadic_list(call, vmd_host_arg(call, 4));
    struct vmd_text text;
    uint64_t length = 0;

    if (vmd_host_format(&arguments, call->args[2], &text)) {
        length = text.size;
        vmd_host_print(call->guest, text.bytes, text.size);
    }
    free(text.bytes);
    return length;
}

/* struct lconv of the locale C: ten strings, eight chars, eight wide strings; all are empty but the decimal point. */
static uint64_t host_localeconv(struct vmd_host_call *call)
{
    enum { STRINGS = 10, WIDE = 88, WIDE_STRINGS = 8, TEXT = 160, SIZE = 176, CHAR_MAX_ = 127 };

    struct vmd_guest *guest = call->guest;
    uint64_t locale = vmd_host_allocate(guest, SIZE), point = locale + TEXT, empty = locale + TEXT + 4;
    char *at = locale ? vmd_guest_at(guest, locale, SIZE) : NULL;

    if (at) {
        memset(at + 8 * STRINGS, CHAR_MAX_, WIDE - 8 * STRINGS);
        at[TEXT] = '.';
        for (uint64_t i = 0; i < STRINGS; i++) {
            vmd_put_u64(guest, at + 8 * i, i ? empty : point);
        }
        for (uint64_t i = 0; i < WIDE_STRINGS; i++) {
            vmd_put_u64(guest, at + WIDE + 8 * i, i ? empty : point);
        }
    }
    return locale;
}

/* Handles of descriptors are their numbers. */
static uint64_t host_same_number(struct vmd_host_call *call)
{
    return (uint64_t)(int64_t)(int32_t)call->args[0];
}

/* rand_s(&value): as all that is random, always the same */
static uint64_t host_rand_s(struct vmd_host_call *call)
{
    vmd_guest_store_u32(call->guest, call->args[0], 4);
    return 0;
}

/* _assert(expression, file, line) */
static uint64_t host_assert(struct vmd_host_call *call)
{
    vmd_guest_fail_with(call->guest, VMD_BAD_REFERENCE, call->args[0], "an assertion of its own fails",
                        vmd_host_string(call->guest, call->args[0]));
    return 0;
}

VMD_SERVE_ON(VMD_WINDOWS, {"_aligned_malloc", host_aligned_malloc}, NOTHING("_aligned_free"),
             {"__iob_func", host_iob_func}, {"__acrt_iob_func", host_acrt_iob_func},
             {"__stdio_common_vsprintf", host_common_vsprintf}, {"__stdio_common_vfprintf", host_common_vfprintf},
             {"_assert", host_assert}, {"rand_s", host_rand_s}, {"localeconv", host_localeconv},
             {"___mb_cur_max_func", vmd_host_one}, NOTHING("___lc_codepage_func"), {"_get_osfhandle", host_same_number},
             {"_open_osfhandle", host_same_number}, NOTHING("_lock"), NOTHING("_lock_file"), NOTHING("_unlock_file"),
             NOTHING("_unlock"), NOTHING("_onexit"), NOTHING("_crt_atexit"), NOTHING("_configthreadlocale"),
             NOTHING("_set_invalid_parameter_handler"), NOTHING("_setmode"), NOTHING("_commit"), NOTHING("setbuf"))

VMD_NAMES_ON(VMD_WINDOWS, {"_errno", "__errno_location"}, {"_open", "open"}, {"_sopen", "open"}, {"_stat64", "stat64"},
             {"_fstat64", "fstat64"}, {"_strdup", "strdup"}, {"_stricmp", "strcasecmp"}, {"_strnicmp", "strncasecmp"},
             {"_snprintf", "snprintf"}, {"_vsnprintf", "vsnprintf"}, {"_strtoi64", "strtoll"},
             {"_strtoui64", "strtoull"}, {"_atoi64", "atoll"}, {"_time64", "time"}, {"_gmtime64", "gmtime"},
             {"_localtime64", "localtime"}, {"_mktime64", "mktime"}, {"_close", "close"}, {"_read", "read"},
             {"_write", "write"}, {"_lseeki64", "lseek"}, {"_access", "access"}, {"_unlink", "unlink"},
             {"_rmdir", "rmdir"}, {"_mkdir", "mkdir"}, {"_dup", "dup"}, {"_fdopen", "fdopen"}, {"_getpid", "getpid"},
             {"_getcwd", "getcwd"}, {"_exit", "exit"}, {"_setjmpex", "setjmp"}, {"__intrinsic_setjmpex", "setjmp"})
