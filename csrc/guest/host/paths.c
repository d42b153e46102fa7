/*
 * GLib's functions on file names. Only text is changed; no file is accessed.
 *
 * Source: GLib 2.74 glib/gfileutils.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/joined.h"

/* Paths */

static uint64_t build_path(struct vmd_host_call *call, struct vmd_variadic *arguments, uint64_t strv)
{
    struct vmd_guest *guest = call->guest;
    uint64_t slash = vmd_host_put_string(guest, "/", 1), part;
    struct vmd_joined joined = vmd_joined_of(call);
    char *text, *to;

    for (int n = 0; n < 1024 && !guest->err.code; n++) {
        part = arguments ? vmd_variadic_next(arguments) : vmd_guest_load_u64(guest, strv + 8 * (uint64_t)n);
        if (!part) {
            break;
        }
        if (n) {
            vmd_join(&joined, slash);
        }
        vmd_join(&joined, part);
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

VMD_SERVE({"g_build_filename", host_g_build_filename}, {"g_build_path", host_g_build_filename},
          {"g_build_filenamev", host_g_build_filenamev}, {"g_path_get_basename", host_g_path_get_basename},
          {"g_path_get_dirname", host_g_path_get_dirname}, {"g_path_is_absolute", host_g_path_is_absolute},
          {"g_canonicalize_filename", host_canonical}, {"basename", host_g_path_get_basename})
