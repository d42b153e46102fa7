/*
 * The inside of a guest's CPU, shared by the files of this folder.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_CPU_CPU_H
#define VMD_GUEST_CPU_CPU_H

#include <pthread.h>
#include <stdatomic.h>

#include "guest/internal.h"

/* Constants of Unicorn's API (2.x). */
enum {
    UC_PROT_READ = 1,
    UC_PROT_WRITE = 2,
    UC_PROT_ALL = 7,
    UC_MEM_FETCH = 18,
    UC_HOOK_INTR = 1,
    UC_HOOK_INSN = 2,
    UC_HOOK_BLOCK = 8,
    UC_HOOK_MEM_INVALID = 1008,
    UC_HOOK_MEM_READ = 1024,
    UC_HOOK_INSN_INVALID = 16384,
    UC_HOOK_EDGE_GENERATED = 32768,
    UC_HOOK_TLB_FILL = 131072,
    UC_TLB_VIRTUAL = 1,
    UC_CTL_CPU_MODEL = 7,
    UC_CTL_TB_REMOVE_CACHE = 9,
    UC_CTL_TB_FLUSH = 10,
    UC_CTL_TLB_FLUSH = 11,
    UC_CTL_TLB_TYPE = 12,
    UC_CTL_WRITE = 1 << 30,
    UC_CTL_ARGUMENTS = 26, /* shift of their number */
};

enum { CODE_PAGE = 4096 }; /* bytes of a page that is executable or not */

/* Pages in Unicorn's TLB: at first, at most; misses for each after which it grows. */
enum { TLB_PAGES = 256, TLB_PAGES_MAX = 2048, TLB_MISSES_PER_PAGE = 4 };

/* Unicorn allows 64 nested executions. */
enum { DEPTH_MAX = 56 };

struct unicorn {
    int (*open)(int arch, int mode, void **engine);
    int (*close)(void *engine);
    int (*mem_map_ptr)(void *engine, uint64_t address, uint64_t size, uint32_t perms, void *memory);
    int (*hook_add)(void *engine, void **hook, int type, void *callback, void *user, uint64_t begin, uint64_t end, ...);
    int (*hook_del)(void *engine, void *hook);
    int (*reg_write)(void *engine, int reg, const void *value);
    int (*reg_read)(void *engine, int reg, void *value);
    int (*reg_read_batch)(void *engine, int *regs, void **values, int count);
    int (*emu_start)(void *engine, uint64_t begin, uint64_t until, uint64_t microseconds, size_t count);
    int (*emu_stop)(void *engine);
    int (*ctl)(void *engine, unsigned control, ...);
    int (*context_alloc)(void *engine, void **context);
    int (*context_save)(void *engine, void *context);
    int (*context_restore)(void *engine, void *context);
    int (*context_free)(void *context);
    const char *(*strerror)(int code);
    unsigned (*version)(unsigned *major, unsigned *minor);
};

struct vmd_cpu {
    void *library;
    struct unicorn unicorn;
    void *engine;
    void *read_hook; /* or NULL */
    const struct vmd_arch *host;
    unsigned depth;             /* calls of the guest from within calls of the host */
    unsigned thread_depth;      /* depth at which the running thread began; 0: main thread */
    struct vmd_thread *running; /* the thread at thread_depth */
    unsigned char *code_pages;  /* a bit for each page: code of it has been executed */
    unsigned tlb_pages;         /* in Unicorn's TLB */
    unsigned tlb_misses;        /* since it has that many */
    void *paused;               /* registers of the last paused call */
    void *kept;                 /* those of the call that was paused when the snapshot was made */
    bool has_returned;          /* the call with pause_at returned without a pause */
    bool is_freezing;           /* the running thread ends: all calls down to thread_depth return */
    uint64_t retranslated;      /* address of a block whose code has been overwritten, or 0 */
    uint64_t retranslated_size; /* its bytes */
    unsigned tried;             /* depth of the innermost call that may fail alone; 0: none */
    uint64_t nanoseconds_left;  /* of CPU time, for calls */
    atomic_int stopping;        /* why the caller wants the call to end, or VMD_OK */
    pthread_mutex_t lock;
    pthread_cond_t ended;
};

/* A function of the guest that returns at once. */
static inline uint64_t vmd_cpu_empty_function(const struct vmd_guest *guest)
{
    return guest->stop + VMD_TRAMPOLINE_SIZE;
}

/* Execute from an address up to until, or to the first failure. */
void vmd_cpu_execute(struct vmd_guest *guest, uint64_t start, uint64_t until);

/* Call a function on the stack at sp until it returns, or enters pause_at (0: none). */
uint64_t vmd_cpu_call_until(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args, uint64_t sp,
                            uint64_t pause_at);

/* Start a program at its entry with this stack pointer, up to pause_at. */
void vmd_cpu_start(struct vmd_guest *guest, uint64_t entry, uint64_t sp, uint64_t pause_at);

/* Let the guest's system calls be served. False: Unicorn refuses the hook. */
bool vmd_cpu_hook_syscalls(struct vmd_guest *guest);

/* Adds the hooks for instructions that are executed in C. */
bool vmd_cpu_hook_replaced(struct vmd_guest *guest);

/* Whether execution has stopped to translate a block again: drops its translation, and execution continues at start. */
bool vmd_cpu_retranslate(struct vmd_guest *guest, uint64_t *start);

/* The failure message of a call that exceeds its time. */
#define VMD_CPU_TOO_LONG "it does not come to an end"

#endif
