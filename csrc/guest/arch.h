/*
 * Hosts: one table for each CPU and platform, in a file of its own in arch/, which registers it. Hosts with the same
 * CPU share its part, a macro in a header there. No other file depends on a CPU or a platform.
 *
 * Register numbers are Unicorn's (2.x).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_ARCH_H
#define VMD_GUEST_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/guest.h"

enum {
    VMD_ARGS_MAX = 8,
    VMD_ARGS_READ = 6,
    VMD_SAVED_MAX = 24,
    VMD_SAVED_VECTORS_MAX = 10,
    VMD_SAVED_WORDS_MAX = 28,
    VMD_CODE_MAX = 8
};

/* Kinds of relocations, independent of the architecture. */
enum vmd_relocation {
    VMD_RELOCATION_UNKNOWN,
    VMD_RELOCATION_NONE,
    VMD_RELOCATION_RELATIVE,
    VMD_RELOCATION_SYMBOL,
    VMD_RELOCATION_COPY,
    VMD_RELOCATION_TP_OFFSET,
    VMD_RELOCATION_TLS_MODULE,
    VMD_RELOCATION_TLS_OFFSET,
    VMD_RELOCATION_TLS_DESCRIPTOR,
};

struct vmd_relocation_type {
    uint32_t type; /* R_... */
    enum vmd_relocation kind;
};

/* The main binary's thread-local data: it ends at the thread pointer, or begins tls_offset bytes after it. */
enum vmd_tls { VMD_TLS_BEFORE, VMD_TLS_AFTER };

/* A register that must be set before code can be executed. */
struct vmd_register_value {
    int reg; /* 0: none */
    uint64_t value;
};

/*
 * Instructions that Unicorn lacks or executes wrongly, which are executed in C. The latter are overwritten with invalid
 * ones when their block is translated. See cpu/replaced.c.
 */
struct vmd_replacement {
    /*
     * The offset of the first such instruction that begins within the first block bytes of code; SIZE_MAX: none. NULL:
     * they are invalid for Unicorn as they are.
     */
    size_t (*find)(const uint8_t *code, size_t block, size_t size);
    /* Make an instruction invalid, in place; its length and operands remain. */
    void (*overwrite)(uint8_t *code, size_t size);
    /*
     * Execute the instruction at pc, overwritten or not; returns its length. 0: it is none of these. A failure of the
     * current call: it cannot be executed.
     */
    size_t (*execute)(struct vmd_guest *guest, uint64_t pc, const uint8_t *code, size_t size);
    bool is_interrupt; /* Unicorn reports an invalid instruction as an interrupt */
    uint32_t skew;     /* bytes that the program counter is ahead then */
};

/* A number of this process, and the platform's for the same. {0, 0} ends a table. */
struct vmd_number {
    int here, there;
};

/* The other number; missing: the table lacks this one. */
int vmd_number_here(const struct vmd_number *numbers, int there, int missing);
int vmd_number_there(const struct vmd_number *numbers, int here, int missing);

struct vmd_code;
struct vmd_syscalls;
struct vmd_guest_use;
struct vmd_host_call;

struct vmd_arch {
    uint16_t e_machine;
    enum vmd_platform platform;
    const char *name; /* of uname() */
    bool is_big_endian;

    /* CPU */
    int unicorn_arch, unicorn_mode;
    int cpu_model; /* Unicorn's number, or -1 for its default */
    struct vmd_register_value start[2];
    int pc, sp;
    int thread_pointer;
    int thread_pointer_low; /* register of its lower 32 bits, if thread_pointer has the upper ones only; else 0 */
    int link;               /* register of the return address; 0: on the stack */
    uint8_t return_code[VMD_CODE_MAX];         /* an instruction that returns, and zeros */
    const struct vmd_replacement *replacement; /* or NULL */

    /* Calls */
    int result, result_high;    /* of integers, and the upper half of 128-bit ones */
    int n_args;                 /* number of integer arguments in registers */
    int args[VMD_ARGS_MAX + 1]; /* their registers, then the stack pointer */
    bool args_are_positional;   /* an argument is in the register of its position, whatever its type */
    int n_float_args;           /* number of variadic floating-point arguments in registers; 0: passed as integers */
    int float_args[8];          /* registers of floating-point arguments; the first is also the result's */
    uint32_t float_shift;       /* lowest bit of a float in these registers */
    bool is_nan_boxed;          /* the bits above a float are set */
    int n_saved;                /* callee-saved registers, without stack pointer */
    int saved[VMD_SAVED_MAX];   /* 64 bits are saved of each */
    int n_saved_vectors;        /* those of which 128 bits are saved */
    int saved_vectors[VMD_SAVED_VECTORS_MAX];
    uint32_t frame_size; /* bytes that a caller leaves at its stack pointer: return address, register saves */

    /* Variadic arguments */
    bool is_variadic_on_stack; /* all of them are passed on the stack, 8 bytes each */
    bool va_list_is_pointer;   /* to the next argument; else va_list is passed as the address of a struct */
    uint32_t va_list_stack;    /* offset in that of the pointer to arguments on the stack */
    /* The address of the next argument if it was passed in a register: advances the struct. 0: it is on the stack. */
    uint64_t (*next_saved_register)(struct vmd_guest *guest, uint64_t va_list, bool is_double);
    bool long_is_int; /* long has 4 bytes, not 8 */
    bool has_x87;     /* long double is x87's, on the stack, aligned to 16 bytes */

    /* Objects */
    const struct vmd_relocation_type *relocations;
    size_t n_relocations;
    enum vmd_tls tls;
    uint32_t tls_offset;
    uint32_t tls_bias; /* subtracted from offsets of TLS_OFFSET relocations */
    /* Write the control block of a thread; NULL: its own address, if TLS data is before it. */
    void (*init_thread)(struct vmd_guest *guest, uint64_t thread);
    uint32_t stack_protector; /* offset of its value from the thread pointer; 0: in the variable __stack_chk_guard */

    /* C library: numbers and structs */
    enum vmd_status (*define_variables)(struct vmd_guest *guest);
    const struct vmd_number *errnos;        /* errors with other numbers; NULL: there are none */
    const struct vmd_number *sysconf_names; /* all names of sysconf() that are served; NULL: those of this process */
    uint32_t stat_size, stat_mode, stat_length, stat_block_size; /* sizeof(struct stat); offsets of st_mode and so on */
    uint32_t statfs_size, statfs_word;    /* sizeof(struct statfs) and of its f_type and f_bsize */
    uint32_t open_directory, open_create; /* O_DIRECTORY, O_CREAT */
    uint32_t pthread_size; /* pthread_t is the address of a struct, of which code uses this much; 0: a number */
    uint32_t limit_files;  /* RLIMIT_NOFILE */
    uint32_t once_init;    /* PTHREAD_ONCE_INIT, of which this is the first word */
    uint32_t n_signals;    /* 32 or 64, of which sigset_t begins with a word of as many bits; 0: no such type */
    uint32_t signal_block; /* SIG_BLOCK, which SIG_UNBLOCK and SIG_SETMASK follow */
    uint32_t stack_size, stack_flags, stack_disabled; /* stack_t: offsets of ss_size and ss_flags; SS_DISABLE */

    /* Linux */
    uint64_t hwcap; /* AT_HWCAP */
    uint32_t syscall_futex, syscall_gettid;
    /* Serve a system call that no other architecture has: its number and arguments are the call's. NULL: there is none.
     */
    bool (*serve_syscall)(struct vmd_host_call *call, uint64_t *ret);
    const struct vmd_syscalls *syscalls; /* of statically linked binaries; NULL: not served */

    /* See code_uses.h. */
    uint64_t (*find_uses)(const struct vmd_code *code, struct vmd_guest_use *uses, uint64_t room);
};

/* The host with this CPU (ELF's number of it, e_machine) and platform, or NULL. */
const struct vmd_arch *vmd_arch_of(uint16_t e_machine, enum vmd_platform platform);

struct vmd_arch_entry {
    const struct vmd_arch *arch;
    struct vmd_arch_entry *next;
};
void vmd_arch_register(struct vmd_arch_entry *entry);

/* Registers a file's table when the core is loaded. */
#define VMD_ARCH(table)                                                                                                \
    __attribute__((constructor)) static void register_arch(void)                                                       \
    {                                                                                                                  \
        static struct vmd_arch_entry entry = {&(table), NULL};                                                         \
        vmd_arch_register(&entry);                                                                                     \
    }

#endif
