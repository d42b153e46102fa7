/*
 * ELF objects in a guest: relocations. See elf_object.h.
 *
 * Source: the generic ABI's DT_RELR; types of relocations are in the tables of host architectures (arch.h).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/objects/elf_relocate.h"

#include <stdio.h>

static enum vmd_relocation kind_of(const struct vmd_arch *host, uint32_t type)
{
    for (size_t i = 0; i < host->n_relocations; i++) {
        if (host->relocations[i].type == type) {
            return host->relocations[i].kind;
        }
    }
    return VMD_RELOCATION_UNKNOWN;
}

/* Copy a variable of the host, which is a pointer, to the object's own copy. */
static void copy_variable(const struct vmd_guest *guest, const struct vmd_symbol *symbol, char *to)
{
    uint64_t variable = vmd_guest_variable(guest, symbol->name);
    const char *from = variable ? vmd_guest_find(guest, variable, 8) : NULL;

    if (from && symbol->size == 8) {
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
    value = object->symbols[symbol].value + (uint64_t)entry->r_addend;
    switch (kind_of(guest->host, ELF64_R_TYPE(entry->r_info))) {
    case VMD_RELOCATION_NONE:
        return NULL;
    case VMD_RELOCATION_COPY:
        copy_variable(guest, &object->symbols[symbol], to);
        return NULL;
    case VMD_RELOCATION_RELATIVE:
        value = object->bias + (uint64_t)entry->r_addend;
        break;
    case VMD_RELOCATION_TP_OFFSET:
        value += vmd_guest_tls_at(guest, 0);
        break;
    case VMD_RELOCATION_TLS_MODULE:
        value = 1; /* the main binary: no other module has TLS */
        break;
    case VMD_RELOCATION_TLS_DESCRIPTOR:
        /* {resolver, argument}: the resolver receives the descriptor's address and returns the argument. */
        value += vmd_guest_tls_at(guest, 0);
        if (!vmd_guest_find(guest, object->bias + entry->r_offset, 16)) {
            return "a relocation is outside of the file";
        }
        vmd_put_u64(guest, to + 8, value);
        value = vmd_guest_import(guest, "__tlsdesc_resolver");
        break;
    case VMD_RELOCATION_TLS_OFFSET:
        value -= guest->host->tls_bias;
        break;
    case VMD_RELOCATION_SYMBOL:
        break;
    default:
        return "unknown relocation type";
    }
    vmd_put_u64(guest, to, value);
    return NULL;
}

static enum vmd_status bad_relocation(const struct vmd_elf *elf, const struct vmd_elf_table *table, uint64_t number,
                                      const char *message, struct vmd_error *err)
{
    vmd_object_bad(err, message);
    snprintf(err->path, sizeof(err->path), "relocation %llu at %#llx", (unsigned long long)number,
             (unsigned long long)(table->address - elf->object->bias));
    return err->code;
}

static Elf64_Rela read_rela(const struct vmd_guest *guest, const char *from)
{
    return (Elf64_Rela){.r_offset = vmd_get_u64(guest, from),
                        .r_info = vmd_get_u64(guest, from + 8),
                        .r_addend = (int64_t)vmd_get_u64(guest, from + 16)};
}

/* Whether a relocation writes an address of the object or of what it imports. */
static bool writes_address(enum vmd_relocation kind)
{
    return kind == VMD_RELOCATION_RELATIVE || kind == VMD_RELOCATION_SYMBOL;
}

static enum vmd_status apply_rela(const struct vmd_elf *elf, const struct vmd_elf_table *table, bool is_plt,
                                  struct vmd_error *err)
{
    struct vmd_object *object = elf->object;
    uint64_t n = table->size / sizeof(Elf64_Rela);
    const char *entries = vmd_object_entries(object->guest, table->address, n, sizeof(Elf64_Rela));

    if (!table->address || !n) {
        return VMD_OK;
    }
    if (!entries) {
        return bad_relocation(elf, table, 0, "the relocations are outside of the file", err);
    }
    for (uint64_t i = 0; i < n; i++) {
        Elf64_Rela entry = read_rela(object->guest, entries + i * sizeof(entry));
        const char *message = apply(object, &entry);

        if (message) {
            return bad_relocation(elf, table, i, message, err);
        }
        if (!is_plt && writes_address(kind_of(object->guest->host, ELF64_R_TYPE(entry.r_info))) &&
            vmd_address_list_add(&object->slots, object->bias + entry.r_offset)) {
            return vmd_object_no_memory(err);
        }
    }
    return VMD_OK;
}

/*
 * Iterator over the places of DT_RELR. An even word is an address; an odd word is a bitmap of the 63 words after the
 * last place.
 */
struct relr {
    const struct vmd_guest *guest;
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
        word = vmd_get_u64(relr->guest, relr->words + 8 * relr->next++);
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

static enum vmd_status apply_relr(const struct vmd_elf *elf, struct vmd_error *err)
{
    struct vmd_object *object = elf->object;
    struct relr relr = {.guest = object->guest, .n = elf->relr.address ? elf->relr.size / 8 : 0};
    uint64_t place;

    relr.words = relr.n ? vmd_object_entries(object->guest, elf->relr.address, relr.n, 8) : NULL;
    if (relr.n && !relr.words) {
        return bad_relocation(elf, &elf->relr, 0, "the relocations are outside of the file", err);
    }
    while (next_relr(&relr, &place)) {
        char *to = vmd_guest_find(object->guest, object->bias + place, 8);

        if (!to) {
            return bad_relocation(elf, &elf->relr, relr.next - 1, "a relocation is outside of the file", err);
        }
        vmd_put_u64(object->guest, to, vmd_get_u64(object->guest, to) + object->bias);
        if (vmd_address_list_add(&object->slots, object->bias + place)) {
            return vmd_object_no_memory(err);
        }
    }
    return VMD_OK;
}

enum vmd_status vmd_elf_relocate(const struct vmd_elf *elf, struct vmd_error *err)
{
    if (apply_relr(elf, err) || apply_rela(elf, &elf->rela, false, err) || apply_rela(elf, &elf->jmprel, true, err)) {
        return err->code;
    }
    return VMD_OK;
}
