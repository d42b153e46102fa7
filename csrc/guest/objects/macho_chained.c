/*
 * Mach-O objects in a guest: chained fixups, as linkers write them for macOS 11 and later. See macho.h.
 *
 * A page has a chain of pointers, each of which has the distance to the next one. A pointer is to an address of the
 * object, or bound to an import.
 *
 * Source: mach-o/fixup-chains.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/objects/macho.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    HEADER_SIZE = 28,
    STARTS_SIZE = 22, /* of dyld_chained_starts_in_segment, without the pages */
    START_NONE = 0xffff,
    START_MULTI = 0x8000,
    STRIDE = 4,
    IMPORTS_MAX = 1 << 16,
};

/* Formats of pointers: DYLD_CHAINED_PTR_... */
enum { POINTER_64 = 2, POINTER_64_OFFSET = 6 };

/* Formats of imports: DYLD_CHAINED_IMPORT... */
enum { IMPORT = 1, IMPORT_ADDEND = 2, IMPORT_ADDEND64 = 3 };

/* The fixups' part of the file, and what is in it. */
struct chains {
    struct vmd_macho *macho;
    const char *from; /* size bytes */
    uint64_t size;
    uint64_t *imports; /* addresses */
    uint32_t n_imports;
};

static const char *format_name(uint16_t format)
{
    switch (format) {
    case 1:
    case 7:
    case 9:
    case 10:
    case 12:
    case 13:
    case 14:
        return "signed pointers of arm64e, which can't be emulated";
    case 3:
    case 4:
    case 5:
        return "chained fixups of 32 bits";
    default:
        return "chained fixups of an unknown format";
    }
}

/* size bytes at an offset of the fixups, or NULL. */
static const char *part(const struct chains *chains, uint64_t offset, uint64_t size)
{
    return offset <= chains->size && size <= chains->size - offset ? chains->from + offset : NULL;
}

/* Imports */

struct import {
    int64_t ordinal;
    uint64_t name, addend;
};

/* Ordinals from the last 15 on stand for negative ones. */
static int64_t ordinal_of(uint32_t ordinal, uint32_t last)
{
    return ordinal > last - 15 ? (int64_t)ordinal - last - 1 : ordinal;
}

static struct import read_import(const struct vmd_guest *guest, const char *from, uint32_t format)
{
    uint64_t word;

    if (format == IMPORT_ADDEND64) {
        word = vmd_get_u64(guest, from);
        return (struct import){ordinal_of(word & 0xffff, 0xffff), word >> 32, vmd_get_u64(guest, from + 8)};
    }
    word = vmd_get_u32(guest, from);
    return (struct import){ordinal_of(word & 0xff, 0xff), word >> 9,
                           format == IMPORT_ADDEND ? (uint64_t)(int64_t)vmd_get_i32(guest, from + 4) : 0};
}

static enum vmd_status read_imports(struct chains *chains, struct vmd_error *err)
{
    static const uint8_t sizes[] = {[IMPORT] = 4, [IMPORT_ADDEND] = 8, [IMPORT_ADDEND64] = 16};
    const struct vmd_guest *guest = chains->macho->guest;
    uint32_t imports = vmd_get_u32(guest, chains->from + 8), names = vmd_get_u32(guest, chains->from + 12),
             n = vmd_get_u32(guest, chains->from + 16), format = vmd_get_u32(guest, chains->from + 20);
    const char *from, *end = chains->from + chains->size;

    if (format < IMPORT || format > IMPORT_ADDEND64 || vmd_get_u32(guest, chains->from + 24)) {
        return vmd_object_bad(err, "chained imports of an unknown format");
    }
    from = n <= IMPORTS_MAX ? part(chains, imports, (uint64_t)n * sizes[format]) : NULL;
    if (!from) {
        return vmd_object_bad(err, "its imports are outside of the chained fixups");
    }
    chains->imports = malloc((n + 1) * sizeof(*chains->imports));
    if (!chains->imports) {
        return vmd_object_no_memory(err);
    }
    for (; chains->n_imports < n; from += sizes[format]) {
        struct import import = read_import(guest, from, format);
        const char *name = part(chains, names + import.name, 1);
        uint64_t address;

        if (!name ||
            vmd_macho_text(name, end - name < VMD_NAME_SIZE_MAX ? end : name + VMD_NAME_SIZE_MAX) == SIZE_MAX) {
            return vmd_object_bad(err, "the name of an import is outside of the chained fixups, or too long");
        }
        address = vmd_macho_resolve(chains->macho, name, import.ordinal);
        if (!address) {
            return vmd_object_bad(err, "imports more functions than any QEMU does");
        }
        chains->imports[chains->n_imports++] = address + import.addend;
    }
    return VMD_OK;
}

/* Chains */

/* Follow the chain from a place on, to the end of its page at most. */
static enum vmd_status apply_chain(struct chains *chains, uint64_t place, uint64_t end, uint16_t format,
                                   struct vmd_error *err)
{
    struct vmd_macho *macho = chains->macho;
    uint64_t next;

    do {
        const char *from = place < end ? vmd_guest_find(macho->guest, place, 8) : NULL;
        uint64_t word, value;

        if (!from) {
            return vmd_object_bad(err, "a chain of fixups leaves its page");
        }
        word = vmd_get_u64(macho->guest, from);
        next = word >> 51 & 0xfff;
        if (word >> 63) {
            if ((word & 0xffffff) >= chains->n_imports) {
                return vmd_object_bad(err, "a fixup is bound to an import that does not exist");
            }
            value = chains->imports[word & 0xffffff] + (word >> 24 & 0xff);
        } else {
            value = (word & 0xfffffffff) + (format == POINTER_64 ? macho->object->bias : macho->start);
            value |= (word >> 36 & 0xff) << 56;
        }
        if (vmd_macho_fix(macho, place, value, err)) {
            return err->code;
        }
        place += STRIDE * next;
    } while (next);
    return VMD_OK;
}

/* Apply the chains of the pages of a segment, which is described at an offset. */
static enum vmd_status apply_segment(struct chains *chains, uint64_t offset, struct vmd_error *err)
{
    struct vmd_macho *macho = chains->macho;
    const struct vmd_guest *guest = macho->guest;
    const char *from = part(chains, offset, STARTS_SIZE), *pages;
    uint64_t place, page_size;
    uint16_t format, n;

    if (!from) {
        return vmd_object_bad(err, "the fixups of a segment are outside of the chained fixups");
    }
    page_size = vmd_get_u16(guest, from + 4);
    format = vmd_get_u16(guest, from + 6);
    place = macho->start + vmd_get_u64(guest, from + 8);
    n = vmd_get_u16(guest, from + 20);
    pages = part(chains, offset + STARTS_SIZE, 2 * (uint64_t)n);
    if (format != POINTER_64 && format != POINTER_64_OFFSET) {
        return vmd_object_bad(err, format_name(format));
    }
    if (!pages || page_size < 8) {
        return vmd_object_bad(err, "the fixups of a segment are outside of the chained fixups");
    }
    for (uint16_t i = 0; i < n; i++, place += page_size) {
        uint16_t start = vmd_get_u16(guest, pages + 2 * i);

        if (start == START_NONE) {
            continue;
        }
        if (start & START_MULTI) {
            return vmd_object_bad(err, "a page with several chains of fixups");
        }
        if (apply_chain(chains, place + start, place + page_size, format, err)) {
            return err->code;
        }
    }
    return VMD_OK;
}

static enum vmd_status apply_chains(struct chains *chains, struct vmd_error *err)
{
    const struct vmd_guest *guest = chains->macho->guest;
    uint32_t starts = vmd_get_u32(guest, chains->from + 4), n;
    const char *from = part(chains, starts, 4);

    if (vmd_get_u32(guest, chains->from)) {
        return vmd_object_bad(err, "chained fixups of an unknown version");
    }
    if (read_imports(chains, err)) {
        return err->code;
    }
    n = from ? vmd_get_u32(guest, from) : 0;
    from = from && n <= VMD_MACHO_SEGMENTS_MAX ? part(chains, (uint64_t)starts + 4, 4 * (uint64_t)n) : NULL;
    if (!from) {
        return vmd_object_bad(err, "the fixups of its segments are outside of the chained fixups");
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t offset = vmd_get_u32(guest, from + 4 * (uint64_t)i);

        if (offset && apply_segment(chains, (uint64_t)starts + offset, err)) {
            snprintf(err->path, sizeof(err->path), "segment %u", i);
            return err->code;
        }
    }
    return VMD_OK;
}

enum vmd_status vmd_macho_apply_chains(struct vmd_macho *macho, struct vmd_error *err)
{
    const struct vmd_macho_range *range = &macho->chained;
    struct chains chains = {.macho = macho, .size = range->size};
    enum vmd_status status;

    chains.from = range->size >= HEADER_SIZE ? vmd_macho_bytes(macho, range->offset, range->size) : NULL;
    if (!chains.from) {
        return vmd_object_bad(err, "its chained fixups are outside of the file");
    }
    status = apply_chains(&chains, err);
    free(chains.imports);
    return status;
}
