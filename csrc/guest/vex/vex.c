/*
 * Execution of VEX-encoded instructions: see vex.h.
 *
 * Source: Intel SDM volume 2, chapter 2.3 and the instructions' pages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <pthread.h>
#include <stdio.h>

#include "guest/insn.h"
#include "guest/vex/internal.h"

/* Unicorn's numbers of registers. */
enum { EFLAGS = 25, FS_BASE = 250, GS_BASE = 251, YMM0 = 154 };
static const int general[16] = {35, 38, 40, 37, 44, 36, 43, 39, 106, 107, 108, 109, 110, 111, 112, 113};

/* First bytes of encodings, and the bytes, invalid in 64-bit mode, that they are overwritten with. */
static const struct {
    uint8_t first, invalid;
    const char *unsupported; /* NULL: executed */
} encodings[] = {
    {0xc5, 0x06, NULL},
    {0xc4, 0x07, NULL},
    {0x62, 0x0e, "an AVX-512 instruction"},
    {0x8f, 0x16, "an XOP instruction"},
};

enum { N_ENCODINGS = sizeof(encodings) / sizeof(*encodings) };

void vmd_vex_overwrite(uint8_t *code, size_t size)
{
    size_t at = vmd_x86_64_prefixes(code, size);

    for (size_t i = 0; at < size && i < N_ENCODINGS; i++) {
        if (code[at] == encodings[i].first) {
            code[at] = encodings[i].invalid;
            break;
        }
    }
}

/* Operands */

uint64_t vmd_vex_read_general(const struct vmd_vex *vex, unsigned number)
{
    return vmd_cpu_read(vex->guest, general[number]);
}

void vmd_vex_write_general(const struct vmd_vex *vex, unsigned number, uint64_t value)
{
    vmd_cpu_write(vex->guest, general[number], value);
}

void vmd_vex_write_flags(const struct vmd_vex *vex, bool zf, bool pf, bool cf)
{
    enum { CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, OF = 0x800 };
    uint64_t flags = vmd_cpu_read(vex->guest, EFLAGS) & ~(uint64_t)(CF | PF | AF | ZF | SF | OF);

    vmd_cpu_write(vex->guest, EFLAGS, flags | (zf ? ZF : 0) | (pf ? PF : 0) | (cf ? CF : 0));
}

void vmd_vex_read_register(const struct vmd_vex *vex, unsigned number, struct vmd_vector *ret)
{
    vmd_cpu_read_vector(vex->guest, YMM0 + (int)number, ret);
}

void vmd_vex_write_register(const struct vmd_vex *vex, unsigned number, const struct vmd_vector *value)
{
    struct vmd_vector whole = *value;

    if (!vex->is_256) {
        whole.lane[1] = (union vmd_lane){0};
    }
    vmd_cpu_write_vector(vex->guest, YMM0 + (int)number, &whole);
}

void vmd_vex_write_lane(const struct vmd_vex *vex, unsigned number, const union vmd_lane *value)
{
    struct vmd_vector whole = {.lane = {*value}};

    vmd_cpu_write_vector(vex->guest, YMM0 + (int)number, &whole);
}

void vmd_vex_read_operand(const struct vmd_vex *vex, size_t size, struct vmd_vector *ret)
{
    const char *from;

    if (!vex->has_memory) {
        vmd_vex_read_register(vex, vex->rm, ret);
        return;
    }
    *ret = (struct vmd_vector){0};
    from = vmd_guest_at(vex->guest, vex->address, size);
    if (from) {
        memcpy(ret, from, size);
    }
}

void vmd_vex_write_operand(const struct vmd_vex *vex, size_t size, const struct vmd_vector *value)
{
    char *to;

    if (!vex->has_memory) {
        vmd_vex_write_register(vex, vex->rm, value);
        return;
    }
    to = vmd_guest_at(vex->guest, vex->address, size);
    if (to) {
        memcpy(to, value, size);
    }
}

/* Decoding */

enum { X_BIT = 0x40, B_BIT = 0x20 };

/* The address of the memory operand; rex: inverted bits X and B of VEX. */
static uint64_t read_address(const struct vmd_vex *vex, const uint8_t *modrm, uint8_t rex, uint64_t end)
{
    unsigned mod = *modrm >> 6, rm = *modrm & 7, base = rm, index;
    const uint8_t *at = modrm + 1;
    uint64_t address = 0;

    if (rm == 4) {
        base = *at & 7;
        index = (*at >> 3 & 7) | (rex & X_BIT ? 0 : 8);
        address = index == 4 ? 0 : vmd_vex_read_general(vex, index) << (*at >> 6);
        at++;
    }
    if (mod == 0 && rm == 5) {
        return end + (uint64_t)(int64_t)vmd_load_i32(at);
    }
    if (mod == 0 && base == 5) {
        return address + (uint64_t)(int64_t)vmd_load_i32(at);
    }
    address += vmd_vex_read_general(vex, base | (rex & B_BIT ? 0 : 8));
    return address + (mod == 1 ? (uint64_t)(int64_t)(int8_t)*at : mod == 2 ? (uint64_t)(int64_t)vmd_load_i32(at) : 0);
}

/* The base of the segment that prefixes select; false: another prefix. */
static bool read_prefixes(struct vmd_guest *guest, const uint8_t *code, size_t n, uint64_t *base)
{
    *base = 0;
    for (size_t i = 0; i < n; i++) {
        if (code[i] == 0x64 || code[i] == 0x65) {
            *base = vmd_cpu_read(guest, code[i] == 0x64 ? FS_BASE : GS_BASE);
        } else if (code[i] != 0x2e && code[i] != 0x36 && code[i] != 0x3e && code[i] != 0x26) {
            return false;
        }
    }
    return true;
}

/* Decode an instruction, of which the first byte is c4 or c5. False: invalid, or with an unsupported prefix. */
static bool decode(struct vmd_vex *vex, uint64_t pc, const uint8_t *code, size_t n_prefixes, size_t length)
{
    const uint8_t *at = code + n_prefixes;
    uint8_t rex, last;
    uint64_t base;

    if (!read_prefixes(vex->guest, code, n_prefixes, &base)) {
        return false;
    }
    if (*at == 0xc5) {
        rex = (at[1] & 0x80) | X_BIT | B_BIT;
        vex->map = 1;
        last = at[1];
        at += 2;
    } else {
        rex = at[1] & 0xe0;
        vex->map = at[1] & 31;
        last = at[2];
        vex->w = last & 0x80;
        at += 3;
    }
    vex->vvvv = ~(unsigned)last >> 3 & 15;
    vex->is_256 = last & 4;
    vex->pp = last & 3;
    vex->opcode = *at++;
    vex->length = length;
    vex->imm = code[length - 1];
    if (vex->map == 1 && vex->opcode == 0x77) {
        return true; /* no ModRM */
    }
    vex->reg = (*at >> 3 & 7) | (rex & 0x80 ? 0 : 8);
    vex->rm = (*at & 7) | (rex & B_BIT ? 0 : 8);
    vex->has_memory = *at >> 6 != 3;
    if (vex->has_memory) {
        vex->address = base + read_address(vex, at, rex, pc + length);
    }
    return true;
}

/* Execution */

static const struct vmd_vex_entry *entries[3][4][256]; /* by map, pp and opcode */

static void collect_entries(void)
{
    const struct vmd_vex_entry *const lists[] = {vmd_vex_integer, vmd_vex_floating, vmd_vex_conversions, vmd_vex_moves,
                                                 vmd_vex_permutes};

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        for (const struct vmd_vex_entry *entry = lists[i]; entry->map; entry++) {
            entries[entry->map - 1][entry->pp][entry->opcode] = entry;
        }
    }
}

static const struct vmd_vex_entry *find_entry(const struct vmd_vex *vex)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, collect_entries);
    return vex->map >= 1 && vex->map <= 3 ? entries[vex->map - 1][vex->pp][vex->opcode] : NULL;
}

bool vmd_vex_has_opcode(unsigned map, unsigned pp, unsigned opcode)
{
    return find_entry(&(struct vmd_vex){.map = map, .pp = pp & 3, .opcode = opcode & 255}) != NULL;
}

static bool has_form(const struct vmd_vex *vex, const struct vmd_vex_entry *entry)
{
    return !(entry->flags & VMD_VEX_UNARY && vex->vvvv) && !(entry->flags & VMD_VEX_128 && vex->is_256) &&
           !(entry->flags & VMD_VEX_256 && !vex->is_256) && !(entry->flags & VMD_VEX_W0 && vex->w) &&
           !(entry->flags & VMD_VEX_W1 && !vex->w);
}

static void execute_lanes(const struct vmd_vex *vex, const struct vmd_vex_entry *entry)
{
    bool is_scalar = entry->flags & (VMD_VEX_SCALAR_32 | VMD_VEX_SCALAR_64);
    size_t scalar = entry->flags & VMD_VEX_SCALAR_32 ? 4 : 8;
    struct vmd_vector a = {0}, b, d = {0};

    if (!(entry->flags & VMD_VEX_UNARY)) {
        vmd_vex_read_register(vex, vex->vvvv, &a);
    }
    vmd_vex_read_operand(vex, is_scalar ? scalar : entry->flags & VMD_VEX_SHIFT ? 16 : vmd_vex_size(vex), &b);
    if (entry->flags & VMD_VEX_SHIFT) {
        b.lane[1] = b.lane[0];
    }
    if (vex->guest->err.code) {
        return;
    }
    if (is_scalar) {
        entry->lane(&d.lane[0], &a.lane[0], &b.lane[0], vex->imm);
        memcpy(&a, &d, scalar);
        vmd_vex_write_lane(vex, vex->reg, &a.lane[0]);
        return;
    }
    for (unsigned i = 0; i < vmd_vex_lanes(vex); i++) {
        entry->lane(&d.lane[i], &a.lane[i], &b.lane[i], vex->imm);
    }
    vmd_vex_write_register(vex, vex->reg, &d);
}

/* Instructions that are not executed, by map and opcode. Others are named by their encoding. */
static const struct {
    uint8_t map, first, last;
    const char *name;
} unsupported[] = {
    {1, 0x41, 0x4b, "on masks (AVX-512)"},
    {1, 0x52, 0x52, "vrsqrtps or vrsqrtss"},
    {1, 0x53, 0x53, "vrcpps or vrcpss"},
    {1, 0x90, 0x93, "kmov (AVX-512)"},
    {1, 0x98, 0x99, "kortest or ktest (AVX-512)"},
    {1, 0xae, 0xae, "vldmxcsr or vstmxcsr"},
    {1, 0xf7, 0xf7, "vmaskmovdqu"},
    {2, 0x13, 0x13, "vcvtph2ps"},
    {2, 0x41, 0x41, "vphminposuw"},
    {2, 0x50, 0x53, "vpdp (AVX-VNNI)"},
    {2, 0x90, 0x93, "of the gather group"},
    {2, 0xcf, 0xcf, "vgf2p8mulb"},
    {2, 0xdb, 0xdf, "of the vaes group"},
    {3, 0x1d, 0x1d, "vcvtps2ph"},
    {3, 0x30, 0x33, "kshift (AVX-512)"},
    {3, 0x40, 0x41, "vdpps or vdppd"},
    {3, 0x42, 0x42, "vmpsadbw"},
    {3, 0x44, 0x44, "vpclmulqdq"},
    {3, 0x60, 0x63, "of the vpcmpstr group"},
    {3, 0xdf, 0xdf, "vaeskeygenassist"},
};

static void fail_unsupported(const struct vmd_vex *vex, uint64_t pc)
{
    static const char *const maps[] = {" 0f", " 0f 38", " 0f 3a"}, *const prefixes[] = {"", " 66", " f3", " f2"};
    char name[64];

    snprintf(name, sizeof(name), "VEX.%d%s%s %02x", vex->is_256 ? 256 : 128, prefixes[vex->pp],
             vex->map >= 1 && vex->map <= 3 ? maps[vex->map - 1] : " of an unknown map,", vex->opcode);
    for (size_t i = 0; i < sizeof(unsupported) / sizeof(*unsupported); i++) {
        if (vex->map == unsupported[i].map && vex->opcode >= unsupported[i].first &&
            vex->opcode <= unsupported[i].last) {
            snprintf(name, sizeof(name), "%s", unsupported[i].name);
        }
    }
    vmd_guest_fail_with(vex->guest, VMD_UNSUPPORTED, pc, "an AVX instruction", name);
}

size_t vmd_vex_execute(struct vmd_guest *guest, uint64_t pc, const uint8_t *code, size_t size)
{
    size_t at = vmd_x86_64_prefixes(code, size), i = 0, length;
    const struct vmd_vex_entry *entry;
    uint8_t original[16] = {0};
    struct vmd_vex vex = {.guest = guest};

    while (at < size && i < N_ENCODINGS && code[at] != encodings[i].invalid && code[at] != encodings[i].first) {
        i++;
    }
    if (at >= size || i == N_ENCODINGS) {
        return 0;
    }
    if (encodings[i].unsupported) {
        vmd_guest_fail(guest, VMD_UNSUPPORTED, pc, encodings[i].unsupported);
        return 0;
    }
    memcpy(original, code, size < 15 ? size : 15);
    original[at] = encodings[i].first;
    length = vmd_x86_64_length(original, size < 15 ? size : 15);
    if (!length) {
        return 0;
    }
    if (!decode(&vex, pc, original, at, length)) {
        fail_unsupported(&vex, pc);
        return 0;
    }
    entry = find_entry(&vex);
    if (!entry) {
        fail_unsupported(&vex, pc);
        return 0;
    }
    if (!has_form(&vex, entry)) {
        return 0;
    }
    if (entry->lane) {
        execute_lanes(&vex, entry);
    } else {
        entry->whole(&vex);
    }
    return vex.is_invalid ? 0 : length;
}
