/*
 * x86-64 hosts with Linux. See arch.h.
 *
 * Source: the System V ABI's supplement for x86-64.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch/x86_64.h"

#include "guest/code_scan.h"
#include "guest/insn.h"
#include "guest/syscalls.h"
#include "guest/vex/vex.h"
#include "guest/internal.h"

/* VEX instructions on vectors, of which the first byte is overwritten: see insn.h and vex.h. */

static void overwrite_vector(uint8_t *code, size_t size)
{
    vmd_vex_overwrite(code, size);
}

const struct vmd_replacement vmd_x86_64_vectors = {
    .find = vmd_x86_64_find_vector, .overwrite = overwrite_vector, .execute = vmd_vex_execute};

/* va_list: gp_offset, fp_offset, overflow_arg_area, reg_save_area. Source: the ABI, 3.5.7. */
enum { VA_GP = 0, VA_FP = 4, VA_SAVED = 16, VA_GP_END = 48, VA_FP_END = 176 };

uint64_t vmd_x86_64_next_saved_register(struct vmd_guest *guest, uint64_t va_list, bool is_double)
{
    uint64_t at = va_list + (is_double ? VA_FP : VA_GP);
    uint32_t offset = vmd_guest_load_u32(guest, at);

    if (offset >= (is_double ? VA_FP_END : VA_GP_END)) {
        return 0;
    }
    vmd_guest_store_u32(guest, at, offset + (is_double ? 16 : 8));
    return vmd_guest_load_u64(guest, va_list + VA_SAVED) + offset;
}

static const struct vmd_relocation_type relocations[] = {
    {R_X86_64_RELATIVE, VMD_RELOCATION_RELATIVE},
    {R_X86_64_64, VMD_RELOCATION_SYMBOL},
    {R_X86_64_GLOB_DAT, VMD_RELOCATION_SYMBOL},
    {R_X86_64_JUMP_SLOT, VMD_RELOCATION_SYMBOL},
    {R_X86_64_COPY, VMD_RELOCATION_COPY},
    {R_X86_64_TPOFF64, VMD_RELOCATION_TP_OFFSET},
    {R_X86_64_DTPMOD64, VMD_RELOCATION_TLS_MODULE},
    {R_X86_64_DTPOFF64, VMD_RELOCATION_TLS_OFFSET},
    {R_X86_64_TLSDESC, VMD_RELOCATION_TLS_DESCRIPTOR},
    {R_X86_64_NONE, VMD_RELOCATION_NONE},
};

/*
 * lea disp32(%rip),%r64; in binaries at fixed addresses also mov $imm32,%r32; call rel32 and, for a tail call, jmp
 * rel32. Matched at any byte: the addresses are known, so an accidental match is one in millions.
 */

static inline uint64_t loaded(const struct vmd_code *code, uint64_t at)
{
    const unsigned char *bytes = code->bytes + at;

    if ((bytes[0] & 0xf8) == 0xb8 && code->size - at >= 5) {
        return vmd_load_u32(bytes + 1);
    }
    if (code->size - at < 7 || (bytes[0] & 0xfb) != 0x48 || bytes[1] != 0x8d || (bytes[2] & 0xc7) != 0x05) {
        return 0;
    }
    return code->address + at + 7 + (uint64_t)(int32_t)vmd_load_u32(bytes + 3);
}

static inline uint64_t called(const struct vmd_code *code, uint64_t at)
{
    const unsigned char *bytes = code->bytes + at;

    if (code->size - at < 5 || (bytes[0] != 0xe8 && bytes[0] != 0xe9)) {
        return 0;
    }
    return code->address + at + 5 + (uint64_t)(int32_t)vmd_load_u32(bytes + 1);
}

uint64_t vmd_x86_64_find_uses(const struct vmd_code *code, struct vmd_guest_use *uses, uint64_t room)
{
    return vmd_scan_uses(code, uses, room, 1, 5, loaded, called);
}

/* Source: Linux arch/x86/entry/syscalls/syscall_64.tbl. */
static const uint8_t syscall_kinds[] = {
    [1] = VMD_SYSCALL_WRITE,         /* write */
    [2] = VMD_SYSCALL_NO_ENTRY,      /* open */
    [3] = VMD_SYSCALL_ZERO,          /* close */
    [4] = VMD_SYSCALL_NO_ENTRY,      /* stat */
    [6] = VMD_SYSCALL_NO_ENTRY,      /* lstat */
    [9] = VMD_SYSCALL_MMAP,          /* mmap */
    [10] = VMD_SYSCALL_ZERO,         /* mprotect */
    [11] = VMD_SYSCALL_ZERO,         /* munmap */
    [12] = VMD_SYSCALL_BRK,          /* brk */
    [13] = VMD_SYSCALL_ZERO,         /* rt_sigaction */
    [14] = VMD_SYSCALL_ZERO,         /* rt_sigprocmask */
    [16] = VMD_SYSCALL_NO_TERMINAL,  /* ioctl */
    [20] = VMD_SYSCALL_WRITE_VECTOR, /* writev */
    [21] = VMD_SYSCALL_NO_ENTRY,     /* access */
    [24] = VMD_SYSCALL_ZERO,         /* sched_yield */
    [28] = VMD_SYSCALL_ZERO,         /* madvise */
    [39] = VMD_SYSCALL_PROCESS,      /* getpid */
    [56] = VMD_SYSCALL_CLONE,        /* clone */
    [60] = VMD_SYSCALL_EXIT,         /* exit */
    [89] = VMD_SYSCALL_NO_ENTRY,     /* readlink */
    [96] = VMD_SYSCALL_TIME_OF_DAY,  /* gettimeofday */
    [102] = VMD_SYSCALL_USER,        /* getuid */
    [104] = VMD_SYSCALL_USER,        /* getgid */
    [107] = VMD_SYSCALL_USER,        /* geteuid */
    [108] = VMD_SYSCALL_USER,        /* getegid */
    [131] = VMD_SYSCALL_ZERO,        /* sigaltstack */
    [158] = VMD_SYSCALL_SET_THREAD,  /* arch_prctl */
    [186] = VMD_SYSCALL_PROCESS,     /* gettid */
    [201] = VMD_SYSCALL_TIME,        /* time */
    [202] = VMD_SYSCALL_ZERO,        /* futex */
    [204] = VMD_SYSCALL_AFFINITY,    /* sched_getaffinity */
    [218] = VMD_SYSCALL_PROCESS,     /* set_tid_address */
    [228] = VMD_SYSCALL_CLOCK,       /* clock_gettime */
    [231] = VMD_SYSCALL_EXIT,        /* exit_group */
    [257] = VMD_SYSCALL_NO_ENTRY,    /* openat */
    [262] = VMD_SYSCALL_NO_ENTRY,    /* newfstatat */
    [267] = VMD_SYSCALL_NO_ENTRY,    /* readlinkat */
    [273] = VMD_SYSCALL_ZERO,        /* set_robust_list */
    [302] = VMD_SYSCALL_LIMIT,       /* prlimit64 */
    [318] = VMD_SYSCALL_RANDOM,      /* getrandom */
    [319] = VMD_SYSCALL_MEMFD,       /* memfd_create */
};

static const struct vmd_syscalls syscalls = {
    .instruction = INS_SYSCALL,
    .number = RAX,
    .args = {RDI, RSI, RDX, R10, R8, R9},
    .result = RAX,
    .kinds = syscall_kinds,
    .n = sizeof(syscall_kinds),
};

static const struct vmd_arch x86_64 = {
    X86_64_CPU,
    .platform = VMD_LINUX,
    .name = "x86_64",
    .thread_pointer = FS_BASE,
    X86_64_SYSTEM_V,
    .relocations = relocations,
    .n_relocations = sizeof(relocations) / sizeof(*relocations),
    .tls = VMD_TLS_BEFORE,
    .stack_protector = 0x28,
    .syscall_futex = 202,
    .syscall_gettid = 186,
    .stat_size = 144,
    .stat_mode = 24,
    .stat_length = 48,
    .stat_block_size = 56,
    .statfs_size = 120,
    .statfs_word = 8,
    .open_directory = 0200000,
    .syscalls = &syscalls,
    .open_create = 0100,
    .limit_files = 7,
    .n_signals = 64,
    .stack_size = 16,
    .stack_flags = 8,
    .stack_disabled = 2,
};

VMD_ARCH(x86_64)
