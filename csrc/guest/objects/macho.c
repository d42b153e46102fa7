/*
 * Mach-O objects in a guest: load commands, segments, constructors, thread-local variables. See macho_object.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/objects/macho.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    HEADER_SIZE = 32,
    SEGMENT_SIZE = 72,
    SECTION_SIZE = 80,
    PROT_WRITABLE = 2,
    THREAD_VARIABLE_SIZE = 24, /* a thread-local variable: {thunk, key, offset} */
    ADDRESSES_MAX = 1 << 20,   /* of each kind: functions, constructors, thread-local variables */
};

/* Load commands, without LC_REQ_DYLD. */
enum {
    LC_SYMTAB = 0x2,
    LC_SEGMENT_64 = 0x19,
    LC_DYLD_INFO = 0x22,
    LC_FUNCTION_STARTS = 0x26,
    LC_DYLD_CHAINED_FIXUPS = 0x34,
};

const char *vmd_macho_bytes(const struct vmd_macho *macho, uint64_t offset, uint64_t size)
{
    for (size_t i = 0; i < macho->n_segments; i++) {
        const struct vmd_macho_segment *segment = &macho->segments[i];

        if (offset >= segment->offset && offset - segment->offset <= segment->file_size &&
            size <= segment->file_size - (offset - segment->offset)) {
            return vmd_guest_find(macho->guest, segment->address + (offset - segment->offset), size);
        }
    }
    return NULL;
}

size_t vmd_macho_text(const char *from, const char *end)
{
    size_t room = (size_t)(end - from), size = strnlen(from, room);

    return size < room ? size : SIZE_MAX;
}

bool vmd_macho_uleb(const unsigned char **at, const unsigned char *end, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        unsigned char byte = *(*at)++;

        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

const struct vmd_macho_section *vmd_macho_next_section(const struct vmd_macho *macho, uint32_t type, size_t *next)
{
    while (*next < macho->n_sections) {
        const struct vmd_macho_section *section = &macho->sections[(*next)++];

        if (section->type == type) {
            return section;
        }
    }
    return NULL;
}

enum vmd_status vmd_macho_fix(struct vmd_macho *macho, uint64_t place, uint64_t value, struct vmd_error *err)
{
    const struct vmd_macho_segment *segment = NULL;

    for (size_t i = 0; i < macho->n_segments && !segment; i++) {
        const struct vmd_macho_segment *each = &macho->segments[i];

        if (each->is_writable && place >= each->address && each->size >= 8 && place - each->address <= each->size - 8) {
            segment = each;
        }
    }
    if (!segment) {
        return vmd_object_bad(err, "a fixup outside of the writable segments");
    }
    if (macho->object->slots.n == VMD_MACHO_FIXUPS_MAX) {
        return vmd_object_bad(err, "more fixups than any QEMU has");
    }
    vmd_put_u64(macho->guest, vmd_guest_find(macho->guest, place, 8), value);
    return vmd_address_list_add(&macho->object->slots, place) ? vmd_object_no_memory(err) : VMD_OK;
}

/* Load commands */

/* Whether the object contains a range of addresses. */
static bool contains(const struct vmd_macho *macho, uint64_t address, uint64_t size)
{
    return address >= macho->start && address - macho->start <= macho->size &&
           size <= macho->size - (address - macho->start);
}

static enum vmd_status read_sections(struct vmd_macho *macho, const char *from, uint64_t n, struct vmd_error *err)
{
    const struct vmd_guest *guest = macho->guest;
    struct vmd_macho_section *sections;

    if (n > VMD_MACHO_SECTIONS_MAX - macho->n_sections) {
        return vmd_object_bad(err, "more sections than any QEMU has");
    }
    sections = realloc(macho->sections, (macho->n_sections + n + 1) * sizeof(*sections));
    if (!sections) {
        return vmd_object_no_memory(err);
    }
    macho->sections = sections;
    for (uint64_t i = 0; i < n; i++, from += SECTION_SIZE) {
        struct vmd_macho_section *section = &sections[macho->n_sections];

        section->address = macho->object->bias + vmd_get_u64(guest, from + 32);
        section->size = vmd_get_u64(guest, from + 40);
        section->type = vmd_get_u32(guest, from + 64) & 0xff;
        if (!contains(macho, section->address, section->size)) {
            return vmd_object_bad(err, "a section is outside of the segments");
        }
        macho->n_sections++;
    }
    return VMD_OK;
}

static enum vmd_status read_segment(struct vmd_macho *macho, const char *from, uint32_t size, struct vmd_error *err)
{
    const struct vmd_guest *guest = macho->guest;
    struct vmd_macho_segment *segment = &macho->segments[macho->n_segments];
    uint64_t n_sections;

    if (size < SEGMENT_SIZE) {
        return vmd_object_bad(err, "a load command is too small");
    }
    if (macho->n_segments == VMD_MACHO_SEGMENTS_MAX) {
        return vmd_object_bad(err, "more segments than any QEMU has");
    }
    *segment = (struct vmd_macho_segment){.address = macho->object->bias + vmd_get_u64(guest, from + 24),
                                          .size = vmd_get_u64(guest, from + 32),
                                          .offset = vmd_get_u64(guest, from + 40),
                                          .file_size = vmd_get_u64(guest, from + 48),
                                          .is_writable = vmd_get_u32(guest, from + 60) & PROT_WRITABLE};
    n_sections = vmd_get_u32(guest, from + 64);
    if (!vmd_get_u32(guest, from + 60) && !segment->file_size) { /* __PAGEZERO */
        *segment = (struct vmd_macho_segment){0};
    }
    if (segment->file_size > segment->size || (segment->size && !contains(macho, segment->address, segment->size)) ||
        segment->offset + segment->file_size < segment->offset) {
        return vmd_object_bad(err, "a segment is outside of the object");
    }
    macho->n_segments++; /* counted although it is not mapped: opcodes refer to segments by number */
    return n_sections > (size - SEGMENT_SIZE) / SECTION_SIZE
               ? vmd_object_bad(err, "a load command is too small")
               : read_sections(macho, from + SEGMENT_SIZE, n_sections, err);
}

/* The range of the file whose offset and size are at from. */
static struct vmd_macho_range range_at(const struct vmd_macho *macho, const char *from)
{
    return (struct vmd_macho_range){vmd_get_u32(macho->guest, from), vmd_get_u32(macho->guest, from + 4)};
}

static enum vmd_status read_command(struct vmd_macho *macho, const char *from, uint32_t command, uint32_t size,
                                    struct vmd_error *err)
{
    static const uint32_t sizes[] = {
        [LC_SYMTAB] = 24, [LC_DYLD_INFO] = 48, [LC_FUNCTION_STARTS] = 16, [LC_DYLD_CHAINED_FIXUPS] = 16};

    if (command < sizeof(sizes) / sizeof(*sizes) && size < sizes[command]) {
        return vmd_object_bad(err, "a load command is too small");
    }
    switch (command) {
    case LC_SEGMENT_64:
        return read_segment(macho, from, size, err);
    case LC_SYMTAB:
        macho->symbols = range_at(macho, from + 8);
        macho->names = range_at(macho, from + 16);
        break;
    case LC_DYLD_INFO:
        macho->rebase = range_at(macho, from + 8);
        macho->bind = range_at(macho, from + 16);
        macho->weak_bind = range_at(macho, from + 24);
        macho->lazy_bind = range_at(macho, from + 32);
        break;
    case LC_FUNCTION_STARTS:
        macho->function_starts = range_at(macho, from + 8);
        break;
    case LC_DYLD_CHAINED_FIXUPS:
        macho->chained = range_at(macho, from + 8);
        break;
    default:
        break;
    }
    return VMD_OK;
}

/* Set the slide: the segment that begins with the header tells where it was to be. */
static enum vmd_status find_slide(struct vmd_macho *macho, const char *commands, uint32_t size, struct vmd_error *err)
{
    const struct vmd_guest *guest = macho->guest;

    for (uint32_t at = 0; size - at >= SEGMENT_SIZE;) {
        uint32_t command = vmd_get_u32(guest, commands + at), n = vmd_get_u32(guest, commands + at + 4);

        if (command == LC_SEGMENT_64 && n >= SEGMENT_SIZE && !vmd_get_u64(guest, commands + at + 40) &&
            vmd_get_u64(guest, commands + at + 48)) {
            macho->object->bias = macho->start - vmd_get_u64(guest, commands + at + 24);
            return VMD_OK;
        }
        if (n < 8 || n > size - at) {
            break;
        }
        at += n;
    }
    return vmd_object_bad(err, "no segment has its header");
}

static enum vmd_status read_commands(struct vmd_macho *macho, struct vmd_error *err)
{
    const struct vmd_guest *guest = macho->guest;
    const char *header = macho->size >= HEADER_SIZE ? vmd_guest_find(guest, macho->start, macho->size) : NULL;
    uint32_t n = header ? vmd_get_u32(guest, header + 16) : 0, size = header ? vmd_get_u32(guest, header + 20) : 0;
    const char *commands = header + HEADER_SIZE;

    if (!header || size > macho->size - HEADER_SIZE) {
        return vmd_object_bad(err, "its load commands are outside of the object");
    }
    if (find_slide(macho, commands, size, err)) {
        return err->code;
    }
    for (uint32_t at = 0; n; n--) {
        uint32_t command, command_size = size - at >= 8 ? vmd_get_u32(guest, commands + at + 4) : 0;

        if (command_size < 8 || command_size > size - at) {
            return vmd_object_bad(err, "a load command is outside of the load commands");
        }
        command = vmd_get_u32(guest, commands + at) & 0x7fffffff;
        if (read_command(macho, commands + at, command, command_size, err)) {
            return err->code;
        }
        at += command_size;
    }
    return VMD_OK;
}

/* Tables of addresses */

static enum vmd_status read_functions(struct vmd_macho *macho, struct vmd_error *err)
{
    const struct vmd_macho_range *range = &macho->function_starts;
    const unsigned char *at, *end;
    uint64_t address = macho->start, delta;

    if (!range->size) {
        return VMD_OK;
    }
    if (range->size > ADDRESSES_MAX) {
        return vmd_object_bad(err, "more functions than any QEMU has");
    }
    at = (const unsigned char *)vmd_macho_bytes(macho, range->offset, range->size);
    if (!at) {
        return vmd_object_bad(err, "its function starts are outside of the file");
    }
    for (end = at + range->size; vmd_macho_uleb(&at, end, &delta) && delta;) {
        address += delta;
        if (delta > macho->size || !contains(macho, address, 1)) {
            return vmd_object_bad(err, "a function is outside of the object");
        }
        if (vmd_address_list_add(&macho->object->functions, address)) {
            return vmd_object_no_memory(err);
        }
    }
    return VMD_OK;
}

/* Add those of the sections of a type, which have their addresses, or offsets of 4 bytes from the header. */
static enum vmd_status add_constructors(struct vmd_macho *macho, uint32_t type, uint32_t width, struct vmd_error *err)
{
    struct vmd_address_list *constructors = &macho->object->constructors;
    const struct vmd_macho_section *section;

    for (size_t next = 0; (section = vmd_macho_next_section(macho, type, &next));) {
        const char *from = vmd_guest_find(macho->guest, section->address, section->size);

        if (section->size / width > ADDRESSES_MAX - constructors->n) {
            return vmd_object_bad(err, "more constructors than any QEMU has");
        }
        for (uint64_t n = section->size / width; n; n--, from += width) {
            uint64_t address =
                width == 8 ? vmd_get_u64(macho->guest, from) : macho->start + vmd_get_u32(macho->guest, from);

            if (!contains(macho, address, 1)) {
                return vmd_object_bad(err, "a constructor is outside of the object");
            }
            if (vmd_address_list_add(constructors, address)) {
                return vmd_object_no_memory(err);
            }
        }
    }
    return VMD_OK;
}

/* The template of thread-local data: the smallest range with all of its sections. False: there is none. */
static bool find_thread_data(const struct vmd_macho *macho, uint64_t *start, uint64_t *end)
{
    *start = UINT64_MAX;
    *end = 0;
    for (size_t i = 0; i < macho->n_sections; i++) {
        const struct vmd_macho_section *section = &macho->sections[i];

        if (section->type == VMD_S_THREAD_LOCAL_REGULAR || section->type == VMD_S_THREAD_LOCAL_ZEROFILL) {
            uint64_t section_end = section->address + section->size;

            *start = section->address < *start ? section->address : *start;
            *end = section_end > *end ? section_end : *end;
        }
    }
    return *end > *start;
}

/*
 * A thread-local variable is a descriptor; code calls its thunk, which dyld sets, with the address of the descriptor.
 * Its key stays 0: all variables are the main binary's.
 */
static enum vmd_status set_thread_variables(struct vmd_macho *macho, bool is_main, struct vmd_error *err)
{
    struct vmd_guest *guest = macho->guest;
    const struct vmd_macho_section *section;
    uint64_t start, end, data, room = ADDRESSES_MAX, thunk;

    if (!find_thread_data(macho, &start, &end)) {
        return VMD_OK;
    }
    if (!is_main) {
        return vmd_object_bad(err, "thread-local data; only the main binary may have any");
    }
    data = vmd_guest_set_tls(guest, (end - start + 15) & -(uint64_t)16);
    thunk = vmd_guest_import(guest, "_tlv_bootstrap");
    if (!data || !thunk) {
        return vmd_object_bad(err, "more thread-local data than any QEMU has");
    }
    memcpy(vmd_guest_find(guest, data, end - start), vmd_guest_find(guest, start, end - start), end - start);
    for (size_t next = 0; (section = vmd_macho_next_section(macho, VMD_S_THREAD_LOCAL_VARIABLES, &next));) {
        char *at = vmd_guest_find(guest, section->address, section->size);

        for (uint64_t n = section->size / THREAD_VARIABLE_SIZE; n; n--, at += THREAD_VARIABLE_SIZE) {
            if (!room--) {
                return vmd_object_bad(err, "more thread-local variables than any QEMU has");
            }
            if (vmd_get_u64(guest, at + 16) >= end - start) {
                return vmd_object_bad(err, "a thread-local variable is outside of the thread-local data");
            }
            vmd_put_u64(guest, at, thunk);
        }
    }
    return vmd_guest_keep_tls(guest) ? vmd_object_no_memory(err) : VMD_OK;
}

/* Creation */

static enum vmd_status link_object(struct vmd_macho *macho, bool is_main, struct vmd_error *err)
{
    if (read_commands(macho, err) || vmd_macho_read_symbols(macho, err) || read_functions(macho, err) ||
        (macho->chained.size ? vmd_macho_apply_chains(macho, err) : vmd_macho_apply_opcodes(macho, err)) ||
        add_constructors(macho, VMD_S_MOD_INIT_FUNC_POINTERS, 8, err) ||
        add_constructors(macho, VMD_S_INIT_FUNC_OFFSETS, 4, err) || set_thread_variables(macho, is_main, err)) {
        return err->code;
    }
    return VMD_OK;
}

enum vmd_status vmd_macho_link(struct vmd_guest *guest, uint64_t start, uint64_t size, bool is_main,
                               const struct vmd_object *const *scope, size_t n_scope, struct vmd_object **ret,
                               struct vmd_error *err)
{
    struct vmd_macho macho = {.guest = guest, .start = start, .size = size, .scope = scope, .n_scope = n_scope};
    enum vmd_status status;

    macho.object = vmd_object_create(guest, start);
    status = macho.object ? link_object(&macho, is_main, err) : vmd_object_no_memory(err);
    free(macho.sections);
    if (status) {
        vmd_object_destroy(macho.object);
        return status;
    }
    guest->n_objects++;
    *ret = macho.object;
    return VMD_OK;
}
