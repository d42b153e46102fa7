/*
 * Descriptions and fields: see read_descriptions.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/description_reader.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 4096, DEFECTS_MAX = 1000 };

/* VMStateFlags of fields whose number or size is a member of the struct. */
enum {
    VARRAY_INT32 = 0x10, /* in newer QEMUs VMS_VARRAY, whatever the integer's size */
    VARRAY_UINT16 = 0x80,
    VBUFFER = 0x100,
    VARRAY_UINT8 = 0x400,
    VARRAY_UINT32 = 0x800,
    VARRAY_ANY = VARRAY_INT32 | VARRAY_UINT16 | VARRAY_UINT8 | VARRAY_UINT32,
};

static const char no_name[] = "a description has no name; QEMU prints (null)";

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

enum vmd_status vmd_reader_add_defect(struct vmd_guest_reader *reader, uint64_t address, const char *what)
{
    struct vmd_guest_defect *defects = reader->defects;

    for (uint64_t i = 0; i < reader->n_defects; i++) {
        if (defects[i].address == address && defects[i].what == what) {
            return VMD_OK;
        }
    }
    if (reader->n_defects == DEFECTS_MAX) {
        return vmd_reader_fail(reader, VMD_BAD_REFERENCE, address, "more defects than any QEMU has");
    }
    defects = realloc(defects, (reader->n_defects + 1) * sizeof(*defects));
    if (!defects) {
        return vmd_reader_fail(reader, VMD_NO_MEMORY, address, "out of memory");
    }
    defects[reader->n_defects++] = (struct vmd_guest_defect){what, address};
    reader->defects = defects;
    return VMD_OK;
}

static bool is_zero(const char *from, size_t size)
{
    return *from == 0 && memcmp(from, from + 1, size - 1) == 0;
}

static enum vmd_status read_name(struct vmd_guest_reader *reader, uint64_t address, uint64_t owner, const char **ret,
                                 uint32_t *ret_len)
{
    /* A stub of zeros has no name; printf prints a null pointer as "(null)". */
    const char *text = address ? vmd_guest_find(reader->guest, address, 1) : "(null)";
    size_t room = !address ? sizeof("(null)") : text ? (size_t)(reader->guest->memory + reader->guest->size - text) : 0;
    const char *end = text ? memchr(text, '\0', room < NAME_MAX_BYTES ? room : NAME_MAX_BYTES) : NULL;

    if (!end) {
        return vmd_reader_fail(reader, VMD_BAD_REFERENCE, owner, "a name is not a string");
    }
    *ret_len = (uint32_t)(end - text);
    if (vmd_name_printable_prefix(text, *ret_len) != *ret_len) {
        return vmd_reader_fail(reader, VMD_BAD_NAME, owner, "a name can't be printed in JSON");
    }
    *ret = vmd_tree_string(reader->tree, text, *ret_len);
    return *ret ? VMD_OK : vmd_reader_fail(reader, VMD_NO_MEMORY, owner, "out of memory");
}

/* A text that QEMU does not print, so any characters are valid. NULL: null pointer, or not a string. */
static const char *read_text(struct vmd_guest_reader *reader, uint64_t address, uint32_t *ret_len)
{
    const char *text = address ? vmd_guest_find(reader->guest, address, 1) : NULL;
    size_t room = text ? (size_t)(reader->guest->memory + reader->guest->size - text) : 0;
    const char *end = text ? memchr(text, '\0', room < NAME_MAX_BYTES ? room : NAME_MAX_BYTES) : NULL;

    *ret_len = end ? (uint32_t)(end - text) : 0;
    return end ? vmd_tree_string(reader->tree, text, *ret_len) : NULL;
}

static enum vmd_status read_desc(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret);

enum vmd_status vmd_reader_read_nested(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret)
{
    if (vmd_ghash_insert(&reader->nested, (uint32_t)address, address, 1)) {
        return vmd_reader_fail(reader, VMD_NO_MEMORY, address, "out of memory");
    }
    return read_desc(reader, address, ret);
}

/* An offset that the flags make valid: a size_t, or a VMStateStructMember at indirect_at. */
static uint64_t read_offset(const struct vmd_guest_reader *reader, const char *from, uint32_t at, uint32_t indirect_at,
                            bool used)
{
    if (!used) {
        return VMD_UNKNOWN;
    }
    return at ? vmd_get_u64(reader->guest, from + at) : vmd_get_u32(reader->guest, from + indirect_at);
}

/* The flags with the bits of QEMU 8.2. */
static uint32_t canonical_flags(const struct vmd_guest_reader *reader, const char *from)
{
    const struct vmd_layout *layout = &reader->layout;
    uint32_t flags = vmd_get_u32(reader->guest, from + layout->field_flags);

    if (layout->end_flags == VMD_END_MOVED && flags & VMD_END_8_2) {
        flags = (flags & ~VMD_END_8_2) | VMD_AUTO_ALLOC;
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
    uint64_t info = vmd_get_u64(reader->guest, from + layout->field_info);
    const char *info_at = info ? vmd_guest_find(reader->guest, info, 8) : NULL;

    memset(details, 0, sizeof(*details));
    details->offset = vmd_get_u64(reader->guest, from + layout->field_offset);
    details->start = vmd_get_u64(reader->guest, from + layout->field_start);
    details->num_offset =
        read_offset(reader, from, layout->field_num_offset, layout->field_num_indirect, field->flags & VARRAY_ANY);
    details->size_offset =
        read_offset(reader, from, layout->field_size_offset, layout->field_size_indirect, field->flags & VBUFFER);
    details->struct_version_id = vmd_get_i32(reader->guest, from + layout->field_struct_version_id);
    details->info = info_at ? read_text(reader, vmd_get_u64(reader->guest, info_at), &details->info_len) : NULL;
    if (layout->field_err_hint) {
        details->err_hint =
            read_text(reader, vmd_get_u64(reader->guest, from + layout->field_err_hint), &details->err_hint_len);
    }
}

enum vmd_status vmd_reader_read_field(struct vmd_guest_reader *reader, uint64_t address, const char *from,
                                      struct vmd_field *field, struct vmd_field_details *details)
{
    const struct vmd_layout *layout = &reader->layout;
    uint64_t vmsd = vmd_get_u64(reader->guest, from + layout->field_vmsd);

    memset(field, 0, sizeof(*field));
    field->size = vmd_get_u64(reader->guest, from + layout->field_bytes);
    field->num = vmd_get_i32(reader->guest, from + layout->field_num);
    field->flags = canonical_flags(reader, from);
    field->version_id = vmd_get_i32(reader->guest, from + layout->field_version_id);
    field->field_exists = vmd_get_u64(reader->guest, from + layout->field_exists) != 0;
    if (read_name(reader, vmd_get_u64(reader->guest, from + layout->field_name), address, &field->name,
                  &field->name_len)) {
        return reader->err->code;
    }
    read_details(reader, from, field, details);
    return vmsd ? vmd_reader_read_nested(reader, vmsd, &field->vmsd) : VMD_OK;
}

static void read_traits(const struct vmd_guest_reader *reader, const char *from, struct vmd_desc *desc)
{
    const struct vmd_layout *layout = &reader->layout;
    /* A bool and padding, or an int: of that the last byte counts on big-endian hosts. */
    const char *unmigratable = from + layout->desc_unmigratable;

    desc->traits = VMD_DETAILED;
    desc->traits |= *unmigratable || unmigratable[3] ? VMD_UNMIGRATABLE : 0;
    desc->traits |= from[layout->desc_unmigratable + 1] ? VMD_EARLY_SETUP : 0;
    desc->priority = vmd_get_i32(reader->guest, from + layout->desc_priority);
    for (uint32_t i = 0; i < layout->n_hooks; i++) {
        if (vmd_get_u64(reader->guest, from + layout->desc_hooks + 8 * (uint64_t)i)) {
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
        return vmd_reader_fail(reader, VMD_BAD_REFERENCE, address, "a description is outside of its memory");
    }
    memset(desc, 0, sizeof(*desc));
    desc->version_id = vmd_get_i32(reader->guest, from + layout->desc_version_id);
    desc->minimum_version_id = vmd_get_i32(reader->guest, from + layout->desc_minimum_version_id);
    read_traits(reader, from, desc);
    fields = vmd_get_u64(reader->guest, from + layout->desc_fields);
    subsections = vmd_get_u64(reader->guest, from + layout->desc_subsections);
    /*
     * A description found by the search may get its name at run time, as eepro100's copies do. A description of zeros
     * is a stub of a device that is not built: ramfb_vmstate in QEMU's ramfb-stubs.c.
     */
    if (!vmd_get_u64(reader->guest, from + layout->desc_name) && !(reader->is_looking && reader->depth == 1) &&
        !is_zero(from, layout->desc_size) && vmd_reader_add_defect(reader, address, no_name)) {
        return reader->err->code;
    }
    if (read_name(reader, vmd_get_u64(reader->guest, from + layout->desc_name), address, &desc->name,
                  &desc->name_len) ||
        (fields && vmd_reader_read_fields(reader, fields, desc)) ||
        (subsections && vmd_reader_read_subsections(reader, subsections, desc))) {
        return reader->err->code;
    }
    return vmd_desc_measure(desc) ? vmd_reader_fail(reader, VMD_TOO_DEEP, address, "descriptions nest too deep")
                                  : VMD_OK;
}

static enum vmd_status read_desc(struct vmd_guest_reader *reader, uint64_t address, const struct vmd_desc **ret)
{
    struct vmd_desc *desc;
    uint32_t slot;

    if (vmd_ghash_lookup(&reader->made, (uint32_t)address, address, &slot)) {
        *ret = (const struct vmd_desc *)(uintptr_t)reader->made.values[slot];
        return *ret ? VMD_OK : vmd_reader_fail(reader, VMD_BAD_REFERENCE, address, "a description contains itself");
    }
    if (reader->depth == VMD_MAX_DEPTH) {
        return vmd_reader_fail(reader, VMD_TOO_DEEP, address, "descriptions nest too deep");
    }
    desc = vmd_tree_alloc(reader->tree, sizeof(*desc));
    if (!desc || vmd_ghash_insert(&reader->made, (uint32_t)address, address, 0)) {
        return vmd_reader_fail(reader, VMD_NO_MEMORY, address, "out of memory");
    }
    reader->depth++;
    if (read_members(reader, address, desc)) {
        reader->depth--;
        vmd_ghash_remove(&reader->made, (uint32_t)address, address);
        return reader->err->code;
    }
    reader->depth--;
    if (vmd_ghash_insert(&reader->made, (uint32_t)address, address, (uintptr_t)desc)) {
        return vmd_reader_fail(reader, VMD_NO_MEMORY, address, "out of memory");
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
