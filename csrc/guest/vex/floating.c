/*
 * VEX instructions on floating-point numbers, with MXCSR's default: rounding to nearest, no exceptions, subnormal
 * numbers are kept. See internal.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <math.h>

#include "guest/vex/internal.h"

#define LANE(name) static void name(union vmd_lane *d, const union vmd_lane *a, const union vmd_lane *b, uint8_t imm)

/* The x87 and SSE rules of NaNs: the first operand that is one, quiet; else the default one for invalid operations. */

static const uint32_t DEFAULT_NAN_32 = 0xffc00000, QUIET_32 = 0x400000;
static const uint64_t DEFAULT_NAN_64 = 0xfff8000000000000, QUIET_64 = 0x8000000000000;

static uint32_t bits_32(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, 4);
    return bits;
}

static uint64_t bits_64(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, 8);
    return bits;
}

static bool is_nan_32(uint32_t bits)
{
    return (bits & 0x7fffffff) > 0x7f800000;
}

static bool is_nan_64(uint64_t bits)
{
    return (bits & 0x7fffffffffffffff) > 0x7ff0000000000000;
}

static float float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, 4);
    return value;
}

static double double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, 8);
    return value;
}

static uint32_t result_32(uint32_t x, uint32_t y, float result)
{
    return is_nan_32(x)                 ? x | QUIET_32
           : is_nan_32(y)               ? y | QUIET_32
           : is_nan_32(bits_32(result)) ? DEFAULT_NAN_32
                                        : bits_32(result);
}

static uint64_t result_64(uint64_t x, uint64_t y, double result)
{
    return is_nan_64(x)                 ? x | QUIET_64
           : is_nan_64(y)               ? y | QUIET_64
           : is_nan_64(bits_64(result)) ? DEFAULT_NAN_64
                                        : bits_64(result);
}

/* An operation on both sizes: name_32 and name_64. x and y are the elements. */
#define ARITHMETIC(name, expression_32, expression_64)                                                                 \
    LANE(name##_32)                                                                                                    \
    {                                                                                                                  \
        for (int i = 0; i < 4; i++) {                                                                                  \
            float x = a->f32[i], y = b->f32[i];                                                                        \
            (void)x;                                                                                                   \
            (void)y;                                                                                                   \
            d->u32[i] = expression_32;                                                                                 \
        }                                                                                                              \
    }                                                                                                                  \
    LANE(name##_64)                                                                                                    \
    {                                                                                                                  \
        for (int i = 0; i < 2; i++) {                                                                                  \
            double x = a->f64[i], y = b->f64[i];                                                                       \
            (void)x;                                                                                                   \
            (void)y;                                                                                                   \
            d->u64[i] = expression_64;                                                                                 \
        }                                                                                                              \
    }

#define BOTH(name, operation)                                                                                          \
    ARITHMETIC(name, result_32(a->u32[i], b->u32[i], operation), result_64(a->u64[i], b->u64[i], operation))

BOTH(add, x + y)
BOTH(sub, x - y)
BOTH(mul, x *y)
BOTH(div, x / y)
ARITHMETIC(square_root, result_32(b->u32[i], b->u32[i], sqrtf(y)), result_64(b->u64[i], b->u64[i], sqrt(y)))
/* If one is a NaN, or both are zero: the second operand. */
ARITHMETIC(least, x < y ? a->u32[i] : b->u32[i], x < y ? a->u64[i] : b->u64[i])
ARITHMETIC(most, x > y ? a->u32[i] : b->u32[i], x > y ? a->u64[i] : b->u64[i])
ARITHMETIC(add_sub, result_32(a->u32[i], b->u32[i], i & 1 ? x + y : x - y),
           result_64(a->u64[i], b->u64[i], i & 1 ? x + y : x - y))

LANE(add_pairs_32)
{
    for (int i = 0; i < 4; i++) {
        const union vmd_lane *from = i < 2 ? a : b;
        int k = i % 2 * 2;

        d->u32[i] = result_32(from->u32[k], from->u32[k + 1], from->f32[k] + from->f32[k + 1]);
    }
}

LANE(sub_pairs_32)
{
    for (int i = 0; i < 4; i++) {
        const union vmd_lane *from = i < 2 ? a : b;
        int k = i % 2 * 2;

        d->u32[i] = result_32(from->u32[k], from->u32[k + 1], from->f32[k] - from->f32[k + 1]);
    }
}

LANE(add_pairs_64)
{
    d->u64[0] = result_64(a->u64[0], a->u64[1], a->f64[0] + a->f64[1]);
    d->u64[1] = result_64(b->u64[0], b->u64[1], b->f64[0] + b->f64[1]);
}

LANE(sub_pairs_64)
{
    d->u64[0] = result_64(a->u64[0], a->u64[1], a->f64[0] - a->f64[1]);
    d->u64[1] = result_64(b->u64[0], b->u64[1], b->f64[0] - b->f64[1]);
}

/* The predicates of vcmp: 0 to 15; those from 16 on differ in exceptions only. */
static bool compare(double x, double y, uint8_t predicate)
{
    bool unordered = isunordered(x, y), result;

    switch (predicate & 7) {
    case 0: /* eq, eq_uq */
        result = x == y || (predicate & 8 && unordered);
        break;
    case 1: /* lt; nge */
        result = predicate & 8 ? !(x >= y) : x < y;
        break;
    case 2: /* le; ngt */
        result = predicate & 8 ? !(x > y) : x <= y;
        break;
    case 3: /* unord; false */
        result = !(predicate & 8) && unordered;
        break;
    case 4: /* neq_uq; neq_oq */
        result = predicate & 8 ? !unordered && x != y : x != y;
        break;
    case 5: /* nlt; ge */
        result = predicate & 8 ? x >= y : !(x < y);
        break;
    case 6: /* nle; gt */
        result = predicate & 8 ? x > y : !(x <= y);
        break;
    default: /* ord; true */
        result = predicate & 8 || !unordered;
        break;
    }
    return result;
}

ARITHMETIC(compare, compare(x, y, imm & 15) ? UINT32_MAX : 0, compare(x, y, imm & 15) ? UINT64_MAX : 0)

/* Bits, and shuffles */

ARITHMETIC(and, a->u32[i] & b->u32[i], a->u64[i] & b->u64[i])
ARITHMETIC(and_not, ~a->u32[i] & b->u32[i], ~a->u64[i] & b->u64[i])
ARITHMETIC(or, a->u32[i] | b->u32[i], a->u64[i] | b->u64[i])
ARITHMETIC(xor, a->u32[i] ^ b->u32[i], a->u64[i] ^ b->u64[i])
ARITHMETIC(unpack_low, i % 2 ? b->u32[i / 2] : a->u32[i / 2], i ? b->u64[0] : a->u64[0])
ARITHMETIC(unpack_high, i % 2 ? b->u32[2 + i / 2] : a->u32[2 + i / 2], i ? b->u64[1] : a->u64[1])
ARITHMETIC(permute_by, a->u32[b->u32[i] & 3], a->u64[b->u64[i] >> 1 & 1])

LANE(permute_32)
{
    for (int i = 0; i < 4; i++) {
        d->u32[i] = b->u32[imm >> 2 * i & 3];
    }
}

LANE(shuffle_32)
{
    for (int i = 0; i < 4; i++) {
        d->u32[i] = (i < 2 ? a : b)->u32[imm >> 2 * i & 3];
    }
}

/* Immediates of vshufpd, vpermilpd and vblendpd have bits for both lanes: the second one gets them shifted. */
static void each_lane(struct vmd_vex *vex, vmd_lane_fn *operation, int bits)
{
    struct vmd_vector a, b, d = {0};

    vmd_vex_read_register(vex, vex->vvvv, &a);
    vmd_vex_read_operand(vex, vmd_vex_size(vex), &b);
    for (unsigned i = 0; i < vmd_vex_lanes(vex); i++) {
        operation(&d.lane[i], &a.lane[i], &b.lane[i], (uint8_t)(vex->imm >> (unsigned)bits * i));
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &d);
    }
}

LANE(shuffle_pair)
{
    *d = (union vmd_lane){.u64 = {a->u64[imm & 1], b->u64[imm >> 1 & 1]}};
}

LANE(permute_pair)
{
    *d = (union vmd_lane){.u64 = {b->u64[imm & 1], b->u64[imm >> 1 & 1]}};
}

ARITHMETIC(blend, imm >> i & 1 ? b->u32[i] : a->u32[i], imm >> i & 1 ? b->u64[i] : a->u64[i])

static void shuffle_64(struct vmd_vex *vex)
{
    each_lane(vex, shuffle_pair, 2);
}

static void permute_immediate_64(struct vmd_vex *vex)
{
    each_lane(vex, permute_pair, 2);
}

static void blend_immediate_32(struct vmd_vex *vex)
{
    each_lane(vex, blend_32, 4);
}

static void blend_immediate_64(struct vmd_vex *vex)
{
    each_lane(vex, blend_64, 2);
}

/* Fused multiply and add */

/* The opcode's low digit: which operation; W: the size of elements; its high digit: the order of operands. */
static void fused(struct vmd_vex *vex)
{
    unsigned kind = vex->opcode & 15, order = vex->opcode >> 4;
    bool is_scalar = kind >= 8 && kind & 1, negates_product = kind >= 0xc;
    size_t size = vex->w ? 8 : 4, n = is_scalar ? 1 : vmd_vex_size(vex) / size;
    struct vmd_vector first, second, third, result;

    vmd_vex_read_register(vex, vex->reg, &first);
    vmd_vex_read_register(vex, vex->vvvv, &second);
    vmd_vex_read_operand(vex, is_scalar ? size : vmd_vex_size(vex), &third);
    if (vex->guest->err.code) {
        return;
    }
    result = first;
    for (size_t i = 0; i < n; i++) {
        /* Multiplicands and addend: 132, 213, 231. */
        const struct vmd_vector *x = order == 0xb ? &second : order == 0xa ? &second : &first;
        const struct vmd_vector *y = order == 0xa ? &first : &third, *z = order == 0xb   ? &first
                                                                          : order == 0xa ? &third
                                                                                         : &second;
        bool odd = i & 1, subtracts = kind == 6 ? !odd : kind == 7 ? odd : kind & 2;

        if (vex->w) {
            uint64_t a, b, c;
            double value;

            memcpy(&a, (const char *)x + 8 * i, 8);
            memcpy(&b, (const char *)y + 8 * i, 8);
            memcpy(&c, (const char *)z + 8 * i, 8);
            value = fma(negates_product ? -double_of(a) : double_of(a), double_of(b),
                        subtracts ? -double_of(c) : double_of(c));
            a = is_nan_64(a) || is_nan_64(b) ? result_64(a, b, 0) : result_64(c, c, value);
            memcpy((char *)&result + 8 * i, &a, 8);
        } else {
            uint32_t a, b, c;
            float value;

            memcpy(&a, (const char *)x + 4 * i, 4);
            memcpy(&b, (const char *)y + 4 * i, 4);
            memcpy(&c, (const char *)z + 4 * i, 4);
            value =
                fmaf(negates_product ? -float_of(a) : float_of(a), float_of(b), subtracts ? -float_of(c) : float_of(c));
            a = is_nan_32(a) || is_nan_32(b) ? result_32(a, b, 0) : result_32(c, c, value);
            memcpy((char *)&result + 4 * i, &a, 4);
        }
    }
    if (is_scalar) {
        vmd_vex_write_lane(vex, vex->reg, &result.lane[0]);
    } else {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

/* Comparison of scalars into flags */

static void compare_scalars(struct vmd_vex *vex)
{
    struct vmd_vector x, y;
    double a, b;

    vmd_vex_read_register(vex, vex->reg, &x);
    vmd_vex_read_operand(vex, vex->pp == VMD_PP_66 ? 8 : 4, &y);
    a = vex->pp == VMD_PP_66 ? x.lane[0].f64[0] : (double)x.lane[0].f32[0];
    b = vex->pp == VMD_PP_66 ? y.lane[0].f64[0] : (double)y.lane[0].f32[0];
    if (!vex->guest->err.code) {
        bool unordered = isunordered(a, b);

        vmd_vex_write_flags(vex, unordered || a == b, unordered, unordered || a < b);
    }
}

#define PACKED(name) .lane = (name)
#define SCALAR_32(name) .flags = VMD_VEX_SCALAR_32, .lane = (name)
#define SCALAR_64(name) .flags = VMD_VEX_SCALAR_64, .lane = (name)
#define UNARY(name) .flags = VMD_VEX_UNARY, .lane = (name)
#define FUSED(opcode_) {2, VMD_PP_66, opcode_, .whole = fused}
#define FUSED_ROW(row)                                                                                                 \
    FUSED(0x##row##6), FUSED(0x##row##7), FUSED(0x##row##8), FUSED(0x##row##9), FUSED(0x##row##a), FUSED(0x##row##b),  \
        FUSED(0x##row##c), FUSED(0x##row##d), FUSED(0x##row##e), FUSED(0x##row##f)

const struct vmd_vex_entry vmd_vex_floating[] = {
    {1, VMD_PP_NONE, 0x14, PACKED(unpack_low_32)},
    {1, VMD_PP_NONE, 0x15, PACKED(unpack_high_32)},
    {1, VMD_PP_NONE, 0x2e, .flags = VMD_VEX_UNARY, .whole = compare_scalars},
    {1, VMD_PP_NONE, 0x2f, .flags = VMD_VEX_UNARY, .whole = compare_scalars},
    {1, VMD_PP_NONE, 0x51, UNARY(square_root_32)},
    {1, VMD_PP_NONE, 0x54, PACKED(and_32)},
    {1, VMD_PP_NONE, 0x55, PACKED(and_not_32)},
    {1, VMD_PP_NONE, 0x56, PACKED(or_32)},
    {1, VMD_PP_NONE, 0x57, PACKED(xor_32)},
    {1, VMD_PP_NONE, 0x58, PACKED(add_32)},
    {1, VMD_PP_NONE, 0x59, PACKED(mul_32)},
    {1, VMD_PP_NONE, 0x5c, PACKED(sub_32)},
    {1, VMD_PP_NONE, 0x5d, PACKED(least_32)},
    {1, VMD_PP_NONE, 0x5e, PACKED(div_32)},
    {1, VMD_PP_NONE, 0x5f, PACKED(most_32)},
    {1, VMD_PP_NONE, 0xc2, PACKED(compare_32)},
    {1, VMD_PP_NONE, 0xc6, PACKED(shuffle_32)},
    {1, VMD_PP_66, 0x14, PACKED(unpack_low_64)},
    {1, VMD_PP_66, 0x15, PACKED(unpack_high_64)},
    {1, VMD_PP_66, 0x2e, .flags = VMD_VEX_UNARY, .whole = compare_scalars},
    {1, VMD_PP_66, 0x2f, .flags = VMD_VEX_UNARY, .whole = compare_scalars},
    {1, VMD_PP_66, 0x51, UNARY(square_root_64)},
    {1, VMD_PP_66, 0x54, PACKED(and_64)},
    {1, VMD_PP_66, 0x55, PACKED(and_not_64)},
    {1, VMD_PP_66, 0x56, PACKED(or_64)},
    {1, VMD_PP_66, 0x57, PACKED(xor_64)},
    {1, VMD_PP_66, 0x58, PACKED(add_64)},
    {1, VMD_PP_66, 0x59, PACKED(mul_64)},
    {1, VMD_PP_66, 0x5c, PACKED(sub_64)},
    {1, VMD_PP_66, 0x5d, PACKED(least_64)},
    {1, VMD_PP_66, 0x5e, PACKED(div_64)},
    {1, VMD_PP_66, 0x5f, PACKED(most_64)},
    {1, VMD_PP_66, 0x7c, PACKED(add_pairs_64)},
    {1, VMD_PP_66, 0x7d, PACKED(sub_pairs_64)},
    {1, VMD_PP_66, 0xc2, PACKED(compare_64)},
    {1, VMD_PP_66, 0xc6, .whole = shuffle_64},
    {1, VMD_PP_66, 0xd0, PACKED(add_sub_64)},
    {1, VMD_PP_F3, 0x51, SCALAR_32(square_root_32)},
    {1, VMD_PP_F3, 0x58, SCALAR_32(add_32)},
    {1, VMD_PP_F3, 0x59, SCALAR_32(mul_32)},
    {1, VMD_PP_F3, 0x5c, SCALAR_32(sub_32)},
    {1, VMD_PP_F3, 0x5d, SCALAR_32(least_32)},
    {1, VMD_PP_F3, 0x5e, SCALAR_32(div_32)},
    {1, VMD_PP_F3, 0x5f, SCALAR_32(most_32)},
    {1, VMD_PP_F3, 0xc2, SCALAR_32(compare_32)},
    {1, VMD_PP_F2, 0x51, SCALAR_64(square_root_64)},
    {1, VMD_PP_F2, 0x58, SCALAR_64(add_64)},
    {1, VMD_PP_F2, 0x59, SCALAR_64(mul_64)},
    {1, VMD_PP_F2, 0x5c, SCALAR_64(sub_64)},
    {1, VMD_PP_F2, 0x5d, SCALAR_64(least_64)},
    {1, VMD_PP_F2, 0x5e, SCALAR_64(div_64)},
    {1, VMD_PP_F2, 0x5f, SCALAR_64(most_64)},
    {1, VMD_PP_F2, 0x7c, PACKED(add_pairs_32)},
    {1, VMD_PP_F2, 0x7d, PACKED(sub_pairs_32)},
    {1, VMD_PP_F2, 0xc2, SCALAR_64(compare_64)},
    {1, VMD_PP_F2, 0xd0, PACKED(add_sub_32)},
    {2, VMD_PP_66, 0x0c, .flags = VMD_VEX_W0, .lane = permute_by_32},
    {2, VMD_PP_66, 0x0d, .flags = VMD_VEX_W0, .lane = permute_by_64},
    FUSED_ROW(9),
    FUSED_ROW(a),
    FUSED_ROW(b),
    {3, VMD_PP_66, 0x04, .flags = VMD_VEX_UNARY | VMD_VEX_W0, .lane = permute_32},
    {3, VMD_PP_66, 0x05, .flags = VMD_VEX_UNARY | VMD_VEX_W0, .whole = permute_immediate_64},
    {3, VMD_PP_66, 0x0c, .whole = blend_immediate_32},
    {3, VMD_PP_66, 0x0d, .whole = blend_immediate_64},
    {0},
};
