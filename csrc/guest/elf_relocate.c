/*
 * ELF objects in a guest: relocations. See elf_object.h.
 *
 * Source: the supplements of the System V ABI for x86-64 and AArch64, and the generic ABI's DT_RELR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/elf_relocate.h"

#include <stdio.h>
#include <stdlib.h>

/* Kinds of relocations, independent of the architecture. */
enum kind {
    KIND_UNKNOWN,
    KIND_NONE,
    KIND_RELATIVE,
    KIND_SYMBOL,
    KIND_COPY,
    KIND_TP_OFFSET,
    KIND_TLS_MODULE,
    KIND_TLS_OFFSET,
    KIND_TLS_DESCRIPTOR,
};

static enum kind kind_of(enum vmd_guest_arch arch, uint32_t type)
{
    static const struct {
        uint32_t x86_64, aarch64;
        enum kind kind;
    } kinds[] = {
        {R_X86_64_RELATIVE, R_AARCH64_RELATIVE, KIND_RELATIVE},
        {R_X86_64_64, R_AARCH64_ABS64, KIND_SYMBOL},
        {R_X86_64_GLOB_DAT, R_AARCH64_GLOB_DAT, KIND_SYMBOL},
        {R_X86_64_JUMP_SLOT, R_AARCH64_JUMP_SLOT, KIND_SYMBOL},
        {R_X86_64_COPY, R_AARCH64_COPY, KIND_COPY},
        {R_X86_64_TPOFF64, R_AARCH64_TLS_TPREL, KIND_TP_OFFSET},
        {R_X86_64_DTPMOD64, R_AARCH64_TLS_DTPMOD, KIND_TLS_MODULE},
        {R_X86_64_DTPOFF64, R_AARCH64_TLS_DTPREL, KIND_TLS_OFFSET},
        {R_X86_64_TLSDESC, R_AARCH64_TLSDESC, KIND_TLS_DESCRIPTOR},
        {R_X86_64_NONE, R_AARCH64_NONE, KIND_NONE},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (type == (arch == VMD_GUEST_X86_64 ? kinds[i].x86_64 : kinds[i].aarch64)) {
            return kinds[i].kind;
        }
    }
    return KIND_UNKNOWN;
}

/* Copy a variable of the host, which is a pointer, to the object's own copy. */
static void copy_variable(const struct vmd_object *object, size_t symbol, char *to)
{
    uint64_t variable = vmd_guest_variable(object->guest, vmd_object_name(object, symbol));
    const char *from = variable ? vmd_guest_find(object->guest, variable, 8) : NULL;

    if (from && object->symbols[symbol].st_size == 8) {
        memcpy(to, from, 8);
    }
}

/* Apply a relocation; returns an error message or NULL. */
static const char *apply(const struct vmd_object *object, const Elf64_Rela *entry)
{
    struct vmd_guest *guest = object->guest;
    uint64_t symbol = ELF64_R_SYM(entry->r_info), value;
    char *to = vmd_guest_find(guest, object->bias + entry->r_offset, 8);

    if (!to || symbol >= object->n_symbols) {
        return "a relocation is outside of the file";
    }
    value = object->values[symbol] + (uint64_t)entry->r_addend;
    switch (kind_of(guest->arch, ELF64_R_TYPE(entry->r_info))) {
    case KIND_NONE:
        return NULL;
    case KIND_COPY:
        copy_variable(object, symbol, to);
        return NULL;
    case KIND_RELATIVE:
        value = object->bias + (uint64_t)entry->r_addend;
        break;
    case KIND_TP_OFFSET:
        value += guest->arch == VMD_GUEST_X86_64 ? -guest->tls_size : 16;
        break;
    case KIND_TLS_MODULE:
        value = 1; /* the main binary: no other module has TLS */
        break;
    case KIND_TLS_DESCRIPTOR:
        /* {resolver, argument}: the resolver receives the descriptor's address and returns the argument. */
        value += guest->arch == VMD_GUEST_X86_64 ? -guest->tls_size : 16;
        if (!vmd_guest_find(guest, object->bias + entry->r_offset, 16)) {
            return "a relocation is outside of the file";
        }
        vmd_store_u64(to + 8, value);
        value = vmd_guest_import(guest, "__tlsdesc_resolver");
        break;
    case KIND_SYMBOL:
    case KIND_TLS_OFFSET:
        break;
    default:
        return "unknown relocation type";
    }
    memcpy(to, &value, 8);
    return NULL;
}

static enum vmd_status bad_relocation(const struct vmd_object *object, const struct vmd_object_table *table,
                                      uint64_t number, const char *message, struct vmd_error *err)
{
    vmd_object_bad(err, message);
    snprintf(err->path, sizeof(err->path), "relocation %llu at %#llx", (unsigned long long)number,
             (unsigned long long)(table->address - object->bias));
    return err->code;
}

static enum vmd_status apply_rela(const struct vmd_object *object, const struct vmd_object_table *table,
                                  struct vmd_error *err)
{
    uint64_t n = table->size / sizeof(Elf64_Rela);
    const char *entries = vmd_object_entries(object->guest, table->address, n, sizeof(Elf64_Rela));

    if (!table->address || !n) {
        return VMD_OK;
    }
    if (!entries) {
        return bad_relocation(object, table, 0, "the relocations are outside of the file", err);
    }
    for (uint64_t i = 0; i < n; i++) {
        Elf64_Rela entry;
        const char *message;

        memcpy(&entry, entries + i * sizeof(entry), sizeof(entry));
        message = apply(object, &entry);
        if (message) {
            return bad_relocation(object, table, i, message, err);
        }
    }
    return VMD_OK;
}

/*
 * Iterator over the places of DT_RELR. An even word is an address; an odd word is a bitmap of the 63 words after the
 * last place.
 */
struct relr {
    const char *words;
    uint64_t n, next; /* number of words; index of the next one */
    uint64_t where;   /* the word after the last place: the first one of the next bitmap */
    uint64_t bits;    /* rest of a bitmap; bit 0 is the word at bits_at */
    uint64_t bits_at;
};

static bool next_relr(struct relr *relr, uint64_t *place)
{
    while (!relr->bits) {
        uint64_t word;

        if (relr->next == relr->n) {
            return false;
        }
        word = vmd_load_u64(relr->words + 8 * relr->next++);
        if (!(word & 1)) {
            relr->where = word + 8;
            *place = word;
            return true;
        }
        relr->bits = word >> 1;
        relr->bits_at = relr->where;
        relr->where += 63 * 8;
    }
    while (!(relr->bits & 1)) {
        relr->bits >>= 1;
        relr->bits_at += 8;
    }
    *place = relr->bits_at;
    relr->bits >>= 1;
    relr->bits_at += 8;
    return true;
}

/* False: the table is outside of the guest's memory. */
static bool begin_relr(const struct vmd_object *object, struct relr *relr)
{
    *relr = (struct relr){.n = object->relr.address ? object->relr.size / 8 : 0};
    relr->words = relr->n ? vmd_object_entries(object->guest, object->relr.address, relr->n, 8) : NULL;
    return relr->words || !relr->n;
}

static enum vmd_status apply_relr(const struct vmd_object *object, struct vmd_error *err)
{
    struct relr relr;
    uint64_t place;

    if (!begin_relr(object, &relr)) {
        return bad_relocation(object, &object->relr, 0, "the relocations are outside of the file", err);
    }
    while (next_relr(&relr, &place)) {
        char *to = vmd_guest_find(object->guest, object->bias + place, 8);
        uint64_t value;

        if (!to) {
            return bad_relocation(object, &object->relr, relr.next - 1, "a relocation is outside of the file", err);
        }
        value = vmd_load_u64(to) + object->bias;
        memcpy(to, &value, 8);
    }
    return VMD_OK;
}

enum vmd_status vmd_object_relocate(const struct vmd_object *object, struct vmd_error *err)
{
    if (apply_relr(object, err) || apply_rela(object, &object->rela, err) || apply_rela(object, &object->jmprel, err)) {
        return err->code;
    }
    return VMD_OK;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Add the addresses of one more table to slots; without slots, count them. */
static size_t collect_slots(const struct vmd_object *object, uint64_t *slots)
{
    uint64_t n = object->rela.address ? object->rela.size / sizeof(Elf64_Rela) : 0, place;
    const char *entries = n ? vmd_object_entries(object->guest, object->rela.address, n, sizeof(Elf64_Rela)) : NULL;
    struct relr relr;
    size_t count = 0;

    for (uint64_t i = 0; entries && i < n; i++) {
        Elf64_Rela entry;
        enum kind kind;

        memcpy(&entry, entries + i * sizeof(entry), sizeof(entry));
        kind = kind_of(object->guest->arch, ELF64_R_TYPE(entry.r_info));
        if (kind == KIND_RELATIVE || kind == KIND_SYMBOL) {
            if (slots) {
                slots[count] = object->bias + entry.r_offset;
            }
            count++;
        }
    }
    if (begin_relr(object, &relr)) {
        for (; next_relr(&relr, &place); count++) {
            if (slots) {
                slots[count] = object->bias + place;
            }
        }
    }
    return count;
}

enum vmd_status vmd_object_slots(struct vmd_object *object, const uint64_t **ret, size_t *n)
{
    if (!object->slots) {
        size_t count = collect_slots(object, NULL), unique = 0;

        object->slots = malloc((count + 1) * sizeof(*object->slots));
        if (!object->slots) {
            return VMD_NO_MEMORY;
        }
        collect_slots(object, object->slots);
        qsort(object->slots, count, sizeof(*object->slots), compare_u64);
        for (size_t i = 0; i < count; i++) {
            if (!unique || object->slots[i] != object->slots[unique - 1]) {
                object->slots[unique++] = object->slots[i];
            }
        }
        object->n_slots = unique;
    }
    *ret = object->slots;
    *n = object->n_slots;
    return VMD_OK;
}
