/*
 * libc's strings. The guest's locale is C.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <ctype.h>

const char *vmd_host_string(struct vmd_guest *guest, uint64_t address)
{
    const char *text = vmd_guest_at(guest, address, 1);

    if (text && !memchr(text, '\0', guest->memory + guest->size - text)) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "a string without an end");
        return NULL;
    }
    return text;
}

uint64_t vmd_host_put_string(struct vmd_guest *guest, const char *text, size_t size)
{
    uint64_t copy = vmd_host_allocate(guest, size + 1);
    char *to = copy ? vmd_guest_at(guest, copy, size + 1) : NULL;

    if (to) {
        memmove(to, text, size);
        to[size] = '\0';
    }
    return copy;
}

static uint64_t address_of(struct vmd_host_call *call, const char *host)
{
    return host ? call->guest->base + (host - call->guest->memory) : 0;
}

static uint64_t host_strlen(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? strlen(text) : 0;
}

uint64_t vmd_host_strcmp(struct vmd_host_call *call)
{
    const char *a = vmd_host_string(call->guest, call->args[0]), *b = vmd_host_string(call->guest, call->args[1]);

    return a && b ? (uint64_t)strcmp(a, b) : 0;
}

static uint64_t host_strncmp(struct vmd_host_call *call)
{
    const char *a = vmd_host_string(call->guest, call->args[0]), *b = vmd_host_string(call->guest, call->args[1]);

    return a && b ? (uint64_t)strncmp(a, b, call->args[2]) : 0;
}

static uint64_t host_strcasecmp(struct vmd_host_call *call)
{
    const char *a = vmd_host_string(call->guest, call->args[0]), *b = vmd_host_string(call->guest, call->args[1]);

    return a && b ? (uint64_t)strcasecmp(a, b) : 0;
}

static uint64_t host_strchr(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? address_of(call, strchr(text, (int)call->args[1])) : 0;
}

static uint64_t host_strrchr(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? address_of(call, strrchr(text, (int)call->args[1])) : 0;
}

static uint64_t host_strstr(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]), *part = vmd_host_string(call->guest, call->args[1]);

    return text && part ? address_of(call, strstr(text, part)) : 0;
}

static uint64_t host_strspn(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]), *set = vmd_host_string(call->guest, call->args[1]);

    return text && set ? strspn(text, set) : 0;
}

static uint64_t host_strcspn(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]), *set = vmd_host_string(call->guest, call->args[1]);

    return text && set ? strcspn(text, set) : 0;
}

static uint64_t host_strnlen(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? strnlen(text, call->args[1]) : 0;
}

static uint64_t host_strcpy(struct vmd_host_call *call)
{
    const char *from = vmd_host_string(call->guest, call->args[1]);
    char *to = from ? vmd_guest_at(call->guest, call->args[0], strlen(from) + 1) : NULL;

    if (to) {
        memmove(to, from, strlen(from) + 1);
    }
    return call->args[0];
}

static uint64_t host_strdup(struct vmd_host_call *call)
{
    const char *text = call->args[0] ? vmd_host_string(call->guest, call->args[0]) : NULL;

    return text ? vmd_host_put_string(call->guest, text, strlen(text)) : 0;
}

static uint64_t host_strncasecmp(struct vmd_host_call *call)
{
    const char *a = vmd_host_string(call->guest, call->args[0]), *b = vmd_host_string(call->guest, call->args[1]);

    return a && b ? (uint64_t)strncasecmp(a, b, call->args[2]) : 0;
}

static uint64_t host_strchrnul(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? address_of(call, strchrnul(text, (int)call->args[1])) : 0;
}

static uint64_t host_strpbrk(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]), *set = vmd_host_string(call->guest, call->args[1]);

    return text && set ? address_of(call, strpbrk(text, set)) : 0;
}

static uint64_t host_strcasestr(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]), *part = vmd_host_string(call->guest, call->args[1]);

    return text && part ? address_of(call, strcasestr(text, part)) : 0;
}

/* Copy at most n bytes of a string and a NUL; returns the number of bytes without the NUL. */
static uint64_t copy_string(struct vmd_host_call *call, uint64_t to, uint64_t from, uint64_t n)
{
    const char *text = vmd_host_string(call->guest, from);
    uint64_t size = text ? strnlen(text, n) : 0;
    char *at = text ? vmd_guest_at(call->guest, to, size + 1) : NULL;

    if (at) {
        memmove(at, text, size);
        at[size] = '\0';
    }
    return size;
}

static uint64_t host_stpcpy(struct vmd_host_call *call)
{
    return call->args[0] + copy_string(call, call->args[0], call->args[1], INT64_MAX);
}

static uint64_t host_strcat(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    if (text) {
        copy_string(call, call->args[0] + strlen(text), call->args[1], INT64_MAX);
    }
    return call->args[0];
}

static uint64_t host_strncat(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    if (text) {
        copy_string(call, call->args[0] + strlen(text), call->args[1], call->args[2]);
    }
    return call->args[0];
}

static uint64_t host_strncpy(struct vmd_host_call *call)
{
    const char *text = call->args[2] ? vmd_guest_at(call->guest, call->args[1], 1) : NULL;
    char *to = text ? vmd_guest_at(call->guest, call->args[0], call->args[2]) : NULL;
    uint64_t room = call->guest->size - (call->args[1] - call->guest->base), size;

    if (to) {
        size = strnlen(text, call->args[2] < room ? call->args[2] : room);
        memmove(to, text, size);
        memset(to + size, 0, call->args[2] - size);
    }
    return call->args[0];
}

static uint64_t host_strndup(struct vmd_host_call *call)
{
    const char *text = vmd_guest_at(call->guest, call->args[0], 1);
    uint64_t room = call->guest->size - (call->args[0] - call->guest->base);

    return text ? vmd_host_put_string(call->guest, text, strnlen(text, call->args[1] < room ? call->args[1] : room))
                : 0;
}

/* The next token after from, terminated by a NUL; rest: start of the next search, or 0. */
static uint64_t token(struct vmd_host_call *call, uint64_t from, uint64_t delimiters, uint64_t *rest)
{
    char *text = from ? (char *)vmd_host_string(call->guest, from) : NULL;
    const char *set = vmd_host_string(call->guest, delimiters);
    size_t size;

    *rest = 0;
    if (!text || !set) {
        return 0;
    }
    text += strspn(text, set);
    size = strcspn(text, set);
    if (!size) {
        return 0;
    }
    if (text[size]) {
        text[size] = '\0';
        *rest = address_of(call, text + size + 1);
    }
    return address_of(call, text);
}

static uint64_t host_strtok(struct vmd_host_call *call)
{
    uint64_t *rest = &call->guest->state.strtok;

    return token(call, call->args[0] ? call->args[0] : *rest, call->args[1], rest);
}

static uint64_t host_strtok_r(struct vmd_host_call *call)
{
    uint64_t rest, found = token(call, call->args[0] ? call->args[0] : vmd_guest_load_u64(call->guest, call->args[2]),
                                 call->args[1], &rest);

    vmd_guest_store_u64(call->guest, call->args[2], rest);
    return found;
}

static uint64_t host_strsep(struct vmd_host_call *call)
{
    uint64_t start = vmd_guest_load_u64(call->guest, call->args[0]);
    char *text = start ? (char *)vmd_host_string(call->guest, start) : NULL;
    const char *set = vmd_host_string(call->guest, call->args[1]);
    size_t size = text && set ? strcspn(text, set) : 0;

    if (text && set) {
        vmd_guest_store_u64(call->guest, call->args[0], text[size] ? start + size + 1 : 0);
        text[size] = '\0';
    }
    return start;
}

static uint64_t host_strerror(struct vmd_host_call *call)
{
    const char *text = vmd_host_error_text(call->guest, (uint32_t)call->args[0]);

    return vmd_host_put_string(call->guest, text, strlen(text));
}

/* mbstowcs(to, from, n) and its reverse, of the C locale */

static uint64_t host_mbstowcs(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[1]);
    uint64_t size = text ? strlen(text) : 0, n = size + 1 < call->args[2] ? size + 1 : call->args[2];

    for (uint64_t i = 0; call->args[0] && i < n && !call->guest->err.code; i++) {
        vmd_guest_store_u32(call->guest, call->args[0] + 4 * i, (uint8_t)text[i]);
    }
    return call->args[0] && size > call->args[2] ? call->args[2] : size;
}

static uint64_t host_wcslen(struct vmd_host_call *call)
{
    uint64_t n = 0;

    while (vmd_guest_load_u32(call->guest, call->args[0] + 4 * n) && !call->guest->err.code) {
        n++;
    }
    return n;
}

VMD_SERVE({"strlen", host_strlen}, {"strcmp", vmd_host_strcmp}, {"strncmp", host_strncmp},
          {"strcasecmp", host_strcasecmp}, {"strchr", host_strchr}, {"strrchr", host_strrchr}, {"strstr", host_strstr},
          {"strspn", host_strspn}, {"strcspn", host_strcspn}, {"strnlen", host_strnlen}, {"strcpy", host_strcpy},
          {"__strcpy_chk", host_strcpy}, {"strdup", host_strdup}, {"g_strdup", host_strdup},
          {"strncasecmp", host_strncasecmp}, {"strchrnul", host_strchrnul}, {"strpbrk", host_strpbrk},
          {"strcasestr", host_strcasestr}, {"stpcpy", host_stpcpy}, {"__stpcpy_chk", host_stpcpy},
          {"strcat", host_strcat}, {"__strcat_chk", host_strcat}, {"strncat", host_strncat},
          {"__strncat_chk", host_strncat}, {"strncpy", host_strncpy}, {"__strncpy_chk", host_strncpy},
          {"strndup", host_strndup}, {"strtok", host_strtok}, {"strtok_r", host_strtok_r},
          {"__strtok_r", host_strtok_r}, {"strsep", host_strsep}, {"strerror", host_strerror},
          {"g_strerror", host_strerror}, {"mbstowcs", host_mbstowcs}, {"wcslen", host_wcslen})
