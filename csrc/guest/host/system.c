/*
 * The rest: GOnce, system calls, thread-local data, giving up, QEMU's queue of init functions, GnuTLS, and all of which
 * 0 is the right answer.
 * A part of what a guest sees of its host; see guest_host.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { READY = 2 }; /* G_ONCE_STATUS_READY */

static uint64_t host_g_once_impl(struct vmd_host_call *call)
{
    char *once = vmd_guest_at(call->guest, call->args[0], 16);
    uint64_t result;

    if (once && vmd_load_u32(once) != READY) {
        result = vmd_host_call_guest(call, call->args[1], &call->args[2], 1);
        memcpy(once, &(uint32_t){READY}, 4);
        memcpy(once + 8, &result, 8);
    }
    return once ? vmd_load_u64(once + 8) : 0;
}

static uint64_t host_g_once_init_enter(struct vmd_host_call *call)
{
    const char *at = vmd_guest_at(call->guest, call->args[0], 8);

    return at && vmd_load_u64(at) == 0;
}

static uint64_t host_g_once_init_leave(struct vmd_host_call *call)
{
    char *at = vmd_guest_at(call->guest, call->args[0], 8);

    if (at) {
        memcpy(at, &call->args[1], 8);
    }
    return 0;
}

static uint64_t host_sysconf(struct vmd_host_call *call)
{
    return (int)call->args[0] == _SC_PAGESIZE ? call->guest->page_size : (uint64_t)sysconf((int)call->args[0]);
}

static uint64_t host_getpagesize(struct vmd_host_call *call)
{
    return call->guest->page_size;
}

static uint64_t host_getrlimit(struct vmd_host_call *call)
{
    struct rlimit limit;
    char *to = vmd_guest_at(call->guest, call->args[1], sizeof(limit));

    if (to && getrlimit((int)call->args[0], &limit) == 0) {
        memcpy(to, &limit, sizeof(limit));
    }
    return 0;
}

enum { DESCRIPTOR = 3 }; /* of what the guest opens */

void vmd_guest_set_host(struct vmd_guest *guest, bool memfd, bool sgx_vepc, uint64_t page_size)
{
    guest->no_memfd = !memfd;
    guest->sgx_vepc = sgx_vepc;
    guest->page_size = page_size;
}

static uint64_t fail_with(struct vmd_guest *guest, int error)
{
    memcpy(vmd_guest_find(guest, guest->errno_at, sizeof(error)), &error, sizeof(error));
    return (uint64_t)-1;
}

static uint64_t host_memfd_create(struct vmd_host_call *call)
{
    return call->guest->no_memfd ? fail_with(call->guest, ENOSYS) : DESCRIPTOR;
}

static uint64_t host_open(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]);

    /* There are no files, no /proc; a device that is opened is closed at once. */
    return path && call->guest->sgx_vepc && strcmp(path, "/dev/sgx_vepc") == 0 ? DESCRIPTOR
                                                                               : fail_with(call->guest, ENOENT);
}

static uint64_t host_tls_get_addr(struct vmd_host_call *call)
{
    const char *index = vmd_guest_at(call->guest, call->args[0], 16);

    /* {module, offset}; there is one module with thread-local data, the main binary. */
    return index ? vmd_guest_tls(call->guest) + vmd_load_u64(index + 8) : 0;
}

static uint64_t host_errno_location(struct vmd_host_call *call)
{
    return call->guest->errno_at;
}

static uint64_t host_abort(struct vmd_host_call *call)
{
    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, 0, "it aborts itself");
    return 0;
}

static uint64_t host_assert_fail(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, call->args[0], "an assertion of its own fails");
    snprintf(call->guest->err.path, sizeof(call->guest->err.path), "%s", text ? text : "");
    return 0;
}

/* There is no kernel. */
static uint64_t host_syscall(struct vmd_host_call *call)
{
    return fail_with(call->guest, ENOSYS);
}

static uint64_t host_strerror(struct vmd_host_call *call)
{
    const char *text = strerror((int)call->args[0]);

    return vmd_host_put_string(call->guest, text, strlen(text));
}

/* Time stands still. */
static uint64_t host_clock_gettime(struct vmd_host_call *call)
{
    char *to = vmd_guest_at(call->guest, call->args[1], 16);

    if (to) {
        memset(to, 0, 16);
    }
    return 0;
}

/*
 * The digests that GnuTLS offers, which end with GNUTLS_DIG_UNKNOWN, 0: QEMU gives a device that needs one (eMMC's RPMB
 * partition) its properties only then. All that QEMU asks for. Source: GnuTLS 3.7 includes/gnutls/gnutls.h.in
 * gnutls_digest_algorithm_t, QEMU 10.2 crypto/hmac-gnutls.c.
 */
static uint64_t host_gnutls_digest_list(struct vmd_host_call *call)
{
    enum { MD5 = 2, SHA1 = 3, RMD160 = 4, SHA256 = 6, SHA384 = 7, SHA512 = 8, SHA224 = 9 };
    static const uint32_t digests[] = {SHA256, SHA384, SHA512, SHA224, SHA1, MD5, RMD160, 0};
    uint64_t list = vmd_host_allocate(call->guest, sizeof(digests));

    if (list) {
        memcpy(vmd_guest_find(call->guest, list, sizeof(digests)), digests, sizeof(digests));
    }
    return list;
}

/*
 * What has no effect that start-up could see: memory is not freed, threads never run, so locks are free, there are no
 * signals, and nothing is done at exit. The environment is empty, there are no files, and the CPU has no features that
 * code needs to ask for.
 */
static uint64_t host_0(struct vmd_host_call *call)
{
    return 0;
}

enum { INITS_MAX = 1 << 16 }; /* as against hash tables: far more than any QEMU has */

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

const struct vmd_host_function vmd_host_system[] = {
    {"g_once_impl", host_g_once_impl},
    {"g_once_init_enter", host_g_once_init_enter},
    {"g_once_init_leave", host_g_once_init_leave},
    {"sysconf", host_sysconf},
    {"getpagesize", host_getpagesize},
    {"getrlimit", host_getrlimit},
    {"getrlimit64", host_getrlimit},
    {"memfd_create", host_memfd_create},
    {"open", host_open},
    {"open64", host_open},
    {"__open64_2", host_open},
    {"access", host_open},
    {"__tls_get_addr", host_tls_get_addr},
    {"__errno_location", host_errno_location},
    {"abort", host_abort},
    {"__stack_chk_fail", host_abort},
    {"__assert_fail", host_assert_fail},
    {"register_dso_module_init", host_register_dso_module_init},
    {"syscall", host_syscall},
    {"strerror", host_strerror},
    {"g_strerror", host_strerror},
    {"clock_gettime", host_clock_gettime},
    {"gnutls_digest_list", host_gnutls_digest_list},
    {"__cxa_atexit", host_0},
    {"__register_atfork", host_0},
    {"atexit", host_0},
    {"close", host_0},
    {"free", host_0},
    {"g_free", host_0},
    {"g_list_free", host_0},
    {"g_slist_free", host_0},
    {"g_ptr_array_free", host_0},
    {"g_ptr_array_unref", host_0},
    {"g_hash_table_destroy", host_0},
    {"g_hash_table_unref", host_0},
    {"g_strfreev", host_0},
    {"g_error_free", host_0},
    {"g_clear_error", host_0},
    {"g_slice_free1", host_0},
    {"jack_set_error_function", host_0},
    {"jack_set_info_function", host_0},
    {"jack_set_thread_creator", host_0},
    {"pthread_attr_destroy", host_0},
    {"pthread_attr_init", host_0},
    {"pthread_attr_setdetachstate", host_0},
    {"pthread_cond_broadcast", host_0},
    {"pthread_cond_destroy", host_0},
    {"pthread_cond_init", host_0},
    {"pthread_cond_signal", host_0},
    {"pthread_condattr_destroy", host_0},
    {"pthread_condattr_init", host_0},
    {"pthread_condattr_setclock", host_0},
    {"pthread_create", host_0},
    {"pthread_mutex_destroy", host_0},
    {"pthread_mutex_init", host_0},
    {"pthread_mutex_lock", host_0},
    {"pthread_mutex_unlock", host_0},
    {"pthread_mutexattr_destroy", host_0},
    {"pthread_mutexattr_init", host_0},
    {"pthread_mutexattr_settype", host_0},
    {"pthread_sigmask", host_0},
    {"sigaddset", host_0},
    {"sigdelset", host_0},
    {"sigemptyset", host_0},
    {"sigfillset", host_0},
    {"getauxval", host_0},
    {"__getauxval", host_0},
    {"getenv", host_0},
    {"g_getenv", host_0},
    {"secure_getenv", host_0},
    {"g_file_get_contents", host_0},
    {NULL, NULL},
};
