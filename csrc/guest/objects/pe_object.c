/*
 * PE objects in a guest: relocations, thread-local data, constructors. See pe_object.h; imports are in pe_imports.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>

#include "guest/objects/pe_internal.h"

/* Relocations, in blocks of a page: {page, size} and words of a type and an offset. */

enum { BLOCK_HEADER = 8, ABSOLUTE = 0, DIR64 = 10 }; /* IMAGE_REL_BASED_* */

/* Note that the section of a page has relocations. */
static void note_addresses(const struct vmd_pe_image *image, uint64_t page)
{
    for (size_t i = 0; i < image->pe->n_sections; i++) {
        struct vmd_pe_section *section = &image->pe->sections[i];

        section->has_addresses =
            section->has_addresses || (page + 0xfff >= section->address && page < section->address + section->size);
    }
}

static enum vmd_status relocate_block(const struct vmd_pe_image *image, uint64_t at, uint32_t size,
                                      struct vmd_error *err)
{
    struct vmd_object *object = image->object;
    const char *block = vmd_pe_find(image, at, size);
    uint32_t page = vmd_get_u32(image->guest, block);

    note_addresses(image, page);
    for (uint32_t i = BLOCK_HEADER; i + 2 <= size; i += 2) {
        uint16_t word = vmd_get_u16(image->guest, block + i);
        uint64_t address = (uint64_t)page + (word & 0xfff);
        char *to;

        if (word >> 12 == ABSOLUTE) {
            continue;
        }
        if (word >> 12 != DIR64) {
            return vmd_pe_bad(err, "relocation", at + i, "unknown relocation type");
        }
        to = vmd_pe_find(image, address, 8);
        if (!to) {
            return vmd_pe_bad(err, "relocation", at + i, "it is outside of the image");
        }
        vmd_put_u64(image->guest, to, vmd_get_u64(image->guest, to) + object->bias);
        if (vmd_address_list_add(&object->slots, image->start + address)) {
            return vmd_object_no_memory(err);
        }
    }
    return VMD_OK;
}

static enum vmd_status relocate(const struct vmd_pe_image *image, struct vmd_error *err)
{
    const struct vmd_pe_directory *directory = &image->pe->directories[PE_RELOCATIONS];
    uint64_t at = directory->address, end = at + directory->size;

    while (at + BLOCK_HEADER <= end) {
        const char *block = vmd_pe_find(image, at, BLOCK_HEADER);
        uint32_t size = block ? vmd_get_u32(image->guest, block + 4) : 0;

        if (size < BLOCK_HEADER || size > end - at || !vmd_pe_find(image, at, size)) {
            return vmd_pe_bad(err, "relocations", at, "a block is outside of its directory");
        }
        if (relocate_block(image, at, size, err)) {
            return err->code;
        }
        at += size;
    }
    return VMD_OK;
}

/* Thread-local data: {start, end of initial bytes, address of the index, callbacks, size of zeros, ...} */

static bool is_zero(const char *bytes, uint64_t size)
{
    while (size && !bytes[size - 1]) {
        size--;
    }
    return !size;
}

static enum vmd_status map_thread_local(const struct vmd_pe_image *image, struct vmd_error *err)
{
    const struct vmd_pe_directory *directory = &image->pe->directories[PE_THREAD_LOCAL];
    struct vmd_guest *guest = image->guest;
    const char *header = vmd_pe_find(image, directory->address, 40), *from;
    uint64_t start, size, address;
    char *index, *to;

    if (!directory->address) {
        return VMD_OK;
    }
    if (!header) {
        return vmd_pe_bad(err, "TLS directory", directory->address, "it is outside of the image");
    }
    start = vmd_get_u64(guest, header) - image->start;
    size = vmd_get_u64(guest, header + 8) - vmd_get_u64(guest, header);
    from = vmd_pe_find(image, start, size);
    index = vmd_pe_find(image, vmd_get_u64(guest, header + 16) - image->start, 4);
    if ((size && !from) || !index) {
        return vmd_pe_bad(err, "TLS directory", directory->address, "its data is outside of the image");
    }
    vmd_put_u32(guest, index, 0);
    if (!image->is_main) { /* libraries have a section for it, in which nothing is */
        return is_zero(from, size)
                   ? VMD_OK
                   : vmd_pe_bad(err, "TLS directory", directory->address, "only the main binary may have such data");
    }
    address = vmd_guest_set_tls(guest, (size + vmd_get_u32(guest, header + 32) + 15) & -(uint64_t)16);
    to = address ? vmd_guest_find(guest, address, size) : NULL;
    if (!to) {
        return vmd_pe_bad(err, "TLS directory", directory->address, "more thread-local data than any QEMU has");
    }
    if (size) {
        memcpy(to, from, size);
    }
    return vmd_guest_keep_tls(guest) ? vmd_object_no_memory(err) : VMD_OK;
}

/*
 * Constructors. No directory lists them: the linker's __CTOR_LIST__ is a word of ones, addresses of functions, and 0.
 * It is the longest sequence of this form; the run-time code calls it from the end to the start.
 */

static bool is_code(const struct vmd_pe_image *image, uint64_t address)
{
    for (size_t i = 0; i < image->pe->n_sections; i++) {
        const struct vmd_pe_section *section = &image->pe->sections[i];

        if (section->is_executable && address - image->start - section->address < section->size) {
            return true;
        }
    }
    return false;
}

static uint64_t word_at(const struct vmd_pe_image *image, uint64_t address)
{
    const char *at = vmd_pe_find(image, address - image->start, 8);

    return at ? vmd_get_u64(image->guest, at) : 1; /* 1: not the end of a list */
}

static enum vmd_status find_constructors(const struct vmd_pe_image *image, struct vmd_error *err)
{
    const uint64_t *slots, *list = NULL;
    size_t n = vmd_object_slots(image->object, &slots), n_list = 0;

    for (size_t first = 0, last; first < n; first = last) {
        for (last = first; last < n && slots[last] == slots[first] + 8 * (last - first) &&
                           is_code(image, word_at(image, slots[last]));
             last++) {
        }
        if (last - first > n_list && word_at(image, slots[first] - 8) == UINT64_MAX &&
            word_at(image, slots[last - 1] + 8) == 0) {
            list = slots + first;
            n_list = last - first;
        }
        last += last == first;
    }
    for (size_t i = n_list; i; i--) {
        if (vmd_address_list_add(&image->object->constructors, word_at(image, list[i - 1]))) {
            return vmd_object_no_memory(err);
        }
    }
    return VMD_OK;
}

enum vmd_status vmd_pe_link(struct vmd_guest *guest, uint64_t start, struct vmd_pe *pe, bool is_main,
                            const struct vmd_object *const *scope, size_t n_scope, struct vmd_object **ret,
                            struct vmd_error *err)
{
    struct vmd_pe_image image = {
        vmd_object_create(guest, start - pe->image_base), guest, pe, start, is_main, scope, n_scope};

    if (!image.object) {
        return vmd_object_no_memory(err);
    }
    if (!vmd_guest_find(guest, start, pe->image_size)) {
        vmd_object_bad(err, "it is outside of the guest's memory");
    } else if (!relocate(&image, err) && !vmd_pe_bind(&image, err) && !vmd_pe_export(&image, err) &&
               !map_thread_local(&image, err) && !find_constructors(&image, err)) {
        guest->n_objects++;
        guest->image = is_main ? start : guest->image;
        *ret = image.object;
        return VMD_OK;
    }
    vmd_object_destroy(image.object);
    return err->code;
}
