/*
 * GString: {str, len, allocated_len}, in the guest's memory.
 *
 * Source: GLib 2.74 glib/gstring.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/format.h"

#include <ctype.h>
#include <stdlib.h>

enum { TEXT = 0, LENGTH = 8, ROOM = 16, STRING_SIZE = 24, ROOM_LEAST = 64 };

/* Makes room for size bytes and a NUL; where the text is, or NULL, and the call fails. */
static char *reserve(struct vmd_guest *guest, uint64_t string, uint64_t size)
{
    uint64_t text = vmd_guest_load_u64(guest, string + TEXT), room = vmd_guest_load_u64(guest, string + ROOM);

    if (size >= guest->size) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "it uses more memory than it is given");
        return NULL;
    }
    if (size + 1 > room) {
        room = ROOM_LEAST;
        while (room < size + 1) {
            room *= 2;
        }
        text = vmd_host_reallocate(guest, text, room);
        vmd_guest_store_u64(guest, string + TEXT, text);
        vmd_guest_store_u64(guest, string + ROOM, room);
    }
    return guest->err.code ? NULL : vmd_guest_at(guest, text, size + 1);
}

/* Replaces n bytes at a position by size others, which may be the string's own. */
static uint64_t splice(struct vmd_guest *guest, uint64_t string, uint64_t at, uint64_t n, const char *bytes,
                       uint64_t size)
{
    uint64_t length = vmd_guest_load_u64(guest, string + LENGTH);
    char *copy = malloc(size + 1), *text;

    if (!copy) {
        return string;
    }
    memcpy(copy, bytes, size);
    at = at < length ? at : length;
    n = n < length - at ? n : length - at;
    text = length < guest->size ? reserve(guest, string, length - n + size) : NULL;
    if (text && vmd_guest_find(guest, vmd_guest_load_u64(guest, string + TEXT), length + 1)) {
        memmove(text + at + size, text + at + n, length - at - n);
        memcpy(text + at, copy, size);
        length = length - n + size;
        text[length] = '\0';
        vmd_guest_store_u64(guest, string + LENGTH, length);
    }
    free(copy);
    return string;
}

static uint64_t append(struct vmd_guest *guest, uint64_t string, const char *bytes, uint64_t size)
{
    return splice(guest, string, UINT64_MAX, 0, bytes, size);
}

/* The bytes of a text of the guest; size -1: up to its NUL. NULL: the call fails. */
static const char *text_at(struct vmd_guest *guest, uint64_t address, uint64_t *size)
{
    const char *text;

    if ((int64_t)*size >= 0) {
        return *size ? vmd_guest_at(guest, address, *size) : "";
    }
    text = vmd_host_string(guest, address);
    *size = text ? strlen(text) : 0;
    return text;
}

static uint64_t new_string(struct vmd_guest *guest, uint64_t from, uint64_t size)
{
    uint64_t string = vmd_host_allocate(guest, STRING_SIZE);
    const char *text = from ? text_at(guest, from, &size) : "";

    return string && text ? append(guest, string, text, from ? size : 0) : 0;
}

static uint64_t host_g_string_new(struct vmd_host_call *call)
{
    return new_string(call->guest, call->args[0], UINT64_MAX);
}

static uint64_t host_g_string_new_len(struct vmd_host_call *call)
{
    return new_string(call->guest, call->args[0], call->args[1]);
}

static uint64_t host_g_string_sized_new(struct vmd_host_call *call)
{
    uint64_t string = new_string(call->guest, 0, 0);

    if (string) {
        reserve(call->guest, string, call->args[0]);
    }
    return string;
}

static uint64_t host_g_string_free(struct vmd_host_call *call)
{
    uint64_t text = vmd_guest_load_u64(call->guest, call->args[0] + TEXT);

    if ((int32_t)call->args[1]) {
        vmd_host_free(call->guest, text);
        text = 0;
    }
    vmd_host_free(call->guest, call->args[0]);
    return text;
}

static uint64_t host_g_string_free_and_steal(struct vmd_host_call *call)
{
    uint64_t text = vmd_guest_load_u64(call->guest, call->args[0] + TEXT);

    vmd_host_free(call->guest, call->args[0]);
    return text;
}

/* Insert a text of the guest at a position. */
static uint64_t insert(struct vmd_host_call *call, uint64_t at, uint64_t from, uint64_t size)
{
    const char *text = text_at(call->guest, from, &size);

    return text ? splice(call->guest, call->args[0], at, 0, text, size) : call->args[0];
}

static uint64_t host_g_string_append(struct vmd_host_call *call)
{
    return insert(call, UINT64_MAX, call->args[1], UINT64_MAX);
}

static uint64_t host_g_string_append_len(struct vmd_host_call *call)
{
    return insert(call, UINT64_MAX, call->args[1], call->args[2]);
}

static uint64_t host_g_string_prepend(struct vmd_host_call *call)
{
    return insert(call, 0, call->args[1], UINT64_MAX);
}

static uint64_t host_g_string_insert(struct vmd_host_call *call)
{
    return insert(call, call->args[1], call->args[2], UINT64_MAX);
}

static uint64_t host_g_string_insert_len(struct vmd_host_call *call)
{
    return insert(call, call->args[1], call->args[2], call->args[3]);
}

static uint64_t host_g_string_append_c(struct vmd_host_call *call)
{
    return append(call->guest, call->args[0], &(char){(char)call->args[1]}, 1);
}

static uint64_t host_g_string_prepend_c(struct vmd_host_call *call)
{
    return splice(call->guest, call->args[0], 0, 0, &(char){(char)call->args[1]}, 1);
}

static uint64_t host_g_string_insert_c(struct vmd_host_call *call)
{
    return splice(call->guest, call->args[0], call->args[1], 0, &(char){(char)call->args[2]}, 1);
}

static uint64_t host_g_string_append_unichar(struct vmd_host_call *call)
{
    char bytes[6];

    return append(call->guest, call->args[0], bytes, vmd_host_encode_utf8((uint32_t)call->args[1], bytes));
}

static uint64_t host_g_string_assign(struct vmd_host_call *call)
{
    uint64_t size = UINT64_MAX;
    const char *text = text_at(call->guest, call->args[1], &size);

    return text ? splice(call->guest, call->args[0], 0, UINT64_MAX, text, size) : call->args[0];
}

static uint64_t host_g_string_erase(struct vmd_host_call *call)
{
    return splice(call->guest, call->args[0], call->args[1], call->args[2], "", 0);
}

static uint64_t host_g_string_truncate(struct vmd_host_call *call)
{
    return splice(call->guest, call->args[0], call->args[1], UINT64_MAX, "", 0);
}

static uint64_t host_g_string_set_size(struct vmd_host_call *call)
{
    char *text = reserve(call->guest, call->args[0], call->args[1]);

    if (text) {
        vmd_guest_store_u64(call->guest, call->args[0] + LENGTH, call->args[1]);
        text[call->args[1]] = '\0';
    }
    return call->args[0];
}

static uint64_t change_case(struct vmd_host_call *call, int (*to)(int))
{
    uint64_t length = vmd_guest_load_u64(call->guest, call->args[0] + LENGTH);
    char *text = vmd_guest_at(call->guest, vmd_guest_load_u64(call->guest, call->args[0] + TEXT), length + 1);

    for (uint64_t i = 0; text && i < length; i++) {
        text[i] = (char)to((uint8_t)text[i]);
    }
    return call->args[0];
}

static uint64_t host_g_string_ascii_up(struct vmd_host_call *call)
{
    return change_case(call, toupper);
}

static uint64_t host_g_string_ascii_down(struct vmd_host_call *call)
{
    return change_case(call, tolower);
}

/* Print to a string: append, or replace its content. */
static uint64_t print(struct vmd_host_call *call, struct vmd_variadic arguments, bool at_end)
{
    struct vmd_text text;

    if (vmd_host_format(&arguments, call->args[1], &text)) {
        splice(call->guest, call->args[0], at_end ? UINT64_MAX : 0, at_end ? 0 : UINT64_MAX, text.bytes, text.size);
    }
    free(text.bytes);
    return 0;
}

static uint64_t host_g_string_printf(struct vmd_host_call *call)
{
    return print(call, vmd_variadic_of(call, 2), false);
}

static uint64_t host_g_string_append_printf(struct vmd_host_call *call)
{
    return print(call, vmd_variadic_of(call, 2), true);
}

static uint64_t host_g_string_vprintf(struct vmd_host_call *call)
{
    return print(call, vmd_variadic_list(call, call->args[2]), false);
}

static uint64_t host_g_string_append_vprintf(struct vmd_host_call *call)
{
    return print(call, vmd_variadic_list(call, call->args[2]), true);
}

VMD_SERVE({"g_string_new", host_g_string_new}, {"g_string_new_len", host_g_string_new_len},
          {"g_string_sized_new", host_g_string_sized_new}, {"g_string_free", host_g_string_free},
          {"g_string_free_and_steal", host_g_string_free_and_steal}, {"g_string_append", host_g_string_append},
          {"g_string_append_len", host_g_string_append_len}, {"g_string_prepend", host_g_string_prepend},
          {"g_string_insert", host_g_string_insert}, {"g_string_insert_len", host_g_string_insert_len},
          {"g_string_append_c", host_g_string_append_c}, {"g_string_prepend_c", host_g_string_prepend_c},
          {"g_string_insert_c", host_g_string_insert_c}, {"g_string_append_unichar", host_g_string_append_unichar},
          {"g_string_assign", host_g_string_assign}, {"g_string_erase", host_g_string_erase},
          {"g_string_truncate", host_g_string_truncate}, {"g_string_set_size", host_g_string_set_size},
          {"g_string_ascii_up", host_g_string_ascii_up}, {"g_string_ascii_down", host_g_string_ascii_down},
          {"g_string_printf", host_g_string_printf}, {"g_string_append_printf", host_g_string_append_printf},
          {"g_string_vprintf", host_g_string_vprintf}, {"g_string_append_vprintf", host_g_string_append_vprintf})
