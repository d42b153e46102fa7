/*
 * VEX instructions on integers, lane by lane. See internal.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/vex/internal.h"

#define LANE(name) static void name(union vmd_lane *d, const union vmd_lane *a, const union vmd_lane *b, uint8_t imm)

/* Element by element: expression of x and y, which are the elements, or of i. */
#define EACH(name, member, n, expression)                                                                              \
    LANE(name)                                                                                                         \
    {                                                                                                                  \
        for (int i = 0; i < (n); i++) {                                                                                \
            __typeof__(d->member[0]) x = a->member[i], y = b->member[i];                                               \
            (void)x;                                                                                                   \
            (void)y;                                                                                                   \
            d->member[i] = (__typeof__(x))(expression);                                                                \
        }                                                                                                              \
    }

static int32_t clamp(int32_t value, int32_t least, int32_t most)
{
    return value < least ? least : value > most ? most : value;
}

EACH(add8, u8, 16, x + y)
EACH(add16, u16, 8, x + y)
EACH(add32, u32, 4, x + y)
EACH(add64, u64, 2, x + y)
EACH(sub8, u8, 16, x - y)
EACH(sub16, u16, 8, x - y)
EACH(sub32, u32, 4, x - y)
EACH(sub64, u64, 2, x - y)
EACH(adds8, i8, 16, clamp(x + y, INT8_MIN, INT8_MAX))
EACH(adds16, i16, 8, clamp(x + y, INT16_MIN, INT16_MAX))
EACH(addus8, u8, 16, clamp(x + y, 0, UINT8_MAX))
EACH(addus16, u16, 8, clamp(x + y, 0, UINT16_MAX))
EACH(subs8, i8, 16, clamp(x - y, INT8_MIN, INT8_MAX))
EACH(subs16, i16, 8, clamp(x - y, INT16_MIN, INT16_MAX))
EACH(subus8, u8, 16, clamp(x - y, 0, UINT8_MAX))
EACH(subus16, u16, 8, clamp(x - y, 0, UINT16_MAX))
EACH(and64, u64, 2, x &y)
EACH(andn64, u64, 2, ~x &y)
EACH(or64, u64, 2, x | y)
EACH(xor64, u64, 2, x ^ y)
EACH(eq8, i8, 16, -(x == y))
EACH(eq16, i16, 8, -(x == y))
EACH(eq32, i32, 4, -(x == y))
EACH(eq64, i64, 2, -(x == y))
EACH(gt8, i8, 16, -(x > y))
EACH(gt16, i16, 8, -(x > y))
EACH(gt32, i32, 4, -(x > y))
EACH(gt64, i64, 2, -(x > y))
EACH(min_i8, i8, 16, x < y ? x : y)
EACH(min_i16, i16, 8, x < y ? x : y)
EACH(min_i32, i32, 4, x < y ? x : y)
EACH(min_u8, u8, 16, x < y ? x : y)
EACH(min_u16, u16, 8, x < y ? x : y)
EACH(min_u32, u32, 4, x < y ? x : y)
EACH(max_i8, i8, 16, x > y ? x : y)
EACH(max_i16, i16, 8, x > y ? x : y)
EACH(max_i32, i32, 4, x > y ? x : y)
EACH(max_u8, u8, 16, x > y ? x : y)
EACH(max_u16, u16, 8, x > y ? x : y)
EACH(max_u32, u32, 4, x > y ? x : y)
EACH(average8, u8, 16, (x + y + 1) >> 1)
EACH(average16, u16, 8, (x + y + 1) >> 1)
EACH(mul_low16, u16, 8, (uint32_t)x *y)
EACH(mul_low32, u32, 4, x *y)
EACH(mul_high_i16, i16, 8, (x * y) >> 16)
EACH(mul_high_u16, u16, 8, ((uint32_t)x * y) >> 16)
EACH(mul_round16, i16, 8, ((x * y >> 14) + 1) >> 1)
EACH(mul_u32, u64, 2, (x & UINT32_MAX) * (y & UINT32_MAX))
EACH(mul_i32, i64, 2, (int64_t)(int32_t)x *(int32_t)y)
EACH(abs8, u8, 16, (int8_t)y < 0 ? -y : y)
EACH(abs16, u16, 8, (int16_t)y < 0 ? -y : y)
EACH(abs32, u32, 4, (int32_t)y < 0 ? -y : y)
EACH(sign8, i8, 16, y < 0 ? -x : y ? x : 0)
EACH(sign16, i16, 8, y < 0 ? -x : y ? x : 0)
EACH(sign32, u32, 4, (int32_t)y < 0 ? -x : y ? x : 0)
EACH(shift_left_each32, u32, 4, y < 32 ? x << y : 0)
EACH(shift_left_each64, u64, 2, y < 64 ? x << y : 0)
EACH(shift_right_each32, u32, 4, y < 32 ? x >> y : 0)
EACH(shift_right_each64, u64, 2, y < 64 ? x >> y : 0)
EACH(shift_signed_each32, i32, 4, x >> ((uint32_t)y < 32 ? y : 31))
EACH(shuffle8, u8, 16, y & 0x80 ? 0 : a->u8[y & 15])
EACH(shuffle32, u32, 4, b->u32[imm >> 2 * i & 3])
EACH(shuffle_high16, u16, 8, i < 4 ? y : b->u16[4 + (imm >> 2 * (i - 4) & 3)])
EACH(shuffle_low16, u16, 8, i < 4 ? b->u16[imm >> 2 * i & 3] : y)
EACH(blend16, u16, 8, imm >> i & 1 ? y : x)
EACH(unpack_low8, u8, 16, i % 2 ? b->u8[i / 2] : a->u8[i / 2])
EACH(unpack_low16, u16, 8, i % 2 ? b->u16[i / 2] : a->u16[i / 2])
EACH(unpack_low32, u32, 4, i % 2 ? b->u32[i / 2] : a->u32[i / 2])
EACH(unpack_low64, u64, 2, i ? b->u64[0] : a->u64[0])
EACH(unpack_high8, u8, 16, i % 2 ? b->u8[8 + i / 2] : a->u8[8 + i / 2])
EACH(unpack_high16, u16, 8, i % 2 ? b->u16[4 + i / 2] : a->u16[4 + i / 2])
EACH(unpack_high32, u32, 4, i % 2 ? b->u32[2 + i / 2] : a->u32[2 + i / 2])
EACH(unpack_high64, u64, 2, i ? b->u64[1] : a->u64[1])
EACH(pack_i16, i8, 16, clamp(i < 8 ? a->i16[i] : b->i16[i - 8], INT8_MIN, INT8_MAX))
EACH(pack_u16, u8, 16, clamp(i < 8 ? a->i16[i] : b->i16[i - 8], 0, UINT8_MAX))
EACH(pack_i32, i16, 8, clamp(i < 4 ? a->i32[i] : b->i32[i - 4], INT16_MIN, INT16_MAX))
EACH(pack_u32, u16, 8, clamp(i < 4 ? a->i32[i] : b->i32[i - 4], 0, UINT16_MAX))
EACH(add_pairs16, i16, 8, i < 4 ? a->i16[2 * i] + a->i16[2 * i + 1] : b->i16[2 * i - 8] + b->i16[2 * i - 7])
EACH(sub_pairs16, i16, 8, i < 4 ? a->i16[2 * i] - a->i16[2 * i + 1] : b->i16[2 * i - 8] - b->i16[2 * i - 7])
EACH(add_pairs32, u32, 4, i < 2 ? a->u32[2 * i] + a->u32[2 * i + 1] : b->u32[2 * i - 4] + b->u32[2 * i - 3])
EACH(sub_pairs32, u32, 4, i < 2 ? a->u32[2 * i] - a->u32[2 * i + 1] : b->u32[2 * i - 4] - b->u32[2 * i - 3])
EACH(add_pairs_s16, i16, 8,
     clamp(i < 4 ? a->i16[2 * i] + a->i16[2 * i + 1] : b->i16[2 * i - 8] + b->i16[2 * i - 7], INT16_MIN, INT16_MAX))
EACH(sub_pairs_s16, i16, 8,
     clamp(i < 4 ? a->i16[2 * i] - a->i16[2 * i + 1] : b->i16[2 * i - 8] - b->i16[2 * i - 7], INT16_MIN, INT16_MAX))
EACH(mul_add16, i32, 4, (uint32_t)(a->i16[2 * i] * b->i16[2 * i]) + (uint32_t)(a->i16[2 * i + 1] * b->i16[2 * i + 1]))
EACH(mul_add8, i16, 8, clamp(a->u8[2 * i] * b->i8[2 * i] + a->u8[2 * i + 1] * b->i8[2 * i + 1], INT16_MIN, INT16_MAX))

/* Shifts by the count in the second operand, which is 64 bits wide. */
EACH(shift_left16, u16, 8, b->u64[0] < 16 ? x << b->u64[0] : 0)
EACH(shift_left32, u32, 4, b->u64[0] < 32 ? x << b->u64[0] : 0)
EACH(shift_left64, u64, 2, b->u64[0] < 64 ? x << b->u64[0] : 0)
EACH(shift_right16, u16, 8, b->u64[0] < 16 ? x >> b->u64[0] : 0)
EACH(shift_right32, u32, 4, b->u64[0] < 32 ? x >> b->u64[0] : 0)
EACH(shift_right64, u64, 2, b->u64[0] < 64 ? x >> b->u64[0] : 0)
EACH(shift_signed16, i16, 8, x >> (b->u64[0] < 16 ? b->u64[0] : 15))
EACH(shift_signed32, i32, 4, x >> (b->u64[0] < 32 ? b->u64[0] : 31))

LANE(sum_of_differences)
{
    for (int i = 0; i < 2; i++) {
        d->u64[i] = 0;
        for (int k = 8 * i; k < 8 * i + 8; k++) {
            d->u64[i] += (uint64_t)(a->u8[k] > b->u8[k] ? a->u8[k] - b->u8[k] : b->u8[k] - a->u8[k]);
        }
    }
}

/* The bytes of b:a, moved down by imm. */
LANE(align)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned from = i + imm;

        d->u8[i] = from < 16 ? b->u8[from] : from < 32 ? a->u8[from - 16] : 0;
    }
}

LANE(shift_bytes_left)
{
    for (int i = 0; i < 16; i++) {
        d->u8[i] = i >= imm ? a->u8[i - imm] : 0;
    }
}

LANE(shift_bytes_right)
{
    for (int i = 0; i < 16; i++) {
        d->u8[i] = i + imm < 16 ? a->u8[i + imm] : 0;
    }
}

/* Shifts by an immediate: opcodes 71 to 73; the register in ModRM is the operation. */
static void shift_group(struct vmd_vex *vex)
{
    static vmd_lane_fn *const operations[3][8] = {
        {[2] = shift_right16, [4] = shift_signed16, [6] = shift_left16},
        {[2] = shift_right32, [4] = shift_signed32, [6] = shift_left32},
        {[2] = shift_right64, [3] = shift_bytes_right, [6] = shift_left64, [7] = shift_bytes_left},
    };
    vmd_lane_fn *operation = operations[vex->opcode - 0x71][vex->reg & 7];
    union vmd_lane count = {.u64 = {vex->imm}};
    struct vmd_vector value, result = {0};

    if (!operation || vex->has_memory) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_register(vex, vex->rm, &value);
    for (unsigned i = 0; i < vmd_vex_lanes(vex); i++) {
        operation(&result.lane[i], &value.lane[i], &count, vex->imm);
    }
    vmd_vex_write_register(vex, vex->vvvv, &result);
}

/* Shifts of each element by its own count: W is the size of elements. */
static void shift_each(struct vmd_vex *vex)
{
    static vmd_lane_fn *const operations[3][2] = {
        {shift_right_each32, shift_right_each64}, {shift_signed_each32, NULL}, {shift_left_each32, shift_left_each64}};
    vmd_lane_fn *operation = operations[vex->opcode - 0x45][vex->w];
    struct vmd_vector a, b, d = {0};

    if (!operation) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_register(vex, vex->vvvv, &a);
    vmd_vex_read_operand(vex, vmd_vex_size(vex), &b);
    for (unsigned i = 0; i < vmd_vex_lanes(vex); i++) {
        operation(&d.lane[i], &a.lane[i], &b.lane[i], 0);
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &d);
    }
}

#define BINARY(operation) .lane = (operation)
#define BY_COUNT(operation) .flags = VMD_VEX_SHIFT, .lane = (operation)
#define UNARY(operation) .flags = VMD_VEX_UNARY, .lane = (operation)

const struct vmd_vex_entry vmd_vex_integer[] = {
    {1, VMD_PP_66, 0x60, BINARY(unpack_low8)},
    {1, VMD_PP_66, 0x61, BINARY(unpack_low16)},
    {1, VMD_PP_66, 0x62, BINARY(unpack_low32)},
    {1, VMD_PP_66, 0x63, BINARY(pack_i16)},
    {1, VMD_PP_66, 0x64, BINARY(gt8)},
    {1, VMD_PP_66, 0x65, BINARY(gt16)},
    {1, VMD_PP_66, 0x66, BINARY(gt32)},
    {1, VMD_PP_66, 0x67, BINARY(pack_u16)},
    {1, VMD_PP_66, 0x68, BINARY(unpack_high8)},
    {1, VMD_PP_66, 0x69, BINARY(unpack_high16)},
    {1, VMD_PP_66, 0x6a, BINARY(unpack_high32)},
    {1, VMD_PP_66, 0x6b, BINARY(pack_i32)},
    {1, VMD_PP_66, 0x6c, BINARY(unpack_low64)},
    {1, VMD_PP_66, 0x6d, BINARY(unpack_high64)},
    {1, VMD_PP_66, 0x70, UNARY(shuffle32)},
    {1, VMD_PP_66, 0x71, .whole = shift_group},
    {1, VMD_PP_66, 0x72, .whole = shift_group},
    {1, VMD_PP_66, 0x73, .whole = shift_group},
    {1, VMD_PP_66, 0x74, BINARY(eq8)},
    {1, VMD_PP_66, 0x75, BINARY(eq16)},
    {1, VMD_PP_66, 0x76, BINARY(eq32)},
    {1, VMD_PP_66, 0xd1, BY_COUNT(shift_right16)},
    {1, VMD_PP_66, 0xd2, BY_COUNT(shift_right32)},
    {1, VMD_PP_66, 0xd3, BY_COUNT(shift_right64)},
    {1, VMD_PP_66, 0xd4, BINARY(add64)},
    {1, VMD_PP_66, 0xd5, BINARY(mul_low16)},
    {1, VMD_PP_66, 0xd8, BINARY(subus8)},
    {1, VMD_PP_66, 0xd9, BINARY(subus16)},
    {1, VMD_PP_66, 0xda, BINARY(min_u8)},
    {1, VMD_PP_66, 0xdb, BINARY(and64)},
    {1, VMD_PP_66, 0xdc, BINARY(addus8)},
    {1, VMD_PP_66, 0xdd, BINARY(addus16)},
    {1, VMD_PP_66, 0xde, BINARY(max_u8)},
    {1, VMD_PP_66, 0xdf, BINARY(andn64)},
    {1, VMD_PP_66, 0xe0, BINARY(average8)},
    {1, VMD_PP_66, 0xe1, BY_COUNT(shift_signed16)},
    {1, VMD_PP_66, 0xe2, BY_COUNT(shift_signed32)},
    {1, VMD_PP_66, 0xe3, BINARY(average16)},
    {1, VMD_PP_66, 0xe4, BINARY(mul_high_u16)},
    {1, VMD_PP_66, 0xe5, BINARY(mul_high_i16)},
    {1, VMD_PP_66, 0xe8, BINARY(subs8)},
    {1, VMD_PP_66, 0xe9, BINARY(subs16)},
    {1, VMD_PP_66, 0xea, BINARY(min_i16)},
    {1, VMD_PP_66, 0xeb, BINARY(or64)},
    {1, VMD_PP_66, 0xec, BINARY(adds8)},
    {1, VMD_PP_66, 0xed, BINARY(adds16)},
    {1, VMD_PP_66, 0xee, BINARY(max_i16)},
    {1, VMD_PP_66, 0xef, BINARY(xor64)},
    {1, VMD_PP_66, 0xf1, BY_COUNT(shift_left16)},
    {1, VMD_PP_66, 0xf2, BY_COUNT(shift_left32)},
    {1, VMD_PP_66, 0xf3, BY_COUNT(shift_left64)},
    {1, VMD_PP_66, 0xf4, BINARY(mul_u32)},
    {1, VMD_PP_66, 0xf5, BINARY(mul_add16)},
    {1, VMD_PP_66, 0xf6, BINARY(sum_of_differences)},
    {1, VMD_PP_66, 0xf8, BINARY(sub8)},
    {1, VMD_PP_66, 0xf9, BINARY(sub16)},
    {1, VMD_PP_66, 0xfa, BINARY(sub32)},
    {1, VMD_PP_66, 0xfb, BINARY(sub64)},
    {1, VMD_PP_66, 0xfc, BINARY(add8)},
    {1, VMD_PP_66, 0xfd, BINARY(add16)},
    {1, VMD_PP_66, 0xfe, BINARY(add32)},
    {1, VMD_PP_F3, 0x70, UNARY(shuffle_high16)},
    {1, VMD_PP_F2, 0x70, UNARY(shuffle_low16)},
    {2, VMD_PP_66, 0x00, BINARY(shuffle8)},
    {2, VMD_PP_66, 0x01, BINARY(add_pairs16)},
    {2, VMD_PP_66, 0x02, BINARY(add_pairs32)},
    {2, VMD_PP_66, 0x03, BINARY(add_pairs_s16)},
    {2, VMD_PP_66, 0x04, BINARY(mul_add8)},
    {2, VMD_PP_66, 0x05, BINARY(sub_pairs16)},
    {2, VMD_PP_66, 0x06, BINARY(sub_pairs32)},
    {2, VMD_PP_66, 0x07, BINARY(sub_pairs_s16)},
    {2, VMD_PP_66, 0x08, BINARY(sign8)},
    {2, VMD_PP_66, 0x09, BINARY(sign16)},
    {2, VMD_PP_66, 0x0a, BINARY(sign32)},
    {2, VMD_PP_66, 0x0b, BINARY(mul_round16)},
    {2, VMD_PP_66, 0x1c, UNARY(abs8)},
    {2, VMD_PP_66, 0x1d, UNARY(abs16)},
    {2, VMD_PP_66, 0x1e, UNARY(abs32)},
    {2, VMD_PP_66, 0x28, BINARY(mul_i32)},
    {2, VMD_PP_66, 0x29, BINARY(eq64)},
    {2, VMD_PP_66, 0x2b, BINARY(pack_u32)},
    {2, VMD_PP_66, 0x37, BINARY(gt64)},
    {2, VMD_PP_66, 0x38, BINARY(min_i8)},
    {2, VMD_PP_66, 0x39, BINARY(min_i32)},
    {2, VMD_PP_66, 0x3a, BINARY(min_u16)},
    {2, VMD_PP_66, 0x3b, BINARY(min_u32)},
    {2, VMD_PP_66, 0x3c, BINARY(max_i8)},
    {2, VMD_PP_66, 0x3d, BINARY(max_i32)},
    {2, VMD_PP_66, 0x3e, BINARY(max_u16)},
    {2, VMD_PP_66, 0x3f, BINARY(max_u32)},
    {2, VMD_PP_66, 0x40, BINARY(mul_low32)},
    {2, VMD_PP_66, 0x45, .whole = shift_each},
    {2, VMD_PP_66, 0x46, .whole = shift_each},
    {2, VMD_PP_66, 0x47, .whole = shift_each},
    {3, VMD_PP_66, 0x0e, BINARY(blend16)},
    {3, VMD_PP_66, 0x0f, BINARY(align)},
    {0},
};
