/*
 * ELF objects in a guest: dynamic section and symbols. See elf_object.h; relocations are in elf_relocate.c.
 *
 * Source: the System V ABI, chapter 5, Dynamic Linking; DT_GNU_HASH as GNU ld writes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "guest/elf_relocate.h"

/* Far more than QEMU has, and low enough that a hostile file cannot exhaust the host's memory. */
enum { SYMBOLS_MAX = 1 << 20, NAMES_MAX = 64 << 20 };

enum { DT_RELR_SIZE = 35, DT_RELR_TABLE = 36 }; /* DT_RELRSZ, DT_RELR: not in every elf.h */

static enum vmd_status no_memory(struct vmd_error *err)
{
    return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
}

/* Dynamic section */

static enum vmd_status read_dynamic(struct vmd_object *object, uint64_t dynamic, uint64_t size, struct vmd_error *err)
{
    const struct {
        uint64_t tag;
        uint64_t *to;
        bool is_address;
    } wanted[] = {
        {DT_STRTAB, &object->strtab.address, true},
        {DT_STRSZ, &object->strtab.size, false},
        {DT_SYMTAB, &object->symtab.address, true},
        {DT_HASH, &object->hash.address, true},
        {DT_GNU_HASH, &object->gnu_hash.address, true},
        {DT_RELA, &object->rela.address, true},
        {DT_RELASZ, &object->rela.size, false},
        {DT_JMPREL, &object->jmprel.address, true},
        {DT_PLTRELSZ, &object->jmprel.size, false},
        {DT_RELR_TABLE, &object->relr.address, true},
        {DT_RELR_SIZE, &object->relr.size, false},
        {DT_INIT_ARRAY, &object->init_array.address, true},
        {DT_INIT_ARRAYSZ, &object->init_array.size, false},
    };
    const char *entries = vmd_object_entries(object->guest, dynamic, size / sizeof(Elf64_Dyn), sizeof(Elf64_Dyn));

    for (uint64_t i = 0; entries && i < size / sizeof(Elf64_Dyn); i++) {
        uint64_t tag = vmd_get_u64(object->guest, entries + i * sizeof(Elf64_Dyn)),
                 value = vmd_get_u64(object->guest, entries + i * sizeof(Elf64_Dyn) + 8);

        if (tag == DT_NULL) {
            break;
        }
        for (size_t k = 0; k < sizeof(wanted) / sizeof(*wanted); k++) {
            if (tag == wanted[k].tag) {
                *wanted[k].to = wanted[k].is_address ? object->bias + value : value;
            }
        }
    }
    if (!object->strtab.address || !object->symtab.address || !object->strtab.size) {
        return vmd_object_bad(err, "no dynamic symbols; statically linked binaries can't be read");
    }
    return VMD_OK;
}

/* Symbols */

/* Number of symbols according to DT_GNU_HASH: its last chain ends with the last symbol, at an odd hash. */
static enum vmd_status count_by_gnu_hash(const struct vmd_object *object, uint64_t *ret, struct vmd_error *err)
{
    const struct vmd_guest *guest = object->guest;
    const char *header = vmd_guest_find(guest, object->gnu_hash.address, 16), *buckets, *link;
    uint64_t chains, last = 0, n_buckets, first, bloom_words;

    if (!header) {
        return vmd_object_bad(err, "the hash table of its dynamic symbols is outside of its memory");
    }
    n_buckets = vmd_get_u32(object->guest, header);
    first = vmd_get_u32(object->guest, header + 4);
    bloom_words = vmd_get_u32(object->guest, header + 8);
    buckets = vmd_object_entries(guest, object->gnu_hash.address + 16 + 8 * bloom_words, n_buckets, 4);
    if (!buckets) {
        return vmd_object_bad(err, "the hash table of its dynamic symbols is outside of its memory");
    }
    for (uint64_t i = 0; i < n_buckets; i++) {
        uint64_t bucket = vmd_get_u32(object->guest, buckets + 4 * i);

        last = bucket > last ? bucket : last;
    }
    if (last < first) {
        *ret = first;
        return VMD_OK;
    }
    chains = object->gnu_hash.address + 16 + 8 * bloom_words + 4 * n_buckets;
    do {
        link = vmd_guest_find(guest, chains + 4 * (last++ - first), 4);
    } while (link && !(vmd_get_u32(guest, link) & 1));
    *ret = last;
    return link ? VMD_OK : vmd_object_bad(err, "the hash table of its dynamic symbols is outside of its memory");
}

static enum vmd_status count_symbols(const struct vmd_object *object, uint64_t *ret, struct vmd_error *err)
{
    const char *header;

    if (object->gnu_hash.address) {
        return count_by_gnu_hash(object, ret, err);
    }
    if (!object->hash.address) {
        return vmd_object_bad(err, "no hash table of its dynamic symbols");
    }
    header = vmd_guest_find(object->guest, object->hash.address, 8);
    *ret = header ? vmd_get_u32(object->guest, header + 4) : 0;
    return header ? VMD_OK : vmd_object_bad(err, "the hash table of its dynamic symbols is outside of its memory");
}

static bool is_defined(const struct vmd_object *object, size_t n)
{
    return object->symbols[n].st_shndx != SHN_UNDEF && *vmd_object_name(object, n);
}

static uint32_t hash_name(const char *name)
{
    uint32_t hash = 5381;

    for (; *name; name++) {
        hash = hash * 33 + (unsigned char)*name;
    }
    return hash * 0x9e3779b1u;
}

/* The slot of a name in by_name, used or free. */
static uint32_t *find_name(const struct vmd_object *object, const char *name)
{
    uint32_t at = hash_name(name) >> 7 & object->mask;

    while (object->by_name[at] && strcmp(vmd_object_name(object, object->by_name[at] - 1), name) != 0) {
        at = (at + 1) & object->mask;
    }
    return &object->by_name[at];
}

static void copy_symbols(const struct vmd_guest *guest, Elf64_Sym *symbols, const char *table, size_t n)
{
    memcpy(symbols, table, n * sizeof(*symbols));
    for (size_t i = 0; guest->is_swapped && i < n; i++) {
        Elf64_Sym *symbol = &symbols[i];

        symbol->st_name = vmd_get_u32(guest, &symbol->st_name);
        symbol->st_shndx = vmd_get_u16(guest, &symbol->st_shndx);
        symbol->st_value = vmd_get_u64(guest, &symbol->st_value);
        symbol->st_size = vmd_get_u64(guest, &symbol->st_size);
    }
}

static enum vmd_status read_symbols(struct vmd_object *object, struct vmd_error *err)
{
    const char *table, *names;
    uint64_t n;
    size_t room = 16;

    if (count_symbols(object, &n, err)) {
        return err->code;
    }
    table = vmd_object_entries(object->guest, object->symtab.address, n, sizeof(Elf64_Sym));
    names = vmd_guest_find(object->guest, object->strtab.address, object->strtab.size);
    if (!table || !names) {
        return vmd_object_bad(err, "its dynamic symbols are outside of its memory");
    }
    if (n > SYMBOLS_MAX || object->strtab.size > NAMES_MAX) {
        return vmd_object_bad(err, "more dynamic symbols than any QEMU has");
    }
    while (room < 2 * n) {
        room *= 2;
    }
    object->mask = (uint32_t)room - 1;
    object->n_symbols = n;
    object->symbols = malloc(n * sizeof(Elf64_Sym) + 1);
    object->values = calloc(n + 1, sizeof(*object->values));
    object->by_name = calloc(room, sizeof(*object->by_name));
    object->names = malloc(object->strtab.size + 1);
    if (!object->symbols || !object->values || !object->by_name || !object->names) {
        return no_memory(err);
    }
    copy_symbols(object->guest, object->symbols, table, n);
    memcpy(object->names, names, object->strtab.size);
    object->names[object->strtab.size] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (object->symbols[i].st_name >= object->strtab.size) {
            return vmd_object_bad(err, "a symbol's name is outside of .dynstr");
        }
        if (is_defined(object, i)) {
            *find_name(object, vmd_object_name(object, i)) = (uint32_t)i + 1;
        }
    }
    return VMD_OK;
}

/* Compute the address of each symbol; of a thread-local one its offset. */
static enum vmd_status resolve_symbols(struct vmd_object *object, const struct vmd_object *const *scope, size_t n_scope,
                                       struct vmd_error *err)
{
    for (size_t i = 0; i < object->n_symbols; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        const char *name = vmd_object_name(object, i);
        uint64_t value = 0;

        if (symbol->st_shndx != SHN_UNDEF) {
            value = symbol->st_value + (ELF64_ST_TYPE(symbol->st_info) == STT_TLS ? 0 : object->bias);
        } else if (*name) {
            bool is_host = object->guest->queue_inits && strcmp(name, "register_dso_module_init") == 0;

            for (size_t k = 0; k < n_scope && !value && !is_host; k++) {
                value = vmd_object_symbol(scope[k], name);
            }
            if (ELF64_ST_TYPE(symbol->st_info) == STT_TLS) { /* an offset, which may be 0 */
                object->values[i] = value;
                continue;
            }
            value = value ? value : vmd_guest_import(object->guest, name);
            if (!value) {
                return vmd_object_bad(err, "imports more functions than any QEMU does");
            }
        }
        object->values[i] = value;
    }
    return VMD_OK;
}

/* Read DT_INIT_ARRAY without 0 and -1, which mark its ends. */
static enum vmd_status read_constructors(struct vmd_object *object, struct vmd_error *err)
{
    uint64_t n = object->init_array.address ? object->init_array.size / 8 : 0;
    const char *entries = vmd_object_entries(object->guest, object->init_array.address, n, 8);

    if (!n) {
        return VMD_OK;
    }
    if (!entries) {
        return vmd_object_bad(err, "its constructors are outside of its memory");
    }
    object->constructors = malloc(n * sizeof(*object->constructors));
    if (!object->constructors) {
        return no_memory(err);
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t address = vmd_get_u64(object->guest, entries + 8 * i);

        if (address + 1 > 1) {
            object->constructors[object->n_constructors++] = address;
        }
    }
    return VMD_OK;
}

/* Creation */

static enum vmd_status link_object(struct vmd_object *object, uint64_t dynamic, uint64_t size,
                                   const struct vmd_object *const *scope, size_t n_scope, struct vmd_error *err)
{
    if (read_dynamic(object, dynamic, size, err) || read_symbols(object, err) ||
        resolve_symbols(object, scope, n_scope, err) || vmd_object_relocate(object, err) ||
        read_constructors(object, err)) {
        return err->code;
    }
    return VMD_OK;
}

enum vmd_status vmd_object_link(struct vmd_guest *guest, uint64_t bias, uint64_t dynamic, uint64_t size,
                                const struct vmd_object *const *scope, size_t n_scope, struct vmd_object **ret,
                                struct vmd_error *err)
{
    struct vmd_object *object = calloc(1, sizeof(*object));

    if (!object) {
        return no_memory(err);
    }
    object->guest = guest;
    object->bias = bias;
    if (link_object(object, dynamic, size, scope, n_scope, err)) {
        vmd_object_destroy(object);
        return err->code;
    }
    guest->n_objects++;
    *ret = object;
    return VMD_OK;
}

void vmd_object_destroy(struct vmd_object *object)
{
    if (object) {
        free(object->symbols);
        free(object->values);
        free(object->by_name);
        free(object->names);
        free(object->by_address);
        free(object->constructors);
        free(object->slots);
        free(object);
    }
}

/* Queries */

uint64_t vmd_object_symbol(const struct vmd_object *object, const char *name)
{
    uint32_t found = *find_name(object, name);

    return found ? object->values[found - 1] : 0;
}

size_t vmd_object_n_symbols(const struct vmd_object *object)
{
    return object->n_symbols;
}

const char *vmd_object_nth_symbol(const struct vmd_object *object, size_t n, uint64_t *address)
{
    if (n >= object->n_symbols || !is_defined(object, n)) {
        return NULL;
    }
    *address = object->values[n];
    return vmd_object_name(object, n);
}

static int compare_addresses(const void *a, const void *b, void *values)
{
    uint64_t x = ((const uint64_t *)values)[*(const uint32_t *)a], y = ((const uint64_t *)values)[*(const uint32_t *)b];

    return (x > y) - (x < y);
}

/* Sort the symbols that have an address and a size. False: out of memory. */
static bool sort_symbols(struct vmd_object *object)
{
    object->by_address = malloc((object->n_symbols + 1) * sizeof(*object->by_address));
    if (!object->by_address) {
        return false;
    }
    for (size_t i = 0; i < object->n_symbols; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];

        if (is_defined(object, i) && symbol->st_size && ELF64_ST_TYPE(symbol->st_info) != STT_TLS) {
            object->by_address[object->n_by_address++] = (uint32_t)i;
        }
    }
    qsort_r(object->by_address, object->n_by_address, sizeof(*object->by_address), compare_addresses, object->values);
    return true;
}

const char *vmd_object_symbol_at(struct vmd_object *object, uint64_t address)
{
    size_t low = 0, high;
    uint32_t n;

    if (!object->by_address && !sort_symbols(object)) {
        return NULL;
    }
    /* The last symbol that begins at or before the address. */
    for (high = object->n_by_address; low < high;) {
        size_t middle = low + (high - low) / 2;

        if (object->values[object->by_address[middle]] <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (!low) {
        return NULL;
    }
    n = object->by_address[low - 1];
    return address - object->values[n] < object->symbols[n].st_size ? vmd_object_name(object, n) : NULL;
}

size_t vmd_object_constructors(const struct vmd_object *object, const uint64_t **ret)
{
    *ret = object->constructors;
    return object->n_constructors;
}
