/*
 * VEX instructions that move: between registers, memory and general registers. See internal.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/vex/internal.h"

/* Whole vectors */

/* Loads and stores that require alignment fault without it. */
static bool is_aligned(struct vmd_vex *vex)
{
    if (vex->has_memory && vex->address % vmd_vex_size(vex)) {
        vmd_guest_fail(vex->guest, VMD_BAD_REFERENCE, vex->address, "a misaligned access of a vector");
        return false;
    }
    return true;
}

static void load(struct vmd_vex *vex)
{
    struct vmd_vector value;

    vmd_vex_read_operand(vex, vmd_vex_size(vex), &value);
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &value);
    }
}

static void store(struct vmd_vex *vex)
{
    struct vmd_vector value;

    vmd_vex_read_register(vex, vex->reg, &value);
    vmd_vex_write_operand(vex, vmd_vex_size(vex), &value);
}

static void load_aligned(struct vmd_vex *vex)
{
    if (is_aligned(vex)) {
        load(vex);
    }
}

static void store_aligned(struct vmd_vex *vex)
{
    if (is_aligned(vex)) {
        store(vex);
    }
}

static void load_memory(struct vmd_vex *vex)
{
    vex->is_invalid = !vex->has_memory;
    if (vex->has_memory) {
        load(vex);
    }
}

static void load_memory_aligned(struct vmd_vex *vex)
{
    vex->is_invalid = !vex->has_memory;
    if (vex->has_memory) {
        load_aligned(vex);
    }
}

static void store_memory_aligned(struct vmd_vex *vex)
{
    vex->is_invalid = !vex->has_memory;
    if (vex->has_memory) {
        store_aligned(vex);
    }
}

/* Parts of vectors */

/* vmovss and vmovsd: between registers, the rest is vvvv's. */
static void move_scalar(struct vmd_vex *vex)
{
    size_t size = vex->pp == VMD_PP_F3 ? 4 : 8;
    bool is_load = vex->opcode == 0x10;
    struct vmd_vector value, upper;

    if (vex->has_memory) {
        if (vex->vvvv) {
            vex->is_invalid = true;
        } else if (is_load) {
            vmd_vex_read_operand(vex, size, &value);
            if (!vex->guest->err.code) {
                vmd_vex_write_lane(vex, vex->reg, &value.lane[0]);
            }
        } else {
            vmd_vex_read_register(vex, vex->reg, &value);
            vmd_vex_write_operand(vex, size, &value);
        }
        return;
    }
    vmd_vex_read_register(vex, is_load ? vex->rm : vex->reg, &value);
    vmd_vex_read_register(vex, vex->vvvv, &upper);
    memcpy(&upper, &value, size);
    vmd_vex_write_lane(vex, is_load ? vex->reg : vex->rm, &upper.lane[0]);
}

/* vmovlps, vmovhps and of doubles: a half of the lowest lane from memory; vmovhlps and vmovlhps between registers. */
static void load_half(struct vmd_vex *vex)
{
    bool is_high = vex->opcode == 0x16;
    struct vmd_vector value, result;

    if (!vex->has_memory && vex->pp == VMD_PP_66) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_register(vex, vex->vvvv, &result);
    vmd_vex_read_operand(vex, 8, &value);
    if (!vex->guest->err.code) {
        result.lane[0].u64[is_high] = value.lane[0].u64[vex->has_memory || is_high ? 0 : 1];
        vmd_vex_write_lane(vex, vex->reg, &result.lane[0]);
    }
}

static void store_half(struct vmd_vex *vex)
{
    struct vmd_vector value;

    if (!vex->has_memory) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_register(vex, vex->reg, &value);
    value.lane[0].u64[0] = value.lane[0].u64[vex->opcode == 0x17];
    vmd_vex_write_operand(vex, 8, &value);
}

/* vmovd and vmovq between vectors and general registers. */
static void from_general(struct vmd_vex *vex)
{
    struct vmd_vector value = {0};

    if (vex->has_memory) {
        vmd_vex_read_operand(vex, vex->w ? 8 : 4, &value);
    } else {
        value.lane[0].u64[0] = vmd_vex_read_general(vex, vex->rm) & (vex->w ? UINT64_MAX : UINT32_MAX);
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_lane(vex, vex->reg, &value.lane[0]);
    }
}

/* Write an element to a general register, zero-extended, or to memory. */
static void to_general(struct vmd_vex *vex, uint64_t element, size_t size)
{
    struct vmd_vector value = {.lane = {{.u64 = {element}}}};

    if (vex->has_memory) {
        vmd_vex_write_operand(vex, size, &value);
    } else {
        vmd_vex_write_general(vex, vex->rm, element);
    }
}

static void move_to_general(struct vmd_vex *vex)
{
    struct vmd_vector value;

    vmd_vex_read_register(vex, vex->reg, &value);
    to_general(vex, vex->w ? value.lane[0].u64[0] : value.lane[0].u32[0], vex->w ? 8 : 4);
}

/* vmovq between vectors: 64 bits, the rest is 0. */
static void move_64(struct vmd_vex *vex)
{
    bool is_store = vex->pp == VMD_PP_66;
    struct vmd_vector value;

    if (is_store) {
        vmd_vex_read_register(vex, vex->reg, &value);
    } else {
        vmd_vex_read_operand(vex, 8, &value);
    }
    value.lane[0].u64[1] = 0;
    if (vex->guest->err.code) {
        return;
    }
    if (is_store && vex->has_memory) {
        vmd_vex_write_operand(vex, 8, &value);
    } else {
        vmd_vex_write_lane(vex, is_store ? vex->rm : vex->reg, &value.lane[0]);
    }
}

static void extract(struct vmd_vex *vex)
{
    struct vmd_vector value;
    const union vmd_lane *lane = &value.lane[0];

    vmd_vex_read_register(vex, vex->reg, &value);
    switch (vex->opcode) {
    case 0x14:
        to_general(vex, lane->u8[vex->imm & 15], 1);
        break;
    case 0x15:
        to_general(vex, lane->u16[vex->imm & 7], 2);
        break;
    case 0x16:
        to_general(vex, vex->w ? lane->u64[vex->imm & 1] : lane->u32[vex->imm & 3], vex->w ? 8 : 4);
        break;
    default: /* vextractps */
        to_general(vex, lane->u32[vex->imm & 3], 4);
        break;
    }
}

/* vpextrw with operands the other way round: to a general register only. */
static void extract_16(struct vmd_vex *vex)
{
    struct vmd_vector value;

    if (vex->has_memory) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_register(vex, vex->rm, &value);
    vmd_vex_write_general(vex, vex->reg, value.lane[0].u16[vex->imm & 7]);
}

static void insert(struct vmd_vex *vex)
{
    size_t size = vex->opcode == 0x20 ? 1 : vex->opcode == 0xc4 ? 2 : vex->w ? 8 : 4;
    struct vmd_vector value, result;

    if (vex->has_memory) {
        vmd_vex_read_operand(vex, size, &value);
    } else {
        value.lane[0].u64[0] = vmd_vex_read_general(vex, vex->rm);
    }
    vmd_vex_read_register(vex, vex->vvvv, &result);
    memcpy((char *)&result + (vex->imm & (16 / size - 1)) * size, &value, size);
    if (!vex->guest->err.code) {
        vmd_vex_write_lane(vex, vex->reg, &result.lane[0]);
    }
}

static void insert_float(struct vmd_vex *vex)
{
    struct vmd_vector value, result;

    vmd_vex_read_register(vex, vex->vvvv, &result);
    vmd_vex_read_operand(vex, 4, &value);
    result.lane[0].u32[vex->imm >> 4 & 3] = value.lane[0].u32[vex->has_memory ? 0 : vex->imm >> 6];
    for (int i = 0; i < 4; i++) {
        result.lane[0].u32[i] = vex->imm >> i & 1 ? 0 : result.lane[0].u32[i];
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_lane(vex, vex->reg, &result.lane[0]);
    }
}

#define BINARY(operation) .whole = (operation)
#define BINARY_128(operation) .flags = VMD_VEX_128, .whole = (operation)
#define UNARY(operation) .flags = VMD_VEX_UNARY, .whole = (operation)
#define UNARY_128(operation) .flags = VMD_VEX_UNARY | VMD_VEX_128, .whole = (operation)

const struct vmd_vex_entry vmd_vex_moves[] = {
    {1, VMD_PP_NONE, 0x10, UNARY(load)},
    {1, VMD_PP_NONE, 0x11, UNARY(store)},
    {1, VMD_PP_NONE, 0x28, UNARY(load_aligned)},
    {1, VMD_PP_NONE, 0x29, UNARY(store_aligned)},
    {1, VMD_PP_NONE, 0x2b, UNARY(store_memory_aligned)},
    {1, VMD_PP_NONE, 0x12, BINARY_128(load_half)},
    {1, VMD_PP_NONE, 0x16, BINARY_128(load_half)},
    {1, VMD_PP_NONE, 0x13, UNARY_128(store_half)},
    {1, VMD_PP_NONE, 0x17, UNARY_128(store_half)},
    {1, VMD_PP_66, 0x10, UNARY(load)},
    {1, VMD_PP_66, 0x11, UNARY(store)},
    {1, VMD_PP_66, 0x28, UNARY(load_aligned)},
    {1, VMD_PP_66, 0x29, UNARY(store_aligned)},
    {1, VMD_PP_66, 0x2b, UNARY(store_memory_aligned)},
    {1, VMD_PP_66, 0x12, BINARY_128(load_half)},
    {1, VMD_PP_66, 0x16, BINARY_128(load_half)},
    {1, VMD_PP_66, 0x13, UNARY_128(store_half)},
    {1, VMD_PP_66, 0x17, UNARY_128(store_half)},
    {1, VMD_PP_F3, 0x10, BINARY(move_scalar)},
    {1, VMD_PP_F3, 0x11, BINARY(move_scalar)},
    {1, VMD_PP_F2, 0x10, BINARY(move_scalar)},
    {1, VMD_PP_F2, 0x11, BINARY(move_scalar)},
    {1, VMD_PP_66, 0x6f, UNARY(load_aligned)},
    {1, VMD_PP_66, 0x7f, UNARY(store_aligned)},
    {1, VMD_PP_F3, 0x6f, UNARY(load)},
    {1, VMD_PP_F3, 0x7f, UNARY(store)},
    {1, VMD_PP_F2, 0xf0, UNARY(load_memory)},
    {1, VMD_PP_66, 0xe7, UNARY(store_memory_aligned)},
    {2, VMD_PP_66, 0x2a, UNARY(load_memory_aligned)},
    {1, VMD_PP_66, 0x6e, UNARY_128(from_general)},
    {1, VMD_PP_66, 0x7e, UNARY_128(move_to_general)},
    {1, VMD_PP_F3, 0x7e, UNARY_128(move_64)},
    {1, VMD_PP_66, 0xd6, UNARY_128(move_64)},
    {3, VMD_PP_66, 0x14, UNARY_128(extract)},
    {3, VMD_PP_66, 0x15, UNARY_128(extract)},
    {3, VMD_PP_66, 0x16, UNARY_128(extract)},
    {3, VMD_PP_66, 0x17, UNARY_128(extract)},
    {1, VMD_PP_66, 0xc5, UNARY_128(extract_16)},
    {1, VMD_PP_66, 0xc4, BINARY_128(insert)},
    {3, VMD_PP_66, 0x20, BINARY_128(insert)},
    {3, VMD_PP_66, 0x22, BINARY_128(insert)},
    {3, VMD_PP_66, 0x21, BINARY_128(insert_float)},
    {0},
};
