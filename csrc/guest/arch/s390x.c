/*
 * IBM Z hosts (s390x), which are big-endian. See arch.h.
 *
 * Source: the ELF ABI s390x supplement; unicorn/s390x.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>

#include "guest/code_scan.h"
#include "guest/internal.h"

enum {
    UC_ARCH_S390X = 9,
    UC_MODE_BIG_ENDIAN = 1 << 30,
    R0 = 1,
    F0 = 17,
    ACCESS_0 = 49,
    PC = 65,
    PSW_MASK = 66,
    CR0 = 100,
    CR0_AFP_VECTOR = 0x60000, /* floating-point and vector registers are enabled */
    HWCAP_STFLE = 4,          /* the instruction that QEMU asks for facilities */
};

/* Addresses have 64 bits. */
#define PSW_64_BITS 0x180000000

#define R(n) (R0 + (n))
#define F(n) (F0 + (n))

/* va_list: counts of used integer and floating-point registers, overflow_arg_area, reg_save_area. */
enum { VA_GP = 0, VA_FP = 8, VA_OVERFLOW = 16, VA_SAVED = 24, GP_MAX = 5, FP_MAX = 4, SAVED_R2 = 16, SAVED_F0 = 128 };

static uint64_t next_saved_register(struct vmd_guest *guest, uint64_t va_list, bool is_double)
{
    uint64_t at = va_list + (is_double ? VA_FP : VA_GP), used = vmd_guest_load_u64(guest, at);

    if (used >= (is_double ? FP_MAX : GP_MAX)) {
        return 0;
    }
    vmd_guest_store_u64(guest, at, used + 1);
    return vmd_guest_load_u64(guest, va_list + VA_SAVED) + (is_double ? SAVED_F0 : SAVED_R2) + 8 * used;
}

static const struct vmd_relocation_type relocations[] = {
    {R_390_RELATIVE, VMD_RELOCATION_RELATIVE},
    {R_390_64, VMD_RELOCATION_SYMBOL},
    {R_390_GLOB_DAT, VMD_RELOCATION_SYMBOL},
    {R_390_JMP_SLOT, VMD_RELOCATION_SYMBOL},
    {R_390_COPY, VMD_RELOCATION_COPY},
    {R_390_TLS_TPOFF, VMD_RELOCATION_TP_OFFSET},
    {R_390_TLS_DTPMOD, VMD_RELOCATION_TLS_MODULE},
    {R_390_TLS_DTPOFF, VMD_RELOCATION_TLS_OFFSET},
    {R_390_NONE, VMD_RELOCATION_NONE},
};

/* __tls_get_offset(offset of a tls_index {module, offset} from the GOT, which r12 points to), from the thread pointer.
 */
static uint64_t host_tls_get_offset(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t index = vmd_cpu_read(guest, R(12)) + call->args[0];

    return vmd_guest_tls_at(guest, 0) + vmd_guest_load_u64(guest, index + 8);
}

/*
 * stfle D(B): which facilities the CPU has. Unicorn's has none; these are those of z13 that QEMU asks for. Source:
 * z/Architecture Principles of Operation, STORE FACILITY LIST EXTENDED.
 */
enum { STFLE = 0xb2b0, NO_STFLE = 0xb2ff, STFLE_SIZE = 4 };

static const uint8_t facilities[] = {0, 1, 2, 3, 18, 19, 21, 25, 27, 28, 30, 31, 34, 35, 41, 45, 48, 49};

static size_t find_stfle(const uint8_t *code, size_t block, size_t size)
{
    static const uint8_t lengths[] = {2, 4, 4, 6};

    for (size_t at = 0; at < block && size - at >= STFLE_SIZE; at += lengths[code[at] >> 6]) {
        if (code[at] == STFLE >> 8 && code[at + 1] == (STFLE & 255)) {
            return at;
        }
    }
    return SIZE_MAX;
}

static void overwrite_stfle(uint8_t *code, size_t size)
{
    code[1] = NO_STFLE & 255;
}

/* Register 0 ends with a number of doublewords, minus 1: of the operand, and on return of the list. */
static size_t execute_stfle(struct vmd_guest *guest, uint64_t pc, const uint8_t *code, size_t size)
{
    uint64_t address, list = 0;

    if (size < STFLE_SIZE || code[0] != STFLE >> 8 || (code[1] != (STFLE & 255) && code[1] != (NO_STFLE & 255))) {
        return 0;
    }
    address = (code[2] >> 4 ? vmd_cpu_read(guest, R(code[2] >> 4)) : 0) + ((code[2] & 15u) << 8 | code[3]);
    for (size_t i = 0; i < sizeof(facilities); i++) {
        list |= 1ull << (63 - facilities[i]);
    }
    vmd_guest_store_u64(guest, address, list);
    vmd_cpu_write(guest, R(0), vmd_cpu_read(guest, R(0)) & ~255ull);
    return STFLE_SIZE;
}

static const struct vmd_replacement stfle = {
    .find = find_stfle, .overwrite = overwrite_stfle, .execute = execute_stfle, .is_interrupt = true};

/* larl; brasl and, for a tail call, jg. Each has 6 bytes, of which the last 4 are the distance in halfwords. */

static inline uint64_t relative(const struct vmd_code *code, uint64_t at)
{
    uint32_t distance = vmd_load_u32(code->bytes + at + 2);

    return code->address + at +
           2 * (uint64_t)(int64_t)(int32_t)(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap32(distance)
                                                                                      : distance);
}

static inline uint64_t loaded(const struct vmd_code *code, uint64_t at)
{
    const unsigned char *bytes = code->bytes + at;

    return code->size - at >= 6 && bytes[0] == 0xc0 && (bytes[1] & 15) == 0 ? relative(code, at) : 0;
}

static inline uint64_t called(const struct vmd_code *code, uint64_t at)
{
    const unsigned char *bytes = code->bytes + at;

    return code->size - at >= 6 && bytes[0] == 0xc0 && ((bytes[1] & 15) == 5 || bytes[1] == 0xf4) ? relative(code, at)
                                                                                                  : 0;
}

static uint64_t find_uses(const struct vmd_code *code, struct vmd_guest_use *uses, uint64_t room)
{
    return vmd_scan_uses(code, uses, room, 2, 6, loaded, called);
}

static const struct vmd_arch s390x = {
    .e_machine = EM_S390,
    .name = "s390x",
    .is_big_endian = true,
    .unicorn_arch = UC_ARCH_S390X,
    .unicorn_mode = UC_MODE_BIG_ENDIAN,
    .cpu_model = -1,
    .start = {{PSW_MASK, PSW_64_BITS}, {CR0, CR0_AFP_VECTOR}},
    .pc = PC,
    .sp = R(15),
    .thread_pointer = ACCESS_0,
    .thread_pointer_low = ACCESS_0 + 1,
    .link = R(14),
    .replacement = &stfle,
    .return_code = {0x07, 0xfe},
    .result = R(2),
    .result_high = R(3),
    .n_args = 5,
    .args = {R(2), R(3), R(4), R(5), R(6), R(15)},
    .n_float_args = 4,
    .float_args = {F(0), F(2), F(4), F(6)},
    .float_shift = 32,
    .n_saved = 16,
    .saved = {R(6), R(7), R(8), R(9), R(10), R(11), R(12), R(13), F(8), F(9), F(10), F(11), F(12), F(13), F(14), F(15)},
    .frame_size = 160,
    .va_list_stack = VA_OVERFLOW,
    .next_saved_register = next_saved_register,
    .relocations = relocations,
    .n_relocations = sizeof(relocations) / sizeof(*relocations),
    .tls = VMD_TLS_BEFORE,
    .stack_protector = 0x28,
    .hwcap = HWCAP_STFLE,
    .syscall_futex = 238,
    .syscall_gettid = 236,
    .stat_size = 144,
    .stat_mode = 24,
    .stat_length = 48,
    .stat_block_size = 104,
    .statfs_size = 88,
    .statfs_word = 4,
    .open_directory = 0200000,
    .open_create = 0100,
    .limit_files = 7,
    .n_signals = 64,
    .stack_size = 16,
    .stack_flags = 8,
    .stack_disabled = 2,
    .find_uses = find_uses,
};

VMD_ARCH(s390x)

VMD_SERVE({"__tls_get_offset", host_tls_get_offset})
