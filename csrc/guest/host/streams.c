/*
 * libc's FILE streams and GLib's functions for whole files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

#include <errno.h>
#include <stdio.h>

/* Streams: FILE is an address that holds a descriptor. Standard streams are addresses of no meaning. */

enum { STREAM_SIZE = 16 };

static uint64_t host_fopen(struct vmd_host_call *call)
{
    const char *mode = vmd_host_string(call->guest, call->args[1]);
    uint64_t descriptor, stream;

    if (!mode || *mode != 'r' || strchr(mode, '+')) {
        return vmd_host_find_nothing(call);
    }
    descriptor = vmd_host_open_path(call->guest, call->args[0]);
    stream = descriptor == (uint64_t)-1 ? 0 : vmd_host_allocate(call->guest, STREAM_SIZE);
    if (stream) {
        vmd_guest_store_u64(call->guest, stream, descriptor);
    }
    return stream;
}

static struct vmd_open_file *stream_at(struct vmd_host_call *call, int argument)
{
    const char *at = vmd_guest_find(call->guest, call->args[argument], 8);
    struct vmd_open_file *file = at ? vmd_host_file(call->guest, vmd_get_u64(call->guest, at)) : NULL;

    return file && file->kind == VMD_FILE_DATA ? file : NULL;
}

static uint64_t host_fclose(struct vmd_host_call *call)
{
    struct vmd_open_file *file = stream_at(call, 0);

    if (file) {
        *file = (struct vmd_open_file){0};
        vmd_host_free(call->guest, call->args[0]);
    }
    return 0;
}

static uint64_t host_fread(struct vmd_host_call *call)
{
    struct vmd_open_file *file = stream_at(call, 3);
    uint64_t size, n;

    if (!file || __builtin_mul_overflow(call->args[1], call->args[2], &size) || !size) {
        return 0;
    }
    n = vmd_host_read_at(call->guest, file, file->position, call->args[0], size);
    file->position += n;
    return n / call->args[1];
}

static uint64_t host_fgets(struct vmd_host_call *call)
{
    struct vmd_open_file *file = stream_at(call, 2);
    uint64_t left = file && file->position < file->size ? file->size - file->position : 0, n;
    const char *end;
    char *to;

    if (!left || (int32_t)call->args[1] < 2) {
        return 0;
    }
    n = left < (uint32_t)call->args[1] - 1 ? left : (uint32_t)call->args[1] - 1;
    end = memchr(file->data + file->position, '\n', n);
    n = end ? (uint64_t)(end - (file->data + file->position)) + 1 : n;
    to = vmd_guest_at(call->guest, call->args[0], n + 1);
    if (to) {
        memcpy(to, file->data + file->position, n);
        to[n] = '\0';
        file->position += n;
    }
    return call->args[0];
}

static uint64_t host_getc(struct vmd_host_call *call)
{
    struct vmd_open_file *file = stream_at(call, 0);

    return file && file->position < file->size ? (uint8_t)file->data[file->position++] : (uint64_t)-1;
}

static uint64_t host_feof(struct vmd_host_call *call)
{
    const struct vmd_open_file *file = stream_at(call, 0);

    return !file || file->position >= file->size;
}

static uint64_t host_fileno(struct vmd_host_call *call)
{
    const char *at = stream_at(call, 0) ? vmd_guest_find(call->guest, call->args[0], 8) : NULL;

    return at ? vmd_get_u64(call->guest, at) : 2;
}

/* Whole files */

/* The bytes of a file as a string of the guest. */
static uint64_t put_file(struct vmd_guest *guest, uint64_t path_at, uint64_t *size)
{
    const char *path = vmd_host_string(guest, path_at), *data;

    return path && vmd_host_read_file(guest, path, &data, size) ? vmd_host_put_string(guest, data, *size) : 0;
}

/* g_file_get_contents(path, contents, length, error) */
static uint64_t host_g_file_get_contents(struct vmd_host_call *call)
{
    uint64_t size, text = put_file(call->guest, call->args[0], &size);

    if (!text) {
        vmd_host_set_gerror(call->guest, call->args[3], "No such file or directory");
        return 0;
    }
    vmd_guest_store_u64(call->guest, call->args[1], text);
    if (call->args[2]) {
        vmd_guest_store_u64(call->guest, call->args[2], size);
    }
    return 1;
}

/* GMappedFile: {contents, length} */

static uint64_t new_mapped(struct vmd_host_call *call, uint64_t text, uint64_t size)
{
    uint64_t mapped = text ? vmd_host_allocate(call->guest, 16) : 0;

    if (!mapped) {
        vmd_host_set_gerror(call->guest, call->args[2], "No such file or directory");
        return 0;
    }
    vmd_guest_store_u64(call->guest, mapped, text);
    vmd_guest_store_u64(call->guest, mapped + 8, size);
    return mapped;
}

static uint64_t host_g_mapped_file_new(struct vmd_host_call *call)
{
    uint64_t size = 0, text = put_file(call->guest, call->args[0], &size);

    return new_mapped(call, text, size);
}

static uint64_t host_g_mapped_file_new_from_fd(struct vmd_host_call *call)
{
    const struct vmd_open_file *file = vmd_host_file(call->guest, call->args[0]);
    bool has_data = file && file->kind == VMD_FILE_DATA;

    return new_mapped(call, has_data ? vmd_host_put_string(call->guest, file->data, file->size) : 0,
                      has_data ? file->size : 0);
}

static uint64_t host_g_mapped_file_get_contents(struct vmd_host_call *call)
{
    return vmd_guest_load_u64(call->guest, call->args[0]);
}

static uint64_t host_g_mapped_file_get_length(struct vmd_host_call *call)
{
    return vmd_guest_load_u64(call->guest, call->args[0] + 8);
}

VMD_SERVE({"fopen", host_fopen}, {"fopen64", host_fopen}, {"fclose", host_fclose}, {"fread", host_fread},
          {"fgets", host_fgets}, {"getc", host_getc}, {"fgetc", host_getc}, {"feof", host_feof},
          {"fileno", host_fileno}, {"g_file_get_contents", host_g_file_get_contents},
          {"g_mapped_file_new", host_g_mapped_file_new}, {"g_mapped_file_new_from_fd", host_g_mapped_file_new_from_fd},
          {"g_mapped_file_get_contents", host_g_mapped_file_get_contents},
          {"g_mapped_file_get_length", host_g_mapped_file_get_length})
