/*
 * Integers in text, shared by strtol and its relatives and by sscanf.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_NUMBERS_H
#define VMD_GUEST_HOST_NUMBERS_H

#include "guest/internal.h"

/* How text is read: the type of the result, and whether 0b is a prefix, as it is since C23. */
struct vmd_integer_kind {
    unsigned bits; /* 32 or 64 */
    bool is_signed, has_binary;
};

/* The value of the text, and the number of its characters; error: 0, EINVAL (of the base) or ERANGE. */
struct vmd_integer {
    uint64_t value;
    size_t length;
    int error;
};

/* Read an integer as ISO C's strtol does (C23 7.24.1.7). It does not depend on the locale of this process. */
struct vmd_integer vmd_host_read_integer(const char *text, int base, struct vmd_integer_kind kind);

#endif
