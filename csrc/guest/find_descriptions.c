/*
 * Search for descriptions that no known pointer leads to: see read_descriptions.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/description_reader.h"

/* Whether the struct at from may be a description, from its own members. */
static bool has_shape(const struct vmd_guest_reader *reader, const char *from, uint64_t code_begin, uint64_t code_end)
{
    const struct vmd_layout *layout = &reader->layout;
    uint64_t fields = vmd_get_u64(reader->guest, from + layout->desc_fields),
             subsections = vmd_get_u64(reader->guest, from + layout->desc_subsections);
    uint64_t name = vmd_get_u64(reader->guest, from + layout->desc_name);
    uint32_t flags = vmd_get_u32(reader->guest, from + layout->desc_unmigratable);
    uint32_t two_bools = reader->guest->host->is_big_endian ? 0x1010000 : 0x101;

    if ((flags != 1 && flags & ~two_bools) ||
        !vmd_reader_is_small(reader, from + layout->desc_version_id, VMD_NUMBER_MAX) ||
        !vmd_reader_is_small(reader, from + layout->desc_minimum_version_id, VMD_NUMBER_MAX) ||
        !vmd_reader_is_small(reader, from + layout->desc_priority, VMD_PRIORITY_MAX) || (!fields && !subsections) ||
        fields % 8 || subsections % 8) {
        return false;
    }
    for (uint32_t i = 0; i < layout->n_hooks; i++) {
        uint64_t hook = vmd_get_u64(reader->guest, from + layout->desc_hooks + 8 * (uint64_t)i);

        if (hook && (hook < code_begin || hook >= code_end)) {
            return false;
        }
    }
    return name ? vmd_reader_is_name(reader->guest, name) : fields != 0;
}

/* Whether every field specifies how it is migrated: by a description, a VMStateInfo or as an assertion. */
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

    /* Tolerate no defects: a damaged candidate is not a description. */
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
