/*
 * What a VMStateDescription and a VMStateField look like in memory: see description_reader.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/description_reader.h"

bool vmd_reader_is_name(const struct vmd_guest *guest, uint64_t address)
{
    const char *text = vmd_guest_find(guest, address, 64);
    size_t n = 0;

    while (text && n < 64 && text[n] > ' ' && text[n] <= '~') {
        n++;
    }
    /* A few names contain blanks; none begins with one. */
    return n && (n == 64 || !text[n] || text[n] == ' ');
}

bool vmd_reader_may_be_desc(const struct vmd_guest_reader *reader, uint64_t address)
{
    const struct vmd_layout *layout = &reader->layout;
    const char *from = vmd_guest_find(reader->guest, address, layout->desc_size);
    uint64_t name = from ? vmd_get_u64(reader->guest, from + layout->desc_name) : 0;

    return from && (!name || vmd_reader_is_name(reader->guest, name)) &&
           vmd_reader_is_small(reader, from + layout->desc_version_id, VMD_NUMBER_MAX) &&
           vmd_reader_is_small(reader, from + layout->desc_minimum_version_id, VMD_NUMBER_MAX);
}

bool vmd_reader_may_be_field(const struct vmd_guest_reader *reader, uint64_t address)
{
    const char *from = vmd_guest_find(reader->guest, address, reader->layout.field_size);

    return from && vmd_reader_is_name(reader->guest, vmd_get_u64(reader->guest, from + reader->layout.field_name));
}
