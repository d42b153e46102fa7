/*
 * PE objects in a guest, which are Windows' executables. All data of the file is checked before use.
 *
 * Source: Microsoft's PE Format; constructors as GNU ld and lld lay them out for MinGW.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PE_OBJECT_H
#define VMD_PE_OBJECT_H

#include "guest/objects/object.h"

/* cdef: begin */
#define VMD_PE_SECTIONS_MAX 96
#define VMD_PE_DIRECTORIES 16

/* Addresses are relative to the image (RVA). */
struct vmd_pe_section {
    char name[9];
    uint32_t address, size;     /* in memory */
    uint32_t offset, file_size; /* the bytes from the file, at most size */
    bool is_executable, is_writable;
    bool has_addresses; /* set by vmd_pe_link: relocations write addresses into it */
};

struct vmd_pe_directory {
    uint32_t address, size;
};

struct vmd_pe {
    uint16_t machine; /* IMAGE_FILE_MACHINE_* */
    bool is_32_bit;   /* PE32: then only machine is set */
    bool is_fixed;    /* without relocations */
    uint64_t image_base;
    uint32_t image_size, headers_size;
    struct vmd_pe_directory directories[VMD_PE_DIRECTORIES];
    struct vmd_pe_section sections[VMD_PE_SECTIONS_MAX];
    size_t n_sections;
};

/*
 * Read the headers in the first size bytes of a file of file_size bytes. Sections are within the file and the image, in
 * ascending order. VMD_BAD_REFERENCE: they are malformed; path: the structure.
 */
enum vmd_status vmd_pe_read(const char *data, size_t size, uint64_t file_size, struct vmd_pe *ret,
                            struct vmd_error *err);

/*
 * Relocate an object whose sections are in the guest from image on, bind its imports to the first object in scope that
 * exports a function of that name, else to the host, and find its exports and constructors. scope is not used after the
 * call. The main object is the one that may have thread-local data. VMD_NO_MEMORY; VMD_BAD_REFERENCE: the object is
 * invalid; path: the structure.
 */
enum vmd_status vmd_pe_link(struct vmd_guest *guest, uint64_t image, struct vmd_pe *pe, bool is_main,
                            const struct vmd_object *const *scope, size_t n_scope, struct vmd_object **ret,
                            struct vmd_error *err);
/* cdef: end */

#endif
