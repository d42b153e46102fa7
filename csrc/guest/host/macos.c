/*
 * Functions and variables that only macOS's C library has: characters, errors, thread-local variables, Mach.
 *
 * Source: _ctype.h, runetype.h, mach/mach_time.h of the macOS SDK.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "guest/arch/macos.h"
#include "guest/host/devices.h"
#include "guest/host/time.h"

/* A thread-local variable is {thunk, key, offset}; the thunk gets its address and returns that of the variable. */
static uint64_t host_tlv_bootstrap(struct vmd_host_call *call)
{
    return vmd_guest_tls(call->guest) + vmd_guest_load_u64(call->guest, call->args[0] + 16);
}

/* Touches the pages of a large frame, and preserves all registers. */
static uint64_t host_chkstk(struct vmd_host_call *call)
{
    return vmd_cpu_read(call->guest, call->guest->host->result);
}

/* __assert_rtn(function, file, line, expression) */
static uint64_t host_assert_rtn(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    const char *function = vmd_host_string(guest, call->args[0]), *file = vmd_host_string(guest, call->args[1]),
               *expression = vmd_host_string(guest, call->args[3]);
    char text[4096];

    if (function && file && expression) {
        snprintf(text, sizeof(text), "Assertion failed: (%s), function %s, file %s, line %d.\n", expression, function,
                 file, (int)call->args[2]);
        vmd_host_print(guest, text, strlen(text));
        vmd_guest_fail_with(guest, VMD_BAD_REFERENCE, call->args[3], "an assertion of its own fails", expression);
    }
    return 0;
}

/* Characters: of the C locale */

enum {
    ALPHA = 0x100,
    CNTRL = 0x200,
    DIGIT = 0x400,
    GRAPH = 0x800,
    LOWER = 0x1000,
    PUNCT = 0x2000,
    SPACE = 0x4000,
    UPPER = 0x8000,
    XDIGIT = 0x10000,
    BLANK = 0x20000,
    PRINT = 0x40000
};

/* Offsets of __runetype, __maplower and __mapupper in struct _RuneLocale; each has 256 ints. */
enum { RUNE_TYPES = 60, RUNE_LOWER = RUNE_TYPES + 1024, RUNE_UPPER = RUNE_LOWER + 1024, RUNE_LOCALE_SIZE = 3208 };

static uint32_t rune_type(int c)
{
    if (c < 0 || c > 127) {
        return 0;
    }
    return (isalpha(c) ? ALPHA : 0) | (iscntrl(c) ? CNTRL : 0) | (isdigit(c) ? DIGIT | (uint32_t)(c - '0') : 0) |
           (isgraph(c) ? GRAPH : 0) | (islower(c) ? LOWER : 0) | (ispunct(c) ? PUNCT : 0) | (isspace(c) ? SPACE : 0) |
           (isupper(c) ? UPPER : 0) | (isxdigit(c) ? XDIGIT : 0) |
           (isxdigit(c) && !isdigit(c) ? (uint32_t)(tolower(c) - 'a' + 10) : 0) | (isblank(c) ? BLANK : 0) |
           (isprint(c) ? PRINT : 0);
}

static uint64_t host_maskrune(struct vmd_host_call *call)
{
    return rune_type((int32_t)call->args[0]) & (uint32_t)call->args[1];
}

/* Mach */

/* Ticks are nanoseconds: struct mach_timebase_info is {numerator, denominator}. */
static uint64_t host_mach_timebase_info(struct vmd_host_call *call)
{
    vmd_guest_store_u32(call->guest, call->args[0], 1);
    vmd_guest_store_u32(call->guest, call->args[0] + 4, 1);
    return 0;
}

static uint64_t host_mach_absolute_time(struct vmd_host_call *call)
{
    return vmd_host_monotonic_time(call->guest) * 1000;
}

/* No name is known: sysctlbyname(name, old, old size, new, new size) */
static uint64_t host_sysctlbyname(struct vmd_host_call *call)
{
    return vmd_host_errno(call->guest, ENOENT);
}

/* _NSGetExecutablePath(buffer, size): QEMU then looks for its files relative to its configured directories. */
static uint64_t host_get_executable_path(struct vmd_host_call *call)
{
    return (uint64_t)-1;
}

/* Files */

/* A temporary file is memory: without memfd_create, QEMU shares RAM by one that it has unlinked. */
static uint64_t host_mkstemp(struct vmd_host_call *call)
{
    return vmd_host_new_file(call->guest, &(struct vmd_open_file){.kind = VMD_FILE_EVENT});
}

/* Variables */

static enum vmd_status define_rune_locale(struct vmd_guest *guest)
{
    uint64_t locale = vmd_guest_alloc(guest, RUNE_LOCALE_SIZE, 16);
    char *at = locale ? vmd_guest_find(guest, locale, RUNE_LOCALE_SIZE) : NULL;

    if (!at) {
        return VMD_NO_MEMORY;
    }
    for (int c = 0; c < 256; c++) {
        vmd_put_u32(guest, at + RUNE_TYPES + 4 * (size_t)c, rune_type(c));
        vmd_put_u32(guest, at + RUNE_LOWER + 4 * (size_t)c, (uint32_t)(c < 128 ? tolower(c) : c));
        vmd_put_u32(guest, at + RUNE_UPPER + 4 * (size_t)c, (uint32_t)(c < 128 ? toupper(c) : c));
    }
    return vmd_guest_define(guest, "_DefaultRuneLocale", locale);
}

/* Define a variable of 8 bytes. */
static enum vmd_status define(struct vmd_guest *guest, const char *name, uint64_t value)
{
    uint64_t variable = vmd_guest_alloc(guest, 16, 16);

    if (!variable) {
        return VMD_NO_MEMORY;
    }
    vmd_guest_store_u64(guest, variable, value);
    return vmd_guest_define(guest, name, variable);
}

enum vmd_status vmd_macos_define_variables(struct vmd_guest *guest)
{
    /* Streams have no state: their addresses only have to differ, and not to be 0. */
    static const char *const streams[] = {"__stdinp", "__stdoutp", "__stderrp"};
    static const char *const numbers[] = {"environ", "mach_task_self_", "optarg", "optreset", "stdscr", "NSApp"};
    enum vmd_status status = define_rune_locale(guest);

    for (size_t i = 0; i < sizeof(streams) / sizeof(*streams) && !status; i++) {
        uint64_t stream = vmd_guest_alloc(guest, 16, 16);

        status = stream ? define(guest, streams[i], stream) : VMD_NO_MEMORY;
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers) && !status; i++) {
        status = define(guest, numbers[i], 0);
    }
    if (!status) {
        status = define(guest, "optind", 1);
    }
    if (!status) {
        status = define(guest, "__stack_chk_guard", 0x595e9fbd94fda766);
    }
    return status ? status : define(guest, "vm_page_size", 0); /* see vmd_guest_set_host */
}

VMD_SERVE_ON(VMD_MACOS, {"_tlv_bootstrap", host_tlv_bootstrap}, {"__assert_rtn", host_assert_rtn},
             {"__maskrune", host_maskrune}, {"mkstemp", host_mkstemp}, {"mach_timebase_info", host_mach_timebase_info},
             {"mach_absolute_time", host_mach_absolute_time}, {"sysctlbyname", host_sysctlbyname},
             {"_NSGetExecutablePath", host_get_executable_path}, NOTHING("pthread_jit_write_protect_np"),
             NOTHING("sys_icache_invalidate"), NOTHING("sys_dcache_flush"), NOTHING("objc_autoreleasePoolPush"),
             NOTHING("objc_autoreleasePoolPop"), {"__chkstk_darwin", host_chkstk})

VMD_NAMES_ON(VMD_MACOS, {"__error", "__errno_location"}, {"__tolower", "tolower"}, {"__toupper", "toupper"})
