/*
 * ELF objects in a guest. See guest_object.h.
 *
 * Source: the System V ABI, chapter 5, its supplements for x86-64 and AArch64, and the generic ABI's DT_RELR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest_object.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest_host.h"

/* Far more than QEMU has, and few enough that a hostile file can't use up the host's memory with them. */
enum { SYMBOLS_MAX = 1 << 20, NAMES_MAX = 64 << 20 };

enum { DT_RELR_SIZE = 35, DT_RELR_TABLE = 36 }; /* DT_RELRSZ, DT_RELR: not in every elf.h */

/* A table of the object in the guest's memory. */
struct table {
    uint64_t address; /* 0: there is none */
    uint64_t size;    /* bytes */
};

struct vmd_object {
    struct vmd_guest *guest;
    uint64_t bias;
    struct table strtab, symtab, rela, jmprel, relr, init_array, hash, gnu_hash;
    Elf64_Sym *symbols;
    size_t n_symbols;
    char *names;       /* strtab, and a NUL */
    uint64_t *values;  /* of each symbol, undefined ones as resolved */
    uint32_t *by_name; /* hash table of defined symbols: number + 1, 0: free */
    uint32_t mask;
    uint32_t *by_address; /* defined symbols with a size, ascending; NULL: not asked for yet */
    size_t n_by_address;
    uint64_t *constructors;
    size_t n_constructors;
    uint64_t *slots; /* NULL: not asked for yet */
    size_t n_slots;
};

static enum vmd_status no_memory(struct vmd_error *err)
{
    return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
}

static enum vmd_status bad(struct vmd_error *err, const char *message)
{
    return vmd_error_set(err, VMD_BAD_REFERENCE, 0, message);
}

/* A table's bytes, n entries of entry_size; NULL: they are outside of the guest's memory. */
static const char *find_entries(const struct vmd_guest *guest, uint64_t address, uint64_t n, uint64_t entry_size)
{
    return n <= guest->size / entry_size ? vmd_guest_find(guest, address, n * entry_size) : NULL;
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
    const char *entries = find_entries(object->guest, dynamic, size / sizeof(Elf64_Dyn), sizeof(Elf64_Dyn));

    for (uint64_t i = 0; entries && i < size / sizeof(Elf64_Dyn); i++) {
        uint64_t tag = vmd_load(entries + i * sizeof(Elf64_Dyn)), value = vmd_load(entries + i * sizeof(Elf64_Dyn) + 8);

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
        return bad(err, "no dynamic symbols; statically linked binaries can't be read");
    }
    return VMD_OK;
}

/* Symbols */

/* How many symbols a DT_GNU_HASH knows of: its last chain ends with the last of them, at an odd hash. */
static enum vmd_status count_by_gnu_hash(const struct vmd_object *object, uint64_t *ret, struct vmd_error *err)
{
    const struct vmd_guest *guest = object->guest;
    const char *header = vmd_guest_find(guest, object->gnu_hash.address, 16), *buckets, *link;
    uint64_t chains, last = 0, n_buckets, first, bloom_words;

    if (!header) {
        return bad(err, "the hash table of its symbols is outside of its memory");
    }
    n_buckets = vmd_load_int(header);
    first = vmd_load_int(header + 4);
    bloom_words = vmd_load_int(header + 8);
    buckets = find_entries(guest, object->gnu_hash.address + 16 + 8 * bloom_words, n_buckets, 4);
    if (!buckets) {
        return bad(err, "the hash table of its symbols is outside of its memory");
    }
    for (uint64_t i = 0; i < n_buckets; i++) {
        uint64_t bucket = vmd_load_int(buckets + 4 * i);

        last = bucket > last ? bucket : last;
    }
    if (last < first) {
        *ret = first;
        return VMD_OK;
    }
    chains = object->gnu_hash.address + 16 + 8 * bloom_words + 4 * n_buckets;
    do {
        link = vmd_guest_find(guest, chains + 4 * (last++ - first), 4);
    } while (link && !(*link & 1));
    *ret = last;
    return link ? VMD_OK : bad(err, "the hash table of its symbols is outside of its memory");
}

static enum vmd_status count_symbols(const struct vmd_object *object, uint64_t *ret, struct vmd_error *err)
{
    const char *header;

    if (object->gnu_hash.address) {
        return count_by_gnu_hash(object, ret, err);
    }
    if (!object->hash.address) {
        return bad(err, "no hash table of its symbols");
    }
    header = vmd_guest_find(object->guest, object->hash.address, 8);
    *ret = header ? vmd_load_int(header + 4) : 0;
    return header ? VMD_OK : bad(err, "the hash table of its symbols is outside of its memory");
}

static const char *name_of(const struct vmd_object *object, size_t n)
{
    return object->names + object->symbols[n].st_name;
}

static bool is_defined(const struct vmd_object *object, size_t n)
{
    return object->symbols[n].st_shndx != SHN_UNDEF && *name_of(object, n);
}

static uint32_t hash_name(const char *name)
{
    uint32_t hash = 5381;

    for (; *name; name++) {
        hash = hash * 33 + (unsigned char)*name;
    }
    return hash * 0x9e3779b1u;
}

/* Where in by_name a name is, or would be. */
static uint32_t *find_name(const struct vmd_object *object, const char *name)
{
    uint32_t at = hash_name(name) >> 7 & object->mask;

    while (object->by_name[at] && strcmp(name_of(object, object->by_name[at] - 1), name) != 0) {
        at = (at + 1) & object->mask;
    }
    return &object->by_name[at];
}

static enum vmd_status read_symbols(struct vmd_object *object, struct vmd_error *err)
{
    const char *table, *names;
    uint64_t n;
    size_t room = 16;

    if (count_symbols(object, &n, err)) {
        return err->code;
    }
    table = find_entries(object->guest, object->symtab.address, n, sizeof(Elf64_Sym));
    names = vmd_guest_find(object->guest, object->strtab.address, object->strtab.size);
    if (!table || !names) {
        return bad(err, "its dynamic symbols are outside of its memory");
    }
    if (n > SYMBOLS_MAX || object->strtab.size > NAMES_MAX) {
        return bad(err, "more dynamic symbols than QEMU ever has");
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
    memcpy(object->symbols, table, n * sizeof(Elf64_Sym));
    memcpy(object->names, names, object->strtab.size);
    object->names[object->strtab.size] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (object->symbols[i].st_name >= object->strtab.size) {
            return bad(err, "a symbol's name is outside of .dynstr");
        }
        if (is_defined(object, i)) {
            *find_name(object, name_of(object, i)) = (uint32_t)i + 1;
        }
    }
    return VMD_OK;
}

/* The address of each symbol; of a thread-local one its offset. */
static enum vmd_status resolve_symbols(struct vmd_object *object, const struct vmd_object *const *scope, size_t n_scope,
                                       struct vmd_error *err)
{
    for (size_t i = 0; i < object->n_symbols; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        const char *name = name_of(object, i);
        uint64_t value = 0;

        if (symbol->st_shndx != SHN_UNDEF) {
            value = symbol->st_value + (ELF64_ST_TYPE(symbol->st_info) == STT_TLS ? 0 : object->bias);
        } else if (*name) {
            bool is_host = strcmp(name, "register_dso_module_init") == 0;

            for (size_t k = 0; k < n_scope && !value && !is_host; k++) {
                value = vmd_object_symbol(scope[k], name);
            }
            value = value ? value : vmd_guest_import(object->guest, name);
            if (!value) {
                return bad(err, "imports more functions than QEMU ever does");
            }
        }
        object->values[i] = value;
    }
    return VMD_OK;
}

/* Relocations */

/* What a relocation asks for, whatever the architecture calls it. */
enum kind {
    KIND_UNKNOWN,
    KIND_NONE,
    KIND_RELATIVE,
    KIND_SYMBOL,
    KIND_COPY,
    KIND_TP_OFFSET,
    KIND_TLS_MODULE,
    KIND_TLS_OFFSET
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
        {R_X86_64_NONE, R_AARCH64_NONE, KIND_NONE},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (type == (arch == VMD_GUEST_X86_64 ? kinds[i].x86_64 : kinds[i].aarch64)) {
            return kinds[i].kind;
        }
    }
    return KIND_UNKNOWN;
}

/* Of a variable that another object defines, the object's own copy: of the host's variables, which are pointers. */
static void copy_variable(const struct vmd_object *object, size_t symbol, char *to)
{
    uint64_t variable = vmd_guest_variable(object->guest, name_of(object, symbol));
    const char *from = variable ? vmd_guest_find(object->guest, variable, 8) : NULL;

    if (from && object->symbols[symbol].st_size == 8) {
        memcpy(to, from, 8);
    }
}

/* What a relocation puts at to; NULL: all is well. */
static const char *apply(const struct vmd_object *object, const Elf64_Rela *entry)
{
    const struct vmd_guest *guest = object->guest;
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
        value = 1; /* the main binary's: there is no other */
        break;
    case KIND_SYMBOL:
    case KIND_TLS_OFFSET:
        break;
    default:
        return "a relocation of a type that is not known";
    }
    memcpy(to, &value, 8);
    return NULL;
}

static enum vmd_status bad_relocation(const struct vmd_object *object, const struct table *table, uint64_t number,
                                      const char *message, struct vmd_error *err)
{
    bad(err, message);
    snprintf(err->path, sizeof(err->path), "relocation %llu at %#llx", (unsigned long long)number,
             (unsigned long long)(table->address - object->bias));
    return err->code;
}

static enum vmd_status apply_rela(const struct vmd_object *object, const struct table *table, struct vmd_error *err)
{
    uint64_t n = table->size / sizeof(Elf64_Rela);
    const char *entries = find_entries(object->guest, table->address, n, sizeof(Elf64_Rela));

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
 * The places that DT_RELR names, in turn. A word that is even is an address; one that is odd says of each of the 63
 * words behind the last place whether it is one.
 */
struct relr {
    const char *words;
    uint64_t n, next; /* words, and how many have been read */
    uint64_t where;   /* the word behind the last place, or the first that bits stand for */
    uint64_t bits;    /* what is left of an odd word, shifted so that bit 0 stands for the word at bits_at */
    uint64_t bits_at;
};

static bool next_relr(struct relr *relr, uint64_t *place)
{
    while (!relr->bits) {
        uint64_t word;

        if (relr->next == relr->n) {
            return false;
        }
        word = vmd_load(relr->words + 8 * relr->next++);
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
    relr->words = relr->n ? find_entries(object->guest, object->relr.address, relr->n, 8) : NULL;
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
        value = vmd_load(to) + object->bias;
        memcpy(to, &value, 8);
    }
    return VMD_OK;
}

/* What is in DT_INIT_ARRAY but for 0 and -1, which mark its ends. */
static enum vmd_status read_constructors(struct vmd_object *object, struct vmd_error *err)
{
    uint64_t n = object->init_array.address ? object->init_array.size / 8 : 0;
    const char *entries = find_entries(object->guest, object->init_array.address, n, 8);

    if (!n) {
        return VMD_OK;
    }
    if (!entries) {
        return bad(err, "its constructors are outside of its memory");
    }
    object->constructors = malloc(n * sizeof(*object->constructors));
    if (!object->constructors) {
        return no_memory(err);
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t address = vmd_load(entries + 8 * i);

        if (address + 1 > 1) {
            object->constructors[object->n_constructors++] = address;
        }
    }
    return VMD_OK;
}

/* Life */

static enum vmd_status link_object(struct vmd_object *object, uint64_t dynamic, uint64_t size,
                                   const struct vmd_object *const *scope, size_t n_scope, struct vmd_error *err)
{
    if (read_dynamic(object, dynamic, size, err) || read_symbols(object, err) ||
        resolve_symbols(object, scope, n_scope, err) || apply_relr(object, err) ||
        apply_rela(object, &object->rela, err) || apply_rela(object, &object->jmprel, err) ||
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

/* Questions */

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
    return name_of(object, n);
}

static int compare_addresses(const void *a, const void *b, void *values)
{
    uint64_t x = ((const uint64_t *)values)[*(const uint32_t *)a], y = ((const uint64_t *)values)[*(const uint32_t *)b];

    return (x > y) - (x < y);
}

/* Sorts the symbols that have an address and a size. */
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
    /* The last symbol that does not begin behind the address. */
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
    return address - object->values[n] < object->symbols[n].st_size ? name_of(object, n) : NULL;
}

size_t vmd_object_constructors(const struct vmd_object *object, const uint64_t **ret)
{
    *ret = object->constructors;
    return object->n_constructors;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Takes in the places of one more table into slots; without slots it counts them. */
static size_t collect_slots(const struct vmd_object *object, uint64_t *slots)
{
    uint64_t n = object->rela.address ? object->rela.size / sizeof(Elf64_Rela) : 0, place;
    const char *entries = n ? find_entries(object->guest, object->rela.address, n, sizeof(Elf64_Rela)) : NULL;
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
