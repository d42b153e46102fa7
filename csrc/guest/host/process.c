/*
 * The process: exit, identity, environment, errors, properties of the host machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ending */

static uint64_t host_abort(struct vmd_host_call *call)
{
    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, 0, "it aborts itself");
    return 0;
}

static uint64_t host_exit(struct vmd_host_call *call)
{
    vmd_guest_fail(call->guest, VMD_EXITED, (uint32_t)call->args[0], "it exits");
    return 0;
}

static const char *text_or(struct vmd_guest *guest, uint64_t address, const char *other)
{
    const char *text = address ? vmd_host_string(guest, address) : NULL;

    return text ? text : other;
}

/* Print the line that libc or GLib prints, and fail. */
static void fail_assertion(struct vmd_host_call *call, bool is_glib, uint64_t expression, uint64_t file, uint64_t line,
                           uint64_t function)
{
    const char *text = text_or(call->guest, expression, "code should not be reached");
    const char *name = text_or(call->guest, file, "?"), *where = text_or(call->guest, function, "?");
    char printed[4096];

    if (is_glib) {
        snprintf(printed, sizeof(printed), "ERROR:%s:%u:%s: assertion failed: (%s)\n", name, (uint32_t)line, where,
                 text);
    } else {
        snprintf(printed, sizeof(printed), "%s:%u: %s: Assertion `%s' failed.\n", name, (uint32_t)line, where, text);
    }
    vmd_host_print(call->guest, printed, strlen(printed));
    vmd_guest_fail_with(call->guest, VMD_BAD_REFERENCE, expression, "an assertion of its own fails", text);
}

/* __assert_fail(expression, file, line, function) */
static uint64_t host_assert_fail(struct vmd_host_call *call)
{
    fail_assertion(call, false, call->args[0], call->args[1], call->args[2], call->args[3]);
    return 0;
}

/* g_assertion_message_expr(domain, file, line, function, expression), and those that begin alike */
static uint64_t host_g_assertion_message(struct vmd_host_call *call)
{
    fail_assertion(call, true, call->args[4], call->args[1], call->args[2], call->args[3]);
    return 0;
}

/* Who it is */

static uint64_t host_getpid(struct vmd_host_call *call)
{
    return VMD_PROCESS_ID;
}

static uint64_t host_getuid(struct vmd_host_call *call)
{
    return VMD_USER_ID;
}

static uint64_t new_text(struct vmd_host_call *call, const char *text)
{
    return vmd_host_put_string(call->guest, text, strlen(text));
}

static uint64_t host_name(struct vmd_host_call *call)
{
    return new_text(call, "qemu");
}

static uint64_t host_g_set_prgname(struct vmd_host_call *call)
{
    const char *name = call->args[0] ? vmd_host_string(call->guest, call->args[0]) : NULL;

    call->guest->state.program_name = name ? new_text(call, name) : 0;
    return 0;
}

static uint64_t host_g_get_prgname(struct vmd_host_call *call)
{
    return call->guest->state.program_name;
}

static uint64_t host_directory(struct vmd_host_call *call)
{
    return new_text(call, "/tmp");
}

/* getcwd(buffer, size) */
static uint64_t host_getcwd(struct vmd_host_call *call)
{
    char *to = call->args[0] ? vmd_guest_at(call->guest, call->args[0], 2) : NULL;

    if (to) {
        memcpy(to, "/", 2);
    }
    return call->args[0] ? call->args[0] : new_text(call, "/");
}

/* No variable is set but the one that keeps QEMU 5.2 from looking for sound devices. */
static uint64_t host_getenv(struct vmd_host_call *call)
{
    const char *name = vmd_host_string(call->guest, call->args[0]);

    return name && strcmp(name, "QEMU_AUDIO_DRV") == 0 ? new_text(call, "none") : 0;
}

/* struct utsname: six fields of 65 bytes */
static uint64_t host_uname(struct vmd_host_call *call)
{
    const char *fields[] = {"Linux", "localhost", "6.1.0", "#1", call->guest->host->name, ""};
    char *to = vmd_guest_at(call->guest, call->args[0], 65 * 6);

    for (size_t i = 0; to && i < 6; i++) {
        memset(to + 65 * i, 0, 65);
        memcpy(to + 65 * i, fields[i], strlen(fields[i]));
    }
    return 0;
}

/* What the machine has */

enum { MEMORY_PAGES = 1 << 21 };

/* Names of sysconf that musl lacks. Source: glibc 2.36 bits/confname.h. */
enum { SC_LEVEL1_ICACHE_LINESIZE = 187, SC_LEVEL1_DCACHE_LINESIZE = 190 };

static uint64_t host_sysconf(struct vmd_host_call *call)
{
    const struct vmd_arch *host = call->guest->host;
    int32_t name = (int32_t)call->args[0];

    switch (host->sysconf_names ? vmd_number_here(host->sysconf_names, name, -1) : name) {
    case _SC_PAGESIZE:
        return call->guest->page_size;
    case _SC_NPROCESSORS_CONF:
    case _SC_NPROCESSORS_ONLN:
        return VMD_PROCESSORS;
    case _SC_PHYS_PAGES:
        return MEMORY_PAGES;
    case _SC_IOV_MAX:
    case _SC_OPEN_MAX:
        return 1024;
    case SC_LEVEL1_DCACHE_LINESIZE:
    case SC_LEVEL1_ICACHE_LINESIZE:
        return 64;
    case _SC_CLK_TCK:
        return 100;
    default:
        return (uint64_t)-1;
    }
}

static uint64_t host_getpagesize(struct vmd_host_call *call)
{
    return call->guest->page_size;
}

static uint64_t host_g_get_num_processors(struct vmd_host_call *call)
{
    return VMD_PROCESSORS;
}

/* No limit on anything, but a usual one on open files. */
static uint64_t host_getrlimit(struct vmd_host_call *call)
{
    uint64_t limit = (uint32_t)call->args[0] == call->guest->host->limit_files ? 1024 : UINT64_MAX;

    vmd_guest_store_u64(call->guest, call->args[1], limit);
    vmd_guest_store_u64(call->guest, call->args[1] + 8, limit);
    return 0;
}

static uint64_t host_errno_location(struct vmd_host_call *call)
{
    return call->guest->errno_at;
}

enum { AT_HWCAP = 16, AT_PAGESZ = 6 };

static uint64_t host_getauxval(struct vmd_host_call *call)
{
    return call->args[0] == AT_PAGESZ  ? call->guest->page_size
           : call->args[0] == AT_HWCAP ? call->guest->host->hwcap
                                       : 0;
}

void vmd_guest_set_host(struct vmd_guest *guest, bool memfd, bool sgx_vepc, uint64_t page_size)
{
    uint64_t variable;

    guest->no_memfd = !memfd;
    guest->sgx_vepc = sgx_vepc;
    guest->page_size = page_size;
    variable = guest->cpu ? vmd_guest_variable(guest, "vm_page_size") : 0; /* of macOS */
    if (variable) {
        vmd_guest_store_u64(guest, variable, page_size);
    }
}

/* QEMU's queue of init functions: an image that is read and not started has it here. */

enum { INITS_MAX = 1 << 16 }; /* far more than any QEMU has */

static uint64_t host_register_dso_module_init(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;

    if (guest->n_inits == guest->inits_room) {
        size_t room = guest->inits_room ? 2 * guest->inits_room : 16;
        uint64_t *inits = room <= INITS_MAX ? realloc(guest->inits, room * 2 * sizeof(*inits)) : NULL;

        if (!inits) {
            vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "out of memory");
            return 0;
        }
        guest->inits = inits;
        guest->inits_room = room;
    }
    guest->inits[2 * guest->n_inits] = call->args[0];
    guest->inits[2 * guest->n_inits++ + 1] = call->args[1];
    return 0;
}

/* GError: {domain, code, message} */

enum { ERROR_MESSAGE = 8, ERROR_SIZE = 16 };

void vmd_host_set_gerror(struct vmd_guest *guest, uint64_t error_at, const char *message)
{
    uint64_t error = error_at ? vmd_host_allocate(guest, ERROR_SIZE) : 0;

    if (error) {
        vmd_guest_store_u64(guest, error + ERROR_MESSAGE, vmd_host_put_string(guest, message, strlen(message)));
        vmd_guest_store_u64(guest, error_at, error);
    }
}

static uint64_t host_g_error_free(struct vmd_host_call *call)
{
    if (call->args[0]) {
        vmd_host_free(call->guest, vmd_guest_load_u64(call->guest, call->args[0] + ERROR_MESSAGE));
        vmd_host_free(call->guest, call->args[0]);
    }
    return 0;
}

static uint64_t host_g_clear_error(struct vmd_host_call *call)
{
    if (call->args[0]) {
        vmd_guest_store_u64(call->guest, call->args[0], 0);
    }
    return 0;
}

VMD_SERVE({"abort", host_abort}, {"__stack_chk_fail", host_abort}, {"__fortify_fail", host_abort}, {"exit", host_exit},
          {"_exit", host_exit}, {"__assert_fail", host_assert_fail},
          {"g_assertion_message_expr", host_g_assertion_message}, {"g_assertion_message", host_g_assertion_message},
          {"g_assertion_message_cmpnum", host_g_assertion_message},
          {"g_assertion_message_cmpint", host_g_assertion_message},
          {"g_assertion_message_cmpstr", host_g_assertion_message},
          {"g_assertion_message_error", host_g_assertion_message}, {"getpid", host_getpid}, {"gettid", host_getpid},
          {"getppid", host_getpid}, {"getuid", host_getuid}, {"geteuid", host_getuid}, {"getgid", host_getuid},
          {"getegid", host_getuid}, {"g_get_host_name", host_name}, {"g_get_user_name", host_name},
          {"g_get_prgname", host_g_get_prgname}, {"g_set_prgname", host_g_set_prgname},
          {"g_get_tmp_dir", host_directory}, {"g_get_home_dir", host_directory},
          {"g_get_user_runtime_dir", host_directory}, {"g_get_user_config_dir", host_directory},
          {"g_get_user_cache_dir", host_directory}, {"g_get_user_data_dir", host_directory},
          {"g_get_current_dir", host_directory}, {"get_current_dir_name", host_directory}, {"getcwd", host_getcwd},
          {"getenv", host_getenv}, {"g_getenv", host_getenv}, {"secure_getenv", host_getenv}, {"uname", host_uname},
          {"sysconf", host_sysconf}, {"getpagesize", host_getpagesize},
          {"g_get_num_processors", host_g_get_num_processors}, {"getrlimit", host_getrlimit},
          {"getrlimit64", host_getrlimit}, NOTHING("setrlimit"), NOTHING("setrlimit64"),
          {"__errno_location", host_errno_location}, {"getauxval", host_getauxval}, {"__getauxval", host_getauxval},
          {"register_dso_module_init", host_register_dso_module_init}, {"g_error_free", host_g_error_free},
          {"g_clear_error", host_g_clear_error}, NOTHING("atexit"), NOTHING("__cxa_atexit"), NOTHING("on_exit"),
          NOTHING("__cxa_finalize"), NOTHING("umask"), NOTHING("prctl"), NOTHING("setsid"), NOTHING("setlocale"),
          NOTHING("bindtextdomain"), NOTHING("textdomain"), NOTHING("__gmon_start__"),
          NOTHING("_ITM_deregisterTMCloneTable"), NOTHING("_ITM_registerTMCloneTable"), NOTHING("sched_getaffinity"),
          NOTHING("sched_setaffinity"), NOTHING("getrusage"), {"g_setenv", vmd_host_one}, NOTHING("setenv"),
          NOTHING("unsetenv"), {"fork", vmd_host_unsupported}, {"system", vmd_host_unsupported},
          {"execv", vmd_host_unsupported}, {"daemon", vmd_host_unsupported})
