/*
 * printf to memory: integers, characters, strings, pointers.
 * A part of what a guest sees of its host; see guest_host.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Where further arguments come from: registers and then the stack, or a va_list. */
struct arguments {
    struct vmd_host_call *call;
    int next;      /* register, or stack slot behind them */
    char *va_list; /* NULL: the call's own arguments */
};

static uint64_t next_from_va_list(struct arguments *arguments)
{
    struct vmd_guest *guest = arguments->call->guest;
    bool x86_64 = guest->arch == VMD_GUEST_X86_64;
    int32_t offset;
    uint64_t where;
    char *from;

    /* x86-64: gp_offset, fp_offset, overflow_arg_area, reg_save_area. AArch64: stack, gr_top, vr_top, gr_offs. */
    memcpy(&offset, arguments->va_list + (x86_64 ? 0 : 24), 4);
    if (x86_64 ? offset < 48 : offset < 0) {
        where = vmd_load(arguments->va_list + (x86_64 ? 16 : 8)) + (int64_t)offset;
        offset += 8;
        memcpy(arguments->va_list + (x86_64 ? 0 : 24), &offset, 4);
    } else {
        uint64_t next;

        where = vmd_load(arguments->va_list + (x86_64 ? 8 : 0));
        next = where + 8;
        memcpy(arguments->va_list + (x86_64 ? 8 : 0), &next, 8);
    }
    from = vmd_guest_at(guest, where, 8);
    return from ? vmd_load(from) : 0;
}

static uint64_t next_argument(struct arguments *arguments)
{
    struct vmd_host_call *call = arguments->call;
    int index = arguments->next++;
    char *from;

    if (arguments->va_list) {
        return next_from_va_list(arguments);
    }
    if (index < call->n_args) {
        return call->args[index];
    }
    from = vmd_guest_at(call->guest, call->stack + 8 * (uint64_t)(index - call->n_args), 8);
    return from ? vmd_load(from) : 0;
}

enum { FORMATTED_MAX = 64 << 10 };

/* One conversion, specification included, printed to out. How much room there is, room > 0. */
static size_t convert(struct arguments *arguments, const char *specification, char conversion, bool wide, char *out,
                      size_t room)
{
    uint64_t value;
    const char *text;
    int n;

    if (conversion == '%') {
        n = snprintf(out, room, "%%");
        return (size_t)n;
    }
    value = next_argument(arguments);
    switch (conversion) {
    case 's':
        text = value ? vmd_host_string(arguments->call->guest, value) : "(null)";
        n = text ? snprintf(out, room, specification, text) : 0;
        break;
    case 'p':
        n = snprintf(out, room, "0x%llx", (unsigned long long)value);
        break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        n = wide ? snprintf(out, room, specification, value) : snprintf(out, room, specification, (int)value);
        break;
    case 'c':
        n = snprintf(out, room, specification, (int)value);
        break;
    default:
        vmd_guest_fail(arguments->call->guest, VMD_BAD_REFERENCE, value, "a printf conversion that is not known");
        n = 0;
    }
    return n < 0 ? 0 : (size_t)n;
}

/* Prints as printf does, at most FORMATTED_MAX bytes; out is freed by the caller. NULL: the call fails. */
static char *format(struct arguments *arguments, uint64_t address)
{
    const char *c = vmd_host_string(arguments->call->guest, address);
    char *out = c ? malloc(FORMATTED_MAX) : NULL;
    size_t used = 0;

    if (!out) {
        return NULL;
    }
    while (*c && used < FORMATTED_MAX - 1) {
        char specification[64];
        size_t n = 0;
        bool wide = false;

        if (*c != '%') {
            out[used++] = *c++;
            continue;
        }
        specification[n++] = *c++;
        while (*c && strchr("-+ #0123456789.*lhzjt", *c) && n < 40) {
            if (*c == '*') {
                n += (size_t)sprintf(specification + n, "%d", (int)next_argument(arguments));
            } else if (strchr("hlzjt", *c)) {
                wide |= *c != 'h';
            } else {
                specification[n++] = *c;
            }
            c++;
        }
        if (!*c) {
            break;
        }
        if (wide && strchr("diuxXo", *c)) {
            specification[n++] = 'l';
        }
        specification[n++] = *c;
        specification[n] = '\0';
        used += convert(arguments, specification, *c++, wide, out + used, FORMATTED_MAX - used);
        used = used < FORMATTED_MAX ? used : FORMATTED_MAX - 1;
    }
    out[used] = '\0';
    return out;
}

/* Prints to size bytes at a buffer of the guest; what it would have taken. */
static uint64_t format_to(struct arguments *arguments, uint64_t buffer, uint64_t size, uint64_t address)
{
    char *text = format(arguments, address);
    uint64_t length = text ? strlen(text) : 0, n = length < size ? length + 1 : size;
    char *to = text && n ? vmd_guest_at(arguments->call->guest, buffer, n) : NULL;

    if (to) {
        memcpy(to, text, n);
        to[n - 1] = '\0';
    }
    free(text);
    return length;
}

static uint64_t format_new(struct arguments *arguments, uint64_t address)
{
    char *text = format(arguments, address);
    uint64_t copy = text ? vmd_host_put_string(arguments->call->guest, text, strlen(text)) : 0;

    free(text);
    return copy;
}

static uint64_t host_g_strdup_printf(struct vmd_host_call *call)
{
    return format_new(&(struct arguments){.call = call, .next = 1}, ARG(0));
}

static uint64_t host_g_strdup_vprintf(struct vmd_host_call *call)
{
    char *list = vmd_guest_at(call->guest, ARG(1), 32);

    return list ? format_new(&(struct arguments){.call = call, .va_list = list}, ARG(0)) : 0;
}

static uint64_t host_snprintf(struct vmd_host_call *call)
{
    return format_to(&(struct arguments){.call = call, .next = 3}, ARG(0), ARG(1), ARG(2));
}

static uint64_t host_snprintf_chk(struct vmd_host_call *call)
{
    return format_to(&(struct arguments){.call = call, .next = 5}, ARG(0), ARG(1), ARG(4));
}

static uint64_t host_sprintf_chk(struct vmd_host_call *call)
{
    return format_to(&(struct arguments){.call = call, .next = 4}, ARG(0), FORMATTED_MAX, ARG(3));
}

static uint64_t host_vsnprintf_chk(struct vmd_host_call *call)
{
    char *list = vmd_guest_at(call->guest, ARG(5), 32);

    return list ? format_to(&(struct arguments){.call = call, .va_list = list}, ARG(0), ARG(1), ARG(4)) : 0;
}

/* Concatenates strings up to a NULL, with a separator between them or none. */
static uint64_t host_g_strconcat(struct vmd_host_call *call)
{
    struct arguments arguments = {.call = call};
    char *out = calloc(1, FORMATTED_MAX);
    uint64_t address, copy = 0;

    while (out && (address = next_argument(&arguments))) {
        const char *text = vmd_host_string(call->guest, address);

        if (!text || strlen(out) + strlen(text) >= FORMATTED_MAX) {
            break;
        }
        strcat(out, text);
    }
    if (out) {
        copy = vmd_host_put_string(call->guest, out, strlen(out));
    }
    free(out);
    return copy;
}

const struct vmd_host_function vmd_host_printf[] = {
    {"g_strdup_printf", host_g_strdup_printf},
    {"g_strdup_vprintf", host_g_strdup_vprintf},
    {"snprintf", host_snprintf},
    {"g_snprintf", host_snprintf},
    {"__snprintf_chk", host_snprintf_chk},
    {"__sprintf_chk", host_sprintf_chk},
    {"__vsnprintf_chk", host_vsnprintf_chk},
    {"g_strconcat", host_g_strconcat},
    {NULL, NULL},
};
