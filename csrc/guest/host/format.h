/*
 * Formatted text, for host functions that print to other destinations than memory (GString).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_FORMAT_H
#define VMD_GUEST_HOST_FORMAT_H

#include "guest/variadic.h"

/* Limit of formatted text in bytes; the rest is dropped. */
enum { VMD_FORMATTED_MAX = 1 << 20 };

struct vmd_text {
    char *bytes; /* terminated by NUL; the caller frees it, also after a failure */
    size_t size, room;
};

/* Format as printf, with a format string of the guest. False: the call fails. */
bool vmd_host_format(struct vmd_variadic *arguments, uint64_t format, struct vmd_text *out);

/* The same with the arguments escaped for XML (escape). */
bool vmd_host_format_escaped(struct vmd_variadic *arguments, uint64_t format, bool escape, struct vmd_text *out);

/* Length modifiers of a conversion of printf or scanf. */
struct vmd_length {
    int bytes;    /* of an integer */
    bool is_long; /* l, or more of them */
    bool is_long_double;
};

/* Parse them; returns the rest of the format. */
const char *vmd_host_read_length(const struct vmd_arch *host, const char *format, struct vmd_length *ret);

/* Encode a character in UTF-8; returns the number of bytes, at most 6. */
size_t vmd_host_encode_utf8(uint32_t c, char *out);

#endif
