/*
 * Headers of PE files. See pe_object.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <string.h>

#include "guest/objects/pe_internal.h"

enum {
    COFF_SIZE = 20,
    SECTION_SIZE = 40,
    OPTIONAL_SIZE = 112, /* of PE32+, up to the directories */
    PE32 = 0x10b,
    PE32_PLUS = 0x20b,
    RELOCS_STRIPPED = 1,      /* IMAGE_FILE_* */
    SCN_EXECUTE = 0x20000000, /* IMAGE_SCN_MEM_* */
};

#define SCN_WRITE 0x80000000u

enum vmd_status vmd_pe_bad(struct vmd_error *err, const char *what, uint64_t at, const char *message)
{
    vmd_error_set(err, VMD_BAD_REFERENCE, at, message);
    snprintf(err->path, sizeof(err->path), "%s at %#llx", what, (unsigned long long)at);
    return err->code;
}

/* The file's bytes, of which size are at hand. */
struct bytes {
    const char *data;
    uint64_t size;
};

static const char *at(const struct bytes *bytes, uint64_t offset, uint64_t size)
{
    return offset <= bytes->size && size <= bytes->size - offset ? bytes->data + offset : NULL;
}

static uint16_t u16(const char *from)
{
    return (uint16_t)((unsigned char)from[0] | (unsigned char)from[1] << 8);
}

static uint32_t u32(const char *from)
{
    return u16(from) | (uint32_t)u16(from + 2) << 16;
}

static uint64_t u64(const char *from)
{
    return u32(from) | (uint64_t)u32(from + 4) << 32;
}

static enum vmd_status read_optional(const struct bytes *bytes, uint64_t offset, uint16_t size, struct vmd_pe *pe,
                                     struct vmd_error *err)
{
    const char *header = at(bytes, offset, 2);
    uint32_t n;

    pe->is_32_bit = header && size >= 2 && u16(header) == PE32;
    if (pe->is_32_bit) {
        return VMD_OK;
    }
    header = at(bytes, offset, OPTIONAL_SIZE);
    if (!header || size < OPTIONAL_SIZE || u16(header) != PE32_PLUS) {
        return vmd_pe_bad(err, "optional header", offset, "it is not that of a PE32+ file, or incomplete");
    }
    pe->image_base = u64(header + 24);
    pe->image_size = u32(header + 56);
    pe->headers_size = u32(header + 60);
    n = u32(header + 108);
    n = n < VMD_PE_DIRECTORIES ? n : VMD_PE_DIRECTORIES;
    if (size < OPTIONAL_SIZE + 8 * n || !at(bytes, offset, OPTIONAL_SIZE + 8 * n)) {
        return vmd_pe_bad(err, "optional header", offset, "its data directories are outside of it");
    }
    for (uint32_t i = 0; i < n; i++) {
        const char *directory = header + OPTIONAL_SIZE + 8 * i;

        pe->directories[i] = (struct vmd_pe_directory){u32(directory), u32(directory + 4)};
    }
    return VMD_OK;
}

static enum vmd_status read_section(const char *header, uint64_t offset, uint64_t file_size, struct vmd_pe *pe,
                                    struct vmd_error *err)
{
    struct vmd_pe_section *section = &pe->sections[pe->n_sections];
    uint64_t end = pe->n_sections ? section[-1].address + (uint64_t)section[-1].size : pe->headers_size;
    uint32_t flags = u32(header + 36);

    memcpy(section->name, header, 8);
    section->name[8] = '\0';
    section->size = u32(header + 8);
    section->address = u32(header + 12);
    section->file_size = u32(header + 16);
    section->offset = u32(header + 20);
    section->is_executable = flags & SCN_EXECUTE;
    section->is_writable = flags & SCN_WRITE;
    if (!section->size) {
        section->size = section->file_size;
    }
    if (!section->offset) { /* no bytes in the file */
        section->file_size = 0;
    }
    if (section->file_size > section->size) {
        section->file_size = section->size; /* the rest is padding of the file */
    }
    if (section->address < end || (uint64_t)section->address + section->size > pe->image_size) {
        return vmd_pe_bad(err, "section header", offset,
                          "its addresses are outside of the image, or of another section");
    }
    if ((uint64_t)section->offset + section->file_size > file_size) {
        return vmd_pe_bad(err, "section header", offset, "the section is outside of the file; it may be truncated");
    }
    pe->n_sections++;
    return VMD_OK;
}

enum vmd_status vmd_pe_read(const char *data, size_t size, uint64_t file_size, struct vmd_pe *ret,
                            struct vmd_error *err)
{
    struct bytes bytes = {data, size};
    struct vmd_pe pe = {0};
    const char *start = at(&bytes, 0x3c, 4), *header = start ? at(&bytes, u32(start), 4 + COFF_SIZE) : NULL;
    uint64_t offset, n_sections;
    uint16_t optional_size;

    if (!header || memcmp(data, "MZ", 2) != 0 || memcmp(header, "PE\0\0", 4) != 0) {
        return vmd_pe_bad(err, "PE header", start ? u32(start) : 0x3c,
                          "there is none, or it is incomplete; the file may be truncated");
    }
    offset = u32(start) + 4 + COFF_SIZE;
    pe.machine = u16(header + 4);
    n_sections = u16(header + 6);
    optional_size = u16(header + 20);
    pe.is_fixed = u16(header + 22) & RELOCS_STRIPPED;
    if (read_optional(&bytes, offset, optional_size, &pe, err)) {
        return err->code;
    }
    offset += optional_size;
    if (n_sections > VMD_PE_SECTIONS_MAX && !pe.is_32_bit) {
        return vmd_pe_bad(err, "PE header", u32(start), "more sections than Windows allows");
    }
    for (uint64_t i = 0; i < n_sections && !pe.is_32_bit; i++, offset += SECTION_SIZE) {
        header = at(&bytes, offset, SECTION_SIZE);
        if (!header) {
            return vmd_pe_bad(err, "section header", offset, "it is outside of the file; the file may be truncated");
        }
        if (read_section(header, offset, file_size, &pe, err)) {
            return err->code;
        }
    }
    if (pe.headers_size > size || pe.headers_size > pe.image_size) {
        pe.headers_size = (uint32_t)(size < pe.image_size ? size : pe.image_size);
    }
    *ret = pe;
    return VMD_OK;
}
