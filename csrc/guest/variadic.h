/*
 * Arguments of variadic functions, from the call itself or from a va_list of the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_VARIADIC_H
#define VMD_GUEST_VARIADIC_H

#include "guest/internal.h"

struct vmd_variadic {
    struct vmd_host_call *call;
    int next_int, next_double; /* number of registers used */
    uint64_t stack;            /* address of the next argument that is not in a register */
    uint64_t va_list;          /* address, or 0: the call's own arguments */
};

/* The arguments of a call after the first n_fixed ones, which are integers. */
struct vmd_variadic vmd_variadic_of(struct vmd_host_call *call, int n_fixed);

/* The arguments of a va_list, which is advanced by reading. */
struct vmd_variadic vmd_variadic_list(struct vmd_host_call *call, uint64_t va_list);

uint64_t vmd_variadic_next(struct vmd_variadic *arguments);
double vmd_variadic_next_double(struct vmd_variadic *arguments);

/* A long double, rounded to double: on the stack on x86-64. */
double vmd_variadic_next_long_double(struct vmd_variadic *arguments);

/* An integer argument of a call, in a register or on the stack. */
uint64_t vmd_host_arg(struct vmd_host_call *call, int n);

#endif
