/*
 * Imports and exports of PE objects. See pe_object.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>

#include "guest/objects/pe_internal.h"

enum { DESCRIPTOR_SIZE = 20, DLLS_MAX = 1024, IMPORTS_MAX = 1 << 16, STRING_MAX = 1024, EXPORTS_MAX = 1 << 16 };

const char *vmd_pe_string(const struct vmd_pe_image *image, uint64_t address)
{
    uint64_t room = address < image->pe->image_size ? image->pe->image_size - address : 0;
    uint64_t limit = room < STRING_MAX ? room : STRING_MAX;
    const char *text = vmd_pe_find(image, address, limit);

    return text && strnlen(text, limit) < limit ? text : NULL;
}

/* The name by which the host serves an import: by its name, or of a library and a number. */
static const char *import_name(const struct vmd_pe_image *image, const char *dll, uint64_t entry, char *room,
                               size_t size)
{
    if (entry >> 63) {
        snprintf(room, size, "%.200s #%u", dll, (unsigned)(entry & 0xffff));
        return room;
    }
    return vmd_pe_string(image, (entry & 0x7fffffff) + 2); /* behind a hint */
}

/* The address of an import; 0: the host has no room for more. */
static uint64_t resolve(const struct vmd_pe_image *image, const char *name)
{
    uint64_t address = 0;

    for (size_t i = 0; i < image->n_scope && !address; i++) {
        address = vmd_object_symbol(image->scope[i], name);
    }
    return address ? address : vmd_guest_import(image->guest, name);
}

/* Bind the functions and variables of one DLL; n_imports: of all DLLs so far. */
static enum vmd_status bind_dll(const struct vmd_pe_image *image, const char *dll, uint64_t names, uint64_t slots,
                                uint32_t *n_imports, struct vmd_error *err)
{
    for (uint64_t i = 0;; i++) {
        const char *from = vmd_pe_find(image, names + 8 * i, 8), *name;
        char *to = vmd_pe_find(image, slots + 8 * i, 8), room[256];
        uint64_t entry = from ? vmd_get_u64(image->guest, from) : 0, address;

        if (!from || !to) {
            return vmd_pe_bad(err, "imports", names + 8 * i, "they are outside of the image");
        }
        if (!entry) {
            return VMD_OK;
        }
        name = import_name(image, dll, entry, room, sizeof(room));
        if (!name) {
            return vmd_pe_bad(err, "import", names + 8 * i, "its name is outside of the image");
        }
        address = (*n_imports)++ < IMPORTS_MAX ? resolve(image, name) : 0;
        if (!address) {
            return vmd_pe_bad(err, "import", names + 8 * i, "imports more functions than any QEMU does");
        }
        vmd_put_u64(image->guest, to, address);
    }
}

enum vmd_status vmd_pe_bind(const struct vmd_pe_image *image, struct vmd_error *err)
{
    uint64_t at = image->pe->directories[PE_IMPORTS].address;
    uint32_t n_imports = 0;

    for (uint64_t i = 0; at; i++, at += DESCRIPTOR_SIZE) {
        const char *descriptor = vmd_pe_find(image, at, DESCRIPTOR_SIZE), *dll;
        uint32_t names, slots;

        if (!descriptor || i == DLLS_MAX) {
            return vmd_pe_bad(err, "import directory", at, "it has no end, or is outside of the image");
        }
        names = vmd_get_u32(image->guest, descriptor);
        slots = vmd_get_u32(image->guest, descriptor + 16);
        if (!vmd_get_u32(image->guest, descriptor + 12)) {
            break;
        }
        dll = vmd_pe_string(image, vmd_get_u32(image->guest, descriptor + 12));
        if (!dll) {
            return vmd_pe_bad(err, "import directory", at, "the name of a library is outside of the image");
        }
        if (bind_dll(image, dll, names ? names : slots, slots, &n_imports, err)) {
            return err->code;
        }
    }
    return VMD_OK;
}

/* Exports have no sizes: each is taken to be as long as a pointer. */
static enum vmd_status read_exports(const struct vmd_pe_image *image, const char *names, const char *numbers,
                                    const char *addresses, uint32_t n, uint32_t n_addresses, char *text, size_t size,
                                    struct vmd_error *err)
{
    struct vmd_object *object = image->object;
    size_t used = 0;

    if (vmd_object_reserve(object, n, text, size, err)) {
        return err->code;
    }
    for (uint32_t i = 0; i < n; i++) {
        const char *name = vmd_pe_string(image, vmd_get_u32(image->guest, names + 4 * i));
        uint16_t number = vmd_get_u16(image->guest, numbers + 2 * i);

        object->symbols[i].name = object->names + used;
        used += strlen(name) + 1;
        if (number < n_addresses && *name) {
            object->symbols[i].value = image->start + vmd_get_u32(image->guest, addresses + 4 * (uint64_t)number);
            object->symbols[i].size = 8;
            object->symbols[i].is_defined = true;
            vmd_object_index(object, i);
        }
    }
    return VMD_OK;
}

enum vmd_status vmd_pe_export(const struct vmd_pe_image *image, struct vmd_error *err)
{
    const struct vmd_pe_directory *directory = &image->pe->directories[PE_EXPORTS];
    const char *header = vmd_pe_find(image, directory->address, 40), *names, *numbers, *addresses;
    uint32_t n, n_addresses;
    size_t size = 0;
    char *text = NULL, *to;
    enum vmd_status status;

    if (!directory->address) {
        return vmd_object_reserve(image->object, 0, "", 0, err);
    }
    n = header ? vmd_get_u32(image->guest, header + 24) : EXPORTS_MAX + 1;
    n_addresses = header ? vmd_get_u32(image->guest, header + 20) : 0;
    if (n > EXPORTS_MAX || n_addresses > EXPORTS_MAX) {
        return vmd_pe_bad(err, "export directory", directory->address, "it is outside of the image, or too large");
    }
    addresses = vmd_pe_find(image, vmd_get_u32(image->guest, header + 28), 4 * (uint64_t)n_addresses);
    names = vmd_pe_find(image, vmd_get_u32(image->guest, header + 32), 4 * (uint64_t)n);
    numbers = vmd_pe_find(image, vmd_get_u32(image->guest, header + 36), 2 * (uint64_t)n);
    if ((n && (!names || !numbers)) || (n_addresses && !addresses)) {
        return vmd_pe_bad(err, "export directory", directory->address, "its tables are outside of the image");
    }
    for (uint32_t i = 0; i < n; i++) {
        const char *name = vmd_pe_string(image, vmd_get_u32(image->guest, names + 4 * i));

        if (!name) {
            return vmd_pe_bad(err, "export directory", directory->address, "a name is outside of the image");
        }
        size += strlen(name) + 1;
    }
    text = to = calloc(size + 1, 1);
    if (!text) {
        return vmd_object_no_memory(err);
    }
    for (uint32_t i = 0; i < n; i++) {
        to = stpcpy(to, vmd_pe_string(image, vmd_get_u32(image->guest, names + 4 * i))) + 1;
    }
    status = read_exports(image, names, numbers, addresses, n, n_addresses, text, size, err);
    free(text);
    return status;
}
