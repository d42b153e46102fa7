/*
 * Reading descriptions: see guest_tree.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest_tree.h"

#include <stdlib.h>
#include <string.h>

#include "guest_host.h"

enum {
    LIST_MAX = 100000, /* entries of a list; QEMU's longest have hundreds */
    NAME_MAX_BYTES = 4096,
    END_FLAGS_OLD = 0,       /* the flags of a terminator up to QEMU 8.1 */
    END_FLAGS_8_2 = 0x10000, /* VMS_END */
    END_FLAGS_11 = 0x20000,  /* VMS_END where the flags have been renumbered */
};

struct vmd_guest_reader {
    struct vmd_guest *guest;
    struct vmd_tree *tree;
    struct vmd_layout layout;
    struct vmd_ghash made; /* address -> struct vmd_desc *, 0 while it is being read */
    struct vmd_error *err;
    unsigned depth;
};

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
    if (vmd_ghash_init(&reader->made, NULL, NULL)) {
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

static enum vmd_status read_desc(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret);

static enum vmd_status read_field(struct vmd_guest_reader *reader, uint64_t address, const char *from,
                                  struct vmd_field *field)
{
    const struct vmd_layout *layout = &reader->layout;
    uint64_t vmsd = u64(from + layout->field_vmsd);

    memset(field, 0, sizeof(*field));
    field->size = u64(from + layout->field_bytes);
    field->num = i32(from + layout->field_num);
    field->flags = (uint32_t)i32(from + layout->field_flags);
    field->version_id = i32(from + layout->field_version_id);
    field->field_exists = u64(from + layout->field_exists) != 0;
    if (read_name(reader, u64(from + layout->field_name), address, &field->name, &field->name_len)) {
        return reader->err->code;
    }
    return vmsd ? read_desc(reader, vmsd, &field->vmsd) : VMD_OK;
}

static enum vmd_status read_fields(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc)
{
    const struct vmd_layout *layout = &reader->layout;
    struct vmd_field *fields;
    const char *from;
    uint64_t n;

    for (n = 0;; n++) {
        from =
            n < LIST_MAX ? vmd_guest_find(reader->guest, address + n * layout->field_size, layout->field_size) : NULL;
        if (!from) {
            return fail(reader, VMD_BAD_REFERENCE, address, "a list of fields has no end");
        }
        if (!u64(from + layout->field_name)) {
            break;
        }
    }
    switch (i32(from + layout->field_flags)) {
    case END_FLAGS_OLD:
    case END_FLAGS_8_2:
    case END_FLAGS_11:
        break;
    default:
        return fail(reader, VMD_BAD_REFERENCE, address, "a list of fields has no terminator");
    }
    fields = vmd_tree_alloc(reader->tree, n * sizeof(*fields));
    if (!fields) {
        return fail(reader, VMD_NO_MEMORY, address, "out of memory");
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t where = address + i * layout->field_size;

        if (read_field(reader, where, vmd_guest_find(reader->guest, where, layout->field_size), &fields[i])) {
            return reader->err->code;
        }
    }
    desc->fields = fields;
    desc->n_fields = n;
    return VMD_OK;
}

static enum vmd_status read_subsections(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc)
{
    const struct vmd_desc **list;
    const char *from;
    uint64_t n;

    for (n = 0;; n++) {
        from = n < LIST_MAX ? vmd_guest_find(reader->guest, address + n * 8, 8) : NULL;
        if (!from) {
            return fail(reader, VMD_BAD_REFERENCE, address, "a list of subsections has no end");
        }
        if (!u64(from)) {
            break;
        }
    }
    list = vmd_tree_alloc(reader->tree, n * sizeof(*list));
    if (!list) {
        return fail(reader, VMD_NO_MEMORY, address, "out of memory");
    }
    for (uint64_t i = 0; i < n; i++) {
        if (read_desc(reader, u64(vmd_guest_find(reader->guest, address + i * 8, 8)), &list[i])) {
            return reader->err->code;
        }
    }
    desc->subsections = list;
    desc->n_subsections = n;
    return VMD_OK;
}

static enum vmd_status read_members(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc)
{
    const struct vmd_layout *layout = &reader->layout;
    const char *from = vmd_guest_find(reader->guest, address, layout->desc_subsections + 8);
    uint64_t fields, subsections;

    if (!from) {
        return fail(reader, VMD_BAD_REFERENCE, address, "a description is outside of its memory");
    }
    memset(desc, 0, sizeof(*desc));
    desc->version_id = i32(from + layout->desc_version_id);
    desc->minimum_version_id = i32(from + layout->desc_minimum_version_id);
    fields = u64(from + layout->desc_fields);
    subsections = u64(from + layout->desc_subsections);
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
