/*
 * Directories of the host, which are empty, and the file system that they are on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

#include <errno.h>

bool vmd_host_is_directory(struct vmd_guest *guest, const char *path)
{
    return guest->services.is_directory && guest->services.is_directory(guest->services.opaque, path);
}

/* DIR and GDir: an address that holds a descriptor */

enum { STREAM_SIZE = 16 };

static uint64_t new_stream(struct vmd_guest *guest, uint64_t descriptor)
{
    uint64_t stream = vmd_host_allocate(guest, STREAM_SIZE);

    if (stream) {
        vmd_guest_store_u64(guest, stream, descriptor);
    }
    return stream;
}

static uint64_t open_directory(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]);
    uint64_t descriptor;

    if (!path || !vmd_host_is_directory(call->guest, path)) {
        return vmd_host_find_nothing(call);
    }
    descriptor = vmd_host_new_file(call->guest, &(struct vmd_open_file){.kind = VMD_FILE_DIRECTORY});
    return descriptor == (uint64_t)-1 ? 0 : new_stream(call->guest, descriptor);
}

static uint64_t host_fdopendir(struct vmd_host_call *call)
{
    const struct vmd_open_file *file = vmd_host_file(call->guest, call->args[0]);

    if (!file || file->kind != VMD_FILE_DIRECTORY) {
        vmd_host_errno(call->guest, file ? ENOTDIR : EBADF);
        return 0;
    }
    return new_stream(call->guest, call->args[0]);
}

/* g_dir_open(path, flags, error) */
static uint64_t host_g_dir_open(struct vmd_host_call *call)
{
    uint64_t stream = open_directory(call);

    if (!stream) {
        vmd_host_set_gerror(call->guest, call->args[2], "No such file or directory");
    }
    return stream;
}

static uint64_t host_dirfd(struct vmd_host_call *call)
{
    return vmd_guest_load_u64(call->guest, call->args[0]);
}

static uint64_t host_closedir(struct vmd_host_call *call)
{
    struct vmd_open_file *file = vmd_host_file(call->guest, vmd_guest_load_u64(call->guest, call->args[0]));

    if (file && file->kind == VMD_FILE_DIRECTORY) {
        *file = (struct vmd_open_file){0};
    }
    vmd_host_free(call->guest, call->args[0]);
    return 0;
}

/* The file system: struct statfs begins with f_type and f_bsize, struct statvfs with f_bsize. */

enum { STATVFS_SIZE = 112, EXT4 = 0xef53, BLOCK_SIZE = 4096 };

static uint64_t put_statfs(struct vmd_guest *guest, uint64_t to)
{
    const struct vmd_arch *host = guest->host;
    char *at = vmd_guest_at(guest, to, host->statfs_size);

    if (at && host->statfs_word == 4) {
        memset(at, 0, host->statfs_size);
        vmd_put_u32(guest, at, EXT4);
        vmd_put_u32(guest, at + 4, BLOCK_SIZE);
    } else if (at) {
        memset(at, 0, host->statfs_size);
        vmd_put_u64(guest, at, EXT4);
        vmd_put_u64(guest, at + 8, BLOCK_SIZE);
    }
    return 0;
}

static uint64_t host_fstatfs(struct vmd_host_call *call)
{
    return vmd_host_file(call->guest, call->args[0]) ? put_statfs(call->guest, call->args[1])
                                                     : vmd_host_errno(call->guest, EBADF);
}

static uint64_t host_statfs(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]);

    return path && vmd_host_is_directory(call->guest, path) ? put_statfs(call->guest, call->args[1])
                                                            : vmd_host_errno(call->guest, ENOENT);
}

static uint64_t host_statvfs(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]);
    char *at = path && vmd_host_is_directory(call->guest, path) ? vmd_guest_at(call->guest, call->args[1], STATVFS_SIZE)
                                                                : NULL;

    if (!at) {
        return vmd_host_errno(call->guest, ENOENT);
    }
    memset(at, 0, STATVFS_SIZE);
    vmd_put_u64(call->guest, at, BLOCK_SIZE);
    return 0;
}

VMD_SERVE({"opendir", open_directory}, {"fdopendir", host_fdopendir}, {"g_dir_open", host_g_dir_open},
          {"dirfd", host_dirfd}, {"closedir", host_closedir}, {"g_dir_close", host_closedir}, NOTHING("readdir"),
          NOTHING("readdir64"), NOTHING("g_dir_read_name"), NOTHING("rewinddir"), NOTHING("g_dir_rewind"),
          NOTHING("seekdir"), NOTHING("telldir"), {"statfs", host_statfs}, {"statfs64", host_statfs},
          {"fstatfs", host_fstatfs}, {"fstatfs64", host_fstatfs}, {"statvfs", host_statvfs},
          {"statvfs64", host_statvfs})
