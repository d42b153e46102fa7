/*
 * The inside of the execution of VEX instructions: a decoded instruction, and tables of what instructions do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_VEX_INTERNAL_H
#define VMD_GUEST_VEX_INTERNAL_H

#include "guest/vex/vex.h"

/* 128 bits of a vector: most instructions on 256 bits do the same to both halves. */
union vmd_lane {
    uint8_t u8[16];
    int8_t i8[16];
    uint16_t u16[8];
    int16_t i16[8];
    uint32_t u32[4];
    int32_t i32[4];
    uint64_t u64[2];
    int64_t i64[2];
    float f32[4];
    double f64[2];
};

struct vmd_vector {
    union vmd_lane lane[2];
};

/* Prefixes that VEX implies: its field pp. */
enum { VMD_PP_NONE, VMD_PP_66, VMD_PP_F3, VMD_PP_F2 };

/* An instruction. */
struct vmd_vex {
    struct vmd_guest *guest;
    unsigned map, pp, opcode; /* map 1: 0f, 2: 0f 38, 3: 0f 3a */
    bool w, is_256, has_memory;
    unsigned reg, rm, vvvv; /* numbers of registers; reg also an extension of the opcode */
    uint64_t address;       /* of the memory operand, without RIP */
    uint8_t imm;
    size_t length;
    bool is_invalid; /* set by an operation: there is no such form of the instruction */
};

/* An operation on a lane: the result of two operands and an immediate. */
typedef void vmd_lane_fn(union vmd_lane *d, const union vmd_lane *a, const union vmd_lane *b, uint8_t imm);
/* An operation that reads and writes its operands itself. */
typedef void vmd_vex_fn(struct vmd_vex *vex);

enum vmd_vex_flags {
    VMD_VEX_UNARY = 1,      /* one source; vvvv is not used */
    VMD_VEX_128 = 2,        /* 128 bits only */
    VMD_VEX_256 = 4,        /* 256 bits only */
    VMD_VEX_SHIFT = 16,     /* the second operand has 128 bits and applies to both lanes */
    VMD_VEX_SCALAR_32 = 32, /* on the lowest 32 or 64 bits; the rest is the first operand's */
    VMD_VEX_SCALAR_64 = 64,
    VMD_VEX_W0 = 128, /* W must be 0, or 1 */
    VMD_VEX_W1 = 256,
};

struct vmd_vex_entry {
    uint8_t map, pp, opcode;
    uint16_t flags;
    vmd_lane_fn *lane; /* or */
    vmd_vex_fn *whole;
};

/* What each file executes; map 0 ends a list. */
extern const struct vmd_vex_entry vmd_vex_integer[], vmd_vex_floating[], vmd_vex_conversions[], vmd_vex_moves[],
    vmd_vex_permutes[];

/* Operands */

void vmd_vex_read_register(const struct vmd_vex *vex, unsigned number, struct vmd_vector *ret);

/* Write a register; bits above a 128-bit operation's are 0. */
void vmd_vex_write_register(const struct vmd_vex *vex, unsigned number, const struct vmd_vector *value);
void vmd_vex_write_lane(const struct vmd_vex *vex, unsigned number, const union vmd_lane *value);

/* The last operand, of size bytes if it is in memory: what remains is 0 then. */
void vmd_vex_read_operand(const struct vmd_vex *vex, size_t size, struct vmd_vector *ret);

/* Write the last operand; size bytes if it is in memory. */
void vmd_vex_write_operand(const struct vmd_vex *vex, size_t size, const struct vmd_vector *value);

/* General registers. */
uint64_t vmd_vex_read_general(const struct vmd_vex *vex, unsigned number);
void vmd_vex_write_general(const struct vmd_vex *vex, unsigned number, uint64_t value);

/* The flags ZF, PF and CF as given; OF, SF and AF are cleared. */
void vmd_vex_write_flags(const struct vmd_vex *vex, bool zf, bool pf, bool cf);

static inline size_t vmd_vex_size(const struct vmd_vex *vex)
{
    return vex->is_256 ? 32 : 16;
}

static inline unsigned vmd_vex_lanes(const struct vmd_vex *vex)
{
    return vex->is_256 ? 2 : 1;
}

#endif
