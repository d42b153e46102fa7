/*
 * printf and its relatives: to memory, to new strings, and to the guest's output.
 *
 * A format is taken apart here, so that no conversion sees an argument of another size; numbers are printed by the
 * host's own snprintf. The guest's locale is C.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FORMATTED_MAX = 1 << 20, WIDTH_MAX = 4096, NUMBER_MAX = 400 };

/* Output that grows, up to FORMATTED_MAX: what is more is dropped. */

static void append(struct vmd_text *text, const char *bytes, size_t size)
{
    if (size > FORMATTED_MAX - text->size) {
        size = FORMATTED_MAX - text->size;
    }
    if (text->size + size >= text->room) {
        size_t room = text->room ? text->room : 128;
        char *grown;

        while (room <= text->size + size) {
            room *= 2;
        }
        grown = realloc(text->bytes, room);
        if (!grown) {
            return;
        }
        text->bytes = grown;
        text->room = room;
    }
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
}

static void pad(struct vmd_text *text, char with, size_t n)
{
    for (; n; n--) {
        append(text, &with, 1);
    }
}

/* A conversion specification. */
struct specification {
    bool left, plus, space, alternative, zero;
    int width, precision; /* precision -1: none */
    int bytes;            /* of an integer argument */
    bool long_double;
    char conversion;
};

static const char *read_number(const char *c, int *value, struct vmd_variadic *arguments)
{
    if (*c == '*') {
        *value = (int32_t)vmd_variadic_next(arguments);
        return c + 1;
    }
    *value = 0;
    for (; *c >= '0' && *c <= '9'; c++) {
        *value = *value < WIDTH_MAX ? *value * 10 + (*c - '0') : WIDTH_MAX;
    }
    return c;
}

/* Reads what follows a %. */
static const char *read_specification(const char *c, struct specification *ret, struct vmd_variadic *arguments)
{
    *ret = (struct specification){.precision = -1, .bytes = 4};
    for (;; c++) {
        if (*c == '-') {
            ret->left = true;
        } else if (*c == '+') {
            ret->plus = true;
        } else if (*c == ' ') {
            ret->space = true;
        } else if (*c == '#') {
            ret->alternative = true;
        } else if (*c == '0') {
            ret->zero = true;
        } else if (*c != '\'') {
            break;
        }
    }
    c = read_number(c, &ret->width, arguments);
    if (ret->width < 0) {
        ret->left = true;
        ret->width = ret->width > -WIDTH_MAX ? -ret->width : WIDTH_MAX;
    }
    ret->width = ret->width < WIDTH_MAX ? ret->width : WIDTH_MAX;
    if (*c == '.') {
        c = read_number(c + 1, &ret->precision, arguments);
        ret->precision = ret->precision < WIDTH_MAX ? ret->precision : WIDTH_MAX;
    }
    for (; *c && strchr("hlqLzjt", *c); c++) {
        if (*c == 'h') {
            ret->bytes = ret->bytes == 4 ? 2 : 1;
        } else if (*c == 'L') {
            ret->long_double = true;
            ret->bytes = 8;
        } else {
            ret->bytes = 8;
        }
    }
    ret->conversion = *c;
    return *c ? c + 1 : c;
}

static void print_padded(struct vmd_text *out, const struct specification *spec, const char *bytes, size_t size)
{
    size_t padding = (size_t)spec->width > size ? (size_t)spec->width - size : 0;

    if (!spec->left) {
        pad(out, ' ', padding);
    }
    append(out, bytes, size);
    if (spec->left) {
        pad(out, ' ', padding);
    }
}

/* The specification, for the host's snprintf, with width and precision as arguments. */
static void rebuild(const struct specification *spec, const char *length, char *ret)
{
    *ret++ = '%';
    for (const char *flag = "-+ #0"; *flag; flag++) {
        if ((*flag == '-' && spec->left) || (*flag == '+' && spec->plus) || (*flag == ' ' && spec->space) ||
            (*flag == '#' && spec->alternative) || (*flag == '0' && spec->zero)) {
            *ret++ = *flag;
        }
    }
    strcpy(ret, "*.*");
    strcat(ret, length);
    strncat(ret, &spec->conversion, 1);
}

static void print_integer(struct vmd_text *out, const struct specification *spec, uint64_t value)
{
    char format[32], text[WIDTH_MAX + NUMBER_MAX];
    int n;

    if (spec->conversion == 'd' || spec->conversion == 'i') {
        value = spec->bytes == 1   ? (uint64_t)(int8_t)value
                : spec->bytes == 2 ? (uint64_t)(int16_t)value
                : spec->bytes == 4 ? (uint64_t)(int32_t)value
                                   : value;
    } else {
        value = spec->bytes == 8 ? value : value & (((uint64_t)1 << 8 * spec->bytes) - 1);
    }
    rebuild(spec, "ll", format);
    n = snprintf(text, sizeof(text), format, spec->width, spec->precision, value);
    append(out, text, n > 0 ? (size_t)n : 0);
}

static void print_double(struct vmd_text *out, const struct specification *spec, double value)
{
    char format[32], text[2 * WIDTH_MAX + NUMBER_MAX];
    int n;

    rebuild(spec, "", format);
    n = snprintf(text, sizeof(text), format, spec->width, spec->precision, value);
    append(out, text, n > 0 && (size_t)n < sizeof(text) ? (size_t)n : 0);
}

static void print_string(struct vmd_text *out, const struct specification *spec, struct vmd_guest *guest,
                         uint64_t address)
{
    const char *text = "(null)";
    size_t most = spec->precision < 0 ? SIZE_MAX : (size_t)spec->precision, size;

    if (address) {
        /* With a precision it needs no end. */
        uint64_t room = guest->size - (address - VMD_GUEST_BASE);

        text = spec->precision < 0 ? vmd_host_string(guest, address) : vmd_guest_at(guest, address, 1);
        if (text && spec->precision >= 0) {
            most = most < room ? most : room;
        }
    }
    size = text ? strnlen(text, most) : 0;
    print_padded(out, spec, text ? text : "", size);
}

/* Prints one conversion. */
static void convert(struct vmd_text *out, const struct specification *spec, struct vmd_variadic *arguments)
{
    struct vmd_guest *guest = arguments->call->guest;
    const char *reason;
    char c, text[32];
    uint64_t value;

    switch (spec->conversion) {
    case '%':
        append(out, "%", 1);
        break;
    case 'm':
        reason = strerror((int)vmd_guest_load_u32(guest, guest->errno_at));
        print_padded(out, spec, reason, strlen(reason));
        break;
    case 's':
        print_string(out, spec, guest, vmd_variadic_next(arguments));
        break;
    case 'c':
        c = (char)vmd_variadic_next(arguments);
        print_padded(out, spec, &c, 1);
        break;
    case 'p':
        value = vmd_variadic_next(arguments);
        snprintf(text, sizeof(text), value ? "0x%llx" : "(nil)", (unsigned long long)value);
        print_padded(out, spec, text, strlen(text));
        break;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        print_integer(out, spec, vmd_variadic_next(arguments));
        break;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
    case 'a':
    case 'A':
        print_double(out, spec,
                     spec->long_double ? vmd_variadic_next_long_double(arguments)
                                       : vmd_variadic_next_double(arguments));
        break;
    default:
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, (uint8_t)spec->conversion, "a printf conversion that is not known");
    }
}

/* Appends text with the characters replaced that XML reserves. Source: GLib glib/gmarkup.c append_escaped_text. */
static void append_escaped(struct vmd_text *out, const struct vmd_text *text)
{
    static const struct {
        char c;
        const char *escaped;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\'', "&apos;"}, {'"', "&quot;"}};

    for (size_t i = 0; i < text->size; i++) {
        const char *escaped = NULL;

        for (size_t k = 0; k < sizeof(entities) / sizeof(*entities); k++) {
            escaped = text->bytes[i] == entities[k].c ? entities[k].escaped : escaped;
        }
        append(out, escaped ? escaped : text->bytes + i, escaped ? strlen(escaped) : 1);
    }
}

/* Prints the arguments escaped for XML, or as they are. */
static bool format_text(struct vmd_variadic *arguments, uint64_t format, bool escape, struct vmd_text *out)
{
    struct vmd_guest *guest = arguments->call->guest;
    const char *c = vmd_host_string(guest, format);

    *out = (struct vmd_text){0};
    append(out, "", 0);
    if (!c || !out->bytes) {
        return false;
    }
    while (*c && !guest->err.code && out->size < FORMATTED_MAX) {
        struct specification spec;
        size_t plain = strcspn(c, "%");

        append(out, c, plain);
        c += plain;
        if (*c == '%') {
            struct vmd_text text = {0};

            c = read_specification(c + 1, &spec, arguments);
            convert(escape ? &text : out, &spec, arguments);
            append_escaped(out, &text);
            free(text.bytes);
        }
    }
    return true;
}

bool vmd_host_format(struct vmd_variadic *arguments, uint64_t format, struct vmd_text *out)
{
    return format_text(arguments, format, false, out);
}

/* Where it goes */

static uint64_t print_to_memory(struct vmd_variadic arguments, uint64_t buffer, uint64_t size, uint64_t format)
{
    struct vmd_text text;
    uint64_t length = 0, n;
    char *to;

    if (vmd_host_format(&arguments, format, &text)) {
        length = text.size;
        n = length < size ? length + 1 : size;
        to = n ? vmd_guest_at(arguments.call->guest, buffer, n) : NULL;
        if (to) {
            memcpy(to, text.bytes, n - 1);
            to[n - 1] = '\0';
        }
    }
    free(text.bytes);
    return length;
}

static uint64_t print_to_string(struct vmd_variadic arguments, uint64_t format)
{
    struct vmd_text text;
    uint64_t copy = 0;

    if (vmd_host_format(&arguments, format, &text)) {
        copy = vmd_host_put_string(arguments.call->guest, text.bytes, text.size);
    }
    free(text.bytes);
    return copy;
}

static uint64_t print_escaped(struct vmd_variadic arguments, uint64_t format)
{
    struct vmd_text text;
    uint64_t copy = 0;

    if (format_text(&arguments, format, true, &text)) {
        copy = vmd_host_put_string(arguments.call->guest, text.bytes, text.size);
    }
    free(text.bytes);
    return copy;
}

/* A new string, whose address goes to ret; its length. */
static uint64_t print_to_pointer(struct vmd_variadic arguments, uint64_t ret, uint64_t format)
{
    uint64_t copy = print_to_string(arguments, format);
    const char *text = copy ? vmd_host_string(arguments.call->guest, copy) : NULL;

    vmd_guest_store_u64(arguments.call->guest, ret, copy);
    return text ? strlen(text) : 0;
}

static uint64_t print_out(struct vmd_variadic arguments, uint64_t format)
{
    struct vmd_text text;
    uint64_t length = 0;

    if (vmd_host_format(&arguments, format, &text)) {
        length = text.size;
        vmd_host_print(arguments.call->guest, text.bytes, text.size);
    }
    free(text.bytes);
    return length;
}

#define CALL(n) vmd_variadic_of(call, n)
#define LIST(n) vmd_variadic_list(call, call->args[n])

static uint64_t host_g_strdup_printf(struct vmd_host_call *call)
{
    return print_to_string(CALL(1), call->args[0]);
}

static uint64_t host_g_strdup_vprintf(struct vmd_host_call *call)
{
    return print_to_string(LIST(1), call->args[0]);
}

static uint64_t host_g_markup_printf_escaped(struct vmd_host_call *call)
{
    return print_escaped(CALL(1), call->args[0]);
}

static uint64_t host_g_markup_vprintf_escaped(struct vmd_host_call *call)
{
    return print_escaped(LIST(1), call->args[0]);
}

static uint64_t host_snprintf(struct vmd_host_call *call)
{
    return print_to_memory(CALL(3), call->args[0], call->args[1], call->args[2]);
}

static uint64_t host_snprintf_chk(struct vmd_host_call *call)
{
    return print_to_memory(CALL(5), call->args[0], call->args[1], call->args[4]);
}

static uint64_t host_sprintf(struct vmd_host_call *call)
{
    return print_to_memory(CALL(2), call->args[0], FORMATTED_MAX + 1, call->args[1]);
}

static uint64_t host_sprintf_chk(struct vmd_host_call *call)
{
    return print_to_memory(CALL(4), call->args[0], FORMATTED_MAX + 1, call->args[3]);
}

static uint64_t host_vsnprintf(struct vmd_host_call *call)
{
    return print_to_memory(LIST(3), call->args[0], call->args[1], call->args[2]);
}

static uint64_t host_vsnprintf_chk(struct vmd_host_call *call)
{
    return print_to_memory(LIST(5), call->args[0], call->args[1], call->args[4]);
}

static uint64_t host_vsprintf_chk(struct vmd_host_call *call)
{
    return print_to_memory(LIST(4), call->args[0], FORMATTED_MAX + 1, call->args[3]);
}

static uint64_t host_asprintf(struct vmd_host_call *call)
{
    return print_to_pointer(CALL(2), call->args[0], call->args[1]);
}

static uint64_t host_asprintf_chk(struct vmd_host_call *call)
{
    return print_to_pointer(CALL(3), call->args[0], call->args[2]);
}

static uint64_t host_vasprintf(struct vmd_host_call *call)
{
    return print_to_pointer(LIST(2), call->args[0], call->args[1]);
}

static uint64_t host_vasprintf_chk(struct vmd_host_call *call)
{
    return print_to_pointer(LIST(3), call->args[0], call->args[2]);
}

static uint64_t host_fprintf(struct vmd_host_call *call)
{
    return print_out(CALL(2), call->args[1]);
}

static uint64_t host_fprintf_chk(struct vmd_host_call *call)
{
    return print_out(CALL(3), call->args[2]);
}

static uint64_t host_vfprintf(struct vmd_host_call *call)
{
    return print_out(LIST(2), call->args[1]);
}

static uint64_t host_vfprintf_chk(struct vmd_host_call *call)
{
    return print_out(LIST(3), call->args[2]);
}

static uint64_t host_printf(struct vmd_host_call *call)
{
    return print_out(CALL(1), call->args[0]);
}

static uint64_t host_printf_chk(struct vmd_host_call *call)
{
    return print_out(CALL(2), call->args[1]);
}

static uint64_t host_vprintf(struct vmd_host_call *call)
{
    return print_out(LIST(1), call->args[0]);
}

static uint64_t host_vprintf_chk(struct vmd_host_call *call)
{
    return print_out(LIST(2), call->args[1]);
}

static uint64_t host_g_log(struct vmd_host_call *call)
{
    uint64_t length = print_out(CALL(3), call->args[2]);

    vmd_host_print(call->guest, "\n", 1);
    return length;
}

static uint64_t host_g_logv(struct vmd_host_call *call)
{
    uint64_t length = print_out(LIST(3), call->args[2]);

    vmd_host_print(call->guest, "\n", 1);
    return length;
}

/* Without a format */

static uint64_t print_string_at(struct vmd_host_call *call, uint64_t address, const char *end)
{
    const char *text = vmd_host_string(call->guest, address);

    if (text) {
        vmd_host_print(call->guest, text, strlen(text));
        vmd_host_print(call->guest, end, strlen(end));
    }
    return 1;
}

static uint64_t host_fputs(struct vmd_host_call *call)
{
    return print_string_at(call, call->args[0], "");
}

static uint64_t host_puts(struct vmd_host_call *call)
{
    return print_string_at(call, call->args[0], "\n");
}

static uint64_t host_fputc(struct vmd_host_call *call)
{
    vmd_host_print(call->guest, &(char){(char)call->args[0]}, 1);
    return (uint8_t)call->args[0];
}

static uint64_t host_fwrite(struct vmd_host_call *call)
{
    uint64_t size;
    const char *bytes;

    if (__builtin_mul_overflow(call->args[1], call->args[2], &size) || !size) {
        return 0;
    }
    bytes = vmd_guest_at(call->guest, call->args[0], size);
    if (bytes) {
        vmd_host_print(call->guest, bytes, size);
    }
    return call->args[2];
}

static uint64_t host_perror(struct vmd_host_call *call)
{
    const char *reason = strerror((int)vmd_guest_load_u32(call->guest, call->guest->errno_at));

    print_string_at(call, call->args[0], ": ");
    vmd_host_print(call->guest, reason, strlen(reason));
    vmd_host_print(call->guest, "\n", 1);
    return 0;
}

/* g_return_if_fail_warning(domain, function, expression), g_warn_message(domain, file, line, function, expression) */
static uint64_t host_g_return_if_fail_warning(struct vmd_host_call *call)
{
    print_string_at(call, call->args[1], ": ");
    return print_string_at(call, call->args[2], ": failed\n");
}

VMD_SERVE({"g_markup_printf_escaped", host_g_markup_printf_escaped},
          {"g_markup_vprintf_escaped", host_g_markup_vprintf_escaped}, {"g_strdup_printf", host_g_strdup_printf},
          {"g_strdup_vprintf", host_g_strdup_vprintf}, {"snprintf", host_snprintf}, {"g_snprintf", host_snprintf},
          {"__snprintf_chk", host_snprintf_chk}, {"sprintf", host_sprintf}, {"__sprintf_chk", host_sprintf_chk},
          {"vsnprintf", host_vsnprintf}, {"g_vsnprintf", host_vsnprintf}, {"__vsnprintf_chk", host_vsnprintf_chk},
          {"__vsprintf_chk", host_vsprintf_chk}, {"asprintf", host_asprintf}, {"__asprintf_chk", host_asprintf_chk},
          {"vasprintf", host_vasprintf}, {"g_vasprintf", host_vasprintf}, {"__vasprintf_chk", host_vasprintf_chk},
          {"fprintf", host_fprintf}, {"g_fprintf", host_fprintf}, {"__fprintf_chk", host_fprintf_chk},
          {"vfprintf", host_vfprintf}, {"__vfprintf_chk", host_vfprintf_chk}, {"printf", host_printf},
          {"g_print", host_printf}, {"g_printerr", host_printf}, {"g_printf", host_printf},
          {"__printf_chk", host_printf_chk}, {"vprintf", host_vprintf}, {"g_vprintf", host_vprintf},
          {"__vprintf_chk", host_vprintf_chk}, {"g_log", host_g_log}, {"g_logv", host_g_logv}, {"fputs", host_fputs},
          {"puts", host_puts}, {"fputc", host_fputc}, {"putc", host_fputc}, {"putchar", host_fputc},
          {"fwrite", host_fwrite}, {"perror", host_perror}, {"g_return_if_fail_warning", host_g_return_if_fail_warning},
          {"g_log_set_default_handler", vmd_host_zero})
