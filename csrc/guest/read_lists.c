/*
 * Lists of fields and subsections: where they end, and lists that lack their terminator. See description_reader.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/description_reader.h"

enum { LIST_MAX = 100000 }; /* entries; QEMU's longest lists have hundreds */

/* Flags of the last entry of a list of fields: up to QEMU 8.1, since 8.2, and since flags were renumbered. */
static const uint32_t end_flags[3] = {0, VMD_END_8_2, VMD_END_MOVED};

uint32_t vmd_guest_reader_end_flags(const struct vmd_guest_reader *reader)
{
    int best = 0;

    for (int i = 1; i < 3; i++) {
        best = reader->n_ends[i] > reader->n_ends[best] ? i : best;
    }
    return end_flags[best];
}

/* Whether a list may end with an entry with these flags; counts it in n_ends. */
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

/* Lists without a terminator end where the next object begins, if all entries before it are valid. */

/* The lowest address above this one that a relocated pointer has; UINT64_MAX: none. */
static uint64_t next_object(const struct vmd_guest_reader *reader, uint64_t address)
{
    uint64_t next = UINT64_MAX;

    for (uint64_t i = 0; i < reader->n_slots; i++) {
        const char *slot = vmd_guest_find(reader->guest, reader->slots[i], 8);
        uint64_t value = slot ? vmd_get_u64(reader->guest, slot) : 0;

        if (value > address && value < next) {
            next = value;
        }
    }
    return next;
}

/*
 * Whether a list that failed at entry *n lacks its terminator. If so, clear the error, record a defect and set *n to
 * the number of entries before the next object or, if no pointer leads to that, before the entry that failed; foreign:
 * that one does not look like an entry.
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
    if (vmd_reader_add_defect(reader, address, what)) {
        return false;
    }
    *n = room;
    return true;
}

static const char no_field_terminator[] = "a list of fields has no terminator",
                  no_subsection_terminator[] = "a list of subsections has no terminator";

/* Count the fields before the one without a name, which ends the list. */
static enum vmd_status count_fields(struct vmd_guest_reader *reader, uint64_t address, uint64_t *ret)
{
    const struct vmd_layout *layout = &reader->layout;
    uint64_t n;

    for (n = 0; n < LIST_MAX; n++) {
        const char *from = vmd_guest_find(reader->guest, address + n * layout->field_size, layout->field_size);

        if (!from) {
            break;
        }
        if (!vmd_get_u64(reader->guest, from + layout->field_name)) {
            *ret = n;
            return is_end(reader, vmd_get_u32(reader->guest, from + layout->field_flags))
                       ? VMD_OK
                       : vmd_reader_fail(reader, VMD_BAD_REFERENCE, address, no_field_terminator);
        }
    }
    *ret = n;
    return vmd_reader_fail(reader, VMD_BAD_REFERENCE, address, "a list of fields has no end");
}

/* Push the fields of a list. *ret: their number, after an error too. */
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

        if (vmd_reader_read_field(reader, where, vmd_guest_find(reader->guest, where, size), &field, &details)) {
            *ret = i;
            return ends_without_terminator(reader, address, size, ret, !vmd_reader_may_be_field(reader, where),
                                           no_field_terminator)
                       ? VMD_OK
                       : reader->err->code;
        }
        field_slot = vmd_stack_push(&reader->fields, sizeof(field));
        details_slot = vmd_stack_push(&reader->details, sizeof(details));
        if (!field_slot || !details_slot) {
            return vmd_reader_fail(reader, VMD_NO_MEMORY, address, "out of memory");
        }
        *field_slot = field;
        *details_slot = details;
    }
    return VMD_OK;
}

enum vmd_status vmd_reader_read_fields(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc)
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
    desc->fields = vmd_stack_pop(&reader->fields, bottom, reader->tree);
    desc->field_details = vmd_stack_pop(&reader->details, details_bottom, reader->tree);
    desc->n_fields = n;
    return desc->fields && desc->field_details ? VMD_OK
                                               : vmd_reader_fail(reader, VMD_NO_MEMORY, address, "out of memory");
}

static enum vmd_status count_subsections(struct vmd_guest_reader *reader, uint64_t address, uint64_t *ret)
{
    for (*ret = 0; *ret < LIST_MAX; ++*ret) {
        const char *from = vmd_guest_find(reader->guest, address + *ret * 8, 8);

        if (!from || !vmd_get_u64(reader->guest, from)) {
            return from ? VMD_OK
                        : vmd_reader_fail(reader, VMD_BAD_REFERENCE, address, "a list of subsections has no end");
        }
    }
    return vmd_reader_fail(reader, VMD_BAD_REFERENCE, address, "a list of subsections has no end");
}

static enum vmd_status push_subsections(struct vmd_guest_reader *reader, uint64_t address, uint64_t *ret)
{
    if (count_subsections(reader, address, ret) &&
        !ends_without_terminator(reader, address, 8, ret, true, no_subsection_terminator)) {
        return reader->err->code;
    }
    for (uint64_t i = 0; i < *ret; i++) {
        uint64_t where = vmd_get_u64(reader->guest, vmd_guest_find(reader->guest, address + i * 8, 8));
        const struct vmd_desc *subsection, **slot;

        if (vmd_reader_read_nested(reader, where, &subsection)) {
            *ret = i;
            return ends_without_terminator(reader, address, 8, ret, !vmd_reader_may_be_desc(reader, where),
                                           no_subsection_terminator)
                       ? VMD_OK
                       : reader->err->code;
        }
        slot = vmd_stack_push(&reader->subsections, sizeof(subsection));
        if (!slot) {
            return vmd_reader_fail(reader, VMD_NO_MEMORY, address, "out of memory");
        }
        *slot = subsection;
    }
    return VMD_OK;
}

enum vmd_status vmd_reader_read_subsections(struct vmd_guest_reader *reader, uint64_t address, struct vmd_desc *desc)
{
    size_t bottom = reader->subsections.used;
    uint64_t n = 0;

    if (push_subsections(reader, address, &n)) {
        reader->subsections.used = bottom;
        return reader->err->code;
    }
    reader->subsections.used = bottom + n * sizeof(*desc->subsections);
    desc->subsections = vmd_stack_pop(&reader->subsections, bottom, reader->tree);
    desc->n_subsections = n;
    return desc->subsections ? VMD_OK : vmd_reader_fail(reader, VMD_NO_MEMORY, address, "out of memory");
}
