/*
 * ELF objects in a guest: dynamic section and symbols. See elf_object.h; relocations are in elf_relocate.c.
 *
 * Source: the System V ABI, chapter 5, Dynamic Linking; DT_GNU_HASH as GNU ld writes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/objects/elf_object.h"

#include "guest/objects/elf_relocate.h"

enum { DT_RELR_SIZE = 35, DT_RELR_TABLE = 36 }; /* DT_RELRSZ, DT_RELR: not in every elf.h */

/* Dynamic section */

static enum vmd_status read_dynamic(struct vmd_elf *elf, uint64_t dynamic, uint64_t size, struct vmd_error *err)
{
    const struct vmd_guest *guest = elf->object->guest;
    const struct {
        uint64_t tag;
        uint64_t *to;
        bool is_address;
    } wanted[] = {
        {DT_STRTAB, &elf->strtab.address, true},
        {DT_STRSZ, &elf->strtab.size, false},
        {DT_SYMTAB, &elf->symtab.address, true},
        {DT_HASH, &elf->hash.address, true},
        {DT_GNU_HASH, &elf->gnu_hash.address, true},
        {DT_RELA, &elf->rela.address, true},
        {DT_RELASZ, &elf->rela.size, false},
        {DT_JMPREL, &elf->jmprel.address, true},
        {DT_PLTRELSZ, &elf->jmprel.size, false},
        {DT_RELR_TABLE, &elf->relr.address, true},
        {DT_RELR_SIZE, &elf->relr.size, false},
        {DT_INIT_ARRAY, &elf->init_array.address, true},
        {DT_INIT_ARRAYSZ, &elf->init_array.size, false},
    };
    const char *entries = vmd_object_entries(guest, dynamic, size / sizeof(Elf64_Dyn), sizeof(Elf64_Dyn));

    for (uint64_t i = 0; entries && i < size / sizeof(Elf64_Dyn); i++) {
        uint64_t tag = vmd_get_u64(guest, entries + i * sizeof(Elf64_Dyn)),
                 value = vmd_get_u64(guest, entries + i * sizeof(Elf64_Dyn) + 8);

        if (tag == DT_NULL) {
            break;
        }
        for (size_t k = 0; k < sizeof(wanted) / sizeof(*wanted); k++) {
            if (tag == wanted[k].tag) {
                *wanted[k].to = wanted[k].is_address ? elf->object->bias + value : value;
            }
        }
    }
    if (!elf->strtab.address || !elf->symtab.address || !elf->strtab.size) {
        return vmd_object_bad(err, "no dynamic symbols");
    }
    return VMD_OK;
}

/* Symbols */

/* Number of symbols according to DT_GNU_HASH: its last chain ends with the last symbol, at an odd hash. */
static enum vmd_status count_by_gnu_hash(const struct vmd_elf *elf, uint64_t *ret, struct vmd_error *err)
{
    const struct vmd_guest *guest = elf->object->guest;
    const char *header = vmd_guest_find(guest, elf->gnu_hash.address, 16), *buckets, *link;
    uint64_t chains, last = 0, n_buckets, first, bloom_words;

    if (!header) {
        return vmd_object_bad(err, "the hash table of its dynamic symbols is outside of its memory");
    }
    n_buckets = vmd_get_u32(guest, header);
    first = vmd_get_u32(guest, header + 4);
    bloom_words = vmd_get_u32(guest, header + 8);
    buckets = vmd_object_entries(guest, elf->gnu_hash.address + 16 + 8 * bloom_words, n_buckets, 4);
    if (!buckets) {
        return vmd_object_bad(err, "the hash table of its dynamic symbols is outside of its memory");
    }
    for (uint64_t i = 0; i < n_buckets; i++) {
        uint64_t bucket = vmd_get_u32(guest, buckets + 4 * i);

        last = bucket > last ? bucket : last;
    }
    if (last < first) {
        *ret = first;
        return VMD_OK;
    }
    chains = elf->gnu_hash.address + 16 + 8 * bloom_words + 4 * n_buckets;
    do {
        link = vmd_guest_find(guest, chains + 4 * (last++ - first), 4);
    } while (link && !(vmd_get_u32(guest, link) & 1));
    *ret = last;
    return link ? VMD_OK : vmd_object_bad(err, "the hash table of its dynamic symbols is outside of its memory");
}

static enum vmd_status count_symbols(const struct vmd_elf *elf, uint64_t *ret, struct vmd_error *err)
{
    const struct vmd_guest *guest = elf->object->guest;
    const char *header;

    if (elf->gnu_hash.address) {
        return count_by_gnu_hash(elf, ret, err);
    }
    if (!elf->hash.address) {
        return vmd_object_bad(err, "no hash table of its dynamic symbols");
    }
    header = vmd_guest_find(guest, elf->hash.address, 8);
    *ret = header ? vmd_get_u32(guest, header + 4) : 0;
    return header ? VMD_OK : vmd_object_bad(err, "the hash table of its dynamic symbols is outside of its memory");
}

static Elf64_Sym read_symbol(const struct vmd_guest *guest, const char *table, size_t n)
{
    Elf64_Sym symbol;

    memcpy(&symbol, table + n * sizeof(symbol), sizeof(symbol));
    symbol.st_name = vmd_get_u32(guest, &symbol.st_name);
    symbol.st_shndx = vmd_get_u16(guest, &symbol.st_shndx);
    symbol.st_value = vmd_get_u64(guest, &symbol.st_value);
    symbol.st_size = vmd_get_u64(guest, &symbol.st_size);
    return symbol;
}

/* The address of an undefined symbol: of the objects in scope, else of the host. 0: the host has no room for more. */
static uint64_t resolve(const struct vmd_elf *elf, const struct vmd_symbol *symbol,
                        const struct vmd_object *const *scope, size_t n_scope)
{
    struct vmd_guest *guest = elf->object->guest;
    bool is_host = guest->queue_inits && strcmp(symbol->name, "register_dso_module_init") == 0;
    uint64_t value = 0;

    for (size_t i = 0; i < n_scope && !value && !is_host; i++) {
        value = vmd_object_symbol(scope[i], symbol->name);
    }
    return value || symbol->is_thread_local ? value : vmd_guest_import(guest, symbol->name);
}

/* Read the symbols, and compute the address of each; of a thread-local one its offset. */
static enum vmd_status read_symbols(struct vmd_elf *elf, const struct vmd_object *const *scope, size_t n_scope,
                                    struct vmd_error *err)
{
    struct vmd_object *object = elf->object;
    const char *table, *names;
    uint64_t n;

    if (count_symbols(elf, &n, err)) {
        return err->code;
    }
    table = vmd_object_entries(object->guest, elf->symtab.address, n, sizeof(Elf64_Sym));
    names = vmd_guest_find(object->guest, elf->strtab.address, elf->strtab.size);
    if (!table || !names) {
        return vmd_object_bad(err, "its dynamic symbols are outside of its memory");
    }
    if (vmd_object_reserve(object, n, names, elf->strtab.size, err)) {
        return err->code;
    }
    for (size_t i = 0; i < n; i++) {
        Elf64_Sym from = read_symbol(object->guest, table, i);
        struct vmd_symbol *symbol = &object->symbols[i];

        if (from.st_name >= elf->strtab.size) {
            return vmd_object_bad(err, "a symbol's name is outside of .dynstr");
        }
        symbol->name = object->names + from.st_name;
        symbol->size = from.st_size;
        symbol->is_thread_local = ELF64_ST_TYPE(from.st_info) == STT_TLS;
        symbol->is_defined = from.st_shndx != SHN_UNDEF && *symbol->name;
        if (from.st_shndx != SHN_UNDEF) {
            symbol->value = from.st_value + (symbol->is_thread_local ? 0 : object->bias);
        } else if (*symbol->name) {
            symbol->value = resolve(elf, symbol, scope, n_scope);
            if (!symbol->value && !symbol->is_thread_local) { /* an offset may be 0 */
                return vmd_object_bad(err, "imports more functions than any QEMU does");
            }
        }
        if (symbol->is_defined) {
            vmd_object_index(object, i);
        }
    }
    return VMD_OK;
}

enum vmd_status vmd_elf_add_symbols(struct vmd_object *object, const char *table, size_t n, const char *names,
                                    size_t size, struct vmd_error *err)
{
    size_t n_dynamic = object->n_symbols;

    if (vmd_object_extend(object, n, names, size, &names, err)) {
        return err->code;
    }
    for (size_t i = 0; i < n; i++) {
        Elf64_Sym from = read_symbol(object->guest, table, i);
        struct vmd_symbol *symbol = &object->symbols[n_dynamic + i];
        unsigned type = ELF64_ST_TYPE(from.st_info);

        if (from.st_name >= size || from.st_shndx == SHN_UNDEF || from.st_shndx == SHN_ABS ||
            (type != STT_FUNC && type != STT_OBJECT)) {
            continue;
        }
        symbol->name = names + from.st_name;
        symbol->size = from.st_size;
        symbol->value = from.st_value + object->bias;
        symbol->is_defined = *symbol->name;
        symbol->is_local = ELF64_ST_BIND(from.st_info) == STB_LOCAL;
        if (symbol->is_defined && !symbol->is_local) {
            vmd_object_index(object, n_dynamic + i);
        }
    }
    for (size_t i = 0; i < n_dynamic; i++) {
        if (object->symbols[i].is_defined) {
            vmd_object_index(object, i);
        }
    }
    return VMD_OK;
}

/* Read DT_INIT_ARRAY without 0 and -1, which mark its ends. */
static enum vmd_status read_constructors(const struct vmd_elf *elf, struct vmd_error *err)
{
    struct vmd_object *object = elf->object;
    uint64_t n = elf->init_array.address ? elf->init_array.size / 8 : 0;
    const char *entries = vmd_object_entries(object->guest, elf->init_array.address, n, 8);

    if (n && !entries) {
        return vmd_object_bad(err, "its constructors are outside of its memory");
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t address = vmd_get_u64(object->guest, entries + 8 * i);

        if (address + 1 > 1 && vmd_address_list_add(&object->constructors, address)) {
            return vmd_object_no_memory(err);
        }
    }
    return VMD_OK;
}

static enum vmd_status link_object(struct vmd_elf *elf, uint64_t dynamic, uint64_t size,
                                   const struct vmd_object *const *scope, size_t n_scope, struct vmd_error *err)
{
    if (read_dynamic(elf, dynamic, size, err) || read_symbols(elf, scope, n_scope, err) || vmd_elf_relocate(elf, err) ||
        read_constructors(elf, err)) {
        return err->code;
    }
    return VMD_OK;
}

enum vmd_status vmd_elf_link(struct vmd_guest *guest, uint64_t bias, uint64_t dynamic, uint64_t size,
                             const struct vmd_object *const *scope, size_t n_scope, struct vmd_object **ret,
                             struct vmd_error *err)
{
    struct vmd_elf elf = {.object = vmd_object_create(guest, bias)};

    if (!elf.object) {
        return vmd_object_no_memory(err);
    }
    if (link_object(&elf, dynamic, size, scope, n_scope, err)) {
        vmd_object_destroy(elf.object);
        return err->code;
    }
    guest->n_objects++;
    *ret = elf.object;
    return VMD_OK;
}
