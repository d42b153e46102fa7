/*
 * printf and related functions: to memory, to new strings, and to the guest's output.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Destinations */

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

    if (vmd_host_format_escaped(&arguments, format, true, &text)) {
        copy = vmd_host_put_string(arguments.call->guest, text.bytes, text.size);
    }
    free(text.bytes);
    return copy;
}

/* Store the address of a new string at ret; returns its length. */
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
#define LIST(n) vmd_variadic_list(call, vmd_host_arg(call, n))

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
    return print_to_memory(CALL(2), call->args[0], VMD_FORMATTED_MAX + 1, call->args[1]);
}

static uint64_t host_sprintf_chk(struct vmd_host_call *call)
{
    return print_to_memory(CALL(4), call->args[0], VMD_FORMATTED_MAX + 1, call->args[3]);
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
    return print_to_memory(LIST(4), call->args[0], VMD_FORMATTED_MAX + 1, call->args[3]);
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

/* Output without a format */

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
    const char *reason = vmd_host_error_text(call->guest, vmd_guest_load_u32(call->guest, call->guest->errno_at));

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
          {"fwrite", host_fwrite}, {"perror", host_perror}, {"g_return_if_fail_warning", host_g_return_if_fail_warning})
