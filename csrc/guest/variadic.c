/*
 * Arguments of variadic functions. See variadic.h.
 *
 * Source: the System V ABI for x86-64, 3.5.7; AAPCS64, appendix B.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/variadic.h"

/* va_list of x86-64: gp_offset, fp_offset, overflow_arg_area, reg_save_area. */
enum { X86_GP = 0, X86_FP = 4, X86_OVERFLOW = 8, X86_SAVED = 16, X86_GP_END = 48, X86_FP_END = 176 };

/* va_list of AArch64: stack, gr_top, vr_top, gr_offs, vr_offs. */
enum { ARM_STACK = 0, ARM_GR_TOP = 8, ARM_VR_TOP = 16, ARM_GR_OFFSET = 24, ARM_VR_OFFSET = 28 };

struct vmd_variadic vmd_variadic_of(struct vmd_host_call *call, int n_fixed)
{
    int on_stack = n_fixed > call->n_args ? n_fixed - call->n_args : 0;

    return (struct vmd_variadic){
        .call = call, .next_int = n_fixed - on_stack, .stack = call->stack + 8 * (uint64_t)on_stack};
}

struct vmd_variadic vmd_variadic_list(struct vmd_host_call *call, uint64_t va_list)
{
    return (struct vmd_variadic){.call = call, .va_list = va_list};
}

static uint64_t next_on_stack(struct vmd_variadic *arguments)
{
    struct vmd_guest *guest = arguments->call->guest;
    uint64_t where;

    if (!arguments->va_list) {
        where = arguments->stack;
        arguments->stack += 8;
        return where;
    }
    uint64_t area = arguments->va_list + (guest->arch == VMD_GUEST_X86_64 ? X86_OVERFLOW : ARM_STACK);

    where = vmd_guest_load_u64(guest, area);
    vmd_guest_store_u64(guest, area, where + 8);
    return where;
}

/* Address of the next argument of a kind in a va_list; registers are saved step bytes apart. */
static uint64_t next_in_va_list(struct vmd_variadic *arguments, bool is_double)
{
    struct vmd_guest *guest = arguments->call->guest;
    uint64_t list = arguments->va_list, step = is_double ? 16 : 8, at;
    int32_t offset;

    if (guest->arch == VMD_GUEST_X86_64) {
        at = list + (is_double ? X86_FP : X86_GP);
        offset = (int32_t)vmd_guest_load_u32(guest, at);
        if ((uint32_t)offset < (is_double ? X86_FP_END : X86_GP_END)) {
            vmd_guest_store_u32(guest, at, (uint32_t)offset + (uint32_t)step);
            return vmd_guest_load_u64(guest, list + X86_SAVED) + (uint64_t)offset;
        }
    } else {
        at = list + (is_double ? ARM_VR_OFFSET : ARM_GR_OFFSET);
        offset = (int32_t)vmd_guest_load_u32(guest, at);
        if (offset < 0) {
            vmd_guest_store_u32(guest, at, (uint32_t)offset + (uint32_t)step);
            return vmd_guest_load_u64(guest, list + (is_double ? ARM_VR_TOP : ARM_GR_TOP)) + (uint64_t)(int64_t)offset;
        }
    }
    return next_on_stack(arguments);
}

uint64_t vmd_variadic_next(struct vmd_variadic *arguments)
{
    struct vmd_host_call *call = arguments->call;

    if (arguments->va_list) {
        return vmd_guest_load_u64(call->guest, next_in_va_list(arguments, false));
    }
    if (arguments->next_int < call->n_args) {
        return call->args[arguments->next_int++];
    }
    return vmd_guest_load_u64(call->guest, next_on_stack(arguments));
}

double vmd_variadic_next_double(struct vmd_variadic *arguments)
{
    struct vmd_guest *guest = arguments->call->guest;
    uint64_t bits;
    double value;

    if (!arguments->va_list && arguments->next_double < 8) {
        return vmd_cpu_read_double(guest, arguments->next_double++);
    }
    bits = vmd_guest_load_u64(guest, arguments->va_list ? next_in_va_list(arguments, true) : next_on_stack(arguments));
    memcpy(&value, &bits, sizeof(value));
    return value;
}

double vmd_variadic_next_long_double(struct vmd_variadic *arguments)
{
    struct vmd_guest *guest = arguments->call->guest;
    uint64_t where, significand, rest;

    if (guest->arch != VMD_GUEST_X86_64) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, 0, "a long double argument, which is not supported on this host");
        return 0;
    }
    where = (next_on_stack(arguments) + 15) & -(uint64_t)16;
    if (arguments->va_list) {
        vmd_guest_store_u64(guest, arguments->va_list + X86_OVERFLOW, where + 16);
    } else {
        arguments->stack = where + 16;
    }
    significand = vmd_guest_load_u64(guest, where);
    rest = vmd_guest_load_u64(guest, where + 8);
    /* sign and exponent are 16 bits, biased by 16383; the significand has its leading 1 */
    return (rest & 0x8000 ? -1.0 : 1.0) * __builtin_ldexp((double)significand, (int)(rest & 0x7fff) - 16383 - 63);
}

uint64_t vmd_host_arg(struct vmd_host_call *call, int n)
{
    return n < call->n_args ? call->args[n]
                            : vmd_guest_load_u64(call->guest, call->stack + 8 * (uint64_t)(n - call->n_args));
}
