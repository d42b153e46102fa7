/*
 * VEX instructions that convert between integers and floating-point numbers of both sizes, rounding as MXCSR's default
 * says or as an immediate does. See internal.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <math.h>

#include "guest/vex/internal.h"

/* What conversions of NaNs and of numbers that are too large give. */
enum { INDEFINITE_32 = INT32_MIN };

static int32_t to_i32(double value)
{
    return value >= -2147483648.0 && value < 2147483648.0 ? (int32_t)value : INDEFINITE_32;
}

static int64_t to_i64(double value)
{
    return value >= -9223372036854775808.0 && value < 9223372036854775808.0 ? (int64_t)value : INT64_MIN;
}

/* A general register or memory to the lowest element; the rest is vvvv's. */
static void integer_to_scalar(struct vmd_vex *vex)
{
    struct vmd_vector source, result;
    int64_t value;

    if (vex->has_memory) {
        vmd_vex_read_operand(vex, vex->w ? 8 : 4, &source);
    } else {
        source.lane[0].u64[0] = vmd_vex_read_general(vex, vex->rm);
    }
    value = vex->w ? source.lane[0].i64[0] : source.lane[0].i32[0];
    vmd_vex_read_register(vex, vex->vvvv, &result);
    if (vex->pp == VMD_PP_F3) {
        result.lane[0].f32[0] = (float)value;
    } else {
        result.lane[0].f64[0] = (double)value;
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_lane(vex, vex->reg, &result.lane[0]);
    }
}

static void scalar_to_integer(struct vmd_vex *vex)
{
    bool is_single = vex->pp == VMD_PP_F3;
    struct vmd_vector source;
    double value;

    vmd_vex_read_operand(vex, is_single ? 4 : 8, &source);
    value = is_single ? (double)source.lane[0].f32[0] : source.lane[0].f64[0];
    value = vex->opcode == 0x2c ? trunc(value) : rint(value);
    if (!vex->guest->err.code) {
        vmd_vex_write_general(vex, vex->reg, vex->w ? (uint64_t)to_i64(value) : (uint32_t)to_i32(value));
    }
}

/* A NaN keeps the bits that fit; the processor makes it quiet, as C's conversions do. */
static void scalar_to_scalar(struct vmd_vex *vex)
{
    struct vmd_vector source, result;

    vmd_vex_read_register(vex, vex->vvvv, &result);
    vmd_vex_read_operand(vex, vex->pp == VMD_PP_F3 ? 4 : 8, &source);
    if (vex->pp == VMD_PP_F3) {
        result.lane[0].f64[0] = (double)source.lane[0].f32[0];
    } else {
        result.lane[0].f32[0] = (float)source.lane[0].f64[0];
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_lane(vex, vex->reg, &result.lane[0]);
    }
}

/* Packed: 4 or 8 elements on the side of 32 bits; of 64 bits half as many. */

static void singles_to_doubles(struct vmd_vex *vex)
{
    struct vmd_vector source, result;

    vmd_vex_read_operand(vex, vmd_vex_size(vex) / 2, &source);
    for (int i = 0; i < 4; i++) {
        result.lane[i / 2].f64[i % 2] =
            vex->opcode == 0xe6 ? (double)source.lane[0].i32[i] : (double)source.lane[0].f32[i];
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

/* To singles, or to integers: truncated (66) or rounded (f2). */
static void doubles_to_32(struct vmd_vex *vex)
{
    unsigned n = vex->is_256 ? 4 : 2;
    struct vmd_vector source, result = {0};

    vmd_vex_read_operand(vex, vmd_vex_size(vex), &source);
    for (unsigned i = 0; i < n; i++) {
        double value = source.lane[i / 2].f64[i % 2];

        if (vex->opcode == 0x5a) {
            result.lane[0].f32[i] = (float)value;
        } else {
            result.lane[0].i32[i] = to_i32(vex->pp == VMD_PP_66 ? trunc(value) : rint(value));
        }
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_lane(vex, vex->reg, &result.lane[0]);
    }
}

/* Between integers and singles: from integers (no prefix), rounded (66), truncated (f3). */
static void within_32(struct vmd_vex *vex)
{
    struct vmd_vector source, result;

    vmd_vex_read_operand(vex, vmd_vex_size(vex), &source);
    for (int i = 0; i < 8; i++) {
        const union vmd_lane *from = &source.lane[i / 4];

        if (vex->pp == VMD_PP_NONE) {
            result.lane[i / 4].f32[i % 4] = (float)from->i32[i % 4];
        } else {
            double value = (double)from->f32[i % 4];

            result.lane[i / 4].i32[i % 4] = to_i32(vex->pp == VMD_PP_F3 ? trunc(value) : rint(value));
        }
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

static double rounded(double value, uint8_t mode)
{
    switch (mode & 7) {
    case 1:
        return floor(value);
    case 2:
        return ceil(value);
    case 3:
        return trunc(value);
    default: /* to nearest: asked for, or MXCSR's */
        return rint(value);
    }
}

/* vroundps, vroundpd, vroundss, vroundsd */
static void round_to_integer(struct vmd_vex *vex)
{
    bool is_scalar = vex->opcode >= 0x0a, is_64 = vex->opcode & 1;
    size_t size = is_64 ? 8 : 4, n = is_scalar ? 1 : vmd_vex_size(vex) / size;
    struct vmd_vector source, result;

    if (!is_scalar && vex->vvvv) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_register(vex, vex->vvvv, &result);
    vmd_vex_read_operand(vex, is_scalar ? size : vmd_vex_size(vex), &source);
    for (size_t i = 0; i < n; i++) {
        union vmd_lane element = {0};

        memcpy(&element, (const char *)&source + size * i, size);
        if (is_64) {
            element.f64[0] = rounded(element.f64[0], vex->imm);
        } else {
            element.f32[0] = (float)rounded((double)element.f32[0], vex->imm);
        }
        memcpy((char *)&result + size * i, &element, size);
    }
    if (vex->guest->err.code) {
        return;
    }
    if (is_scalar) {
        vmd_vex_write_lane(vex, vex->reg, &result.lane[0]);
    } else {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

#define UNARY(operation) .flags = VMD_VEX_UNARY, .whole = (operation)
#define SCALAR(operation) .whole = (operation)

const struct vmd_vex_entry vmd_vex_conversions[] = {
    {1, VMD_PP_F3, 0x2a, SCALAR(integer_to_scalar)},
    {1, VMD_PP_F2, 0x2a, SCALAR(integer_to_scalar)},
    {1, VMD_PP_F3, 0x2c, UNARY(scalar_to_integer)},
    {1, VMD_PP_F2, 0x2c, UNARY(scalar_to_integer)},
    {1, VMD_PP_F3, 0x2d, UNARY(scalar_to_integer)},
    {1, VMD_PP_F2, 0x2d, UNARY(scalar_to_integer)},
    {1, VMD_PP_NONE, 0x5a, UNARY(singles_to_doubles)},
    {1, VMD_PP_66, 0x5a, UNARY(doubles_to_32)},
    {1, VMD_PP_F3, 0x5a, SCALAR(scalar_to_scalar)},
    {1, VMD_PP_F2, 0x5a, SCALAR(scalar_to_scalar)},
    {1, VMD_PP_NONE, 0x5b, UNARY(within_32)},
    {1, VMD_PP_66, 0x5b, UNARY(within_32)},
    {1, VMD_PP_F3, 0x5b, UNARY(within_32)},
    {1, VMD_PP_66, 0xe6, UNARY(doubles_to_32)},
    {1, VMD_PP_F3, 0xe6, UNARY(singles_to_doubles)},
    {1, VMD_PP_F2, 0xe6, UNARY(doubles_to_32)},
    {3, VMD_PP_66, 0x08, SCALAR(round_to_integer)},
    {3, VMD_PP_66, 0x09, SCALAR(round_to_integer)},
    {3, VMD_PP_66, 0x0a, SCALAR(round_to_integer)},
    {3, VMD_PP_66, 0x0b, SCALAR(round_to_integer)},
    {0},
};
