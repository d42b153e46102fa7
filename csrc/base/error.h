/*
 * How the core reports failure: every fallible function returns an enum vmd_status and, where there is more to say,
 * fills a struct vmd_error that the caller owns. Outputs are untouched unless it returns VMD_OK.
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
    VMD_INTERRUPTED = 2,   /* the poll callback asked to stop */
    VMD_IO = 3,            /* index: errno */
    VMD_TOO_DEEP = 4,      /* index: the description, field or byte at which the limit was passed */
    VMD_TOO_LARGE = 5,     /* the output would pass the limit */
    VMD_BAD_NAME = 6,      /* index: which name */
    VMD_BAD_REFERENCE = 7, /* index: which description */
    VMD_BAD_JSON = 8,      /* index: byte offset */
    VMD_DUPLICATE = 9,     /* index: which device, or byte offset */
    VMD_EXITED = 10,       /* index: the status that the guest exits with */
};

struct vmd_error {
    enum vmd_status code;
    uint64_t index;      /* what it counts depends on code and function */
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
