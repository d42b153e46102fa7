/*
 * Arguments of variadic functions. See variadic.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/variadic.h"

struct vmd_variadic vmd_variadic_of(struct vmd_host_call *call, int n_fixed)
{
    const struct vmd_arch *host = call->guest->host;
    int on_stack = n_fixed > call->n_args ? n_fixed - call->n_args : 0;

    if (host->is_variadic_on_stack) {
        return vmd_variadic_list(call, call->stack + 8 * (uint64_t)on_stack);
    }
    return (struct vmd_variadic){
        .call = call, .next_int = n_fixed - on_stack, .stack = call->stack + 8 * (uint64_t)on_stack};
}

struct vmd_variadic vmd_variadic_list(struct vmd_host_call *call, uint64_t va_list)
{
    if (call->guest->host->va_list_is_pointer) {
        return (struct vmd_variadic){
            .call = call, .next_int = call->n_args, .next_double = call->guest->host->n_float_args, .stack = va_list};
    }
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
    uint64_t area = arguments->va_list + guest->host->va_list_stack;

    where = vmd_guest_load_u64(guest, area);
    vmd_guest_store_u64(guest, area, where + 8);
    return where;
}

/* Address of the next argument of a kind in a va_list. */
static uint64_t next_in_va_list(struct vmd_variadic *arguments, bool is_double)
{
    struct vmd_guest *guest = arguments->call->guest;
    uint64_t saved = guest->host->next_saved_register(guest, arguments->va_list, is_double);

    return saved ? saved : next_on_stack(arguments);
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

    if (!arguments->va_list && arguments->next_double < guest->host->n_float_args) {
        return vmd_cpu_read_double(guest, arguments->next_double++);
    }
    if (!guest->host->n_float_args) {
        bits = vmd_variadic_next(arguments);
    } else {
        bits =
            vmd_guest_load_u64(guest, arguments->va_list ? next_in_va_list(arguments, true) : next_on_stack(arguments));
    }
    memcpy(&value, &bits, sizeof(value));
    return value;
}

double vmd_variadic_next_long_double(struct vmd_variadic *arguments)
{
    struct vmd_guest *guest = arguments->call->guest;
    uint64_t where, significand, rest;

    if (!guest->host->has_x87) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, 0, "a long double argument, which is not supported on this host");
        return 0;
    }
    where = (next_on_stack(arguments) + 15) & -(uint64_t)16;
    if (arguments->va_list) {
        vmd_guest_store_u64(guest, arguments->va_list + guest->host->va_list_stack, where + 16);
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
