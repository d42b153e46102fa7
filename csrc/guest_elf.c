/*
 * Relocations of ELF objects in a guest. See guest.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>
#include <string.h>

#include "guest_host.h"

/* What a relocation asks for, whatever the architecture calls it. */
enum kind {
    KIND_UNKNOWN,
    KIND_NONE,
    KIND_RELATIVE,
    KIND_SYMBOL,
    KIND_COPY,
    KIND_TP_OFFSET,
    KIND_TLS_MODULE,
    KIND_TLS_OFFSET,
    KIND_TLS_DESCRIPTOR
};

static enum kind kind_of(enum vmd_guest_arch arch, uint32_t type)
{
    static const struct {
        uint32_t x86_64, aarch64;
        enum kind kind;
    } kinds[] = {
        {R_X86_64_NONE, R_AARCH64_NONE, KIND_NONE},
        {R_X86_64_RELATIVE, R_AARCH64_RELATIVE, KIND_RELATIVE},
        {R_X86_64_64, R_AARCH64_ABS64, KIND_SYMBOL},
        {R_X86_64_GLOB_DAT, R_AARCH64_GLOB_DAT, KIND_SYMBOL},
        {R_X86_64_JUMP_SLOT, R_AARCH64_JUMP_SLOT, KIND_SYMBOL},
        {R_X86_64_COPY, R_AARCH64_COPY, KIND_COPY},
        {R_X86_64_TPOFF64, R_AARCH64_TLS_TPREL, KIND_TP_OFFSET},
        {R_X86_64_DTPMOD64, R_AARCH64_TLS_DTPMOD, KIND_TLS_MODULE},
        {R_X86_64_DTPOFF64, R_AARCH64_TLS_DTPREL, KIND_TLS_OFFSET},
        {R_X86_64_TLSDESC, R_AARCH64_TLSDESC, KIND_TLS_DESCRIPTOR},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (type == (arch == VMD_GUEST_X86_64 ? kinds[i].x86_64 : kinds[i].aarch64)) {
            return kinds[i].kind;
        }
    }
    return KIND_UNKNOWN;
}

enum vmd_status vmd_guest_relocate(struct vmd_guest *guest, uint64_t rela, uint64_t n, uint64_t bias,
                                   const uint64_t *symbols, uint64_t n_symbols, struct vmd_error *err)
{
    const char *entries =
        n < guest->size / sizeof(Elf64_Rela) ? vmd_guest_find(guest, rela, n * sizeof(Elf64_Rela)) : NULL;

    if (!entries) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, 0, "the relocations are outside of the file");
    }
    for (uint64_t i = 0; i < n; i++) {
        Elf64_Rela entry;
        uint64_t symbol, value;
        enum kind kind;
        char *to;

        memcpy(&entry, entries + i * sizeof(entry), sizeof(entry));
        kind = kind_of(guest->arch, ELF64_R_TYPE(entry.r_info));
        symbol = ELF64_R_SYM(entry.r_info);
        to = vmd_guest_find(guest, bias + entry.r_offset, 8);
        if (!to || symbol >= n_symbols) {
            return vmd_error_set(err, VMD_BAD_REFERENCE, i, "a relocation is outside of the file");
        }
        switch (kind) {
        case KIND_NONE:
        case KIND_COPY: /* of the host's data: zeros */
            continue;
        case KIND_RELATIVE:
            value = bias + entry.r_addend;
            break;
        case KIND_SYMBOL:
            value = symbols[symbol] + entry.r_addend;
            break;
        case KIND_TP_OFFSET:
            value = symbols[symbol] + entry.r_addend + (guest->arch == VMD_GUEST_X86_64 ? -guest->tls_size : 16);
            break;
        case KIND_TLS_MODULE:
            value = 1; /* the main binary's: there is no other */
            break;
        case KIND_TLS_OFFSET:
            value = symbols[symbol] + entry.r_addend;
            break;
        case KIND_TLS_DESCRIPTOR:
            /* {resolver, argument}: what depends on threads is resolved when it is used, which start-up does not. */
            value = vmd_guest_import(guest, "__tlsdesc_resolver");
            break;
        default:
            return vmd_error_set(err, VMD_BAD_REFERENCE, i, "a relocation of a type that is not known");
        }
        memcpy(to, &value, 8);
    }
    return VMD_OK;
}

static bool add_bias(struct vmd_guest *guest, uint64_t address, uint64_t bias)
{
    char *to = vmd_guest_find(guest, address, 8);
    uint64_t value;

    if (!to) {
        return false;
    }
    memcpy(&value, to, 8);
    value += bias;
    memcpy(to, &value, 8);
    return true;
}

enum vmd_status vmd_guest_relocate_relr(struct vmd_guest *guest, uint64_t relr, uint64_t n, uint64_t bias,
                                        struct vmd_error *err)
{
    const char *words = n < guest->size / 8 ? vmd_guest_find(guest, relr, n * 8) : NULL;
    uint64_t where = 0;

    if (!words) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, 0, "the relocations are outside of the file");
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t word;

        memcpy(&word, words + i * 8, 8);
        if (!(word & 1)) {
            where = bias + word;
            if (!add_bias(guest, where, bias)) {
                return vmd_error_set(err, VMD_BAD_REFERENCE, i, "a relocation is outside of the file");
            }
            where += 8;
            continue;
        }
        for (int bit = 1; bit < 64; bit++) {
            if (word >> bit & 1 && !add_bias(guest, where + 8 * (uint64_t)(bit - 1), bias)) {
                return vmd_error_set(err, VMD_BAD_REFERENCE, i, "a relocation is outside of the file");
            }
        }
        where += 63 * 8;
    }
    return VMD_OK;
}
