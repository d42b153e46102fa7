/*
 * Windows' threads, thread-local storage, and objects that a thread waits for. See host/threads.c: threads are
 * cooperative, so locks do nothing.
 *
 * A handle of one of these objects is the address of {kind, value, is manual}.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/threads.h"
#include "guest/host/windows/system.h"
#include "guest/variadic.h"

enum { KIND = 0, VALUE = 4, MANUAL = 8, OBJECT_SIZE = 16 };
enum kind { EVENT = 0x45564e54, SEMAPHORE, THREAD };

enum { CURRENT_THREAD = -2 };

enum { WAIT_OBJECT_0 = 0, WAIT_TIMEOUT = 0x102, WAIT_FAILED = 0xffffffff, INFINITE = 0xffffffff, OBJECTS_MAX = 64 };

static uint64_t new_object(struct vmd_guest *guest, enum kind kind, uint32_t value, uint32_t is_manual)
{
    uint64_t object = vmd_host_allocate(guest, OBJECT_SIZE);

    if (object) {
        vmd_guest_store_u32(guest, object + KIND, kind);
        vmd_guest_store_u32(guest, object + VALUE, value);
        vmd_guest_store_u32(guest, object + MANUAL, is_manual);
    }
    return object;
}

/* The kind of an object; of any other handle 0. */
static uint32_t kind_of(const struct vmd_guest *guest, uint64_t handle)
{
    const char *at = vmd_guest_find(guest, handle, OBJECT_SIZE);

    return at ? vmd_get_u32(guest, at) : 0;
}

/*
 * Threads: an identifier has the number of a thread, and above it how often that was used before, so that neither a
 * handle nor an identifier ever stands for another thread.
 */

enum { NUMBER_BITS = 16 };

static uint32_t identifier(const struct vmd_guest *guest, uint64_t number)
{
    uint32_t generation = number == VMD_MAIN_THREAD ? 0 : guest->state.threads[number - VMD_MAIN_THREAD - 1].generation;

    return generation << NUMBER_BITS | (uint32_t)number;
}

static bool has_ended(const struct vmd_guest *guest, uint32_t id)
{
    uint32_t number = id & ((1u << NUMBER_BITS) - 1), index = number - VMD_MAIN_THREAD - 1;

    if (id == VMD_MAIN_THREAD) {
        return false;
    }
    return index >= guest->state.n_threads || identifier(guest, number) != id ||
           guest->state.threads[index].kind == VMD_THREAD_ENDED;
}

/* CreateThread and _beginthreadex(security, stack size, function, argument, flags, &identifier) */
static uint64_t host_create_thread(struct vmd_host_call *call)
{
    uint64_t number = vmd_host_create_thread(call->guest, call->args[2], call->args[3]), id_at = vmd_host_arg(call, 5);
    uint32_t id = number ? identifier(call->guest, number) : 0;

    if (number && id_at) {
        vmd_guest_store_u32(call->guest, id_at, id);
    }
    return number ? new_object(call->guest, THREAD, id, 1) : 0;
}

/* OpenThread(access, is inherited, identifier) */
static uint64_t host_open_thread(struct vmd_host_call *call)
{
    uint32_t id = (uint32_t)call->args[2];

    return has_ended(call->guest, id) ? vmd_windows_error(call->guest, ERROR_INVALID_PARAMETER)
                                      : new_object(call->guest, THREAD, id, 1);
}

static uint64_t host_current_thread(struct vmd_host_call *call)
{
    return (uint64_t)CURRENT_THREAD;
}

static uint64_t host_current_thread_id(struct vmd_host_call *call)
{
    return identifier(call->guest, call->guest->state.running_thread);
}

/* DuplicateHandle(process, handle, process, &copy, ...) */
static uint64_t host_duplicate_handle(struct vmd_host_call *call)
{
    uint64_t handle = call->args[1];

    if (handle == (uint64_t)CURRENT_THREAD) {
        handle = new_object(call->guest, THREAD, (uint32_t)host_current_thread_id(call), 1);
    }
    vmd_guest_store_u64(call->guest, call->args[3], handle);
    return 1;
}

/* Events and semaphores */

/* CreateEvent(security, is manual, is set, name) */
static uint64_t host_create_event(struct vmd_host_call *call)
{
    return new_object(call->guest, EVENT, (uint32_t)call->args[2] != 0, (uint32_t)call->args[1]);
}

/* CreateSemaphore(security, value, maximum, name) */
static uint64_t host_create_semaphore(struct vmd_host_call *call)
{
    return new_object(call->guest, SEMAPHORE, (uint32_t)call->args[1], 0);
}

static uint64_t host_set_event(struct vmd_host_call *call)
{
    if (kind_of(call->guest, call->args[0]) == EVENT) {
        vmd_guest_store_u32(call->guest, call->args[0] + VALUE, 1);
    }
    return 1;
}

static uint64_t host_reset_event(struct vmd_host_call *call)
{
    if (kind_of(call->guest, call->args[0]) == EVENT) {
        vmd_guest_store_u32(call->guest, call->args[0] + VALUE, 0);
    }
    return 1;
}

/* ReleaseSemaphore(handle, count, &previous) */
static uint64_t host_release_semaphore(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;

    if (kind_of(guest, call->args[0]) == SEMAPHORE) {
        uint32_t value = vmd_guest_load_u32(guest, call->args[0] + VALUE);

        if (call->args[2]) {
            vmd_guest_store_u32(guest, call->args[2], value);
        }
        vmd_guest_store_u32(guest, call->args[0] + VALUE, value + (uint32_t)call->args[1]);
    }
    return 1;
}

/* Whether an object is signalled, as all are that are of no kind served here: files and processes do nothing. */
static bool is_signalled(struct vmd_guest *guest, uint64_t handle)
{
    uint32_t kind = kind_of(guest, handle);

    return kind == THREAD ? has_ended(guest, vmd_guest_load_u32(guest, handle + VALUE))
                          : (kind != EVENT && kind != SEMAPHORE) || vmd_guest_load_u32(guest, handle + VALUE);
}

/* What the end of a wait does to an object. */
static void take(struct vmd_guest *guest, uint64_t handle)
{
    uint32_t kind = kind_of(guest, handle);

    if ((kind == EVENT || kind == SEMAPHORE) && !vmd_guest_load_u32(guest, handle + MANUAL)) {
        vmd_guest_store_u32(guest, handle + VALUE, vmd_guest_load_u32(guest, handle + VALUE) - 1);
    }
}

/* The result of a wait for all of n objects, or for one of them; WAIT_TIMEOUT: it goes on. */
static uint32_t try_wait(struct vmd_guest *guest, const uint64_t *handles, uint32_t n, bool is_for_all)
{
    uint32_t first = n, n_signalled = 0;

    for (uint32_t i = n; i; i--) {
        if (is_signalled(guest, handles[i - 1])) {
            first = i - 1;
            n_signalled++;
        }
    }
    if (n_signalled < (is_for_all ? n : 1)) {
        return WAIT_TIMEOUT;
    }
    for (uint32_t i = first; i < (is_for_all ? n : first + 1); i++) {
        take(guest, handles[i]);
    }
    return WAIT_OBJECT_0 + first;
}

/* Once the other threads have run, a wait of limited time is over. */
static uint64_t wait_for(struct vmd_host_call *call, const uint64_t *handles, uint32_t n, bool is_for_all,
                         uint32_t milliseconds)
{
    uint32_t result = try_wait(call->guest, handles, n, is_for_all);

    while (result == WAIT_TIMEOUT && milliseconds && !call->guest->err.code) {
        if (vmd_cpu_stop_thread(call, VMD_THREAD_REPEATS)) {
            return 0;
        }
        vmd_host_wait(call);
        result = try_wait(call->guest, handles, n, is_for_all);
        milliseconds = milliseconds == INFINITE ? INFINITE : 0;
    }
    if (result != WAIT_TIMEOUT && call->guest->state.running_thread == VMD_MAIN_THREAD) {
        call->guest->state.n_blocks = 0; /* what it has waited for has happened */
    }
    return result;
}

/* WaitForSingleObject(handle, milliseconds) */
static uint64_t host_wait_for_object(struct vmd_host_call *call)
{
    return wait_for(call, &call->args[0], 1, false, (uint32_t)call->args[1]);
}

/* WaitForMultipleObjects(n, handles, is for all, milliseconds) */
static uint64_t host_wait_for_objects(struct vmd_host_call *call)
{
    uint32_t n = (uint32_t)call->args[0];
    uint64_t handles[OBJECTS_MAX];

    if (!n || n > OBJECTS_MAX) {
        vmd_windows_error(call->guest, ERROR_INVALID_PARAMETER);
        return WAIT_FAILED;
    }
    for (uint32_t i = 0; i < n; i++) {
        handles[i] = vmd_guest_load_u64(call->guest, call->args[1] + 8 * (uint64_t)i);
    }
    return wait_for(call, handles, n, (uint32_t)call->args[2], (uint32_t)call->args[3]);
}

/* SleepConditionVariable*, WaitOnAddress: as on other systems, a wakeup may be spurious. */
static uint64_t host_sleep(struct vmd_host_call *call)
{
    vmd_host_wait(call);
    return 1;
}

/* Thread-local storage, in the thread's TEB */

enum { TEB_SLOTS = 0x1480, SLOTS_MAX = 64, OUT_OF_INDEXES = 0xffffffff };

static uint64_t host_tls_alloc(struct vmd_host_call *call)
{
    uint64_t *n = &call->guest->state.n_pthread_keys;

    return *n < SLOTS_MAX ? (*n)++ : OUT_OF_INDEXES;
}

static uint64_t host_tls_get_value(struct vmd_host_call *call)
{
    uint32_t index = (uint32_t)call->args[0];

    return index < SLOTS_MAX ? vmd_guest_load_u64(call->guest, call->guest->thread + TEB_SLOTS + 8 * (uint64_t)index)
                             : 0;
}

static uint64_t host_tls_set_value(struct vmd_host_call *call)
{
    uint32_t index = (uint32_t)call->args[0];

    if (index >= SLOTS_MAX) {
        return 0;
    }
    vmd_guest_store_u64(call->guest, call->guest->thread + TEB_SLOTS + 8 * (uint64_t)index, call->args[1]);
    return 1;
}

/* InitOnceExecuteOnce(once, function, parameter, &context) */
static uint64_t host_init_once(struct vmd_host_call *call)
{
    if (!vmd_guest_load_u64(call->guest, call->args[0])) {
        vmd_guest_store_u64(call->guest, call->args[0], 2);
        vmd_host_call_guest(call, call->args[1], (uint64_t[]){call->args[0], call->args[2], call->args[3]}, 3);
    }
    return 1;
}

VMD_SERVE_ON(VMD_WINDOWS, {"CreateThread", host_create_thread}, {"_beginthreadex", host_create_thread},
             {"OpenThread", host_open_thread}, {"GetCurrentThread", host_current_thread},
             {"GetCurrentThreadId", host_current_thread_id}, {"DuplicateHandle", host_duplicate_handle},
             {"CreateEventA", host_create_event}, {"CreateEventW", host_create_event},
             {"CreateSemaphoreA", host_create_semaphore}, {"CreateSemaphoreW", host_create_semaphore},
             {"SetEvent", host_set_event}, {"ResetEvent", host_reset_event},
             {"ReleaseSemaphore", host_release_semaphore}, {"WaitForSingleObject", host_wait_for_object},
             {"WaitForSingleObjectEx", host_wait_for_object}, {"WaitForMultipleObjects", host_wait_for_objects},
             {"WaitForMultipleObjectsEx", host_wait_for_objects}, {"SleepConditionVariableSRW", host_sleep},
             {"SleepConditionVariableCS", host_sleep}, {"WaitOnAddress", host_sleep}, {"TlsAlloc", host_tls_alloc},
             {"TlsGetValue", host_tls_get_value}, {"TlsSetValue", host_tls_set_value},
             {"InitOnceExecuteOnce", host_init_once}, WORKS("TlsFree"), WORKS("CloseHandle"),
             WORKS("SetThreadPriority"), WORKS("SwitchToThread"), WORKS("ResumeThread"),
             WORKS("TryAcquireSRWLockExclusive"), WORKS("TryEnterCriticalSection"),
             WORKS("InitializeCriticalSectionAndSpinCount"), WORKS("GetHandleInformation"),
             WORKS("SetHandleInformation"), WORKS("QueueUserAPC"), WORKS("SetThreadAffinityMask"),
             NOTHING("GetThreadPriority"), NOTHING("SuspendThread"), NOTHING("InitializeCriticalSection"),
             NOTHING("EnterCriticalSection"), NOTHING("LeaveCriticalSection"), NOTHING("DeleteCriticalSection"),
             NOTHING("InitializeSRWLock"), NOTHING("AcquireSRWLockExclusive"), NOTHING("ReleaseSRWLockExclusive"),
             NOTHING("AcquireSRWLockShared"), NOTHING("ReleaseSRWLockShared"), NOTHING("InitializeConditionVariable"),
             NOTHING("WakeConditionVariable"), NOTHING("WakeAllConditionVariable"), NOTHING("WakeByAddressSingle"),
             NOTHING("WakeByAddressAll"), NOTHING("SetThreadDescription"), NOTHING("Sleep"), NOTHING("SleepEx"))

VMD_NAMES_ON(VMD_WINDOWS, {"_endthreadex", "pthread_exit"}, {"ExitThread", "pthread_exit"})
