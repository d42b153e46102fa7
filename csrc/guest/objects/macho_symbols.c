/*
 * Mach-O objects in a guest: symbols (LC_SYMTAB), and what imports are bound to. See macho.h.
 *
 * Names lose the underscore that C names begin with. Names of libSystem's functions may end in a variant, such as
 * $DARWIN_EXTSN or $NOCANCEL, which the host's functions do not tell apart.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/objects/macho.h"

#include <stdlib.h>

enum {
    SYMBOL_SIZE = 16,
    N_STAB = 0xe0, /* of n_type: a symbol for debuggers */
    N_TYPE = 0x0e,
    N_ABS = 0x02,
    N_SECT = 0x0e,
    N_EXT = 0x01,
    NAME_MAX_SIZE = 512, /* of an import */
};

/* The end of the section that contains an address; the address itself if there is none. */
static uint64_t section_end(const struct vmd_macho *macho, uint64_t address)
{
    for (size_t i = 0; i < macho->n_sections; i++) {
        const struct vmd_macho_section *section = &macho->sections[i];

        if (address >= section->address && address - section->address < section->size) {
            return section->address + section->size;
        }
    }
    return address;
}

/* By address; of several at one address, an exported one is last, then the one with the greatest name offset. */
static int compare_symbols(const void *a, const void *b)
{
    const struct vmd_symbol *x = a, *y = b;

    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    if (x->is_local != y->is_local) {
        return x->is_local ? -1 : 1;
    }
    return (x->name > y->name) - (x->name < y->name);
}

/*
 * Sizes are not in the file: a symbol extends to the next one, or to the end of its section. Of several at one address,
 * the last one has the size.
 */
static void set_sizes(struct vmd_macho *macho)
{
    struct vmd_symbol *symbols = macho->object->symbols;
    size_t n = macho->object->n_symbols;
    uint64_t end = 0;

    qsort(symbols, n, sizeof(*symbols), compare_symbols);
    for (size_t i = 0; i < n; i++) {
        uint64_t next = i + 1 < n ? symbols[i + 1].value : UINT64_MAX;

        if (symbols[i].value >= end) {
            end = section_end(macho, symbols[i].value);
        }
        symbols[i].size = (next < end ? next : end) - symbols[i].value;
    }
}

/* Let symbols be found by name: an exported one has precedence over static ones. */
static void index_names(struct vmd_object *object)
{
    for (size_t i = 0; i < object->n_symbols; i++) {
        const struct vmd_symbol *found = vmd_object_find(object, object->symbols[i].name);

        if (!found || found->is_local) {
            vmd_object_index(object, i);
        }
    }
}

/* Keep the symbol at from if it has an address and a name. */
static enum vmd_status add_symbol(struct vmd_macho *macho, const char *from, size_t *n, struct vmd_error *err)
{
    const struct vmd_guest *guest = macho->guest;
    uint32_t name = vmd_get_u32(guest, from);
    uint8_t type = (uint8_t)from[4];
    const char *text = macho->object->names + name;

    if (name >= macho->names.size) {
        return vmd_object_bad(err, "a symbol's name is outside of the table of names");
    }
    if (type & N_STAB || ((type & N_TYPE) != N_SECT && (type & N_TYPE) != N_ABS)) {
        return VMD_OK;
    }
    text += *text == '_';
    if (*text) {
        uint64_t bias = (type & N_TYPE) == N_SECT ? macho->object->bias : 0;

        macho->object->symbols[(*n)++] = (struct vmd_symbol){.name = text,
                                                             .value = vmd_get_u64(guest, from + 8) + bias,
                                                             .is_defined = true,
                                                             .is_local = !(type & N_EXT)};
    }
    return VMD_OK;
}

enum vmd_status vmd_macho_read_symbols(struct vmd_macho *macho, struct vmd_error *err)
{
    uint64_t n = macho->symbols.size;
    const char *table = n ? vmd_macho_bytes(macho, macho->symbols.offset, n * SYMBOL_SIZE) : NULL,
               *names = macho->names.size ? vmd_macho_bytes(macho, macho->names.offset, macho->names.size) : NULL;
    size_t n_defined = 0;

    if ((n && !table) || (macho->names.size && !names)) {
        return vmd_object_bad(err, "its symbols are outside of the file");
    }
    if (vmd_object_reserve(macho->object, n, names, macho->names.size, err)) {
        return err->code;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (add_symbol(macho, table + i * SYMBOL_SIZE, &n_defined, err)) {
            return err->code;
        }
    }
    macho->object->n_symbols = n_defined;
    set_sizes(macho);
    index_names(macho->object);
    return VMD_OK;
}

/* Imports */

/* The address of an exported symbol, or 0. */
static uint64_t find_exported(const struct vmd_object *object, const char *name)
{
    const struct vmd_symbol *found = vmd_object_find(object, name);

    return found && !found->is_local ? found->value : 0;
}

uint64_t vmd_macho_resolve(const struct vmd_macho *macho, const char *name, int64_t ordinal)
{
    bool is_own = ordinal == VMD_BIND_SELF || ordinal == VMD_BIND_FLAT || ordinal == VMD_BIND_WEAK;
    char plain[NAME_MAX_SIZE];
    uint64_t address;
    char *variant;

    name += *name == '_';
    address = is_own ? find_exported(macho->object, name) : 0;
    if (!macho->guest->queue_inits || strcmp(name, "register_dso_module_init") != 0) {
        for (size_t i = 0; i < macho->n_scope && !address; i++) {
            address = find_exported(macho->scope[i], name);
        }
    }
    if (address) {
        return address;
    }
    strncpy(plain, name, sizeof(plain) - 1);
    plain[sizeof(plain) - 1] = '\0';
    variant = strchr(plain, '$');
    if (variant && strncmp(plain, "OBJC_", 5) != 0) {
        *variant = '\0';
    }
    return vmd_guest_import(macho->guest, plain);
}
