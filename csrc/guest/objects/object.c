/*
 * Objects in a guest: symbols by name and by address, constructors, slots. See object.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "guest/objects/build.h"

/* Far more than QEMU has, and low enough that a hostile file cannot exhaust the host's memory. */
enum { SYMBOLS_MAX = 1 << 20, NAMES_MAX = 64 << 20, ADDRESSES_MAX = 1 << 24 };

/* Names after so many that collide are not found: in a hostile file, looking for them would take hours. */
enum { PROBES_MAX = 256 };

/* Building */

struct vmd_object *vmd_object_create(struct vmd_guest *guest, uint64_t bias)
{
    struct vmd_object *object = calloc(1, sizeof(*object));

    if (object) {
        object->guest = guest;
        object->bias = bias;
    }
    return object;
}

enum vmd_status vmd_object_reserve(struct vmd_object *object, size_t n, const char *names, size_t size,
                                   struct vmd_error *err)
{
    size_t room = 16;

    if (n > SYMBOLS_MAX || size > NAMES_MAX) {
        return vmd_object_bad(err, "more symbols than any QEMU has");
    }
    while (room < 2 * n) {
        room *= 2;
    }
    object->symbols = calloc(n + 1, sizeof(*object->symbols));
    object->by_name = calloc(room, sizeof(*object->by_name));
    object->names = malloc(size + 1);
    if (!object->symbols || !object->by_name || !object->names) {
        return vmd_object_no_memory(err);
    }
    object->mask = (uint32_t)room - 1;
    object->n_symbols = n;
    if (size) {
        memcpy(object->names, names, size);
    }
    object->names[size] = '\0';
    for (size_t i = 0; i < n; i++) {
        object->symbols[i].name = object->names + size;
    }
    return VMD_OK;
}

enum vmd_status vmd_object_extend(struct vmd_object *object, size_t n, const char *names, size_t size, const char **ret,
                                  struct vmd_error *err)
{
    size_t total = object->n_symbols + n, room = 16;
    struct vmd_symbol *symbols;
    uint32_t *by_name;
    char *more_names;

    if (object->more_names || n > SYMBOLS_MAX || total > SYMBOLS_MAX || size > NAMES_MAX) {
        return vmd_object_bad(err, "more symbols than any QEMU has");
    }
    while (room < 2 * total) {
        room *= 2;
    }
    by_name = calloc(room, sizeof(*by_name));
    more_names = calloc(size + 1, 1);
    symbols = by_name && more_names ? realloc(object->symbols, (total + 1) * sizeof(*symbols)) : NULL;
    if (!symbols) {
        free(by_name);
        free(more_names);
        return vmd_object_no_memory(err);
    }
    memcpy(more_names, names, size);
    memset(symbols + object->n_symbols, 0, n * sizeof(*symbols));
    for (size_t i = object->n_symbols; i < total; i++) {
        symbols[i].name = more_names + size;
    }
    free(object->by_name);
    free(object->by_address);
    object->symbols = symbols;
    object->n_symbols = total;
    object->by_name = by_name;
    object->by_address = NULL;
    object->n_by_address = 0;
    object->mask = (uint32_t)room - 1;
    *ret = object->more_names = more_names;
    return VMD_OK;
}

static uint32_t hash_name(const char *name)
{
    uint32_t hash = 5381;

    for (; *name; name++) {
        hash = hash * 33 + (unsigned char)*name;
    }
    return hash * 0x9e3779b1u;
}

/* The slot of a name in by_name, used or free; NULL: none for this name. */
static uint32_t *find_name(const struct vmd_object *object, const char *name)
{
    uint32_t at;

    if (strnlen(name, VMD_NAME_SIZE_MAX) == VMD_NAME_SIZE_MAX) {
        return NULL;
    }
    at = hash_name(name) >> 7 & object->mask;
    for (int probes = 0; probes < PROBES_MAX; probes++, at = (at + 1) & object->mask) {
        if (!object->by_name[at] || strcmp(object->symbols[object->by_name[at] - 1].name, name) == 0) {
            return &object->by_name[at];
        }
    }
    return NULL;
}

void vmd_object_index(struct vmd_object *object, size_t n)
{
    uint32_t *slot = find_name(object, object->symbols[n].name);

    if (slot) {
        *slot = (uint32_t)n + 1;
    }
}

enum vmd_status vmd_address_list_add(struct vmd_address_list *addresses, uint64_t address)
{
    if (addresses->n == addresses->room) {
        size_t room = addresses->room ? 2 * addresses->room : 64;
        uint64_t *grown = room <= ADDRESSES_MAX ? realloc(addresses->all, room * sizeof(*grown)) : NULL;

        if (!grown) {
            return VMD_NO_MEMORY;
        }
        addresses->all = grown;
        addresses->room = room;
    }
    addresses->all[addresses->n++] = address;
    return VMD_OK;
}

void vmd_object_destroy(struct vmd_object *object)
{
    if (object) {
        free(object->symbols);
        free(object->by_name);
        free(object->names);
        free(object->more_names);
        free(object->by_address);
        free(object->constructors.all);
        free(object->functions.all);
        free(object->slots.all);
        free(object);
    }
}

/* Queries */

const struct vmd_symbol *vmd_object_find(const struct vmd_object *object, const char *name)
{
    const uint32_t *slot = object->by_name ? find_name(object, name) : NULL;
    uint32_t found = slot ? *slot : 0;

    return found ? &object->symbols[found - 1] : NULL;
}

uint64_t vmd_object_symbol(const struct vmd_object *object, const char *name)
{
    const struct vmd_symbol *found = vmd_object_find(object, name);

    return found ? found->value : 0;
}

size_t vmd_object_n_symbols(const struct vmd_object *object)
{
    return object->n_symbols;
}

const char *vmd_object_nth_symbol(const struct vmd_object *object, size_t n, uint64_t *address)
{
    if (n >= object->n_symbols || !object->symbols[n].is_defined || !object->symbols[n].value ||
        vmd_object_find(object, object->symbols[n].name) != &object->symbols[n]) {
        return NULL;
    }
    *address = object->symbols[n].value;
    return object->symbols[n].name;
}

static int compare_addresses(const void *a, const void *b, void *symbols)
{
    uint64_t x = ((const struct vmd_symbol *)symbols)[*(const uint32_t *)a].value,
             y = ((const struct vmd_symbol *)symbols)[*(const uint32_t *)b].value;

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
        const struct vmd_symbol *symbol = &object->symbols[i];

        if (symbol->is_defined && symbol->size && !symbol->is_thread_local) {
            object->by_address[object->n_by_address++] = (uint32_t)i;
        }
    }
    qsort_r(object->by_address, object->n_by_address, sizeof(*object->by_address), compare_addresses, object->symbols);
    return true;
}

const char *vmd_object_symbol_at(struct vmd_object *object, uint64_t address)
{
    const struct vmd_symbol *symbol;
    size_t low = 0, high;

    if (!object->by_address && !sort_symbols(object)) {
        return NULL;
    }
    /* The last symbol that begins at or before the address. */
    for (high = object->n_by_address; low < high;) {
        size_t middle = low + (high - low) / 2;

        if (object->symbols[object->by_address[middle]].value <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (!low) {
        return NULL;
    }
    symbol = &object->symbols[object->by_address[low - 1]];
    return address - symbol->value < symbol->size ? symbol->name : NULL;
}

size_t vmd_object_constructors(const struct vmd_object *object, const uint64_t **ret)
{
    *ret = object->constructors.all;
    return object->constructors.n;
}

size_t vmd_object_functions(const struct vmd_object *object, const uint64_t **ret)
{
    *ret = object->functions.all;
    return object->functions.n;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

size_t vmd_object_slots(struct vmd_object *object, const uint64_t **ret)
{
    struct vmd_address_list *slots = &object->slots;

    if (!object->slots_are_sorted && slots->n) {
        size_t unique = 0;

        qsort(slots->all, slots->n, sizeof(*slots->all), compare_u64);
        for (size_t i = 0; i < slots->n; i++) {
            if (!unique || slots->all[i] != slots->all[unique - 1]) {
                slots->all[unique++] = slots->all[i];
            }
        }
        slots->n = unique;
    }
    object->slots_are_sorted = true;
    *ret = slots->all;
    return slots->n;
}

enum vmd_status vmd_object_guess_slots(struct vmd_object *object, uint64_t begin, uint64_t end, uint64_t low,
                                       uint64_t high)
{
    const char *data;

    begin = (begin + 7) & -(uint64_t)8;
    data = end > begin ? vmd_guest_find(object->guest, begin, end - begin) : NULL;
    if (!data) {
        return end > begin ? VMD_BAD_REFERENCE : VMD_OK;
    }
    for (uint64_t at = 0; at + 8 <= end - begin; at += 8) {
        uint64_t value = vmd_get_u64(object->guest, data + at);

        if (value >= low && value < high && vmd_address_list_add(&object->slots, begin + at)) {
            return VMD_NO_MEMORY;
        }
    }
    object->slots_are_sorted = false;
    return VMD_OK;
}
