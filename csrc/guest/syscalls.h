/*
 * System calls of Linux that statically linked binaries make themselves. Other binaries call functions of libc, which
 * are in host/.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_SYSCALLS_H
#define VMD_GUEST_SYSCALLS_H

#include <stddef.h>
#include <stdint.h>

/* What is served; all others fail with ENOSYS, as on an old kernel. */
enum vmd_syscall {
    VMD_SYSCALL_UNKNOWN,
    VMD_SYSCALL_ZERO,     /* succeeds, without effect here */
    VMD_SYSCALL_NO_ENTRY, /* there is no such file */
    VMD_SYSCALL_BRK,
    VMD_SYSCALL_MMAP,
    VMD_SYSCALL_SET_THREAD, /* arch_prctl */
    VMD_SYSCALL_PROCESS,    /* a number of the process or a thread */
    VMD_SYSCALL_USER,       /* a number of the user or group */
    VMD_SYSCALL_CLONE,
    VMD_SYSCALL_AFFINITY,
    VMD_SYSCALL_LIMIT,
    VMD_SYSCALL_RANDOM,
    VMD_SYSCALL_MEMFD,
    VMD_SYSCALL_CLOCK, /* clock_gettime */
    VMD_SYSCALL_TIME_OF_DAY,
    VMD_SYSCALL_TIME,
    VMD_SYSCALL_NO_TERMINAL,
    VMD_SYSCALL_WRITE,
    VMD_SYSCALL_WRITE_VECTOR,
    VMD_SYSCALL_EXIT,
};

/* The system calls of a host architecture. */
struct vmd_syscalls {
    int instruction;             /* Unicorn's number of the instruction */
    int number, args[6], result; /* registers */
    const uint8_t *kinds;        /* enum vmd_syscall by number */
    size_t n;
};

struct vmd_guest;

/* Serve a system call with six arguments; returns its result, or the negated number of an error. */
uint64_t vmd_guest_serve_syscall(struct vmd_guest *guest, uint64_t number, const uint64_t *args);

#endif
