/*
 * AArch64 hosts with Linux. See arch.h.
 *
 * Source: AAPCS64; the ELF ABI for the Arm 64-bit architecture.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch/aarch64.h"

#include "guest/code_scan.h"
#include "guest/internal.h"

/* va_list: stack, gr_top, vr_top, gr_offs, vr_offs. Source: AAPCS64, appendix B. */
enum { VA_STACK = 0, VA_GR_TOP = 8, VA_VR_TOP = 16, VA_GR_OFFSET = 24, VA_VR_OFFSET = 28 };

static uint64_t next_saved_register(struct vmd_guest *guest, uint64_t va_list, bool is_double)
{
    uint64_t at = va_list + (is_double ? VA_VR_OFFSET : VA_GR_OFFSET);
    int32_t offset = (int32_t)vmd_guest_load_u32(guest, at);

    if (offset >= 0) {
        return 0;
    }
    vmd_guest_store_u32(guest, at, (uint32_t)offset + (is_double ? 16 : 8));
    return vmd_guest_load_u64(guest, va_list + (is_double ? VA_VR_TOP : VA_GR_TOP)) + (uint64_t)(int64_t)offset;
}

static const struct vmd_relocation_type relocations[] = {
    {R_AARCH64_RELATIVE, VMD_RELOCATION_RELATIVE},
    {R_AARCH64_ABS64, VMD_RELOCATION_SYMBOL},
    {R_AARCH64_GLOB_DAT, VMD_RELOCATION_SYMBOL},
    {R_AARCH64_JUMP_SLOT, VMD_RELOCATION_SYMBOL},
    {R_AARCH64_COPY, VMD_RELOCATION_COPY},
    {R_AARCH64_TLS_TPREL, VMD_RELOCATION_TP_OFFSET},
    {R_AARCH64_TLS_DTPMOD, VMD_RELOCATION_TLS_MODULE},
    {R_AARCH64_TLS_DTPREL, VMD_RELOCATION_TLS_OFFSET},
    {R_AARCH64_TLSDESC, VMD_RELOCATION_TLS_DESCRIPTOR},
    {R_AARCH64_NONE, VMD_RELOCATION_NONE},
};

/* Maximum distance in instructions from adrp to the add that completes the address. */
enum { ADD_WINDOW = 16 };

/* adrp and add; bl and, for a tail call, b. */

static inline uint64_t loaded(const struct vmd_code *code, uint64_t at)
{
    uint32_t adrp = vmd_load_u32(code->bytes + at), page_register = adrp & 31;
    uint64_t immediate = (adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3);
    uint64_t page = ((code->address + at) & ~0xfffull) + 4096 * (uint64_t)vmd_sign_extend(immediate, 21);

    if ((adrp & 0x9f000000) != 0x90000000) {
        return 0;
    }
    for (int i = 1; i <= ADD_WINDOW && at + 4 * (uint64_t)i + 4 <= code->size; i++) {
        uint32_t add = vmd_load_u32(code->bytes + at + 4 * (uint64_t)i);

        /* add Xd, Xn, #imm, not shifted */
        if ((add & 0xffc00000) == 0x91000000 && (add >> 5 & 31) == page_register) {
            return page + (add >> 10 & 0xfff);
        }
        /* Another adrp to the same register starts another address. */
        if ((add & 0x9f000000) == 0x90000000 && (add & 31) == page_register) {
            break;
        }
    }
    return 0;
}

static inline uint64_t called(const struct vmd_code *code, uint64_t at)
{
    uint32_t instruction = vmd_load_u32(code->bytes + at);

    return (instruction & 0x7c000000) == 0x14000000
               ? code->address + at + 4 * (uint64_t)vmd_sign_extend(instruction & 0x3ffffff, 26)
               : 0;
}

uint64_t vmd_aarch64_find_uses(const struct vmd_code *code, struct vmd_guest_use *uses, uint64_t room)
{
    return vmd_scan_uses(code, uses, room, 4, 8, loaded, called);
}

static const struct vmd_arch aarch64 = {
    AARCH64_CPU,
    .platform = VMD_LINUX,
    .name = "aarch64",
    .thread_pointer = TPIDR_EL0,
    .n_float_args = 8,
    .va_list_stack = VA_STACK,
    .next_saved_register = next_saved_register,
    .relocations = relocations,
    .n_relocations = sizeof(relocations) / sizeof(*relocations),
    .tls = VMD_TLS_AFTER,
    .tls_offset = 16,
    .syscall_futex = 98,
    .syscall_gettid = 178,
    .stat_size = 128,
    .stat_mode = 16,
    .stat_length = 48,
    .stat_block_size = 56,
    .statfs_size = 120,
    .statfs_word = 8,
    .open_directory = 040000,
    .open_create = 0100,
    .limit_files = 7,
    .n_signals = 64,
    .stack_size = 16,
    .stack_flags = 8,
    .stack_disabled = 2,
};

VMD_ARCH(aarch64)
