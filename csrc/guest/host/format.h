/*
 * Formatted text, for host functions that print somewhere else than to memory (GString).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_FORMAT_H
#define VMD_GUEST_HOST_FORMAT_H

#include "guest/variadic.h"

struct vmd_text {
    char *bytes; /* ends in NUL; to be freed, also after a failure */
    size_t size, room;
};

/* Prints as printf does with a format of the guest. False: the call fails. */
bool vmd_host_format(struct vmd_variadic *arguments, uint64_t format, struct vmd_text *out);

/* A character as UTF-8: how many bytes, at most 6. */
size_t vmd_host_encode_utf8(uint32_t c, char *out);

#endif
