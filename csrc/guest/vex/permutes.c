/*
 * VEX instructions on masks and flags, and those that cross lanes: permutations, broadcasts, extensions. See
 * internal.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/vex/internal.h"

/* Masks and flags */

static void mask_of_bytes(struct vmd_vex *vex)
{
    struct vmd_vector value;
    uint32_t mask = 0;

    if (vex->has_memory) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_register(vex, vex->rm, &value);
    for (unsigned i = 0; i < vmd_vex_size(vex); i++) {
        mask |= (uint32_t)(value.lane[i / 16].u8[i % 16] >> 7) << i;
    }
    vmd_vex_write_general(vex, vex->reg, mask);
}

static void mask_of_floats(struct vmd_vex *vex)
{
    unsigned size = vex->pp == VMD_PP_66 ? 8 : 4;
    struct vmd_vector value;
    uint32_t mask = 0;

    if (vex->has_memory) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_register(vex, vex->rm, &value);
    for (unsigned i = 0; i < vmd_vex_size(vex) / size; i++) {
        mask |= (uint32_t)(((const uint8_t *)&value)[size * i + size - 1] >> 7) << i;
    }
    vmd_vex_write_general(vex, vex->reg, mask);
}

/* vptest; vtestps and vtestpd test signs only. */
static void test(struct vmd_vex *vex)
{
    uint64_t considered = vex->opcode == 0x17 ? UINT64_MAX : vex->opcode == 0x0e ? 0x8000000080000000 : 1ull << 63;
    struct vmd_vector a, b;
    uint64_t both = 0, only_second = 0;

    vmd_vex_read_register(vex, vex->reg, &a);
    vmd_vex_read_operand(vex, vmd_vex_size(vex), &b);
    for (unsigned i = 0; i < 2 * vmd_vex_lanes(vex); i++) {
        uint64_t x = a.lane[i / 2].u64[i % 2], y = b.lane[i / 2].u64[i % 2];

        both |= x & y & considered;
        only_second |= ~x & y & considered;
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_flags(vex, !both, false, !only_second);
    }
}

/* All registers: the upper halves, or everything. */
static void zero(struct vmd_vex *vex)
{
    for (unsigned i = 0; i < 16; i++) {
        struct vmd_vector value = {0};

        if (!vex->is_256) {
            vmd_vex_read_register(vex, i, &value);
        }
        vmd_vex_write_lane(vex, i, &value.lane[0]);
    }
}

/* Elements at the sign bits of a mask in memory: loads of others are 0, stores leave memory as it is. */
static void move_masked(struct vmd_vex *vex)
{
    bool is_integer = vex->opcode & 0x80, is_store = is_integer ? vex->opcode == 0x8e : vex->opcode & 2;
    size_t size = is_integer ? (vex->w ? 8 : 4) : vex->opcode & 1 ? 8 : 4;
    struct vmd_vector mask, value = {0};

    if (!vex->has_memory || (!is_integer && vex->w)) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_register(vex, vex->vvvv, &mask);
    if (is_store) {
        vmd_vex_read_register(vex, vex->reg, &value);
    }
    for (size_t i = 0; i < vmd_vex_size(vex) / size; i++) {
        char *element = (char *)&value + size * i, *at;

        if (!(((const uint8_t *)&mask)[size * i + size - 1] & 0x80)) {
            continue;
        }
        at = vmd_guest_at(vex->guest, vex->address + size * i, size);
        if (!at) {
            return;
        }
        memcpy(is_store ? at : element, is_store ? element : at, size);
    }
    if (!is_store) {
        vmd_vex_write_register(vex, vex->reg, &value);
    }
}

/* Across lanes */

/* Copies of one element of the source's first bytes. */
static void broadcast(struct vmd_vex *vex)
{
    size_t size = vex->opcode == 0x78                          ? 1
                  : vex->opcode == 0x79                        ? 2
                  : vex->opcode == 0x18 || vex->opcode == 0x58 ? 4
                  : vex->opcode == 0x19 || vex->opcode == 0x59 ? 8
                                                               : 16;
    struct vmd_vector value, result;

    if (size == 16 && !vex->has_memory) {
        vex->is_invalid = true;
        return;
    }
    vmd_vex_read_operand(vex, size, &value);
    for (size_t i = 0; i < 32 / size; i++) {
        memcpy((char *)&result + size * i, &value, size);
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

/* vmovddup, vmovshdup, vmovsldup */
static void duplicate(struct vmd_vex *vex)
{
    bool is_64 = vex->pp == VMD_PP_F2;
    struct vmd_vector value, result;

    vmd_vex_read_operand(vex, is_64 && !vex->is_256 ? 8 : vmd_vex_size(vex), &value);
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < 4; k++) {
            unsigned from = is_64 ? k % 2 : vex->opcode == 0x16 ? k | 1 : k & ~1u;

            result.lane[i].u32[k] = value.lane[i].u32[from];
        }
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

static void insert_lane(struct vmd_vex *vex)
{
    struct vmd_vector value, result;

    vmd_vex_read_register(vex, vex->vvvv, &result);
    vmd_vex_read_operand(vex, 16, &value);
    result.lane[vex->imm & 1] = value.lane[0];
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

static void extract_lane(struct vmd_vex *vex)
{
    struct vmd_vector value;

    vmd_vex_read_register(vex, vex->reg, &value);
    value.lane[0] = value.lane[vex->imm & 1];
    if (vex->has_memory) {
        vmd_vex_write_operand(vex, 16, &value);
    } else {
        vmd_vex_write_lane(vex, vex->rm, &value.lane[0]);
    }
}

/* vperm2f128, vperm2i128 */
static void permute_lanes(struct vmd_vex *vex)
{
    struct vmd_vector from[2], result;

    vmd_vex_read_register(vex, vex->vvvv, &from[0]);
    vmd_vex_read_operand(vex, 32, &from[1]);
    for (int i = 0; i < 2; i++) {
        unsigned choice = vex->imm >> 4 * i;

        result.lane[i] = choice & 8 ? (union vmd_lane){0} : from[choice >> 1 & 1].lane[choice & 1];
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

/* vpermq, vpermpd */
static void permute_quarters(struct vmd_vex *vex)
{
    struct vmd_vector value, result;

    vmd_vex_read_operand(vex, 32, &value);
    for (int i = 0; i < 4; i++) {
        unsigned from = vex->imm >> 2 * i & 3;

        result.lane[i / 2].u64[i % 2] = value.lane[from / 2].u64[from % 2];
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

/* vpermd, vpermps */
static void permute_eighths(struct vmd_vex *vex)
{
    struct vmd_vector index, value, result;

    vmd_vex_read_register(vex, vex->vvvv, &index);
    vmd_vex_read_operand(vex, 32, &value);
    for (int i = 0; i < 8; i++) {
        unsigned from = index.lane[i / 4].u32[i % 4] & 7;

        result.lane[i / 4].u32[i % 4] = value.lane[from / 4].u32[from % 4];
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

static void blend_32(struct vmd_vex *vex)
{
    struct vmd_vector a, b;

    vmd_vex_read_register(vex, vex->vvvv, &a);
    vmd_vex_read_operand(vex, vmd_vex_size(vex), &b);
    for (int i = 0; i < 8; i++) {
        if (vex->imm >> i & 1) {
            a.lane[i / 4].u32[i % 4] = b.lane[i / 4].u32[i % 4];
        }
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &a);
    }
}

/* Elements by the sign bits of a fourth register. */
static void blend_by(struct vmd_vex *vex)
{
    size_t size = vex->opcode == 0x4a ? 4 : vex->opcode == 0x4b ? 8 : 1;
    struct vmd_vector a, b, mask;

    vmd_vex_read_register(vex, vex->vvvv, &a);
    vmd_vex_read_operand(vex, vmd_vex_size(vex), &b);
    vmd_vex_read_register(vex, vex->imm >> 4, &mask);
    for (size_t i = 0; i < 32; i += size) {
        if (((const uint8_t *)&mask)[i + size - 1] & 0x80) {
            memcpy((char *)&a + i, (const char *)&b + i, size);
        }
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &a);
    }
}

/* vpmovsx and vpmovzx: the opcode's low digit is the pair of sizes. */
static void extend(struct vmd_vex *vex)
{
    static const uint8_t sizes[6][2] = {{1, 2}, {1, 4}, {1, 8}, {2, 4}, {2, 8}, {4, 8}};
    const uint8_t *pair = sizes[vex->opcode & 7];
    bool is_signed = vex->opcode < 0x30;
    size_t from = pair[0], to = pair[1], n = vmd_vex_size(vex) / to;
    struct vmd_vector value, result = {0};

    vmd_vex_read_operand(vex, n * from, &value);
    for (size_t i = 0; i < n; i++) {
        uint64_t element = 0, sign = 1ull << (8 * from - 1);

        memcpy(&element, (const char *)&value + from * i, from);
        element = is_signed ? (element ^ sign) - sign : element;
        memcpy((char *)&result + to * i, &element, to);
    }
    if (!vex->guest->err.code) {
        vmd_vex_write_register(vex, vex->reg, &result);
    }
}

#define BINARY(operation) .whole = (operation)
#define BINARY_256(operation) .flags = VMD_VEX_256 | VMD_VEX_W0, .whole = (operation)
#define UNARY(operation) .flags = VMD_VEX_UNARY, .whole = (operation)
#define UNARY_W0(operation) .flags = VMD_VEX_UNARY | VMD_VEX_W0, .whole = (operation)
#define UNARY_256(operation, w) .flags = VMD_VEX_UNARY | VMD_VEX_256 | (w), .whole = (operation)

const struct vmd_vex_entry vmd_vex_permutes[] = {
    {1, VMD_PP_NONE, 0x50, UNARY(mask_of_floats)},
    {1, VMD_PP_66, 0x50, UNARY(mask_of_floats)},
    {1, VMD_PP_66, 0xd7, UNARY(mask_of_bytes)},
    {1, VMD_PP_NONE, 0x77, UNARY(zero)},
    {1, VMD_PP_F2, 0x12, UNARY(duplicate)},
    {1, VMD_PP_F3, 0x12, UNARY(duplicate)},
    {1, VMD_PP_F3, 0x16, UNARY(duplicate)},
    {2, VMD_PP_66, 0x0e, UNARY_W0(test)},
    {2, VMD_PP_66, 0x0f, UNARY_W0(test)},
    {2, VMD_PP_66, 0x17, UNARY(test)},
    {2, VMD_PP_66, 0x18, UNARY_W0(broadcast)},
    {2, VMD_PP_66, 0x19, UNARY_256(broadcast, VMD_VEX_W0)},
    {2, VMD_PP_66, 0x1a, UNARY_256(broadcast, VMD_VEX_W0)},
    {2, VMD_PP_66, 0x58, UNARY_W0(broadcast)},
    {2, VMD_PP_66, 0x59, UNARY_W0(broadcast)},
    {2, VMD_PP_66, 0x5a, UNARY_256(broadcast, VMD_VEX_W0)},
    {2, VMD_PP_66, 0x78, UNARY_W0(broadcast)},
    {2, VMD_PP_66, 0x79, UNARY_W0(broadcast)},
    {2, VMD_PP_66, 0x16, BINARY_256(permute_eighths)},
    {2, VMD_PP_66, 0x36, BINARY_256(permute_eighths)},
    {2, VMD_PP_66, 0x20, UNARY(extend)},
    {2, VMD_PP_66, 0x21, UNARY(extend)},
    {2, VMD_PP_66, 0x22, UNARY(extend)},
    {2, VMD_PP_66, 0x23, UNARY(extend)},
    {2, VMD_PP_66, 0x24, UNARY(extend)},
    {2, VMD_PP_66, 0x25, UNARY(extend)},
    {2, VMD_PP_66, 0x30, UNARY(extend)},
    {2, VMD_PP_66, 0x31, UNARY(extend)},
    {2, VMD_PP_66, 0x32, UNARY(extend)},
    {2, VMD_PP_66, 0x33, UNARY(extend)},
    {2, VMD_PP_66, 0x34, UNARY(extend)},
    {2, VMD_PP_66, 0x35, UNARY(extend)},
    {2, VMD_PP_66, 0x2c, BINARY(move_masked)},
    {2, VMD_PP_66, 0x2d, BINARY(move_masked)},
    {2, VMD_PP_66, 0x2e, BINARY(move_masked)},
    {2, VMD_PP_66, 0x2f, BINARY(move_masked)},
    {2, VMD_PP_66, 0x8c, BINARY(move_masked)},
    {2, VMD_PP_66, 0x8e, BINARY(move_masked)},
    {3, VMD_PP_66, 0x00, UNARY_256(permute_quarters, VMD_VEX_W1)},
    {3, VMD_PP_66, 0x01, UNARY_256(permute_quarters, VMD_VEX_W1)},
    {3, VMD_PP_66, 0x02, .flags = VMD_VEX_W0, .whole = blend_32},
    {3, VMD_PP_66, 0x06, BINARY_256(permute_lanes)},
    {3, VMD_PP_66, 0x46, BINARY_256(permute_lanes)},
    {3, VMD_PP_66, 0x18, BINARY_256(insert_lane)},
    {3, VMD_PP_66, 0x38, BINARY_256(insert_lane)},
    {3, VMD_PP_66, 0x19, UNARY_256(extract_lane, VMD_VEX_W0)},
    {3, VMD_PP_66, 0x39, UNARY_256(extract_lane, VMD_VEX_W0)},
    {3, VMD_PP_66, 0x4a, .flags = VMD_VEX_W0, .whole = blend_by},
    {3, VMD_PP_66, 0x4b, .flags = VMD_VEX_W0, .whole = blend_by},
    {3, VMD_PP_66, 0x4c, .flags = VMD_VEX_W0, .whole = blend_by},
    {0},
};
