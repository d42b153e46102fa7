/*
 * A PE object while it is linked, shared by the files that do it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PE_INTERNAL_H
#define VMD_PE_INTERNAL_H

#include "guest/objects/build.h"
#include "guest/objects/pe_object.h"

/* Data directories. */
enum { PE_EXPORTS = 0, PE_IMPORTS = 1, PE_RELOCATIONS = 5, PE_THREAD_LOCAL = 9 };

struct vmd_pe_image {
    struct vmd_object *object;
    struct vmd_guest *guest;
    struct vmd_pe *pe;
    uint64_t start; /* address of the image in the guest */
    bool is_main;
    const struct vmd_object *const *scope;
    size_t n_scope;
};

/* An error at an offset or address of a structure. */
enum vmd_status vmd_pe_bad(struct vmd_error *err, const char *what, uint64_t at, const char *message);

/* Bytes of the image at an RVA, or NULL. */
static inline char *vmd_pe_find(const struct vmd_pe_image *image, uint64_t address, uint64_t size)
{
    uint64_t end = image->pe->image_size;

    return address < end && size <= end - address ? vmd_guest_find(image->guest, image->start + address, size) : NULL;
}

/* A string of the image of at most 1024 bytes, or NULL. */
const char *vmd_pe_string(const struct vmd_pe_image *image, uint64_t address);

/* pe_imports.c: bind the imports, read the exports. */
enum vmd_status vmd_pe_bind(const struct vmd_pe_image *image, struct vmd_error *err);
enum vmd_status vmd_pe_export(const struct vmd_pe_image *image, struct vmd_error *err);

#endif
