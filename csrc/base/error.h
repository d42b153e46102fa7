/*
 * Errors of the core: a fallible function returns an enum vmd_status and, if it has a parameter err, fills the caller's
 * struct vmd_error. Outputs are untouched unless it returns VMD_OK.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_ERROR_H
#define VMD_ERROR_H

#include <stddef.h>
#include <stdint.h>

/* cdef: begin */
enum vmd_status {
    VMD_OK = 0,
    VMD_NO_MEMORY = 1,
    VMD_INTERRUPTED = 2,   /* the poll callback returned nonzero */
    VMD_IO = 3,            /* index: errno */
    VMD_TOO_DEEP = 4,      /* index: the description, field or byte that exceeds the limit */
    VMD_TOO_LARGE = 5,     /* the output would exceed the limit */
    VMD_BAD_NAME = 6,      /* index: of the name */
    VMD_BAD_REFERENCE = 7, /* index: of the description */
    VMD_BAD_JSON = 8,      /* index: byte offset */
    VMD_DUPLICATE = 9,     /* index: of the device, or byte offset */
    VMD_UNSUPPORTED = 10,  /* index: address of an instruction that the emulator executes wrongly */
    VMD_EXITED = 11,       /* index: exit status of the guest */
};

struct vmd_error {
    enum vmd_status code;
    uint64_t index;      /* meaning: see code, and the function */
    const char *message; /* a constant string */
    char path[512];      /* JSON path for VMD_BAD_JSON, else empty */
};
/* cdef: end */

static inline enum vmd_status vmd_error_set(struct vmd_error *err, enum vmd_status code, uint64_t index,
                                            const char *message)
{
    err->code = code;
    err->index = index;
    err->message = message;
    err->path[0] = '\0';
    return code;
}

#endif
