/*
 * libm, implemented with the host's own libm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <math.h>

#define MATH1(name)                                                                                                    \
    static uint64_t host_##name(struct vmd_host_call *call)                                                            \
    {                                                                                                                  \
        vmd_cpu_return_double(call->guest, name(vmd_cpu_read_double(call->guest, 0)));                                 \
        return 0;                                                                                                      \
    }
#define MATH2(name)                                                                                                    \
    static uint64_t host_##name(struct vmd_host_call *call)                                                            \
    {                                                                                                                  \
        vmd_cpu_return_double(call->guest,                                                                             \
                              name(vmd_cpu_read_double(call->guest, 0), vmd_cpu_read_double(call->guest, 1)));         \
        return 0;                                                                                                      \
    }

MATH1(floor)
MATH1(ceil)
MATH1(sqrt)
MATH1(log)
MATH1(log2)
MATH1(log10)
MATH1(exp)
MATH1(exp2)
MATH1(exp10)
MATH1(sin)
MATH1(cos)
MATH1(tan)
MATH1(fabs)
MATH1(round)
MATH1(trunc)
MATH1(rint)
MATH1(nearbyint)
MATH2(pow)
MATH2(fmod)
MATH2(fmin)
MATH2(fmax)

/* The n-th integer argument after one double. */
static uint64_t integer_arg(const struct vmd_host_call *call, int n)
{
    return call->args[call->guest->host->args_are_positional ? n + 1 : n];
}

static uint64_t host_ldexp(struct vmd_host_call *call)
{
    vmd_cpu_return_double(call->guest, ldexp(vmd_cpu_read_double(call->guest, 0), (int32_t)integer_arg(call, 0)));
    return 0;
}

static uint64_t host_frexp(struct vmd_host_call *call)
{
    int exponent;
    double value = frexp(vmd_cpu_read_double(call->guest, 0), &exponent);

    vmd_guest_store_u32(call->guest, integer_arg(call, 0), (uint32_t)exponent);
    vmd_cpu_return_double(call->guest, value);
    return 0;
}

static uint64_t host_modf(struct vmd_host_call *call)
{
    double whole, rest = modf(vmd_cpu_read_double(call->guest, 0), &whole);
    uint64_t bits;

    memcpy(&bits, &whole, 8);
    vmd_guest_store_u64(call->guest, integer_arg(call, 0), bits);
    vmd_cpu_return_double(call->guest, rest);
    return 0;
}

static uint64_t host_fma(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;

    vmd_cpu_return_double(
        guest, fma(vmd_cpu_read_double(guest, 0), vmd_cpu_read_double(guest, 1), vmd_cpu_read_double(guest, 2)));
    return 0;
}

static uint64_t host_fmaf(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;

    vmd_cpu_return_float(
        guest, fmaf(vmd_cpu_read_float(guest, 0), vmd_cpu_read_float(guest, 1), vmd_cpu_read_float(guest, 2)));
    return 0;
}

static uint64_t host_sqrtf(struct vmd_host_call *call)
{
    vmd_cpu_return_float(call->guest, sqrtf(vmd_cpu_read_float(call->guest, 0)));
    return 0;
}

static uint64_t host_sincos(struct vmd_host_call *call)
{
    double value = vmd_cpu_read_double(call->guest, 0), results[2] = {sin(value), cos(value)};

    for (int i = 0; i < 2; i++) {
        uint64_t bits;

        memcpy(&bits, &results[i], 8);
        vmd_guest_store_u64(call->guest, integer_arg(call, i), bits);
    }
    return 0;
}

VMD_SERVE({"floor", host_floor}, {"ceil", host_ceil}, {"sqrt", host_sqrt}, {"log", host_log}, {"log2", host_log2},
          {"log10", host_log10}, {"exp", host_exp}, {"exp2", host_exp2}, {"__exp10", host_exp10}, {"sin", host_sin},
          {"cos", host_cos}, {"tan", host_tan}, {"fabs", host_fabs}, {"round", host_round}, {"trunc", host_trunc},
          {"rint", host_rint}, {"nearbyint", host_nearbyint}, {"pow", host_pow}, {"fmod", host_fmod},
          {"fmin", host_fmin}, {"fmax", host_fmax}, {"ldexp", host_ldexp}, {"scalbn", host_ldexp},
          {"frexp", host_frexp}, {"modf", host_modf}, {"fma", host_fma}, {"fmaf", host_fmaf}, {"sqrtf", host_sqrtf},
          {"sincos", host_sincos})
