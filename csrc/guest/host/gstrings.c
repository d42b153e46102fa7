/*
 * GLib's string utilities: gstrfuncs.h, gutf8.c, gpattern.c, quarks, arrays of strings.
 *
 * Source: GLib 2.74 glib/gstrfuncs.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/containers.h"
#include "guest/host/format.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>

static uint64_t host_g_strcmp0(struct vmd_host_call *call)
{
    if (!call->args[0] || !call->args[1]) {
        return (uint64_t)((int)(call->args[0] != 0) - (int)(call->args[1] != 0));
    }
    return vmd_host_strcmp(call);
}

static uint64_t host_g_strndup(struct vmd_host_call *call)
{
    const char *text = call->args[0] ? vmd_host_string(call->guest, call->args[0]) : NULL;

    return text ? vmd_host_put_string(call->guest, text, strnlen(text, call->args[1])) : 0;
}

static uint64_t host_g_memdup(struct vmd_host_call *call)
{
    const char *from = call->args[0] && call->args[1] ? vmd_guest_at(call->guest, call->args[0], call->args[1]) : NULL;
    uint64_t copy = from ? vmd_host_allocate(call->guest, call->args[1]) : 0;

    if (copy) {
        memmove(vmd_guest_at(call->guest, copy, call->args[1]), from, call->args[1]);
    }
    return copy;
}

static uint64_t host_g_str_has_prefix(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]),
               *prefix = vmd_host_string(call->guest, call->args[1]);

    return text && prefix && strncmp(text, prefix, strlen(prefix)) == 0;
}

static uint64_t host_g_str_has_suffix(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]),
               *suffix = vmd_host_string(call->guest, call->args[1]);

    return text && suffix && strlen(text) >= strlen(suffix) &&
           strcmp(text + strlen(text) - strlen(suffix), suffix) == 0;
}

static uint64_t host_g_str_equal(struct vmd_host_call *call)
{
    return vmd_host_strcmp(call) == 0;
}

static uint64_t host_g_str_hash(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? vmd_str_hash(text) : 0;
}

/* Arrays of strings, which end in NULL */

enum { STRINGS_MAX = 1 << 20 };

static uint64_t strv_length(struct vmd_guest *guest, uint64_t strv)
{
    uint64_t n = 0;

    while (n < STRINGS_MAX && vmd_guest_load_u64(guest, strv + 8 * n)) {
        n++;
    }
    return n;
}

static uint64_t host_g_strv_length(struct vmd_host_call *call)
{
    return strv_length(call->guest, call->args[0]);
}

static uint64_t host_g_strfreev(struct vmd_host_call *call)
{
    uint64_t n = call->args[0] ? strv_length(call->guest, call->args[0]) : 0;

    for (uint64_t i = 0; i < n; i++) {
        vmd_host_free(call->guest, vmd_guest_load_u64(call->guest, call->args[0] + 8 * i));
    }
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

static uint64_t host_g_strdupv(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    uint64_t n = call->args[0] ? strv_length(guest, call->args[0]) : 0,
             copy = call->args[0] ? vmd_host_allocate(guest, 8 * (n + 1)) : 0;

    for (uint64_t i = 0; i < n && !guest->err.code; i++) {
        const char *text = vmd_host_string(guest, vmd_guest_load_u64(guest, call->args[0] + 8 * i));

        vmd_guest_store_u64(guest, copy + 8 * i, text ? vmd_host_put_string(guest, text, strlen(text)) : 0);
    }
    return copy;
}

static uint64_t host_g_strv_contains(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    const char *wanted = vmd_host_string(guest, call->args[1]);
    uint64_t n = strv_length(guest, call->args[0]);

    for (uint64_t i = 0; wanted && i < n; i++) {
        const char *text = vmd_host_string(guest, vmd_guest_load_u64(guest, call->args[0] + 8 * i));

        if (text && strcmp(text, wanted) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Splits text at delimiters: at a whole string, or at any character of a set. At most max parts; 0: no limit. */
static uint64_t split(struct vmd_host_call *call, bool is_set)
{
    struct vmd_guest *guest = call->guest;
    const char *text = vmd_host_string(guest, call->args[0]), *delimiter = vmd_host_string(guest, call->args[1]);
    size_t step = delimiter ? (is_set ? 1 : strlen(delimiter)) : 0, n = 0, room = 16;
    uint64_t most = (int32_t)call->args[2] > 0 ? (uint32_t)call->args[2] : STRINGS_MAX,
             strv = vmd_host_allocate(guest, 8 * room);

    if (!text || !step || !strv) {
        return 0;
    }
    while (*text && !guest->err.code) {
        const char *end = n + 1 >= most ? NULL : is_set ? strpbrk(text, delimiter) : strstr(text, delimiter);
        uint64_t part = vmd_host_put_string(guest, text, end ? (size_t)(end - text) : strlen(text));

        if (n + 2 >= room) {
            room *= 2;
            strv = vmd_host_reallocate(guest, strv, 8 * room);
        }
        vmd_guest_store_u64(guest, strv + 8 * n++, part);
        text = end ? end + step : "";
        if (end && !*text && n < most) { /* a delimiter at the end is followed by an empty part */
            vmd_guest_store_u64(guest, strv + 8 * n++, vmd_host_put_string(guest, "", 0));
        }
    }
    vmd_guest_store_u64(guest, strv + 8 * n, 0);
    return strv;
}

static uint64_t host_g_strsplit(struct vmd_host_call *call)
{
    return split(call, false);
}

static uint64_t host_g_strsplit_set(struct vmd_host_call *call)
{
    return split(call, true);
}

/* Joining: text that is put together in the guest. */

struct joined {
    struct vmd_guest *guest;
    uint64_t address, size, room;
};

static void join(struct joined *joined, uint64_t text)
{
    const char *part = vmd_host_string(joined->guest, text);
    uint64_t size = part ? strlen(part) : 0;
    char *to;

    if (!part) {
        return;
    }
    if (joined->size + size + 1 > joined->room) {
        joined->room = 2 * (joined->size + size + 1);
        joined->address = vmd_host_reallocate(joined->guest, joined->address, joined->room);
        part = vmd_host_string(joined->guest, text);
    }
    to = joined->address ? vmd_guest_at(joined->guest, joined->address, joined->size + size + 1) : NULL;
    if (to && part) {
        memcpy(to + joined->size, part, size);
        to[joined->size += size] = '\0';
    }
}

static struct joined new_joined(struct vmd_host_call *call)
{
    return (struct joined){.guest = call->guest, .address = vmd_host_put_string(call->guest, "", 0), .room = 1};
}

static uint64_t host_g_strconcat(struct vmd_host_call *call)
{
    struct vmd_variadic arguments = vmd_variadic_of(call, 0);
    struct joined joined;
    uint64_t text = vmd_variadic_next(&arguments);

    if (!text) {
        return 0;
    }
    joined = new_joined(call);
    for (int n = 0; text && n < STRINGS_MAX && !call->guest->err.code; n++) {
        join(&joined, text);
        text = vmd_variadic_next(&arguments);
    }
    return joined.address;
}

static uint64_t host_g_strjoin(struct vmd_host_call *call)
{
    struct vmd_variadic arguments = vmd_variadic_of(call, 1);
    struct joined joined = new_joined(call);
    uint64_t text;

    for (int n = 0; n < STRINGS_MAX && !call->guest->err.code && (text = vmd_variadic_next(&arguments)); n++) {
        if (n && call->args[0]) {
            join(&joined, call->args[0]);
        }
        join(&joined, text);
    }
    return joined.address;
}

static uint64_t host_g_strjoinv(struct vmd_host_call *call)
{
    struct joined joined = new_joined(call);
    uint64_t n = strv_length(call->guest, call->args[1]);

    for (uint64_t i = 0; i < n && !call->guest->err.code; i++) {
        if (i && call->args[0]) {
            join(&joined, call->args[0]);
        }
        join(&joined, vmd_guest_load_u64(call->guest, call->args[1] + 8 * i));
    }
    return joined.address;
}

/* Searching */

static uint64_t host_g_strrstr(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]), *part = vmd_host_string(call->guest, call->args[1]);

    if (part && !*part) {
        return call->args[0];
    }
    for (size_t at = text && part && strlen(text) >= strlen(part) ? strlen(text) - strlen(part) + 1 : 0; at--;) {
        if (strncmp(text + at, part, strlen(part)) == 0) {
            return call->args[0] + at;
        }
    }
    return 0;
}

static uint64_t host_g_strstr_len(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    const char *part = vmd_host_string(guest, call->args[2]), *text = vmd_guest_at(guest, call->args[0], 1), *found;
    uint64_t room = guest->size - (call->args[0] - VMD_GUEST_BASE);

    if (!text || !part) {
        return 0;
    }
    found = memmem(text, strnlen(text, call->args[1] < room ? call->args[1] : room), part, strlen(part));
    return found ? call->args[0] + (uint64_t)(found - text) : 0;
}

static uint64_t host_g_pattern_match_simple(struct vmd_host_call *call)
{
    const char *pattern = vmd_host_string(call->guest, call->args[0]),
               *text = vmd_host_string(call->guest, call->args[1]);

    return pattern && text && fnmatch(pattern, text, FNM_NOESCAPE) == 0;
}

/* Changing in place */

static char *writable(struct vmd_host_call *call, size_t *size)
{
    char *text = (char *)vmd_host_string(call->guest, call->args[0]);

    *size = text ? strlen(text) : 0;
    return text;
}

static uint64_t host_g_strchug(struct vmd_host_call *call)
{
    size_t size, spaces = 0;
    char *text = writable(call, &size);

    while (spaces < size && isspace((uint8_t)text[spaces])) {
        spaces++;
    }
    if (text) {
        memmove(text, text + spaces, size - spaces + 1);
    }
    return call->args[0];
}

static uint64_t host_g_strchomp(struct vmd_host_call *call)
{
    size_t size;
    char *text = writable(call, &size);

    while (size && isspace((uint8_t)text[size - 1])) {
        text[--size] = '\0';
    }
    return call->args[0];
}

/* Replaces the characters that are (or are not) in a set. */
static uint64_t replace(struct vmd_host_call *call, const char *set, bool if_in_set)
{
    size_t size;
    char *text = writable(call, &size);

    for (size_t i = 0; set && i < size; i++) {
        if ((strchr(set, text[i]) != NULL) == if_in_set) {
            text[i] = (char)call->args[2];
        }
    }
    return call->args[0];
}

static uint64_t host_g_strcanon(struct vmd_host_call *call)
{
    return replace(call, vmd_host_string(call->guest, call->args[1]), false);
}

static uint64_t host_g_strdelimit(struct vmd_host_call *call)
{
    return replace(call, call->args[1] ? vmd_host_string(call->guest, call->args[1]) : "_-|> <.", true);
}

static uint64_t host_g_strreverse(struct vmd_host_call *call)
{
    size_t size;
    char *text = writable(call, &size);

    for (size_t i = 0; i < size / 2; i++) {
        char c = text[i];

        text[i] = text[size - 1 - i];
        text[size - 1 - i] = c;
    }
    return call->args[0];
}

static uint64_t change_case(struct vmd_host_call *call, bool up)
{
    struct vmd_guest *guest = call->guest;
    const char *text = vmd_host_string(guest, call->args[0]);
    uint64_t size = text ? strnlen(text, call->args[1]) : 0, copy = text ? vmd_host_put_string(guest, text, size) : 0;
    char *to = copy ? vmd_guest_at(guest, copy, size + 1) : NULL;

    for (uint64_t i = 0; to && i < size; i++) {
        to[i] = (char)(up ? toupper((uint8_t)to[i]) : tolower((uint8_t)to[i]));
    }
    return copy;
}

static uint64_t host_g_ascii_strdown(struct vmd_host_call *call)
{
    return change_case(call, false);
}

static uint64_t host_g_ascii_strup(struct vmd_host_call *call)
{
    return change_case(call, true);
}

/* The difference of the first characters that differ, in lower case; where one string ends, as they are. */
static uint64_t compare_ascii(struct vmd_host_call *call, uint64_t most)
{
    const char *a = vmd_host_string(call->guest, call->args[0]), *b = vmd_host_string(call->guest, call->args[1]);

    for (uint64_t i = 0; a && b && i < most; i++) {
        int difference = tolower((uint8_t)a[i]) - tolower((uint8_t)b[i]);

        if (!a[i] || !b[i]) {
            return (uint64_t)((uint8_t)a[i] - (uint8_t)b[i]);
        }
        if (difference) {
            return (uint64_t)difference;
        }
    }
    return 0;
}

static uint64_t host_g_ascii_strcasecmp(struct vmd_host_call *call)
{
    return compare_ascii(call, UINT64_MAX);
}

static uint64_t host_g_ascii_strncasecmp(struct vmd_host_call *call)
{
    return compare_ascii(call, call->args[2]);
}

static uint64_t host_g_ascii_toupper(struct vmd_host_call *call)
{
    return (uint64_t)toupper((uint8_t)call->args[0]);
}

static uint64_t host_g_ascii_tolower(struct vmd_host_call *call)
{
    return (uint64_t)tolower((uint8_t)call->args[0]);
}

/* Copies to a buffer of a size; how long the whole would be. */
static uint64_t copy_to(struct vmd_host_call *call, uint64_t used)
{
    struct vmd_guest *guest = call->guest;
    const char *text = vmd_host_string(guest, call->args[1]);
    uint64_t size = text ? strlen(text) : 0, room = call->args[2] > used ? call->args[2] - used - 1 : 0;
    uint64_t n = size < room ? size : room;
    char *to = text && call->args[2] > used ? vmd_guest_at(guest, call->args[0] + used, n + 1) : NULL;

    if (to) {
        memmove(to, text, n);
        to[n] = '\0';
    }
    return used + size;
}

static uint64_t host_g_strlcpy(struct vmd_host_call *call)
{
    return copy_to(call, 0);
}

static uint64_t host_g_strlcat(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);

    return text ? copy_to(call, strnlen(text, call->args[2])) : 0;
}

static uint64_t host_g_strnfill(struct vmd_host_call *call)
{
    uint64_t text = vmd_host_allocate(call->guest, call->args[0] + 1);
    char *to = text ? vmd_guest_at(call->guest, text, call->args[0] + 1) : NULL;

    if (to) {
        memset(to, (int)call->args[1], call->args[0]);
    }
    return text;
}

/* UTF-8 */

size_t vmd_host_encode_utf8(uint32_t c, char *out)
{
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0, 0xf8, 0xfc};
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : c < 0x200000 ? 4 : c < 0x4000000 ? 5 : 6;

    for (size_t i = size; --i;) {
        out[i] = (char)((c & 0x3f) | 0x80);
        c >>= 6;
    }
    out[0] = (char)(c | first[size]);
    return size;
}

static uint64_t host_g_unichar_to_utf8(struct vmd_host_call *call)
{
    char bytes[6], *to;
    size_t size = vmd_host_encode_utf8((uint32_t)call->args[0], bytes);

    if (call->args[1] && (to = vmd_guest_at(call->guest, call->args[1], size))) {
        memcpy(to, bytes, size);
    }
    return size;
}

/* The character that begins text, and its bytes; 0 bytes: it is not valid. */
static size_t decode_utf8(const char *text, size_t room, uint32_t *ret)
{
    uint8_t c = room ? (uint8_t)*text : 0xff;
    size_t size = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (!size || size > room) {
        return 0;
    }
    *ret = size == 1 ? c : c & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if (((uint8_t)text[i] & 0xc0) != 0x80) {
            return 0;
        }
        *ret = *ret << 6 | ((uint8_t)text[i] & 0x3f);
    }
    return *ret < least[size] || *ret > 0x10ffff || *ret >> 11 == 0x1b ? 0 : size;
}

static uint64_t host_g_utf8_get_char(struct vmd_host_call *call)
{
    const char *text = vmd_host_string(call->guest, call->args[0]);
    uint32_t c;

    return text && decode_utf8(text, strnlen(text, 4) + 1, &c) ? c : (uint64_t)-1;
}

static uint64_t host_g_utf8_validate(struct vmd_host_call *call)
{
    const char *text = (int64_t)call->args[1] < 0 ? vmd_host_string(call->guest, call->args[0])
                                                  : vmd_guest_at(call->guest, call->args[0], call->args[1]);
    size_t size = !text ? 0 : (int64_t)call->args[1] < 0 ? strlen(text) : call->args[1], at = 0, n;
    uint32_t c;

    while (at < size && (n = decode_utf8(text + at, size - at, &c)) && c) {
        at += n;
    }
    if (call->args[2]) {
        vmd_guest_store_u64(call->guest, call->args[2], call->args[0] + at);
    }
    return text && at == size;
}

/* Quarks and interned strings: a hash table of the guest has them. */

static uint64_t string_table(struct vmd_host_call *call, uint64_t *table)
{
    if (!*table) {
        uint64_t hash = vmd_guest_import(call->guest, "g_str_hash");
        struct vmd_host_call make = {.guest = call->guest, .args = {hash, 0}};

        *table = vmd_host_new_table(&make);
    }
    return *table;
}

static uint64_t find_string(struct vmd_host_call *call, uint64_t table, const char *text, uint32_t *slot,
                            struct vmd_container **ret)
{
    *ret = vmd_container_take(call->guest, table, VMD_TABLE);
    return *ret && vmd_ghash_lookup(&(*ret)->hash, vmd_str_hash(text), call->args[0], slot);
}

/* The value of a string in a table, new values are made by the caller; 0: it is not there and not added. */
static uint64_t intern(struct vmd_host_call *call, uint64_t *table_at, bool add, bool is_quark)
{
    const char *text = call->args[0] ? vmd_host_string(call->guest, call->args[0]) : NULL;
    uint64_t table = text ? string_table(call, table_at) : 0, value = 0, copy;
    struct vmd_container *container;
    uint32_t slot;

    if (!table) {
        return 0;
    }
    if (find_string(call, table, text, &slot, &container)) {
        value = container->hash.values[slot];
    } else if (add && container) {
        copy = vmd_host_put_string(call->guest, text, strlen(text));
        value = is_quark ? ++call->guest->state.n_quarks : copy;
        if (copy && vmd_container_count(call->guest, 1) &&
            vmd_ghash_insert(&container->hash, vmd_str_hash(text), copy, value)) {
            vmd_guest_fail(call->guest, VMD_NO_MEMORY, 0, "out of memory");
        }
    }
    if (container) {
        vmd_container_put(container);
    }
    return value;
}

static uint64_t host_g_intern_string(struct vmd_host_call *call)
{
    return intern(call, &call->guest->state.interned, true, false);
}

static uint64_t host_g_quark_from_string(struct vmd_host_call *call)
{
    return intern(call, &call->guest->state.quarks, true, true);
}

static uint64_t host_g_quark_try_string(struct vmd_host_call *call)
{
    return intern(call, &call->guest->state.quarks, false, true);
}

/* Paths */

static uint64_t build_path(struct vmd_host_call *call, struct vmd_variadic *arguments, uint64_t strv)
{
    struct vmd_guest *guest = call->guest;
    uint64_t slash = vmd_host_put_string(guest, "/", 1), part;
    struct joined joined = new_joined(call);
    char *text, *to;

    for (int n = 0; n < 1024 && !guest->err.code; n++) {
        part = strv ? vmd_guest_load_u64(guest, strv + 8 * (uint64_t)n) : vmd_variadic_next(arguments);
        if (!part) {
            break;
        }
        if (n) {
            join(&joined, slash);
        }
        join(&joined, part);
    }
    text = to = (char *)vmd_host_string(guest, joined.address);
    for (const char *from = text; text; from++) { /* one slash where there are several */
        if (*from != '/' || to == text || to[-1] != '/') {
            *to++ = *from;
        }
        if (!*from) {
            break;
        }
    }
    return joined.address;
}

static uint64_t host_g_build_filename(struct vmd_host_call *call)
{
    struct vmd_variadic arguments = vmd_variadic_of(call, 0);

    return build_path(call, &arguments, 0);
}

static uint64_t host_g_build_filenamev(struct vmd_host_call *call)
{
    return build_path(call, NULL, call->args[0]);
}

static uint64_t host_g_path_get_basename(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]), *start;
    size_t size = path ? strlen(path) : 0;

    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    start = path ? memrchr(path, '/', size) : NULL;
    if (!path || !size) {
        return vmd_host_put_string(call->guest, ".", 1);
    }
    start = start && size > 1 ? start + 1 : path;
    return vmd_host_put_string(call->guest, start, size - (size_t)(start - path));
}

static uint64_t host_g_path_get_dirname(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]), *slash = path ? strrchr(path, '/') : NULL;

    if (!slash) {
        return vmd_host_put_string(call->guest, ".", 1);
    }
    while (slash > path && slash[-1] == '/') {
        slash--;
    }
    return vmd_host_put_string(call->guest, path, slash == path ? 1 : (size_t)(slash - path));
}

static uint64_t host_g_path_is_absolute(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]);

    return path && *path == '/';
}

static uint64_t host_canonical(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]);

    return path ? vmd_host_put_string(call->guest, path, strlen(path)) : 0;
}

VMD_SERVE({"g_strcmp0", host_g_strcmp0}, {"g_strndup", host_g_strndup}, {"g_memdup", host_g_memdup},
          {"g_memdup2", host_g_memdup}, {"g_str_has_prefix", host_g_str_has_prefix},
          {"g_str_has_suffix", host_g_str_has_suffix}, {"g_str_equal", host_g_str_equal},
          {"g_str_hash", host_g_str_hash}, {"g_strv_length", host_g_strv_length}, {"g_strfreev", host_g_strfreev},
          {"g_strdupv", host_g_strdupv}, {"g_strv_contains", host_g_strv_contains}, {"g_strsplit", host_g_strsplit},
          {"g_strsplit_set", host_g_strsplit_set}, {"g_strconcat", host_g_strconcat}, {"g_strjoin", host_g_strjoin},
          {"g_strjoinv", host_g_strjoinv}, {"g_strrstr", host_g_strrstr}, {"g_strstr_len", host_g_strstr_len},
          {"g_pattern_match_simple", host_g_pattern_match_simple}, {"g_strchug", host_g_strchug},
          {"g_strchomp", host_g_strchomp}, {"g_strcanon", host_g_strcanon}, {"g_strdelimit", host_g_strdelimit},
          {"g_strreverse", host_g_strreverse}, {"g_ascii_strdown", host_g_ascii_strdown},
          {"g_ascii_strup", host_g_ascii_strup}, {"g_ascii_strcasecmp", host_g_ascii_strcasecmp},
          {"g_ascii_strncasecmp", host_g_ascii_strncasecmp}, {"g_ascii_toupper", host_g_ascii_toupper},
          {"g_ascii_tolower", host_g_ascii_tolower}, {"g_strlcpy", host_g_strlcpy}, {"strlcpy", host_g_strlcpy},
          {"g_strlcat", host_g_strlcat}, {"g_strnfill", host_g_strnfill}, {"g_unichar_to_utf8", host_g_unichar_to_utf8},
          {"g_utf8_get_char", host_g_utf8_get_char}, {"g_utf8_validate", host_g_utf8_validate},
          {"g_intern_string", host_g_intern_string}, {"g_intern_static_string", host_g_intern_string},
          {"g_quark_from_string", host_g_quark_from_string}, {"g_quark_from_static_string", host_g_quark_from_string},
          {"g_quark_try_string", host_g_quark_try_string}, {"g_build_filename", host_g_build_filename},
          {"g_build_path", host_g_build_filename}, {"g_build_filenamev", host_g_build_filenamev},
          {"g_path_get_basename", host_g_path_get_basename}, {"g_path_get_dirname", host_g_path_get_dirname},
          {"g_path_is_absolute", host_g_path_is_absolute}, {"g_canonicalize_filename", host_canonical},
          {"basename", host_g_path_get_basename})
