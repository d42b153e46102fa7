/*
 * Reading descriptions: see guest_tree.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/read_descriptions.h"

#include <stdlib.h>
#include <string.h>

#include "guest/internal.h"
#include "tree/stack.h"

enum {
    LIST_MAX = 100000, /* entries of a list; QEMU's longest have hundreds */
    NAME_MAX_BYTES = 4096,
    DEFECTS_MAX = 1000,
};

/* VMStateFlags, where it matters what they are called. */
enum {
    VARRAY_INT32 = 0x10, /* in newer QEMUs VMS_VARRAY, whatever the integer's size */
    VARRAY_UINT16 = 0x80,
    VBUFFER = 0x100,
    VARRAY_UINT8 = 0x400,
    VARRAY_UINT32 = 0x800,
    VARRAY_ANY = VARRAY_INT32 | VARRAY_UINT16 | VARRAY_UINT8 | VARRAY_UINT32,
    END_8_2 = 0x10000,   /* VMS_END; in newer QEMUs VMS_ARRAY_OF_POINTER_AUTO_ALLOC */
    END_MOVED = 0x20000, /* VMS_END there */
};

struct vmd_guest_reader {
    struct vmd_guest *guest;
    struct vmd_tree *tree;
    struct vmd_layout layout;
    struct vmd_ghash made;   /* address -> struct vmd_desc *, 0 while it is being read */
    struct vmd_ghash nested; /* addresses that a description refers to */
    struct vmd_error *err;
    unsigned depth;
    bool is_looking;    /* for descriptions that nothing leads to */
    uint64_t n_ends[3]; /* lists by how they end: end_flags */
    const uint64_t *slots;
    uint64_t n_slots;
    struct vmd_guest_defect *defects;
    uint64_t n_defects;
    struct stack fields, details, subsections; /* of what is being read */
};

/* The ways in which lists of fields end: up to QEMU 8.1, since 8.2, and since flags were renumbered. */
static const uint32_t end_flags[3] = {0, END_8_2, END_MOVED};

uint32_t vmd_guest_reader_end_flags(const struct vmd_guest_reader *reader)
{
    int best = 0;

    for (int i = 1; i < 3; i++) {
        best = reader->n_ends[i] > reader->n_ends[best] ? i : best;
    }
    return end_flags[best];
}

/* Whether a list may end with an entry of these flags. */
static bool is_end(struct vmd_guest_reader *reader, uint32_t flags)
{
    for (int i = 0; i < 3; i++) {
        if (flags == end_flags[i] && (reader->layout.end_flags == VMD_END_ANY || reader->layout.end_flags == flags)) {
            reader->n_ends[i]++;
            return true;
        }
    }
    return false;
}

enum vmd_status vmd_guest_reader_create(struct vmd_guest *guest, const struct vmd_layout *layout, struct vmd_tree *tree,
                                        struct vmd_guest_reader **ret)
{
    struct vmd_guest_reader *reader = calloc(1, sizeof(*reader));

    if (!reader) {
        return VMD_NO_MEMORY;
    }
    reader->guest = guest;
    reader->tree = tree;
    reader->layout = *layout;
    if (vmd_ghash_init(&reader->made, NULL, NULL) || vmd_ghash_init(&reader->nested, NULL, NULL)) {
        vmd_guest_reader_destroy(reader);
        return VMD_NO_MEMORY;
    }
    *ret = reader;
    return VMD_OK;
}

void vmd_guest_reader_destroy(struct vmd_guest_reader *reader)
{
    if (reader) {
        vmd_ghash_deinit(&reader->made);
        vmd_ghash_deinit(&reader->nested);
        free(reader->defects);
        free(reader->fields.items);
        free(reader->details.items);
        free(reader->subsections.items);
        free(reader);
    }
}

static enum vmd_status fail(struct vmd_guest_reader *reader, enum vmd_status code, uint64_t address,
                            const char *message)
{
    return vmd_error_set(reader->err, code, address, message);
}

static uint64_t u64(const char *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static int32_t i32(const char *from)
{
    int32_t value;

    memcpy(&value, from, sizeof(value));
    return value;
}

static enum vmd_status read_name(struct vmd_guest_reader *reader, uint64_t address, uint64_t owner, const char **ret,
                                 uint32_t *ret_len)
{
    /* A stub of zeros has no name; QEMU prints what printf makes of that. */
    const char *text = address ? vmd_guest_find(reader->guest, address, 1) : "(null)";
    size_t room = !address ? sizeof("(null)") : text ? (size_t)(reader->guest->memory + reader->guest->size - text) : 0;
    const char *end = text ? memchr(text, '\0', room < NAME_MAX_BYTES ? room : NAME_MAX_BYTES) : NULL;

    if (!end) {
        return fail(reader, VMD_BAD_REFERENCE, owner, "a name is no string");
    }
    *ret_len = (uint32_t)(end - text);
    if (vmd_printable_prefix(text, *ret_len) != *ret_len) {
        return fail(reader, VMD_BAD_NAME, owner, "a name can't be printed in JSON");
    }
    *ret = vmd_tree_string(reader->tree, text, *ret_len);
    return *ret ? VMD_OK : fail(reader, VMD_NO_MEMORY, owner, "out of memory");
}

/* A text that is not printed by QEMU, and so may hold anything; NULL for NULL and for what is no string. */
static const char *read_text(struct vmd_guest_reader *reader, uint64_t address, uint32_t *ret_len)
{
    const char *text = address ? vmd_guest_find(reader->guest, address, 1) : NULL;
    size_t room = text ? (size_t)(reader->guest->memory + reader->guest->size - text) : 0;
    const char *end = text ? memchr(text, '\0', room < NAME_MAX_BYTES ? room : NAME_MAX_BYTES) : NULL;

    *ret_len = end ? (uint32_t)(end - text) : 0;
    return end ? vmd_tree_string(reader->tree, text, *ret_len) : NULL;
}

static enum vmd_status read_desc(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret);

/* A description that another one refers to. */
static enum vmd_status read_nested(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret)
{
    if (vmd_ghash_insert(&reader->nested, (uint32_t)address, address, 1)) {
        return fail(reader, VMD_NO_MEMORY, address, "out of memory");
    }
    return read_desc(reader, address, ret);
}

/* An offset that is there when the flags say so: a size_t, or a VMStateStructMember. */
static uint64_t read_offset(const char *from, uint32_t at, uint32_t indirect_at, bool used)
{
    if (!used) {
        return VMD_UNKNOWN;
    }
    return at ? u64(from + at) : (uint32_t)i32(from + indirect_at);
}

/* The image's flags as QEMU 8.2 numbers them. */
static uint32_t canonical_flags(const struct vmd_layout *layout, const char *from)
{
    uint32_t flags = (uint32_t)i32(from + layout->field_flags);

    if (layout->end_flags == END_MOVED && flags & END_8_2) {
        flags = (flags & ~END_8_2) | VMD_AUTO_ALLOC;
    }
    if (layout->field_num_indirect && flags & VARRAY_INT32) {
        switch (from[layout->field_num_indirect + 4]) {
        case 1:
            return (flags & ~VARRAY_INT32) | VARRAY_UINT8;
        case 2:
            return (flags & ~VARRAY_INT32) | VARRAY_UINT16;
        }
    }
    return flags;
}

static void read_details(struct vmd_guest_reader *reader, const char *from, const struct vmd_field *field,
                         struct vmd_field_details *details)
{
    const struct vmd_layout *layout = &reader->layout;
    uint64_t info = u64(from + layout->field_info);
    const char *info_at = info ? vmd_guest_find(reader->guest, info, 8) : NULL;

    memset(details, 0, sizeof(*details));
    details->offset = u64(from + layout->field_offset);
    details->start = u64(from + layout->field_start);
    details->num_offset =
        read_offset(from, layout->field_num_offset, layout->field_num_indirect, field->flags & VARRAY_ANY);
    details->size_offset =
        read_offset(from, layout->field_size_offset, layout->field_size_indirect, field->flags & VBUFFER);
    details->struct_version_id = i32(from + layout->field_struct_version_id);
    details->info = info_at ? read_text(reader, u64(info_at), &details->info_len) : NULL;
    if (layout->field_err_hint) {
        details->err_hint = read_text(reader, u64(from + layout->field_err_hint), &details->err_hint_len);
    }
}

static enum vmd_status read_field(struct vmd_guest_reader *reader, uint64_t address, const char *from,
                                  struct vmd_field *field, struct vmd_field_details *details)
{
    const struct vmd_layout *layout = &reader->layout;
    uint64_t vmsd = u64(from + layout->field_vmsd);

    memset(field, 0, sizeof(*field));
    field->size = u64(from + layout->field_bytes);
    field->num = i32(from + layout->field_num);
    field->flags = canonical_flags(layout, from);
    field->version_id = i32(from + layout->field_version_id);
    field->field_exists = u64(from + layout->field_exists) != 0;
    if (read_name(reader, u64(from + layout->field_name), address, &field->name, &field->name_len)) {
        return reader->err->code;
    }
    read_details(reader, from, field, details);
    return vmsd ? read_nested(reader, vmsd, &field->vmsd) : VMD_OK;
}

/* What descriptions look like */

/* Larger than any version (some are dates, 20061112) or priority that there is, and less than half a pointer. */
enum { NUMBER_MAX = 1 << 25, PRIORITY_MAX = 64 };

static bool is_small(const char *from, int32_t max)
{
    int32_t number = i32(from);

    return number >= 0 && number <= max;
}

/* Whether there is a name at address, of characters that names have. */
static bool is_name(const struct vmd_guest *guest, uint64_t address)
{
    const char *text = vmd_guest_find(guest, address, 64);
    size_t n = 0;

    while (text && n < 64 && text[n] > ' ' && text[n] <= '~') {
        n++;
    }
    /* A few have blanks in them; none begins with one. */
    return n && (n == 64 || !text[n] || text[n] == ' ');
}

/* Whether there may be a description at address: a name and small numbers, or a stub of zeros. */
static bool may_be_desc(const struct vmd_guest_reader *reader, uint64_t address)
{
    const struct vmd_layout *layout = &reader->layout;
    const char *from = vmd_guest_find(reader->guest, address, layout->desc_size);
    uint64_t name = from ? u64(from + layout->desc_name) : 0;

    return from && (!name || is_name(reader->guest, name)) && is_small(from + layout->desc_version_id, NUMBER_MAX) &&
           is_small(from + layout->desc_minimum_version_id, NUMBER_MAX);
}

/* Whether there may be a field at address: a name. */
static bool may_be_field(const struct vmd_guest_reader *reader, uint64_t address)
{
    const char *from = vmd_guest_find(reader->guest, address, reader->layout.field_size);

    return from && is_name(reader->guest, u64(from + reader->layout.field_name));
}

/* Lists without a terminator: they end where something else begins, if all before that is sound. */

/* The lowest address above this one that a relocation has put somewhere; UINT64_MAX: none. */
static uint64_t next_object(const struct vmd_guest_reader *reader, uint64_t address)
{
    uint64_t next = UINT64_MAX;

    for (uint64_t i = 0; i < reader->n_slots; i++) {
        const char *slot = vmd_guest_find(reader->guest, reader->slots[i], 8);
        uint64_t value = slot ? u64(slot) : 0;

        if (value > address && value < next) {
            next = value;
        }
    }
    return next;
}

static enum vmd_status add_defect(struct vmd_guest_reader *reader, uint64_t address, const char *what)
{
    struct vmd_guest_defect *defects = reader->defects;

    for (uint64_t i = 0; i < reader->n_defects; i++) {
        if (defects[i].address == address && defects[i].what == what) {
            return VMD_OK;
        }
    }
    if (reader->n_defects == DEFECTS_MAX) {
        return fail(reader, VMD_BAD_REFERENCE, address, "more defects than a QEMU has");
    }
    defects = realloc(defects, (reader->n_defects + 1) * sizeof(*defects));
    if (!defects) {
        return fail(reader, VMD_NO_MEMORY, address, "out of memory");
    }
    defects[reader->n_defects++] = (struct vmd_guest_defect){what, address};
    reader->defects = defects;
    return VMD_OK;
}

/*
 * A list failed at its nth entry: whether it is one that lacks its terminator. Then the failure is none, but a defect,
 * and n is how many entries there are: those before the next object, or, where nothing points to that one, those before
 * what is foreign, no entry at all.
 */
static bool ends_without_terminator(struct vmd_guest_reader *reader, uint64_t address, uint64_t entry_size, uint64_t *n,
                                    bool foreign, const char *what)
{
    uint64_t end, room;

    if (!reader->slots || reader->err->code == VMD_NO_MEMORY) {
        return false;
    }
    end = next_object(reader, address);
    room = (end - address) / entry_size;
    if (end == UINT64_MAX || room > *n) {
        room = foreign ? *n : 0;
    }
    if (!room) {
        return false;
    }
    vmd_error_set(reader->err, VMD_OK, 0, NULL);
    if (add_defect(reader, address, what)) {
        return false;
    }
    *n = room;
    return true;
}

static const char no_field_terminator[] = "a list of fields has no terminator",
                  no_subsection_terminator[] = "a list of subsections has no terminator",
                  no_name[] = "a description has no name; QEMU prints (null)";

/* How many fields there are before the one without a name, which ends the list. */
static enum vmd_status count_fields(struct vmd_guest_reader *reader, uint64_t address, uint64_t *ret)
{
    const struct vmd_layout *layout = &reader->layout;
    uint64_t n;

    for (n = 0; n < LIST_MAX; n++) {
        const char *from = vmd_guest_find(reader->guest, address + n * layout->field_size, layout->field_size);

        if (!from) {
            break;
        }
        if (!u64(from + layout->field_name)) {
            *ret = n;
            return is_end(reader, (uint32_t)i32(from + layout->field_flags))
                       ? VMD_OK
                       : fail(reader, VMD_BAD_REFERENCE, address, no_field_terminator);
        }
    }
    *ret = n;
    return fail(reader, VMD_BAD_REFERENCE, address, "a list of fields has no end");
}

/* Pushes the fields of a list; how many, beside an error as well as without. */
static enum vmd_status push_fields(struct vmd_guest_reader *reader, uint64_t address, uint64_t *ret)
{
    uint32_t size = reader->layout.field_size;

    if (count_fields(reader, address, ret) &&
        !ends_without_terminator(reader, address, size, ret, true, no_field_terminator)) {
        return reader->err->code;
    }
    for (uint64_t i = 0; i < *ret; i++) {
        uint64_t where = address + i * size;
        struct vmd_field field, *field_slot;
        struct vmd_field_details details, *details_slot;

        if (read_field(reader, where, vmd_guest_find(reader->guest, where, size), &field, &details)) {
            *ret = i;
            return ends_without_terminator(reader, address, size, ret, !may_be_field(reader, where),
                                           no_field_terminator)
                       ? VMD_OK
                       : reader->err->code;
        }
        field_slot = stack_push(&reader->fields, sizeof(field));
        details_slot = stack_push(&reader->details, sizeof(details));
        if (!field_slot || !details_slot) {
            return fail(reader, VMD_NO_MEMORY, address, "out of memory");
        }
        *field_slot = field;
        *details_slot = details;
    }
    return VMD_OK;
}

/* What is no list of fields after all takes no memory of the tree: of all that is looked at, most is none. */
static enum vmd_status read_fields(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc)
{
    size_t bottom = reader->fields.used, details_bottom = reader->details.used;
    uint64_t n = 0;

    if (push_fields(reader, address, &n)) {
        reader->fields.used = bottom;
        reader->details.used = details_bottom;
        return reader->err->code;
    }
    reader->fields.used = bottom + n * sizeof(*desc->fields);
    reader->details.used = details_bottom + n * sizeof(*desc->field_details);
    desc->fields = vmd_stack_take(&reader->fields, bottom, reader->tree);
    desc->field_details = vmd_stack_take(&reader->details, details_bottom, reader->tree);
    desc->n_fields = n;
    return desc->fields && desc->field_details ? VMD_OK : fail(reader, VMD_NO_MEMORY, address, "out of memory");
}

static enum vmd_status count_subsections(struct vmd_guest_reader *reader, uint64_t address, uint64_t *ret)
{
    for (*ret = 0; *ret < LIST_MAX; ++*ret) {
        const char *from = vmd_guest_find(reader->guest, address + *ret * 8, 8);

        if (!from || !u64(from)) {
            return from ? VMD_OK : fail(reader, VMD_BAD_REFERENCE, address, "a list of subsections has no end");
        }
    }
    return fail(reader, VMD_BAD_REFERENCE, address, "a list of subsections has no end");
}

static enum vmd_status push_subsections(struct vmd_guest_reader *reader, uint64_t address, uint64_t *ret)
{
    if (count_subsections(reader, address, ret) &&
        !ends_without_terminator(reader, address, 8, ret, true, no_subsection_terminator)) {
        return reader->err->code;
    }
    for (uint64_t i = 0; i < *ret; i++) {
        uint64_t where = u64(vmd_guest_find(reader->guest, address + i * 8, 8));
        const struct vmd_desc *subsection, **slot;

        if (read_nested(reader, where, &subsection)) {
            *ret = i;
            return ends_without_terminator(reader, address, 8, ret, !may_be_desc(reader, where),
                                           no_subsection_terminator)
                       ? VMD_OK
                       : reader->err->code;
        }
        slot = stack_push(&reader->subsections, sizeof(subsection));
        if (!slot) {
            return fail(reader, VMD_NO_MEMORY, address, "out of memory");
        }
        *slot = subsection;
    }
    return VMD_OK;
}

static enum vmd_status read_subsections(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc)
{
    size_t bottom = reader->subsections.used;
    uint64_t n = 0;

    if (push_subsections(reader, address, &n)) {
        reader->subsections.used = bottom;
        return reader->err->code;
    }
    reader->subsections.used = bottom + n * sizeof(*desc->subsections);
    desc->subsections = vmd_stack_take(&reader->subsections, bottom, reader->tree);
    desc->n_subsections = n;
    return desc->subsections ? VMD_OK : fail(reader, VMD_NO_MEMORY, address, "out of memory");
}

static void read_traits(const struct vmd_layout *layout, const char *from, struct vmd_desc *desc)
{
    desc->traits = VMD_DETAILED;
    desc->traits |= from[layout->desc_unmigratable] ? VMD_UNMIGRATABLE : 0;
    desc->traits |= from[layout->desc_unmigratable + 1] ? VMD_EARLY_SETUP : 0;
    desc->priority = i32(from + layout->desc_priority);
    for (uint32_t i = 0; i < layout->n_hooks; i++) {
        if (u64(from + layout->desc_hooks + 8 * (uint64_t)i)) {
            desc->traits |= layout->hooks[i];
        }
    }
}

static enum vmd_status read_members(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc)
{
    const struct vmd_layout *layout = &reader->layout;
    const char *from = vmd_guest_find(reader->guest, address, layout->desc_size);
    uint64_t fields, subsections;

    if (!from) {
        return fail(reader, VMD_BAD_REFERENCE, address, "a description is outside of its memory");
    }
    memset(desc, 0, sizeof(*desc));
    desc->version_id = i32(from + layout->desc_version_id);
    desc->minimum_version_id = i32(from + layout->desc_minimum_version_id);
    read_traits(layout, from, desc);
    fields = u64(from + layout->desc_fields);
    subsections = u64(from + layout->desc_subsections);
    /* One that is looked for may get its name at run time, as eepro100's copies do. */
    if (!u64(from + layout->desc_name) && !(reader->is_looking && reader->depth == 1) &&
        add_defect(reader, address, no_name)) {
        return reader->err->code;
    }
    if (read_name(reader, u64(from + layout->desc_name), address, &desc->name, &desc->name_len) ||
        (fields && read_fields(reader, fields, desc)) || (subsections && read_subsections(reader, subsections, desc))) {
        return reader->err->code;
    }
    return vmd_desc_measure(desc) ? fail(reader, VMD_TOO_DEEP, address, "descriptions nest too deep") : VMD_OK;
}

static enum vmd_status read_desc(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret)
{
    struct vmd_desc *desc;
    uint32_t slot;

    if (vmd_ghash_lookup(&reader->made, (uint32_t)address, address, &slot)) {
        *ret = (const struct vmd_desc *)(uintptr_t)reader->made.values[slot];
        return *ret ? VMD_OK : fail(reader, VMD_BAD_REFERENCE, address, "a description contains itself");
    }
    if (reader->depth == VMD_MAX_DEPTH) {
        return fail(reader, VMD_TOO_DEEP, address, "descriptions nest too deep");
    }
    desc = vmd_tree_alloc(reader->tree, sizeof(*desc));
    if (!desc || vmd_ghash_insert(&reader->made, (uint32_t)address, address, 0)) {
        return fail(reader, VMD_NO_MEMORY, address, "out of memory");
    }
    reader->depth++;
    if (read_members(reader, address, desc)) {
        reader->depth--;
        vmd_ghash_remove(&reader->made, (uint32_t)address, address);
        return reader->err->code;
    }
    reader->depth--;
    if (vmd_ghash_insert(&reader->made, (uint32_t)address, address, (uintptr_t)desc)) {
        return fail(reader, VMD_NO_MEMORY, address, "out of memory");
    }
    *ret = desc;
    return VMD_OK;
}

enum vmd_status vmd_guest_read_desc(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret,
                                    struct vmd_error *err)
{
    reader->err = err;
    vmd_error_set(err, VMD_OK, 0, NULL);
    return read_desc(reader, address, ret);
}

void vmd_guest_reader_set_slots(struct vmd_guest_reader *reader, const uint64_t *slots, uint64_t n)
{
    reader->slots = slots;
    reader->n_slots = n;
}

uint64_t vmd_guest_reader_defects(const struct vmd_guest_reader *reader, const struct vmd_guest_defect **ret)
{
    *ret = reader->defects;
    return reader->n_defects;
}

uint32_t vmd_guest_reader_is_nested(const struct vmd_guest_reader *reader, uint64_t address)
{
    uint32_t slot;

    return vmd_ghash_lookup(&reader->nested, (uint32_t)address, address, &slot);
}

/* Looking for descriptions that nothing leads to */

/* Whether the struct has the shape of a description, from the outside. */
static bool has_shape(const struct vmd_guest_reader *reader, const char *from, uint64_t code_begin, uint64_t code_end)
{
    const struct vmd_layout *layout = &reader->layout;
    uint64_t fields = u64(from + layout->desc_fields), subsections = u64(from + layout->desc_subsections);
    uint64_t name = u64(from + layout->desc_name);
    uint32_t flags;

    memcpy(&flags, from + layout->desc_unmigratable, sizeof(flags));
    if (flags & ~0x101u || !is_small(from + layout->desc_version_id, NUMBER_MAX) ||
        !is_small(from + layout->desc_minimum_version_id, NUMBER_MAX) ||
        !is_small(from + layout->desc_priority, PRIORITY_MAX) || (!fields && !subsections) || fields % 8 ||
        subsections % 8) {
        return false;
    }
    for (uint32_t i = 0; i < layout->n_hooks; i++) {
        uint64_t hook = u64(from + layout->desc_hooks + 8 * (uint64_t)i);

        if (hook && (hook < code_begin || hook >= code_end)) {
            return false;
        }
    }
    return name ? is_name(reader->guest, name) : fields != 0;
}

/* Whether every field of a description that was read says how it is migrated, as every real one does. */
static bool has_sound_fields(const struct vmd_desc *desc)
{
    for (uint64_t i = 0; i < desc->n_fields; i++) {
        const struct vmd_field *field = &desc->fields[i];

        if (!field->vmsd && !desc->field_details[i].info && !(field->flags & VMD_MUST_EXIST)) {
            return false;
        }
    }
    return true;
}

uint64_t vmd_guest_find_descs(struct vmd_guest_reader *reader, uint64_t begin, uint64_t end, uint64_t code_begin,
                              uint64_t code_end, uint64_t *found, uint64_t room)
{
    const uint64_t *slots = reader->slots;
    uint64_t n = 0;

    /* What is broken is no description: nothing here says that it is one. */
    reader->slots = NULL;
    reader->is_looking = true;
    for (uint64_t address = (begin + 7) & -8ull; address + reader->layout.desc_size <= end; address += 8) {
        const char *from = vmd_guest_find(reader->guest, address, reader->layout.desc_size);
        const struct vmd_desc *desc;
        uint64_t n_defects = reader->n_defects;
        struct vmd_error err;
        enum vmd_status status;

        if (!from || !has_shape(reader, from, code_begin, code_end)) {
            continue;
        }
        status = vmd_guest_read_desc(reader, address, &desc, &err);
        if (status == VMD_NO_MEMORY) {
            n = UINT64_MAX;
            break;
        }
        if (status || !has_sound_fields(desc)) {
            reader->n_defects = n_defects;
            continue;
        }
        if (n < room) {
            found[n] = address;
        }
        n++;
    }
    reader->slots = slots;
    reader->is_looking = false;
    return n;
}
