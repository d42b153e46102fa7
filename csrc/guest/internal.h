/*
 * The inside of a guest, shared by the files that make it up: guest.c (memory), imports.c, cpu/ (Unicorn),
 * objects/ (formats of executables), arch/ (hosts), and host/, one file for each subject of libc, GLib and other
 * libraries that a guest calls.
 *
 * A host file registers its functions with VMD_SERVE; nothing else names them. State of host functions between
 * calls is in the guest's own memory, in struct vmd_guest_state, or in a container (containers.h): a
 * snapshot saves these three.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_INTERNAL_H
#define VMD_GUEST_INTERNAL_H

#include <string.h>

#include "base/ghash.h"
#include "base/load.h"
#include "guest/arch.h"
#include "guest/guest.h"

enum { VMD_TRAMPOLINE_SIZE = 16 }; /* bytes of one */

struct vmd_host_import;

/* A call of a host function. */
struct vmd_host_call {
    struct vmd_guest *guest;
    struct vmd_host_import *import;
    uint64_t args[VMD_ARGS_MAX]; /* the first arguments, at least VMD_ARGS_READ, as integers */
    int n_args;                  /* number of those that registers pass */
    uint64_t stack;              /* where further ones are */
};

typedef uint64_t vmd_host_fn(struct vmd_host_call *call);

struct vmd_host_function {
    const char *name;
    vmd_host_fn *function;
};

/* The functions that one file serves: to guests of all platforms, or of one, where they replace those of all. */
struct vmd_host_library {
    const struct vmd_host_function *functions;
    size_t n;
    int platform; /* enum vmd_platform, or VMD_ALL_PLATFORMS */
    struct vmd_host_library *next;
};

enum { VMD_ALL_PLATFORMS = -1 };

void vmd_host_register(struct vmd_host_library *library);

/* The first of all libraries. */
const struct vmd_host_library *vmd_host_libraries(void);

/* Registers a file's functions when the core is loaded: VMD_SERVE({"strlen", host_strlen}, ...) */
#define VMD_SERVE(...) VMD_SERVE_ON(VMD_ALL_PLATFORMS, __VA_ARGS__)

/* The same for one platform: VMD_SERVE_ON(VMD_WINDOWS, {"SetEvent", host_set_event}, ...) */
#define VMD_SERVE_ON(platform, ...)                                                                                    \
    static const struct vmd_host_function served_functions[] = {__VA_ARGS__};                                          \
    __attribute__((constructor)) static void register_served_functions(void)                                           \
    {                                                                                                                  \
        static struct vmd_host_library library = {                                                                     \
            served_functions, sizeof(served_functions) / sizeof(*served_functions), platform, NULL};                   \
        vmd_host_register(&library);                                                                                   \
    }

/* Other names of functions on a platform. */
struct vmd_host_name {
    const char *name, *original;
};

struct vmd_host_names {
    const struct vmd_host_name *names;
    size_t n;
    enum vmd_platform platform;
    struct vmd_host_names *next;
};

void vmd_host_register_names(struct vmd_host_names *names);

/* Registers them: VMD_NAMES_ON(VMD_WINDOWS, {"_close", "close"}, ...) */
#define VMD_NAMES_ON(platform, ...)                                                                                    \
    static const struct vmd_host_name other_names[] = {__VA_ARGS__};                                                   \
    __attribute__((constructor)) static void register_other_names(void)                                                \
    {                                                                                                                  \
        static struct vmd_host_names names = {other_names, sizeof(other_names) / sizeof(*other_names), platform,       \
                                              NULL};                                                                   \
        vmd_host_register_names(&names);                                                                               \
    }

/* A function without effect here, for example a lock: returns 0, or 1. */
uint64_t vmd_host_zero(struct vmd_host_call *call);
uint64_t vmd_host_one(struct vmd_host_call *call);

/* Entries for them: NOTHING("mlock"), WORKS("CloseHandle") */
#define NOTHING(name) {name, vmd_host_zero}
#define WORKS(name) {name, vmd_host_one}

/* A function that returns its first argument. */
uint64_t vmd_host_same(struct vmd_host_call *call);
/* A function that fails with ENOSYS and returns -1. */
uint64_t vmd_host_unsupported(struct vmd_host_call *call);

struct vmd_host_import {
    char *name;
    uint64_t address;
    vmd_host_fn *function; /* NULL: not served, it returns 0; or a variable */
    bool is_missed;        /* it was called and is not implemented, or not for these arguments */
};

/* State of the host functions of one guest. Plain data: a snapshot copies it. Numbers are bounds as well. */
enum {
    VMD_HEAP_CLASSES = 256,
    VMD_FILES_MAX = 256,
    VMD_FIRST_DESCRIPTOR = 10, /* the first number for files that a guest opens */
    VMD_THREADS_MAX = 512,
    VMD_KEYS_MAX = 256,
    VMD_SOURCES_MAX = 64,
    VMD_SIGNALS_MAX = 65,
};

enum vmd_file_kind {
    VMD_FILE_CLOSED,
    VMD_FILE_DATA,
    VMD_FILE_EVENT,
    VMD_FILE_COUNTER,
    VMD_FILE_DEVICE,
    VMD_FILE_DIRECTORY,
};

struct vmd_open_file {
    enum vmd_file_kind kind;
    uint32_t device; /* of VMD_FILE_DEVICE: which, see host/kvm.c */
    const char *data;
    uint64_t size, position; /* position: of VMD_FILE_COUNTER its value */
};

/* What a call preserves: callee-saved registers, the stack pointer, and the return address. */
struct vmd_frame {
    uint64_t sp, return_address;
    uint64_t saved[VMD_SAVED_WORDS_MAX]; /* vmd_arch.saved, then saved_vectors, two words each */
};

/* The bytes that are used of a host's frame. */
static inline size_t vmd_frame_size(const struct vmd_arch *host)
{
    return offsetof(struct vmd_frame, saved) + 8 * (size_t)(host->n_saved + 2 * host->n_saved_vectors);
}

enum { VMD_THREAD_ARGUMENTS = 4 }; /* no host passes fewer in registers */

enum vmd_thread_kind { VMD_THREAD_ENDED, VMD_THREAD_NEW, VMD_THREAD_RUNNING, VMD_THREAD_WAITING };

struct vmd_thread {
    enum vmd_thread_kind kind;
    uint32_t generation; /* number of threads that were this one before */
    uint64_t function;
    uint64_t stack, pointer; /* top of its stack; thread pointer */
    struct vmd_frame frame;  /* of VMD_THREAD_WAITING */
    uint64_t repeated;       /* of VMD_THREAD_WAITING: the host function that it calls again; 0: it returns from one */
    uint64_t arguments[VMD_THREAD_ARGUMENTS]; /* of the repeated function; first: that of function */
};

/* An attached GSource; and a GPollFD of one, see host/main_context.c. */
struct vmd_source {
    uint64_t address;
    bool is_ready;
};

struct vmd_poll {
    uint64_t source, at;
};

struct vmd_guest_state {
    uint64_t free;                         /* offset of the first byte that was never allocated */
    uint64_t free_lists[VMD_HEAP_CLASSES]; /* addresses of the first free block of each class */
    uint8_t fill;                          /* the byte that fills memory from malloc */
    uint64_t ticks;                        /* microseconds by which the guest's clock has moved */
    struct vmd_open_file files[VMD_FILES_MAX];
    struct vmd_source sources[VMD_SOURCES_MAX];
    struct vmd_poll polls[VMD_FILES_MAX];
    struct vmd_thread threads[VMD_THREADS_MAX];
    unsigned n_threads, n_new_threads;
    unsigned n_blocks;           /* waits of the main thread in a row that had no effect */
    uint64_t running_thread;     /* number of the running thread; 1: the main thread */
    uint64_t keys[VMD_KEYS_MAX]; /* of pthread_key_create */
    uint64_t n_pthread_keys;
    uint64_t private_keys[VMD_KEYS_MAX], private_values[VMD_KEYS_MAX]; /* of GPrivate, by address */
    uint64_t n_privates;
    uint64_t streams; /* msvcrt's standard streams */
    uint64_t program_name, strtok, quarks, interned, n_quarks, main_context, random;
    uint64_t ctype_tables[3];
    uint64_t heap, heap_end; /* of a statically linked binary: what brk has reserved, and its current end */
    uint64_t signal_handlers[VMD_SIGNALS_MAX];
    uint64_t pending_signals; /* a bit for each that was sent and not handled, as in sigset_t */
    uint64_t blocked_signals; /* the mask, which has no effect: handlers run when their signals are waited for */
    uint64_t signal_stack, signal_stack_size;
    uint64_t kvm_state, n_kvm_state; /* lists of records of kvm_state.c, number of records */
    bool is_paused;
    uint64_t paused_at, paused_stack;
    uint64_t output_size; /* bytes of the guest's output that have been kept */
};

/* What has a number instead of an address in the guest: hash tables and trees, see containers.h. */
struct vmd_containers {
    struct vmd_container **all; /* by number; NULL: freed */
    size_t n, room, first_free; /* no number below first_free is free */
    uint64_t n_keys;            /* in all of them */
};

struct vmd_cpu;

struct vmd_guest {
    const struct vmd_arch *host; /* the architecture that the binary runs on */
    bool is_swapped;             /* its byte order is not that of this process */
    bool no_memfd, sgx_vepc;     /* of the host, see vmd_guest_set_host */
    uint64_t page_size;
    struct vmd_guest_kvm kvm;
    char *memory;
    uint64_t base; /* address of the first byte of memory */
    uint64_t size;
    int memory_file; /* of a guest that can be rewound: the file behind its memory; else -1 */
    uint64_t trampolines, stop, thread, stack, errno_at;
    uint64_t pthreads;  /* structs of all threads, if pthread_t is the address of one */
    uint64_t returned;  /* where a call returns to that may pause: a trampoline */
    uint64_t tls_size;  /* of the main binary's TLS segment, aligned */
    uint64_t tls_image; /* its initial bytes */
    uint64_t image;     /* address of the main binary, if it is a PE object */
    struct vmd_guest_limits limits;
    struct vmd_guest_services services;
    bool queue_inits;     /* register_dso_module_init is the host's */
    bool tolerate_faults; /* of functions that are called for each key of a hash table */
    struct vmd_cpu *cpu;
    struct vmd_error err; /* the first failure of this call */
    uint64_t failed_at;   /* the address that was executed then */
    struct vmd_host_import imports[VMD_GUEST_TRAMPOLINES];
    size_t n_imports;
    struct vmd_ghash import_of; /* name -> index of imports */
    struct vmd_guest_state state;
    struct vmd_containers containers;
    size_t n_objects; /* that have been linked */
    char *output;     /* output of the guest */
    struct vmd_guest_snapshot *snapshot;
    struct vmd_trace *trace; /* see trace.h; NULL until the first one */
    uint64_t *inits;         /* pairs */
    size_t n_inits, inits_room;
    struct vmd_guest_fault *faults;
    size_t n_faults;
};

/*
 * Values in the guest's memory, in its byte order; unaligned. vmd_load_u64 and so on are for data that only this
 * process reads.
 */
static inline uint64_t vmd_get_u64(const struct vmd_guest *guest, const void *from)
{
    uint64_t value = vmd_load_u64(from);

    return guest->is_swapped ? __builtin_bswap64(value) : value;
}

static inline uint32_t vmd_get_u32(const struct vmd_guest *guest, const void *from)
{
    uint32_t value = vmd_load_u32(from);

    return guest->is_swapped ? __builtin_bswap32(value) : value;
}

static inline int32_t vmd_get_i32(const struct vmd_guest *guest, const void *from)
{
    return (int32_t)vmd_get_u32(guest, from);
}

static inline void vmd_put_u64(const struct vmd_guest *guest, void *to, uint64_t value)
{
    vmd_store_u64(to, guest->is_swapped ? __builtin_bswap64(value) : value);
}

static inline void vmd_put_u32(const struct vmd_guest *guest, void *to, uint32_t value)
{
    vmd_store_u32(to, guest->is_swapped ? __builtin_bswap32(value) : value);
}

static inline uint16_t vmd_get_u16(const struct vmd_guest *guest, const void *from)
{
    uint16_t value = vmd_load_u16(from);

    return guest->is_swapped ? __builtin_bswap16(value) : value;
}

static inline void vmd_put_u16(const struct vmd_guest *guest, void *to, uint16_t value)
{
    vmd_store_u16(to, guest->is_swapped ? __builtin_bswap16(value) : value);
}

/* size bytes of the guest's memory at address, or NULL. */
static inline char *vmd_guest_find(const struct vmd_guest *guest, uint64_t address, uint64_t size)
{
    uint64_t offset = address - guest->base;

    return offset < guest->size && size <= guest->size - offset ? guest->memory + offset : NULL;
}

/* The same; NULL: the current call fails. */
char *vmd_guest_at(struct vmd_guest *guest, uint64_t address, uint64_t size);

/* Words of the guest; outside of its memory: 0 or nothing, and the call fails. */
uint64_t vmd_guest_load_u64(struct vmd_guest *guest, uint64_t address);
uint32_t vmd_guest_load_u32(struct vmd_guest *guest, uint64_t address);
void vmd_guest_store_u64(struct vmd_guest *guest, uint64_t address, uint64_t value);
void vmd_guest_store_u32(struct vmd_guest *guest, uint64_t address, uint32_t value);

/* Longer names are no function's. Symbols of a hostile file may all share one long string. */
enum { VMD_NAME_SIZE_MAX = 4096 };

/* The process, its user and the processors of its machine: functions and system calls return the same. */
enum { VMD_PROCESS_ID = 4242, VMD_USER_ID = 1000, VMD_PROCESSORS = 2 };

/* Functions that are system calls, too. See host/time.c. */
vmd_host_fn vmd_host_clock_gettime, vmd_host_gettimeofday, vmd_host_time;

/* The name of the host function at an address, or NULL. */
const char *vmd_guest_import_name(const struct vmd_guest *guest, uint64_t address);

/* Add all functions of the host to a new guest; VMD_NO_MEMORY. */
enum vmd_status vmd_imports_init(struct vmd_guest *guest);
void vmd_imports_deinit(struct vmd_guest *guest);

/* The variable of the host of that name, which objects have copies of: its address, or 0. */
uint64_t vmd_guest_variable(const struct vmd_guest *guest, const char *name);

/* The start of thread-local data: of the running thread, and of the one with this thread pointer. */
uint64_t vmd_guest_tls(const struct vmd_guest *guest);

static inline uint64_t vmd_guest_tls_at(const struct vmd_guest *guest, uint64_t thread)
{
    return guest->host->tls == VMD_TLS_BEFORE ? thread - guest->tls_size : thread + guest->host->tls_offset;
}

/* Write a thread's control block: its own address, where data is before it. */
void vmd_guest_init_thread(struct vmd_guest *guest, uint64_t thread);

/* Fail the current call; the first failure counts. */
void vmd_guest_fail(struct vmd_guest *guest, enum vmd_status code, uint64_t address, const char *message);

/* The same, with the guest's own message. */
void vmd_guest_fail_with(struct vmd_guest *guest, enum vmd_status code, uint64_t address, const char *message,
                         const char *detail);

/* Sets the guest's errno to the platform's number of an error. Returns -1. */
uint64_t vmd_host_errno(struct vmd_guest *guest, int number);

/* The text of an error by the platform's number. */
const char *vmd_host_error_text(const struct vmd_guest *guest, uint32_t number);

/* Whether vmd_guest_alloc finds memory. */
bool vmd_guest_has_room(const struct vmd_guest *guest, uint64_t size, uint64_t align);

/* Memory (host/memory.c) and strings (host/strings.c), for other functions of the host. */

/* Zeroed memory for the guest. 0: there is no room, and the call fails. */
uint64_t vmd_host_allocate(struct vmd_guest *guest, uint64_t size);
uint64_t vmd_host_reallocate(struct vmd_guest *guest, uint64_t old, uint64_t size);
void vmd_host_free(struct vmd_guest *guest, uint64_t address);

/* A string of the guest, or NULL, and the call fails. */
const char *vmd_host_string(struct vmd_guest *guest, uint64_t address);

/* A new string for the guest, of size bytes. 0: there is no room, and the call fails. */
uint64_t vmd_host_put_string(struct vmd_guest *guest, const char *text, size_t size);

/* strcmp, for functions that are defined by it. */
uint64_t vmd_host_strcmp(struct vmd_host_call *call);

/* Makes GLib's variable g_ascii_table. */
enum vmd_status vmd_host_init_ascii_table(struct vmd_guest *guest);

/* Append to the output of the guest, up to a limit. */
void vmd_host_print(struct vmd_guest *guest, const char *text, size_t size);

/* Sorts n elements of the guest by a function of it: stable, as GLib's and glibc's sorts are. */
void vmd_host_sort(struct vmd_host_call *call, uint64_t base, uint64_t n, uint64_t size, uint64_t compare,
                   bool has_data, uint64_t data);

/* The same for pointers, which the function gets themselves. */
void vmd_host_sort_pointers(struct vmd_host_call *call, uint64_t base, uint64_t n, uint64_t compare, bool has_data,
                            uint64_t data);

/* The sign of the result of a comparison function of the guest. */
int vmd_host_compare(struct vmd_host_call *call, uint64_t function, uint64_t a, uint64_t b, bool has_data,
                     uint64_t data);

/* CPU (cpu/) */

enum vmd_status vmd_cpu_create(struct vmd_guest *guest, const char *unicorn, struct vmd_error *err);
void vmd_cpu_destroy(struct vmd_guest *guest);

/* Stop the execution. */
void vmd_cpu_stop(struct vmd_guest *guest);

/* The host function behind vmd_guest.returned: ends the call that may pause. */
uint64_t vmd_cpu_return(struct vmd_host_call *call);

uint64_t vmd_cpu_read(struct vmd_guest *guest, int reg);
void vmd_cpu_write(struct vmd_guest *guest, int reg, uint64_t value);
/* Registers of more than 64 bits, whole. */
void vmd_cpu_read_vector(struct vmd_guest *guest, int reg, void *ret);
void vmd_cpu_write_vector(struct vmd_guest *guest, int reg, const void *value);
void vmd_cpu_set_thread(struct vmd_guest *guest, uint64_t pointer);
double vmd_cpu_read_double(struct vmd_guest *guest, int n);
float vmd_cpu_read_float(struct vmd_guest *guest, int n);
void vmd_cpu_return_double(struct vmd_guest *guest, double value);
void vmd_cpu_return_float(struct vmd_guest *guest, float value);

/* Within a host function: the frame of its caller; and to return to another one. */
void vmd_cpu_save_frame(struct vmd_guest *guest, struct vmd_frame *frame);
void vmd_cpu_restore_frame(struct vmd_guest *guest, const struct vmd_frame *frame);
/* The callee-saved registers of a frame alone. */
void vmd_cpu_restore_saved(struct vmd_guest *guest, const struct vmd_frame *frame);

/* Makes the guest's own: registers and translated code for a snapshot. NULL: no memory. */
void *vmd_cpu_save(struct vmd_guest *guest);
void vmd_cpu_restore(struct vmd_guest *guest, void *context);
void vmd_cpu_forget(struct vmd_guest *guest, void *context);

/* Keep the paused call for the snapshot that is made now, and return to it. */
void vmd_cpu_keep_paused(struct vmd_guest *guest);
void vmd_cpu_restore_paused(struct vmd_guest *guest);

/* Drops translated code: the bytes that it was translated from may have changed. */
void vmd_cpu_flush(struct vmd_guest *guest);

/* Adds and removes the hook on reads of memory, and drops code that was translated without or with it. */
bool vmd_cpu_hook_reads(struct vmd_guest *guest, void (*callback)(void *engine, int type, uint64_t address, int size,
                                                                  int64_t value, void *user));
void vmd_cpu_unhook_reads(struct vmd_guest *guest);

/* Calls a function of the guest from within a call of the host. */
uint64_t vmd_host_call_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args);

/* The same with two integers, as most callbacks have them. */
static inline uint64_t vmd_host_callback(struct vmd_host_call *call, uint64_t function, uint64_t a, uint64_t b)
{
    return vmd_host_call_guest(call, function, (uint64_t[]){a, b}, 2);
}

/*
 * The same, but a fault of the function (VMD_BAD_REFERENCE) ends it alone: false, and ret says what it was. Any other
 * failure ends the whole call.
 */
bool vmd_host_try_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args,
                        struct vmd_error *ret);

/* Start or continue a thread of the guest until it ends or waits; sets its kind. */
void vmd_cpu_run_thread(struct vmd_host_call *call, struct vmd_thread *thread);

enum vmd_thread_stop {
    VMD_THREAD_RETURNS, /* run again, it returns from the host function with 0 */
    VMD_THREAD_REPEATS, /* run again, it calls the host function again, with VMD_THREAD_ARGUMENTS arguments */
    VMD_THREAD_ENDS,
};

/* Stop the running thread; false: it is the main thread. A thread within a callback of a host function ends. */
bool vmd_cpu_stop_thread(struct vmd_host_call *call, enum vmd_thread_stop stop);

#endif
