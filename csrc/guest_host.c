/*
 * What a guest calls of libc and GLib while QEMU's constructors, module init functions and class_inits run: memory,
 * strings, printf to memory, hash tables, lists. Each function is libc's or GLib's in miniature, over the guest's
 * memory. What is not here returns 0.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest_host.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ARG(i) (call->args[i])

/* Memory: a bump allocator, as next to nothing is freed at start-up; the size stands before the block. */

enum { BLOCK_HEADER = 16 };

static uint64_t allocate(struct vmd_host_call *call, uint64_t size)
{
    uint64_t block = size < call->guest->size ? vmd_guest_alloc(call->guest, size + BLOCK_HEADER, 16) : 0;

    if (!block) {
        vmd_guest_fail(call->guest, VMD_NO_MEMORY, 0, "it uses more memory than it is given");
        return 0;
    }
    memcpy(vmd_guest_at(call->guest, block, 8), &size, 8);
    return block + BLOCK_HEADER;
}

static uint64_t product(struct vmd_host_call *call, uint64_t n, uint64_t size)
{
    uint64_t bytes;

    return __builtin_mul_overflow(n, size, &bytes) ? UINT64_MAX : bytes;
}

static uint64_t reallocate(struct vmd_host_call *call, uint64_t old, uint64_t size)
{
    uint64_t fresh = allocate(call, size), old_size = 0;
    char *from = old ? vmd_guest_at(call->guest, old - BLOCK_HEADER, BLOCK_HEADER) : NULL;

    if (from && fresh) {
        memcpy(&old_size, from, 8);
        old_size = old_size < size ? old_size : size;
        from = vmd_guest_at(call->guest, old, old_size);
        if (from) {
            memcpy(vmd_guest_at(call->guest, fresh, old_size), from, old_size);
        }
    }
    return fresh;
}

static uint64_t host_malloc(struct vmd_host_call *call)
{
    return allocate(call, ARG(0));
}

static uint64_t host_calloc(struct vmd_host_call *call)
{
    return allocate(call, product(call, ARG(0), ARG(1)));
}

static uint64_t host_realloc(struct vmd_host_call *call)
{
    return reallocate(call, ARG(0), ARG(1));
}

static uint64_t host_g_malloc(struct vmd_host_call *call)
{
    return ARG(0) ? allocate(call, ARG(0)) : 0;
}

static uint64_t host_g_malloc_n(struct vmd_host_call *call)
{
    return ARG(0) && ARG(1) ? allocate(call, product(call, ARG(0), ARG(1))) : 0;
}

static uint64_t host_g_realloc(struct vmd_host_call *call)
{
    return ARG(1) ? reallocate(call, ARG(0), ARG(1)) : 0;
}

static uint64_t host_g_realloc_n(struct vmd_host_call *call)
{
    return ARG(1) && ARG(2) ? reallocate(call, ARG(0), product(call, ARG(1), ARG(2))) : 0;
}

static uint64_t host_posix_memalign(struct vmd_host_call *call)
{
    uint64_t block = vmd_guest_alloc(call->guest, ARG(2), ARG(1) < 16 ? 16 : ARG(1));
    char *ret = vmd_guest_at(call->guest, ARG(0), 8);

    if (ret) {
        memcpy(ret, &block, 8);
    }
    return 0;
}

/* Strings */

/* A string of the guest, or NULL, and the call fails. */
static const char *string_at(struct vmd_host_call *call, uint64_t address)
{
    struct vmd_guest *guest = call->guest;
    const char *text = vmd_guest_at(guest, address, 1);

    if (text && !memchr(text, '\0', guest->memory + guest->size - text)) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "a string without an end");
        return NULL;
    }
    return text;
}

static uint64_t put_string(struct vmd_host_call *call, const char *text, size_t size)
{
    uint64_t copy = allocate(call, size + 1);
    char *to = copy ? vmd_guest_at(call->guest, copy, size + 1) : NULL;

    if (to) {
        memcpy(to, text, size);
        to[size] = '\0';
    }
    return copy;
}

static uint64_t address_of(struct vmd_host_call *call, const char *host)
{
    return host ? VMD_GUEST_BASE + (host - call->guest->memory) : 0;
}

static uint64_t host_strlen(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0));

    return text ? strlen(text) : 0;
}

static uint64_t host_strcmp(struct vmd_host_call *call)
{
    const char *a = string_at(call, ARG(0)), *b = string_at(call, ARG(1));

    return a && b ? (uint64_t)strcmp(a, b) : 0;
}

static uint64_t host_strncmp(struct vmd_host_call *call)
{
    const char *a = string_at(call, ARG(0)), *b = string_at(call, ARG(1));

    return a && b ? (uint64_t)strncmp(a, b, ARG(2)) : 0;
}

static uint64_t host_strcasecmp(struct vmd_host_call *call)
{
    const char *a = string_at(call, ARG(0)), *b = string_at(call, ARG(1));

    return a && b ? (uint64_t)strcasecmp(a, b) : 0;
}

static uint64_t host_g_strcmp0(struct vmd_host_call *call)
{
    if (!ARG(0) || !ARG(1)) {
        return (uint64_t)((int)(ARG(0) != 0) - (int)(ARG(1) != 0));
    }
    return host_strcmp(call);
}

static uint64_t host_strchr(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0));

    return text ? address_of(call, strchr(text, (int)ARG(1))) : 0;
}

static uint64_t host_strrchr(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0));

    return text ? address_of(call, strrchr(text, (int)ARG(1))) : 0;
}

static uint64_t host_strstr(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0)), *part = string_at(call, ARG(1));

    return text && part ? address_of(call, strstr(text, part)) : 0;
}

static uint64_t host_strspn(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0)), *set = string_at(call, ARG(1));

    return text && set ? strspn(text, set) : 0;
}

static uint64_t host_strcspn(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0)), *set = string_at(call, ARG(1));

    return text && set ? strcspn(text, set) : 0;
}

static uint64_t host_strnlen(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0));

    return text ? strnlen(text, ARG(1)) : 0;
}

static uint64_t host_memcpy(struct vmd_host_call *call)
{
    const char *from = vmd_guest_at(call->guest, ARG(1), ARG(2));
    char *to = vmd_guest_at(call->guest, ARG(0), ARG(2));

    if (from && to) {
        memmove(to, from, ARG(2));
    }
    return ARG(0);
}

static uint64_t host_memset(struct vmd_host_call *call)
{
    char *to = vmd_guest_at(call->guest, ARG(0), ARG(2));

    if (to) {
        memset(to, (int)ARG(1), ARG(2));
    }
    return ARG(0);
}

static uint64_t host_memcmp(struct vmd_host_call *call)
{
    const char *a = vmd_guest_at(call->guest, ARG(0), ARG(2)), *b = vmd_guest_at(call->guest, ARG(1), ARG(2));

    return a && b ? (uint64_t)memcmp(a, b, ARG(2)) : 0;
}

static uint64_t host_strcpy(struct vmd_host_call *call)
{
    const char *from = string_at(call, ARG(1));
    char *to = from ? vmd_guest_at(call->guest, ARG(0), strlen(from) + 1) : NULL;

    if (to) {
        memmove(to, from, strlen(from) + 1);
    }
    return ARG(0);
}

static uint64_t host_g_strdup(struct vmd_host_call *call)
{
    const char *text = ARG(0) ? string_at(call, ARG(0)) : NULL;

    return text ? put_string(call, text, strlen(text)) : 0;
}

static uint64_t host_g_strndup(struct vmd_host_call *call)
{
    const char *text = ARG(0) ? string_at(call, ARG(0)) : NULL;

    return text ? put_string(call, text, strnlen(text, ARG(1))) : 0;
}

static uint64_t host_g_memdup(struct vmd_host_call *call)
{
    const char *from = ARG(0) && ARG(1) ? vmd_guest_at(call->guest, ARG(0), ARG(1)) : NULL;
    uint64_t copy = from ? allocate(call, ARG(1)) : 0;

    if (copy) {
        memcpy(vmd_guest_at(call->guest, copy, ARG(1)), from, ARG(1));
    }
    return copy;
}

static uint64_t host_g_str_has_prefix(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0)), *prefix = string_at(call, ARG(1));

    return text && prefix && strncmp(text, prefix, strlen(prefix)) == 0;
}

static uint64_t host_g_str_has_suffix(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0)), *suffix = string_at(call, ARG(1));

    return text && suffix && strlen(text) >= strlen(suffix) &&
           strcmp(text + strlen(text) - strlen(suffix), suffix) == 0;
}

static uint64_t host_g_str_equal(struct vmd_host_call *call)
{
    return host_strcmp(call) == 0;
}

static uint64_t host_g_str_hash(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0));

    return text ? vmd_str_hash(text) : 0;
}

static uint64_t host_toupper(struct vmd_host_call *call)
{
    return (uint64_t)toupper((int)ARG(0));
}

static uint64_t host_tolower(struct vmd_host_call *call)
{
    return (uint64_t)tolower((int)ARG(0));
}

/*
 * libc's tables of characters -128 to 255, which its macros read directly: the address of a pointer to character 0's
 * entry. The guest's locale is C, as QEMU has set no other when its constructors run.
 */
static uint64_t ctype_table(struct vmd_host_call *call, const void *character_0, size_t entry)
{
    uint64_t table = allocate(call, 384 * entry + 8), middle;
    char *to = table ? vmd_guest_at(call->guest, table, 384 * entry + 8) : NULL;

    if (!to) {
        return 0;
    }
    middle = table + 8 + 128 * entry;
    memcpy(to, &middle, 8);
    memcpy(to + 8, (const char *)character_0 - 128 * entry, 384 * entry);
    return table;
}

static uint64_t host_ctype_b_loc(struct vmd_host_call *call)
{
    return ctype_table(call, *__ctype_b_loc(), sizeof(**__ctype_b_loc()));
}

static uint64_t host_ctype_tolower_loc(struct vmd_host_call *call)
{
    return ctype_table(call, *__ctype_tolower_loc(), sizeof(**__ctype_tolower_loc()));
}

static uint64_t host_ctype_toupper_loc(struct vmd_host_call *call)
{
    return ctype_table(call, *__ctype_toupper_loc(), sizeof(**__ctype_toupper_loc()));
}

/* printf */

/* Where further arguments come from: registers and then the stack, or a va_list. */
struct arguments {
    struct vmd_host_call *call;
    int next;      /* register, or stack slot behind them */
    char *va_list; /* NULL: the call's own arguments */
};

static uint64_t load(const char *from)
{
    uint64_t value;

    memcpy(&value, from, 8);
    return value;
}

static uint32_t load_int(const char *from)
{
    uint32_t value;

    memcpy(&value, from, 4);
    return value;
}

static uint64_t next_from_va_list(struct arguments *arguments)
{
    struct vmd_guest *guest = arguments->call->guest;
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    int32_t offset;
    uint64_t where;
    char *from;

    /* x86-64: gp_offset, fp_offset, overflow_arg_area, reg_save_area. AArch64: stack, gr_top, vr_top, gr_offs. */
    memcpy(&offset, arguments->va_list + (x86_64 ? 0 : 24), 4);
    if (x86_64 ? offset < 48 : offset < 0) {
        where = load(arguments->va_list + (x86_64 ? 16 : 8)) + (int64_t)offset;
        offset += 8;
        memcpy(arguments->va_list + (x86_64 ? 0 : 24), &offset, 4);
    } else {
        uint64_t next;

        where = load(arguments->va_list + (x86_64 ? 8 : 0));
        next = where + 8;
        memcpy(arguments->va_list + (x86_64 ? 8 : 0), &next, 8);
    }
    from = vmd_guest_at(guest, where, 8);
    return from ? load(from) : 0;
}

static uint64_t next_argument(struct arguments *arguments)
{
    struct vmd_host_call *call = arguments->call;
    int index = arguments->next++;
    char *from;

    if (arguments->va_list) {
        return next_from_va_list(arguments);
    }
    if (index < call->n_args) {
        return call->args[index];
    }
    from = vmd_guest_at(call->guest, call->stack + 8 * (uint64_t)(index - call->n_args), 8);
    return from ? load(from) : 0;
}

enum { FORMATTED_MAX = 64 << 10 };

/* One conversion, specification included, printed to out. How much room there is, room > 0. */
static size_t convert(struct arguments *arguments, const char *specification, char conversion, bool wide, char *out,
                      size_t room)
{
    uint64_t value;
    const char *text;
    int n;

    if (conversion == '%') {
        n = snprintf(out, room, "%%");
        return (size_t)n;
    }
    value = next_argument(arguments);
    switch (conversion) {
    case 's':
        text = value ? string_at(arguments->call, value) : "(null)";
        n = text ? snprintf(out, room, specification, text) : 0;
        break;
    case 'p':
        n = snprintf(out, room, "0x%llx", (unsigned long long)value);
        break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        n = wide ? snprintf(out, room, specification, value) : snprintf(out, room, specification, (int)value);
        break;
    case 'c':
        n = snprintf(out, room, specification, (int)value);
        break;
    default:
        vmd_guest_fail(arguments->call->guest, VMD_BAD_REFERENCE, value, "a printf conversion that is not known");
        n = 0;
    }
    return n < 0 ? 0 : (size_t)n;
}

/* Prints as printf does, at most FORMATTED_MAX bytes; out is freed by the caller. NULL: the call fails. */
static char *format(struct arguments *arguments, uint64_t address)
{
    const char *c = string_at(arguments->call, address);
    char *out = c ? malloc(FORMATTED_MAX) : NULL;
    size_t used = 0;

    if (!out) {
        return NULL;
    }
    while (*c && used < FORMATTED_MAX - 1) {
        char specification[64];
        size_t n = 0;
        bool wide = false;

        if (*c != '%') {
            out[used++] = *c++;
            continue;
        }
        specification[n++] = *c++;
        while (*c && strchr("-+ #0123456789.*lhzjt", *c) && n < 40) {
            if (*c == '*') {
                n += (size_t)sprintf(specification + n, "%d", (int)next_argument(arguments));
            } else if (strchr("hlzjt", *c)) {
                wide |= *c != 'h';
            } else {
                specification[n++] = *c;
            }
            c++;
        }
        if (!*c) {
            break;
        }
        if (wide && strchr("diuxXo", *c)) {
            specification[n++] = 'l';
        }
        specification[n++] = *c;
        specification[n] = '\0';
        used += convert(arguments, specification, *c++, wide, out + used, FORMATTED_MAX - used);
        used = used < FORMATTED_MAX ? used : FORMATTED_MAX - 1;
    }
    out[used] = '\0';
    return out;
}

/* Prints to size bytes at a buffer of the guest; what it would have taken. */
static uint64_t format_to(struct arguments *arguments, uint64_t buffer, uint64_t size, uint64_t address)
{
    char *text = format(arguments, address);
    uint64_t length = text ? strlen(text) : 0, n = length < size ? length + 1 : size;
    char *to = text && n ? vmd_guest_at(arguments->call->guest, buffer, n) : NULL;

    if (to) {
        memcpy(to, text, n);
        to[n - 1] = '\0';
    }
    free(text);
    return length;
}

static uint64_t format_new(struct arguments *arguments, uint64_t address)
{
    char *text = format(arguments, address);
    uint64_t copy = text ? put_string(arguments->call, text, strlen(text)) : 0;

    free(text);
    return copy;
}

static uint64_t host_g_strdup_printf(struct vmd_host_call *call)
{
    return format_new(&(struct arguments){.call = call, .next = 1}, ARG(0));
}

static uint64_t host_g_strdup_vprintf(struct vmd_host_call *call)
{
    char *list = vmd_guest_at(call->guest, ARG(1), 32);

    return list ? format_new(&(struct arguments){.call = call, .va_list = list}, ARG(0)) : 0;
}

static uint64_t host_snprintf(struct vmd_host_call *call)
{
    return format_to(&(struct arguments){.call = call, .next = 3}, ARG(0), ARG(1), ARG(2));
}

static uint64_t host_snprintf_chk(struct vmd_host_call *call)
{
    return format_to(&(struct arguments){.call = call, .next = 5}, ARG(0), ARG(1), ARG(4));
}

static uint64_t host_sprintf_chk(struct vmd_host_call *call)
{
    return format_to(&(struct arguments){.call = call, .next = 4}, ARG(0), FORMATTED_MAX, ARG(3));
}

static uint64_t host_vsnprintf_chk(struct vmd_host_call *call)
{
    char *list = vmd_guest_at(call->guest, ARG(5), 32);

    return list ? format_to(&(struct arguments){.call = call, .va_list = list}, ARG(0), ARG(1), ARG(4)) : 0;
}

/* Concatenates strings up to a NULL, with a separator between them or none. */
static uint64_t host_g_strconcat(struct vmd_host_call *call)
{
    struct arguments arguments = {.call = call};
    char *out = calloc(1, FORMATTED_MAX);
    uint64_t address, copy = 0;

    while (out && (address = next_argument(&arguments))) {
        const char *text = string_at(call, address);

        if (!text || strlen(out) + strlen(text) >= FORMATTED_MAX) {
            break;
        }
        strcat(out, text);
    }
    if (out) {
        copy = put_string(call, out, strlen(out));
    }
    free(out);
    return copy;
}

/* Hash tables */

/* More than any QEMU needs, and few enough that a hostile one can't use up the host's memory with them. */
enum { TABLES_MAX = 1 << 14, KEYS_MAX = 1 << 21, INITS_MAX = 1 << 16 };

enum key_kind { KEY_DIRECT, KEY_STRING, KEY_INT };

struct vmd_guest_table {
    struct vmd_ghash hash;
    struct vmd_guest *guest;
    enum key_kind kind;
};

static bool equal_strings(const void *context, uint64_t a, uint64_t b)
{
    const struct vmd_guest_table *table = context;
    struct vmd_host_call call = {.guest = table->guest};
    const char *text_a = string_at(&call, a), *text_b = string_at(&call, b);

    return a == b || (text_a && text_b && strcmp(text_a, text_b) == 0);
}

static bool equal_ints(const void *context, uint64_t a, uint64_t b)
{
    const struct vmd_guest_table *table = context;
    const char *at_a = vmd_guest_at(table->guest, a, 4), *at_b = vmd_guest_at(table->guest, b, 4);

    return at_a && at_b && memcmp(at_a, at_b, 4) == 0;
}

/* How a table's keys are hashed and compared, by the function of GLib that it is made with. */
static enum key_kind key_kind(const struct vmd_guest *guest, uint64_t hash_function)
{
    const char *name = vmd_guest_import_name(guest, hash_function);

    if (name && strcmp(name, "g_str_hash") == 0) {
        return KEY_STRING;
    }
    /* Tables whose keys the guest hashes itself hold nothing that start-up looks up by value. */
    return name && strcmp(name, "g_int_hash") == 0 ? KEY_INT : KEY_DIRECT;
}

/* A table is, for the guest, the address of its number. */
static uint64_t host_g_hash_table_new(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_guest_table **tables =
        guest->n_tables < TABLES_MAX ? realloc(guest->tables, (guest->n_tables + 1) * sizeof(*tables)) : NULL;
    struct vmd_guest_table *table = tables ? calloc(1, sizeof(*table)) : NULL;
    uint64_t handle = allocate(call, 16), number = guest->n_tables;

    guest->tables = tables ? tables : guest->tables;
    if (!table || !handle) {
        free(table);
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "out of memory");
        return 0;
    }
    table->guest = guest;
    table->kind = key_kind(guest, ARG(0));
    guest->tables[guest->n_tables++] = table;
    if (vmd_ghash_init(&table->hash,
                       table->kind == KEY_STRING ? equal_strings
                       : table->kind == KEY_INT  ? equal_ints
                                                 : NULL,
                       table)) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "out of memory");
    }
    memcpy(vmd_guest_at(guest, handle, 8), &number, 8);
    return handle;
}

static struct vmd_guest_table *table_at(struct vmd_host_call *call, uint64_t handle)
{
    const char *number = vmd_guest_at(call->guest, handle, 8);

    if (number && load(number) < call->guest->n_tables) {
        return call->guest->tables[load(number)];
    }
    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, handle, "no hash table");
    return NULL;
}

static uint32_t hash_of(struct vmd_host_call *call, const struct vmd_guest_table *table, uint64_t key)
{
    const char *text;

    switch (table->kind) {
    case KEY_STRING:
        text = string_at(call, key);
        return text ? vmd_str_hash(text) : 0;
    case KEY_INT:
        text = vmd_guest_at(call->guest, key, 4);
        return text ? load_int(text) : 0;
    default:
        return (uint32_t)key;
    }
}

/* Counts keys that are inserted, in all tables and ever. */
static bool guest_keys_full(struct vmd_guest *guest, bool is_new)
{
    guest->n_keys += is_new;
    return guest->n_keys > KEYS_MAX;
}

static uint64_t insert(struct vmd_host_call *call, uint64_t value)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));
    uint32_t slot, hash;
    bool is_new;

    if (!table) {
        return 0;
    }
    hash = hash_of(call, table, ARG(1));
    is_new = !vmd_ghash_lookup(&table->hash, hash, ARG(1), &slot);
    if (guest_keys_full(call->guest, is_new) || vmd_ghash_insert(&table->hash, hash, ARG(1), value)) {
        vmd_guest_fail(call->guest, VMD_NO_MEMORY, 0, "out of memory");
    }
    return is_new;
}

static uint64_t host_g_hash_table_insert(struct vmd_host_call *call)
{
    return insert(call, ARG(2));
}

static uint64_t host_g_hash_table_add(struct vmd_host_call *call)
{
    return insert(call, ARG(1));
}

static uint64_t host_g_hash_table_lookup(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));
    uint32_t slot;

    return table && vmd_ghash_lookup(&table->hash, hash_of(call, table, ARG(1)), ARG(1), &slot)
               ? table->hash.values[slot]
               : 0;
}

static uint64_t host_g_hash_table_contains(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));
    uint32_t slot;

    return table && vmd_ghash_lookup(&table->hash, hash_of(call, table, ARG(1)), ARG(1), &slot);
}

static uint64_t host_g_hash_table_remove(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));

    return table && vmd_ghash_remove(&table->hash, hash_of(call, table, ARG(1)), ARG(1));
}

static uint64_t host_g_hash_table_size(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));

    return table ? table->hash.nnodes : 0;
}

static uint64_t host_g_hash_table_foreach(struct vmd_host_call *call)
{
    struct vmd_guest_table *table = table_at(call, ARG(0));

    for (uint32_t slot = 0; table && !call->guest->err.code && vmd_ghash_next(&table->hash, &slot); slot++) {
        vmd_host_call_guest(call, ARG(1), (uint64_t[]){table->hash.keys[slot], table->hash.values[slot], ARG(2)}, 3);
    }
    return 0;
}

/* The iterator's first two words are ours: the table and the next slot. */
static uint64_t host_g_hash_table_iter_init(struct vmd_host_call *call)
{
    char *iter = vmd_guest_at(call->guest, ARG(0), 16);

    if (iter) {
        memcpy(iter, &ARG(1), 8);
        memset(iter + 8, 0, 8);
    }
    return 0;
}

static uint64_t host_g_hash_table_iter_next(struct vmd_host_call *call)
{
    char *iter = vmd_guest_at(call->guest, ARG(0), 16), *out;
    struct vmd_guest_table *table = iter ? table_at(call, load(iter)) : NULL;
    uint64_t next = iter ? load(iter + 8) : 0;
    uint32_t slot = (uint32_t)next;

    if (!table || !vmd_ghash_next(&table->hash, &slot)) {
        return 0;
    }
    next = slot + 1;
    memcpy(iter + 8, &next, 8);
    if (ARG(1) && (out = vmd_guest_at(call->guest, ARG(1), 8))) {
        memcpy(out, &table->hash.keys[slot], 8);
    }
    if (ARG(2) && (out = vmd_guest_at(call->guest, ARG(2), 8))) {
        memcpy(out, &table->hash.values[slot], 8);
    }
    return 1;
}

/* Lists: a GSList is {data, next}, a GList {data, next, prev}. */

static uint64_t new_link(struct vmd_host_call *call, uint64_t data, uint64_t next)
{
    uint64_t link = allocate(call, 24);
    char *to = link ? vmd_guest_at(call->guest, link, 24) : NULL;

    if (to) {
        memcpy(to, &data, 8);
        memcpy(to + 8, &next, 8);
        memset(to + 16, 0, 8);
    }
    return link;
}

static uint64_t host_g_slist_prepend(struct vmd_host_call *call)
{
    return new_link(call, ARG(1), ARG(0));
}

static uint64_t host_g_slist_append(struct vmd_host_call *call)
{
    uint64_t fresh = new_link(call, ARG(1), 0), link = ARG(0);

    if (!link) {
        return fresh;
    }
    for (uint64_t n = 0; n < call->guest->size / 16; n++) {
        char *at = vmd_guest_at(call->guest, link, 16);

        if (!at) {
            return 0;
        }
        if (!load(at + 8)) {
            memcpy(at + 8, &fresh, 8);
            return ARG(0);
        }
        link = load(at + 8);
    }
    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, ARG(0), "a list that goes in a circle");
    return 0;
}

static uint64_t host_g_slist_length(struct vmd_host_call *call)
{
    uint64_t n = 0;
    const char *at;

    for (uint64_t link = ARG(0); link && (at = vmd_guest_at(call->guest, link, 16)); link = load(at + 8)) {
        if (n++ > call->guest->size / 16) {
            vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, ARG(0), "a list that goes in a circle");
            break;
        }
    }
    return n;
}

/* The rest */

enum { READY = 2 }; /* G_ONCE_STATUS_READY */

static uint64_t host_g_once_impl(struct vmd_host_call *call)
{
    char *once = vmd_guest_at(call->guest, ARG(0), 16);
    uint64_t result;

    if (once && load_int(once) != READY) {
        result = vmd_host_call_guest(call, ARG(1), &ARG(2), 1);
        memcpy(once, &(uint32_t){READY}, 4);
        memcpy(once + 8, &result, 8);
    }
    return once ? load(once + 8) : 0;
}

static uint64_t host_g_once_init_enter(struct vmd_host_call *call)
{
    const char *at = vmd_guest_at(call->guest, ARG(0), 8);

    return at && load(at) == 0;
}

static uint64_t host_g_once_init_leave(struct vmd_host_call *call)
{
    char *at = vmd_guest_at(call->guest, ARG(0), 8);

    if (at) {
        memcpy(at, &ARG(1), 8);
    }
    return 0;
}

static uint64_t host_sysconf(struct vmd_host_call *call)
{
    return (int)ARG(0) == _SC_PAGESIZE ? call->guest->page_size : (uint64_t)sysconf((int)ARG(0));
}

static uint64_t host_getpagesize(struct vmd_host_call *call)
{
    return call->guest->page_size;
}

static uint64_t host_getrlimit(struct vmd_host_call *call)
{
    struct rlimit limit;
    char *to = vmd_guest_at(call->guest, ARG(1), sizeof(limit));

    if (to && getrlimit((int)ARG(0), &limit) == 0) {
        memcpy(to, &limit, sizeof(limit));
    }
    return 0;
}

enum { DESCRIPTOR = 3 }; /* of what the guest opens */

void vmd_guest_set_host(struct vmd_guest *guest, bool memfd, bool sgx_vepc, uint64_t page_size)
{
    guest->no_memfd = !memfd;
    guest->sgx_vepc = sgx_vepc;
    guest->page_size = page_size;
}

static uint64_t host_memfd_create(struct vmd_host_call *call)
{
    return call->guest->no_memfd ? (uint64_t)-1 : DESCRIPTOR;
}

static uint64_t host_open(struct vmd_host_call *call)
{
    const char *path = string_at(call, ARG(0));

    /* There are no files, no /proc; a device that is opened is closed at once. */
    return path && call->guest->sgx_vepc && strcmp(path, "/dev/sgx_vepc") == 0 ? DESCRIPTOR : (uint64_t)-1;
}

static uint64_t host_tls_get_addr(struct vmd_host_call *call)
{
    const char *index = vmd_guest_at(call->guest, ARG(0), 16);

    /* {module, offset}; there is one module with thread-local data, the main binary. */
    return index ? vmd_guest_tls(call->guest) + load(index + 8) : 0;
}

static uint64_t host_errno_location(struct vmd_host_call *call)
{
    return call->guest->errno_at;
}

static uint64_t host_abort(struct vmd_host_call *call)
{
    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, 0, "it aborts itself");
    return 0;
}

static uint64_t host_assert_fail(struct vmd_host_call *call)
{
    const char *text = string_at(call, ARG(0));

    vmd_guest_fail(call->guest, VMD_BAD_REFERENCE, ARG(0), "an assertion of its own fails");
    snprintf(call->guest->err.path, sizeof(call->guest->err.path), "%s", text ? text : "");
    return 0;
}

static uint64_t host_register_dso_module_init(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;

    if (guest->n_inits == guest->inits_room) {
        size_t room = guest->inits_room ? 2 * guest->inits_room : 16;
        uint64_t *inits = room <= INITS_MAX ? realloc(guest->inits, room * 2 * sizeof(*inits)) : NULL;

        if (!inits) {
            vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "out of memory");
            return 0;
        }
        guest->inits = inits;
        guest->inits_room = room;
    }
    guest->inits[2 * guest->n_inits] = ARG(0);
    guest->inits[2 * guest->n_inits++ + 1] = ARG(1);
    return 0;
}

static const struct {
    const char *name;
    vmd_host_fn *function;
} functions[] = {
    {"malloc", host_malloc},
    {"calloc", host_calloc},
    {"realloc", host_realloc},
    {"posix_memalign", host_posix_memalign},
    {"g_malloc", host_g_malloc},
    {"g_malloc0", host_g_malloc},
    {"g_try_malloc", host_g_malloc},
    {"g_try_malloc0", host_g_malloc},
    {"g_slice_alloc", host_g_malloc},
    {"g_slice_alloc0", host_g_malloc},
    {"g_malloc_n", host_g_malloc_n},
    {"g_malloc0_n", host_g_malloc_n},
    {"g_realloc", host_g_realloc},
    {"g_realloc_n", host_g_realloc_n},
    {"strlen", host_strlen},
    {"strcmp", host_strcmp},
    {"strncmp", host_strncmp},
    {"strcasecmp", host_strcasecmp},
    {"g_ascii_strcasecmp", host_strcasecmp},
    {"g_strcmp0", host_g_strcmp0},
    {"strchr", host_strchr},
    {"strrchr", host_strrchr},
    {"strstr", host_strstr},
    {"strspn", host_strspn},
    {"strcspn", host_strcspn},
    {"strnlen", host_strnlen},
    {"memcpy", host_memcpy},
    {"memmove", host_memcpy},
    {"__memcpy_chk", host_memcpy},
    {"__memmove_chk", host_memcpy},
    {"memset", host_memset},
    {"memcmp", host_memcmp},
    {"strcpy", host_strcpy},
    {"__strcpy_chk", host_strcpy},
    {"strdup", host_g_strdup},
    {"g_strdup", host_g_strdup},
    {"g_intern_string", host_g_strdup},
    {"g_intern_static_string", host_g_strdup},
    {"g_strndup", host_g_strndup},
    {"g_memdup", host_g_memdup},
    {"g_memdup2", host_g_memdup},
    {"g_str_has_prefix", host_g_str_has_prefix},
    {"g_str_has_suffix", host_g_str_has_suffix},
    {"g_str_equal", host_g_str_equal},
    {"g_str_hash", host_g_str_hash},
    {"toupper", host_toupper},
    {"tolower", host_tolower},
    {"g_ascii_toupper", host_toupper},
    {"g_ascii_tolower", host_tolower},
    {"__ctype_b_loc", host_ctype_b_loc},
    {"__ctype_tolower_loc", host_ctype_tolower_loc},
    {"__ctype_toupper_loc", host_ctype_toupper_loc},
    {"g_strdup_printf", host_g_strdup_printf},
    {"g_strdup_vprintf", host_g_strdup_vprintf},
    {"snprintf", host_snprintf},
    {"g_snprintf", host_snprintf},
    {"__snprintf_chk", host_snprintf_chk},
    {"__sprintf_chk", host_sprintf_chk},
    {"__vsnprintf_chk", host_vsnprintf_chk},
    {"g_strconcat", host_g_strconcat},
    {"g_hash_table_new", host_g_hash_table_new},
    {"g_hash_table_new_full", host_g_hash_table_new},
    {"g_hash_table_insert", host_g_hash_table_insert},
    {"g_hash_table_replace", host_g_hash_table_insert},
    {"g_hash_table_add", host_g_hash_table_add},
    {"g_hash_table_lookup", host_g_hash_table_lookup},
    {"g_hash_table_contains", host_g_hash_table_contains},
    {"g_hash_table_remove", host_g_hash_table_remove},
    {"g_hash_table_size", host_g_hash_table_size},
    {"g_hash_table_foreach", host_g_hash_table_foreach},
    {"g_hash_table_iter_init", host_g_hash_table_iter_init},
    {"g_hash_table_iter_next", host_g_hash_table_iter_next},
    {"g_slist_prepend", host_g_slist_prepend},
    {"g_list_prepend", host_g_slist_prepend},
    {"g_slist_append", host_g_slist_append},
    {"g_list_append", host_g_slist_append},
    {"g_slist_length", host_g_slist_length},
    {"g_list_length", host_g_slist_length},
    {"g_once_impl", host_g_once_impl},
    {"g_once_init_enter", host_g_once_init_enter},
    {"g_once_init_leave", host_g_once_init_leave},
    {"sysconf", host_sysconf},
    {"getpagesize", host_getpagesize},
    {"getrlimit", host_getrlimit},
    {"getrlimit64", host_getrlimit},
    {"memfd_create", host_memfd_create},
    {"open", host_open},
    {"open64", host_open},
    {"__open64_2", host_open},
    {"access", host_open},
    {"__tls_get_addr", host_tls_get_addr},
    {"__errno_location", host_errno_location},
    {"abort", host_abort},
    {"__stack_chk_fail", host_abort},
    {"__assert_fail", host_assert_fail},
    {"register_dso_module_init", host_register_dso_module_init},
};

vmd_host_fn *vmd_host_function(const char *name)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
        if (strcmp(functions[i].name, name) == 0) {
            return functions[i].function;
        }
    }
    return NULL;
}

void vmd_host_deinit(struct vmd_guest *guest)
{
    for (size_t i = 0; i < guest->n_tables; i++) {
        vmd_ghash_deinit(&guest->tables[i]->hash);
        free(guest->tables[i]);
    }
    free(guest->tables);
}
