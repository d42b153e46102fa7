/*
 * Threads, locks, conditions, thread-local data: pthread_*, GLib's, futexes.
 *
 * Threads are cooperative. When the main thread waits, each thread that has not run yet runs until it waits itself, on
 * a stack and thread-local data of its own; if there is none, all waiting threads continue, as after a spurious wakeup.
 * Nothing else runs while a lock is held, so locks do nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/threads.h"
#include "guest/variadic.h"

#include <errno.h>

enum { STACK_SIZE = 1 << 20, BLOCKS_MAX = 256 };

/* Threads */

/* The pthread_t of a thread: its number, or the address of its struct. */
static uint64_t pthread_of(const struct vmd_guest *guest, uint64_t number)
{
    return guest->pthreads ? guest->pthreads + number * guest->host->pthread_size : number;
}

uint64_t vmd_host_create_thread(struct vmd_guest *guest, uint64_t function, uint64_t argument)
{
    struct vmd_guest_state *state = &guest->state;
    unsigned i = 0;

    while (i < state->n_threads && state->threads[i].kind) {
        i++;
    }
    if (i == VMD_THREADS_MAX) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, function, "it starts more threads than QEMU ever does");
        return 0;
    }
    state->n_threads += i == state->n_threads;
    state->n_new_threads++;
    state->threads[i] = (struct vmd_thread){.kind = VMD_THREAD_NEW,
                                            .generation = state->threads[i].generation + 1,
                                            .function = function,
                                            .arguments = {argument}};
    return pthread_of(guest, VMD_MAIN_THREAD + 1 + i);
}

static uint64_t host_pthread_create(struct vmd_host_call *call)
{
    uint64_t thread = vmd_host_create_thread(call->guest, call->args[2], call->args[3]);

    vmd_guest_store_u64(call->guest, call->args[0], thread);
    return thread ? 0 : EAGAIN;
}

/* g_thread_new(name, function, data) */
static uint64_t host_g_thread_new(struct vmd_host_call *call)
{
    return vmd_host_create_thread(call->guest, call->args[1], call->args[2]) ? vmd_host_allocate(call->guest, 16) : 0;
}

static uint64_t host_pthread_self(struct vmd_host_call *call)
{
    return pthread_of(call->guest, call->guest->state.running_thread);
}

static uint64_t host_pthread_equal(struct vmd_host_call *call)
{
    return call->args[0] == call->args[1];
}

/* Allocate stack and thread-local data. */
static bool prepare(struct vmd_guest *guest, struct vmd_thread *thread)
{
    uint64_t stack = vmd_guest_alloc(guest, STACK_SIZE, 4096);
    uint64_t block = vmd_guest_alloc(guest, guest->tls_size + guest->host->tls_offset + 8192, 4096), tls;
    const char *image;

    if (!stack || !block) {
        return false;
    }
    thread->stack = stack + STACK_SIZE - 4096;
    thread->pointer = guest->host->tls == VMD_TLS_BEFORE ? (block + guest->tls_size + 4095) & -(uint64_t)4096 : block;
    tls = vmd_guest_tls_at(guest, thread->pointer);
    image = guest->tls_image ? vmd_guest_find(guest, guest->tls_image, guest->tls_size) : NULL;
    if (image) {
        memcpy(vmd_guest_find(guest, tls, guest->tls_size), image, guest->tls_size);
    }
    vmd_guest_init_thread(guest, thread->pointer);
    return true;
}

/* Run all threads of one kind once, including those that they create if it is VMD_THREAD_NEW. */
static void run_threads(struct vmd_host_call *call, enum vmd_thread_kind kind)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_guest_state *state = &guest->state;

    for (unsigned i = 0; i < state->n_threads && !guest->err.code; i++) {
        struct vmd_thread *thread = &state->threads[i];

        if (thread->kind != kind || (kind == VMD_THREAD_NEW && !prepare(guest, thread))) {
            continue;
        }
        state->n_new_threads -= kind == VMD_THREAD_NEW;
        state->running_thread = VMD_MAIN_THREAD + 1 + i;
        vmd_cpu_run_thread(call, thread);
        state->running_thread = VMD_MAIN_THREAD;
    }
}

uint64_t vmd_host_wait(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_guest_state *state = &guest->state;

    if (vmd_cpu_stop_thread(call, VMD_THREAD_RETURNS)) {
        return 0;
    }
    if (state->n_new_threads) {
        state->n_blocks = 0;
        while (state->n_new_threads && !guest->err.code) {
            run_threads(call, VMD_THREAD_NEW);
        }
    } else if (++state->n_blocks > BLOCKS_MAX) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, 0, "it waits for something that never happens");
    } else {
        run_threads(call, VMD_THREAD_WAITING);
    }
    return 0;
}

/* Semaphores: the value is the first word of a sem_t. */

static uint64_t host_sem_init(struct vmd_host_call *call)
{
    vmd_guest_store_u32(call->guest, call->args[0], (uint32_t)call->args[2]);
    return 0;
}

static uint64_t host_sem_post(struct vmd_host_call *call)
{
    vmd_guest_store_u32(call->guest, call->args[0], vmd_guest_load_u32(call->guest, call->args[0]) + 1);
    return 0;
}

static uint64_t host_sem_wait(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint32_t value;

    while (!(value = vmd_guest_load_u32(guest, call->args[0])) && !guest->err.code) {
        if (vmd_cpu_stop_thread(call, VMD_THREAD_REPEATS)) {
            return 0;
        }
        vmd_host_wait(call);
    }
    if (!guest->err.code) {
        vmd_guest_store_u32(guest, call->args[0], value - 1);
    }
    return 0;
}

static uint64_t host_pthread_exit(struct vmd_host_call *call)
{
    vmd_cpu_stop_thread(call, VMD_THREAD_ENDS);
    return 0;
}

/* Linux system calls that QEMU makes directly */
enum { FUTEX_COMMAND = 0x7f, FUTEX_WAIT = 0 };

static uint64_t host_syscall(struct vmd_host_call *call)
{
    const struct vmd_arch *host = call->guest->host;
    uint64_t result;

    if (call->args[0] == host->syscall_futex) {
        return (call->args[2] & FUTEX_COMMAND) == FUTEX_WAIT ? vmd_host_wait(call) : 0;
    }
    if (call->args[0] == host->syscall_gettid) {
        return VMD_PROCESS_ID;
    }
    return host->serve_syscall && host->serve_syscall(call, &result) ? result : vmd_host_errno(call->guest, ENOSYS);
}

/* Thread pools {function, user data} execute tasks immediately. */

static uint64_t host_g_thread_pool_new(struct vmd_host_call *call)
{
    uint64_t pool = vmd_host_allocate(call->guest, 16);

    vmd_guest_store_u64(call->guest, pool, call->args[0]);
    vmd_guest_store_u64(call->guest, pool + 8, call->args[1]);
    return pool;
}

static uint64_t host_g_thread_pool_push(struct vmd_host_call *call)
{
    vmd_host_callback(call, vmd_guest_load_u64(call->guest, call->args[0]), call->args[1],
                      vmd_guest_load_u64(call->guest, call->args[0] + 8));
    return 1;
}

/* Thread-specific data; all threads share one set. */

static uint64_t host_pthread_key_create(struct vmd_host_call *call)
{
    struct vmd_guest_state *state = &call->guest->state;

    if (state->n_pthread_keys == VMD_KEYS_MAX) {
        return EAGAIN;
    }
    vmd_guest_store_u32(call->guest, call->args[0], (uint32_t)state->n_pthread_keys++);
    return 0;
}

static uint64_t host_pthread_getspecific(struct vmd_host_call *call)
{
    return (uint32_t)call->args[0] < VMD_KEYS_MAX ? call->guest->state.keys[(uint32_t)call->args[0]] : 0;
}

static uint64_t host_pthread_setspecific(struct vmd_host_call *call)
{
    if ((uint32_t)call->args[0] >= VMD_KEYS_MAX) {
        return EINVAL;
    }
    call->guest->state.keys[(uint32_t)call->args[0]] = call->args[1];
    return 0;
}

static uint64_t *private_value(struct vmd_guest *guest, uint64_t key)
{
    struct vmd_guest_state *state = &guest->state;
    uint64_t i = 0;

    while (i < state->n_privates && state->private_keys[i] != key) {
        i++;
    }
    if (i == VMD_KEYS_MAX) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, key, "it has more GPrivates than QEMU ever does");
        i = 0;
    } else if (i == state->n_privates) {
        state->private_keys[i] = key;
        state->n_privates++;
    }
    return &state->private_values[i];
}

static uint64_t host_g_private_get(struct vmd_host_call *call)
{
    return *private_value(call->guest, call->args[0]);
}

static uint64_t host_g_private_set(struct vmd_host_call *call)
{
    *private_value(call->guest, call->args[0]) = call->args[1];
    return 0;
}

static uint64_t host_tls_get_addr(struct vmd_host_call *call)
{
    const char *index = vmd_guest_at(call->guest, call->args[0], 16);

    /* {module, offset}; there is one module with thread-local data, the main binary. */
    return index ? vmd_guest_tls(call->guest) + vmd_get_u64(call->guest, index + 8) + call->guest->host->tls_bias : 0;
}

/* AArch64's resolver of {resolver, offset}: the offset from the thread pointer. */
static uint64_t host_tlsdesc_resolver(struct vmd_host_call *call)
{
    return vmd_guest_load_u64(call->guest, call->args[0] + 8);
}

/* GOnce: {status, result} */

enum { READY = 2 }; /* G_ONCE_STATUS_READY */

static uint64_t host_g_once_impl(struct vmd_host_call *call)
{
    char *once = vmd_guest_at(call->guest, call->args[0], 16);
    uint64_t result;

    if (once && vmd_get_u32(call->guest, once) != READY) {
        result = vmd_host_call_guest(call, call->args[1], &call->args[2], 1);
        vmd_put_u32(call->guest, once, READY);
        vmd_put_u64(call->guest, once + 8, result);
    }
    return once ? vmd_get_u64(call->guest, once + 8) : 0;
}

static uint64_t host_g_once_init_enter(struct vmd_host_call *call)
{
    return vmd_guest_load_u64(call->guest, call->args[0]) == 0;
}

static uint64_t host_g_once_init_leave(struct vmd_host_call *call)
{
    vmd_guest_store_u64(call->guest, call->args[0], call->args[1]);
    return 0;
}

static uint64_t host_pthread_once(struct vmd_host_call *call)
{
    if (vmd_guest_load_u32(call->guest, call->args[0]) == call->guest->host->once_init) {
        vmd_guest_store_u32(call->guest, call->args[0], READY);
        vmd_host_call_guest(call, call->args[1], NULL, 0);
    }
    return 0;
}

VMD_SERVE({"pthread_create", host_pthread_create}, {"pthread_self", host_pthread_self},
          {"pthread_equal", host_pthread_equal}, {"pthread_exit", host_pthread_exit}, {"pthread_join", vmd_host_wait},
          {"pthread_cond_wait", vmd_host_wait}, {"pthread_cond_timedwait", vmd_host_wait},
          {"pthread_cond_clockwait", vmd_host_wait}, {"sem_init", host_sem_init}, {"sem_post", host_sem_post},
          {"sem_wait", host_sem_wait}, {"sem_timedwait", host_sem_wait}, {"g_cond_wait", vmd_host_wait},
          {"g_thread_join", vmd_host_wait}, {"pause", vmd_host_wait}, {"sigwait", vmd_host_wait},
          {"syscall", host_syscall}, {"g_thread_new", host_g_thread_new}, {"g_thread_try_new", host_g_thread_new},
          {"g_thread_self", host_pthread_self}, {"g_thread_pool_new", host_g_thread_pool_new},
          {"g_thread_pool_new_full", host_g_thread_pool_new}, {"g_thread_pool_push", host_g_thread_pool_push},
          {"g_thread_pool_set_max_threads", vmd_host_one}, {"g_thread_pool_get_max_threads", vmd_host_one},
          NOTHING("g_thread_pool_free"), {"pthread_key_create", host_pthread_key_create},
          {"pthread_getspecific", host_pthread_getspecific}, {"pthread_setspecific", host_pthread_setspecific},
          {"g_private_get", host_g_private_get}, {"g_private_set", host_g_private_set},
          {"g_private_replace", host_g_private_set}, {"__tls_get_addr", host_tls_get_addr},
          {"__tlsdesc_resolver", host_tlsdesc_resolver}, {"g_once_impl", host_g_once_impl},
          {"g_once_init_enter", host_g_once_init_enter}, {"g_once_init_enter_pointer", host_g_once_init_enter},
          {"g_once_init_leave", host_g_once_init_leave}, {"g_once_init_leave_pointer", host_g_once_init_leave},
          {"pthread_once", host_pthread_once}, NOTHING("pthread_mutex_init"), NOTHING("pthread_mutex_lock"),
          NOTHING("pthread_mutex_unlock"), NOTHING("pthread_mutex_trylock"), NOTHING("pthread_mutex_destroy"),
          NOTHING("pthread_mutexattr_init"), NOTHING("pthread_mutexattr_settype"), NOTHING("pthread_mutexattr_destroy"),
          NOTHING("pthread_cond_init"), NOTHING("pthread_cond_signal"), NOTHING("pthread_cond_broadcast"),
          NOTHING("pthread_cond_destroy"), NOTHING("pthread_condattr_init"), NOTHING("pthread_condattr_setclock"),
          NOTHING("pthread_condattr_destroy"), NOTHING("pthread_rwlock_init"), NOTHING("pthread_rwlock_rdlock"),
          NOTHING("pthread_rwlock_wrlock"), NOTHING("pthread_rwlock_unlock"), NOTHING("pthread_rwlock_destroy"),
          NOTHING("pthread_spin_init"), NOTHING("pthread_attr_init"), NOTHING("pthread_attr_setdetachstate"),
          NOTHING("pthread_attr_setstacksize"), NOTHING("pthread_attr_destroy"), NOTHING("pthread_detach"),
          NOTHING("pthread_setname_np"), NOTHING("pthread_getname_np"), NOTHING("pthread_setaffinity_np"),
          NOTHING("pthread_getaffinity_np"), NOTHING("pthread_cancel"), NOTHING("pthread_atfork"),
          NOTHING("__register_atfork"), NOTHING("sched_yield"), NOTHING("sem_destroy"), NOTHING("g_thread_init"),
          NOTHING("g_thread_unref"), NOTHING("g_mutex_init"), NOTHING("g_mutex_lock"), NOTHING("g_mutex_unlock"),
          NOTHING("g_mutex_clear"), NOTHING("g_cond_init"), NOTHING("g_cond_signal"), NOTHING("g_cond_broadcast"),
          NOTHING("g_cond_clear"), NOTHING("g_rec_mutex_init"), NOTHING("g_rec_mutex_lock"),
          NOTHING("g_rec_mutex_unlock"), NOTHING("__pthread_register_cancel"), NOTHING("__pthread_unregister_cancel"),
          NOTHING("flockfile"), NOTHING("funlockfile"))
