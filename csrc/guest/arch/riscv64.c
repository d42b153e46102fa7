/*
 * 64-bit RISC-V hosts. See arch.h.
 *
 * Source: the RISC-V ELF psABI (calling convention lp64d, relocations, thread-local storage); unicorn/riscv.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>

#include "guest/code_scan.h"
#include "guest/internal.h"

enum {
    UC_ARCH_RISCV = 8,
    UC_MODE_RISCV64 = 8,
    RA = 2,
    SP = 3,
    TP = 5,
    S0 = 9,
    A0 = 11,
    S2 = 19,
    MSTATUS = 116,
    F0 = 158,
    PC = 190,
    FS = 0x6000, /* of mstatus: floating-point instructions are allowed */
};

#define A(n) (A0 + (n))
#define S(n) ((n) < 2 ? S0 + (n) : S2 - 2 + (n))
#define FA(n) (F0 + 10 + (n))
#define FSAVED(n) (F0 + ((n) < 2 ? 8 : 16) + (n))

/* Not in every elf.h. */
enum { TLSDESC = 12 };

/* All variadic arguments are passed as integers, and those of a va_list are in memory. */
static uint64_t next_saved_register(struct vmd_guest *guest, uint64_t va_list, bool is_double)
{
    return 0;
}

static const struct vmd_relocation_type relocations[] = {
    {R_RISCV_RELATIVE, VMD_RELOCATION_RELATIVE},
    {R_RISCV_64, VMD_RELOCATION_SYMBOL},
    {R_RISCV_JUMP_SLOT, VMD_RELOCATION_SYMBOL},
    {R_RISCV_COPY, VMD_RELOCATION_COPY},
    {R_RISCV_TLS_TPREL64, VMD_RELOCATION_TP_OFFSET},
    {R_RISCV_TLS_DTPMOD64, VMD_RELOCATION_TLS_MODULE},
    {R_RISCV_TLS_DTPREL64, VMD_RELOCATION_TLS_OFFSET},
    {TLSDESC, VMD_RELOCATION_TLS_DESCRIPTOR},
    {R_RISCV_NONE, VMD_RELOCATION_NONE},
};

/* Maximum distance in bytes from auipc to the addi that completes the address. */
enum { ADDI_WINDOW = 64 };

enum { AUIPC = 0x17, ADDI = 0x13, JALR = 0x67, JAL = 0x6f };

static bool is_auipc(uint32_t instruction)
{
    return (instruction & 0x7f) == AUIPC;
}

static uint64_t auipc_address(const struct vmd_code *code, uint64_t at, uint32_t auipc)
{
    return code->address + at + (uint64_t)(int64_t)(int32_t)(auipc & 0xfffff000);
}

static inline uint64_t loaded(const struct vmd_code *code, uint64_t at)
{
    uint32_t auipc = vmd_load_u32(code->bytes + at), reg = auipc >> 7 & 31, next;

    if (!is_auipc(auipc)) {
        return 0;
    }
    /* Compressed instructions have 2 bytes, and none of the two lowest bits is clear in others. */
    for (uint64_t i = at + 4; i + 4 <= code->size && i < at + ADDI_WINDOW; i += (next & 3) == 3 ? 4 : 2) {
        next = vmd_load_u32(code->bytes + i);
        if ((next & 0x707f) == ADDI && (next >> 15 & 31) == reg) {
            return auipc_address(code, at, auipc) + (uint64_t)vmd_sign_extend(next >> 20, 12);
        }
        if (is_auipc(next) && (next >> 7 & 31) == reg) {
            break;
        }
    }
    return 0;
}

/* jal; auipc and jalr. */
static inline uint64_t called(const struct vmd_code *code, uint64_t at)
{
    uint32_t instruction = vmd_load_u32(code->bytes + at), jalr;
    uint64_t offset;

    if ((instruction & 0x7f) == JAL) {
        offset = (instruction >> 31) << 20 | (instruction & 0xff000) | (instruction >> 20 & 1) << 11 |
                 (instruction >> 21 & 0x3ff) << 1;
        return code->address + at + (uint64_t)vmd_sign_extend(offset, 21);
    }
    if (!is_auipc(instruction) || code->size - at < 8) {
        return 0;
    }
    jalr = vmd_load_u32(code->bytes + at + 4);
    return (jalr & 0x707f) == JALR && (jalr >> 15 & 31) == (instruction >> 7 & 31)
               ? auipc_address(code, at, instruction) + (uint64_t)vmd_sign_extend(jalr >> 20, 12)
               : 0;
}

static uint64_t find_uses(const struct vmd_code *code, struct vmd_guest_use *uses, uint64_t room)
{
    return vmd_scan_uses(code, uses, room, 2, 8, loaded, called);
}

/* riscv_hwprobe(pairs, n, ...): pairs {key, value}. Source: Linux arch/riscv/include/uapi/asm/hwprobe.h. */
enum { HWPROBE = 258, PAIRS_MAX = 64, KEY_BASE_BEHAVIOR = 3, KEY_IMA_EXT_0 = 4, IMA = 1, IMA_FD = 1, IMA_C = 2 };

static bool serve_syscall(struct vmd_host_call *call, uint64_t *ret)
{
    struct vmd_guest *guest = call->guest;

    if (call->args[0] != HWPROBE) {
        return false;
    }
    for (uint64_t i = 0; i < call->args[2] && i < PAIRS_MAX && !guest->err.code; i++) {
        uint64_t pair = call->args[1] + 16 * i, key = vmd_guest_load_u64(guest, pair);
        bool is_known = key == KEY_BASE_BEHAVIOR || key == KEY_IMA_EXT_0;

        /* RV64GC: what the emulator executes. */
        vmd_guest_store_u64(guest, pair, is_known ? key : (uint64_t)-1);
        vmd_guest_store_u64(guest, pair + 8, key == KEY_BASE_BEHAVIOR ? IMA : is_known ? IMA_FD | IMA_C : 0);
    }
    *ret = 0;
    return true;
}

/* rdtime, which Unicorn does not know: the guest's clock, at 10 MHz. */
enum { RDTIME = 0xc0102073, RDTIME_MASK = 0xfffff07f, RDTIME_SIZE = 4, X0 = 1, TICKS_OF_READ = 10, PER_TICK = 10 };

static size_t execute_rdtime(struct vmd_guest *guest, uint64_t pc, const uint8_t *code, size_t size)
{
    uint32_t instruction = size < RDTIME_SIZE ? 0 : vmd_load_u32(code), reg = instruction >> 7 & 31;

    if ((instruction & RDTIME_MASK) != RDTIME) {
        return 0;
    }
    guest->state.ticks += TICKS_OF_READ;
    if (reg) {
        vmd_cpu_write(guest, X0 + (int)reg, guest->state.ticks * PER_TICK);
    }
    return RDTIME_SIZE;
}

static const struct vmd_replacement rdtime = {.execute = execute_rdtime, .is_interrupt = true, .skew = RDTIME_SIZE};

static const struct vmd_arch riscv64 = {
    .e_machine = EM_RISCV,
    .name = "riscv64",
    .unicorn_arch = UC_ARCH_RISCV,
    .unicorn_mode = UC_MODE_RISCV64,
    .cpu_model = -1,
    .start = {{MSTATUS, FS}},
    .pc = PC,
    .sp = SP,
    .thread_pointer = TP,
    .link = RA,
    .replacement = &rdtime,
    .return_code = {0x67, 0x80, 0x00, 0x00},
    .result = A(0),
    .result_high = A(1),
    .n_args = 8,
    .args = {A(0), A(1), A(2), A(3), A(4), A(5), A(6), A(7), SP},
    .float_args = {FA(0), FA(1), FA(2), FA(3), FA(4), FA(5), FA(6), FA(7)},
    .is_nan_boxed = true,
    .n_saved = 24,
    .saved = {S(0),      S(1),      S(2),      S(3),      S(4),      S(5),      S(6),       S(7),
              S(8),      S(9),      S(10),     S(11),     FSAVED(0), FSAVED(1), FSAVED(2),  FSAVED(3),
              FSAVED(4), FSAVED(5), FSAVED(6), FSAVED(7), FSAVED(8), FSAVED(9), FSAVED(10), FSAVED(11)},
    .va_list_is_pointer = true,
    .next_saved_register = next_saved_register,
    .relocations = relocations,
    .n_relocations = sizeof(relocations) / sizeof(*relocations),
    .tls = VMD_TLS_AFTER,
    .tls_bias = 0x800,
    .syscall_futex = 98,
    .syscall_gettid = 178,
    .serve_syscall = serve_syscall,
    .stat_size = 128,
    .stat_mode = 16,
    .stat_length = 48,
    .stat_block_size = 56,
    .statfs_size = 120,
    .statfs_word = 8,
    .open_directory = 0200000,
    .open_create = 0100,
    .limit_files = 7,
    .n_signals = 64,
    .stack_size = 16,
    .stack_flags = 8,
    .stack_disabled = 2,
    .find_uses = find_uses,
};

VMD_ARCH(riscv64)

VMD_SERVE({"__riscv_flush_icache", vmd_host_zero})
