/*
 * Files: read-only, and only those that the emulator's user provides (struct vmd_guest_services); devices of the host
 * profile; descriptors of other kinds, which are never ready. Nothing of the real host is reachable.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"
#include "guest/variadic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

bool vmd_host_read_file(struct vmd_guest *guest, const char *path, const char **data, uint64_t *size)
{
    return guest->services.read_file && guest->services.read_file(guest->services.opaque, path, data, size);
}

/* Descriptors */

struct vmd_open_file *vmd_host_file(struct vmd_guest *guest, uint64_t descriptor)
{
    uint32_t index = (uint32_t)descriptor - VMD_FIRST_DESCRIPTOR;

    return index < VMD_FILES_MAX && guest->state.files[index].kind ? &guest->state.files[index] : NULL;
}

uint64_t vmd_host_new_file(struct vmd_guest *guest, const struct vmd_open_file *file)
{
    for (uint32_t i = 0; i < VMD_FILES_MAX; i++) {
        if (!guest->state.files[i].kind) {
            guest->state.files[i] = *file;
            return VMD_FIRST_DESCRIPTOR + i;
        }
    }
    return vmd_host_errno(guest, EMFILE);
}

uint64_t vmd_host_open_path(struct vmd_guest *guest, uint64_t path_at)
{
    const char *path = vmd_host_string(guest, path_at);
    struct vmd_open_file file;

    if (!path) {
        return (uint64_t)-1;
    }
    if (!vmd_host_open_device(guest, path, &file)) {
        file = (struct vmd_open_file){.kind = VMD_FILE_DATA};
        if (!vmd_host_read_file(guest, path, &file.data, &file.size)) {
            return vmd_host_errno(guest, ENOENT);
        }
    }
    return vmd_host_new_file(guest, &file);
}

static bool is_file(struct vmd_guest *guest, const char *path)
{
    struct vmd_open_file device;
    const char *data;
    uint64_t size;

    return vmd_host_open_device(guest, path, &device) || vmd_host_read_file(guest, path, &data, &size);
}

static bool exists(struct vmd_guest *guest, uint64_t path_at)
{
    const char *path = vmd_host_string(guest, path_at);

    return path && (vmd_host_is_directory(guest, path) || is_file(guest, path));
}

/* QEMU opens directories with O_DIRECTORY. Only devices can be written to. */
static uint64_t open_with(struct vmd_guest *guest, uint64_t path_at, uint32_t flags)
{
    const char *path = vmd_host_string(guest, path_at);

    if (!path) {
        return (uint64_t)-1;
    }
    if (flags & guest->host->open_directory) {
        return vmd_host_is_directory(guest, path)
                   ? vmd_host_new_file(guest, &(struct vmd_open_file){.kind = VMD_FILE_DIRECTORY})
                   : vmd_host_errno(guest, ENOENT);
    }
    if (flags & (O_WRONLY | O_RDWR) && !vmd_host_is_device(guest, path_at)) {
        return vmd_host_errno(guest, flags & guest->host->open_create || exists(guest, path_at) ? EACCES : ENOENT);
    }
    return vmd_host_open_path(guest, path_at);
}

static uint64_t host_open(struct vmd_host_call *call)
{
    return open_with(call->guest, call->args[0], (uint32_t)call->args[1]);
}

/* Whether a path is relative to a descriptor of a directory, and names it. Directories are empty. */
static bool is_within_directory(struct vmd_guest *guest, uint64_t descriptor, uint64_t path_at, bool *itself)
{
    const struct vmd_open_file *file = vmd_host_file(guest, descriptor);
    const char *path = vmd_host_string(guest, path_at);

    *itself = path && (!*path || strcmp(path, ".") == 0);
    return file && file->kind == VMD_FILE_DIRECTORY && path && *path != '/';
}

/* openat(directory, path, flags) */
static uint64_t host_openat(struct vmd_host_call *call)
{
    bool itself;

    if (!is_within_directory(call->guest, call->args[0], call->args[1], &itself)) {
        return open_with(call->guest, call->args[1], (uint32_t)call->args[2]);
    }
    return itself ? vmd_host_new_file(call->guest, vmd_host_file(call->guest, call->args[0]))
                  : vmd_host_errno(call->guest, ENOENT);
}

static uint64_t host_close(struct vmd_host_call *call)
{
    struct vmd_open_file *file = vmd_host_file(call->guest, call->args[0]);

    if (file) {
        *file = (struct vmd_open_file){0};
    }
    return 0;
}

static uint64_t host_dup(struct vmd_host_call *call)
{
    const struct vmd_open_file *file = vmd_host_file(call->guest, call->args[0]);

    return file ? vmd_host_new_file(call->guest, file) : vmd_host_errno(call->guest, EBADF);
}

/* Read from a position; returns the number of bytes. */
uint64_t vmd_host_read_at(struct vmd_guest *guest, const struct vmd_open_file *file, uint64_t place, uint64_t to,
                          uint64_t size)
{
    uint64_t n = place < file->size ? file->size - place : 0;
    char *at;

    n = n < size ? n : size;
    at = n ? vmd_guest_at(guest, to, n) : NULL;
    if (at) {
        memcpy(at, file->data + place, n);
    }
    return n;
}

static uint64_t host_read(struct vmd_host_call *call)
{
    struct vmd_open_file *file = vmd_host_file(call->guest, call->args[0]);
    uint64_t n;

    if (file && file->kind == VMD_FILE_COUNTER) {
        return vmd_host_read_counter(call->guest, file, call->args[1], call->args[2]);
    }
    if (!file || file->kind != VMD_FILE_DATA) {
        return vmd_host_errno(call->guest, EAGAIN);
    }
    n = vmd_host_read_at(call->guest, file, file->position, call->args[1], call->args[2]);
    file->position += n;
    return n;
}

static uint64_t host_pread(struct vmd_host_call *call)
{
    const struct vmd_open_file *file = vmd_host_file(call->guest, call->args[0]);

    if (!file || file->kind != VMD_FILE_DATA) {
        return vmd_host_errno(call->guest, EBADF);
    }
    return vmd_host_read_at(call->guest, file, call->args[3], call->args[1], call->args[2]);
}

static uint64_t host_lseek(struct vmd_host_call *call)
{
    struct vmd_open_file *file = vmd_host_file(call->guest, call->args[0]);

    if (!file || file->kind != VMD_FILE_DATA) {
        return vmd_host_errno(call->guest, EBADF);
    }
    switch ((int32_t)call->args[2]) {
    case SEEK_SET:
        file->position = call->args[1];
        break;
    case SEEK_CUR:
        file->position += call->args[1];
        break;
    case SEEK_END:
        file->position = file->size + call->args[1];
        break;
    default:
        return vmd_host_errno(call->guest, EINVAL);
    }
    return file->position;
}

/* Output to descriptors is dropped, except to the standard ones and to event counters. */
static uint64_t host_write(struct vmd_host_call *call)
{
    struct vmd_open_file *file = vmd_host_file(call->guest, call->args[0]);
    const char *from = call->args[2] ? vmd_guest_at(call->guest, call->args[1], call->args[2]) : NULL;

    if (file && file->kind == VMD_FILE_COUNTER) {
        return vmd_host_write_counter(call->guest, file, call->args[1], call->args[2]);
    }
    if (from && ((int32_t)call->args[0] == 1 || (int32_t)call->args[0] == 2)) {
        vmd_host_print(call->guest, from, call->args[2]);
    }
    return call->args[2];
}

/* Status of files */

enum { MODE_FILE = 0100644, MODE_DEVICE = 020666, MODE_DIRECTORY = 040755, BLOCK_SIZE = 4096 };

static uint64_t put_stat(struct vmd_guest *guest, uint64_t to, uint64_t size, uint32_t mode)
{
    const struct vmd_arch *host = guest->host;
    char *at = vmd_guest_at(guest, to, host->stat_size);

    if (at) {
        memset(at, 0, host->stat_size);
        vmd_put_u32(guest, at + host->stat_mode, mode);
        vmd_put_u64(guest, at + host->stat_length, size);
        if (host->stat_block_size) {
            vmd_put_u64(guest, at + host->stat_block_size, BLOCK_SIZE);
        }
    }
    return 0;
}

static uint64_t stat_path(struct vmd_guest *guest, uint64_t path_at, uint64_t to)
{
    const char *path = vmd_host_string(guest, path_at), *data;
    struct vmd_open_file device;
    uint64_t size;

    if (path && vmd_host_open_device(guest, path, &device)) {
        return put_stat(guest, to, 0, MODE_DEVICE);
    }
    if (path && vmd_host_is_directory(guest, path)) {
        return put_stat(guest, to, BLOCK_SIZE, MODE_DIRECTORY);
    }
    return path && vmd_host_read_file(guest, path, &data, &size) ? put_stat(guest, to, size, MODE_FILE)
                                                                 : vmd_host_errno(guest, ENOENT);
}

static uint64_t host_stat(struct vmd_host_call *call)
{
    return stat_path(call->guest, call->args[0], call->args[1]);
}

/* fstatat(directory, path, buffer, flags) */
static uint64_t host_fstatat(struct vmd_host_call *call)
{
    bool itself;

    if (!is_within_directory(call->guest, call->args[0], call->args[1], &itself)) {
        return stat_path(call->guest, call->args[1], call->args[2]);
    }
    return itself ? put_stat(call->guest, call->args[2], BLOCK_SIZE, MODE_DIRECTORY)
                  : vmd_host_errno(call->guest, ENOENT);
}

/* __xstat(version, path, buffer), of glibc before 2.33 */
static uint64_t host_xstat(struct vmd_host_call *call)
{
    return stat_path(call->guest, call->args[1], call->args[2]);
}

static uint64_t stat_descriptor(struct vmd_guest *guest, uint64_t descriptor, uint64_t to)
{
    const struct vmd_open_file *file = vmd_host_file(guest, descriptor);
    enum vmd_file_kind kind = file ? file->kind : VMD_FILE_DEVICE;

    return put_stat(guest, to, file ? file->size : 0,
                    kind == VMD_FILE_DATA        ? MODE_FILE
                    : kind == VMD_FILE_DIRECTORY ? MODE_DIRECTORY
                                                 : MODE_DEVICE);
}

static uint64_t host_fstat(struct vmd_host_call *call)
{
    return stat_descriptor(call->guest, call->args[0], call->args[1]);
}

static uint64_t host_fxstat(struct vmd_host_call *call)
{
    return stat_descriptor(call->guest, call->args[1], call->args[2]);
}

static uint64_t host_access(struct vmd_host_call *call)
{
    return exists(call->guest, call->args[0]) ? 0 : vmd_host_errno(call->guest, ENOENT);
}

/* GFileTest: any of the tests is enough. */
enum { TEST_REGULAR = 1, TEST_DIRECTORY = 4, TEST_EXECUTABLE = 8, TEST_EXISTS = 16 };

static uint64_t host_g_file_test(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]);
    uint64_t tests = call->args[1];

    if (path && vmd_host_is_directory(call->guest, path)) {
        return (tests & (TEST_DIRECTORY | TEST_EXECUTABLE | TEST_EXISTS)) != 0;
    }
    return path && tests & (TEST_REGULAR | TEST_EXISTS) && is_file(call->guest, path);
}

static uint64_t fail_to_find(struct vmd_host_call *call)
{
    return vmd_host_errno(call->guest, ENOENT);
}

/* Functions that return NULL if there is no such file */
uint64_t vmd_host_find_nothing(struct vmd_host_call *call)
{
    vmd_host_errno(call->guest, ENOENT);
    return 0;
}

/* A path is its own real path. realpath(path, buffer) */
static uint64_t host_realpath(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    const char *path = vmd_host_string(guest, call->args[0]);
    char *to;

    if (!path || !exists(guest, call->args[0])) {
        return vmd_host_find_nothing(call);
    }
    if (!call->args[1]) {
        return vmd_host_put_string(guest, path, strlen(path));
    }
    to = vmd_guest_at(guest, call->args[1], strlen(path) + 1);
    if (to) {
        memmove(to, path, strlen(path) + 1);
    }
    return call->args[1];
}

/* The binary itself: QEMU looks for its files relative to it. */
static uint64_t host_readlink(struct vmd_host_call *call)
{
    return vmd_host_errno(call->guest, ENOENT);
}

static uint64_t host_memfd_create(struct vmd_host_call *call)
{
    return call->guest->no_memfd ? vmd_host_errno(call->guest, ENOSYS)
                                 : vmd_host_new_file(call->guest, &(struct vmd_open_file){.kind = VMD_FILE_EVENT});
}

#define NO_FILE(name) {name, fail_to_find}
#define NO_RESULT(name) {name, vmd_host_find_nothing}

VMD_SERVE({"open", host_open}, {"open64", host_open}, {"__open64_2", host_open}, {"__open_2", host_open},
          {"openat", host_openat}, {"openat64", host_openat}, {"__openat64_2", host_openat}, {"close", host_close},
          {"dup", host_dup}, {"read", host_read}, {"__read_chk", host_read}, {"pread", host_pread},
          {"pread64", host_pread}, {"__pread64_chk", host_pread}, {"lseek", host_lseek}, {"lseek64", host_lseek},
          {"write", host_write}, {"pwrite64", host_write}, {"pwrite", host_write}, {"stat", host_stat},
          {"stat64", host_stat}, {"lstat", host_stat}, {"lstat64", host_stat}, {"fstatat64", host_fstatat},
          {"fstatat", host_fstatat}, {"__xstat64", host_xstat}, {"__lxstat64", host_xstat}, {"fstat", host_fstat},
          {"fstat64", host_fstat}, {"__fxstat64", host_fxstat}, {"access", host_access},
          {"g_file_test", host_g_file_test}, {"realpath", host_realpath}, {"__realpath_chk", host_realpath},
          {"g_mapped_file_ref", vmd_host_same}, NOTHING("g_mapped_file_unref"), {"readlink", host_readlink},
          {"memfd_create", host_memfd_create}, NOTHING("ferror"), NOTHING("fflush"), NOTHING("setvbuf"),
          NOTHING("setlinebuf"), NOTHING("fsync"), NOTHING("fdatasync"), NOTHING("ftruncate"), NOTHING("ftruncate64"),
          NOTHING("fallocate"), NOTHING("fallocate64"), NOTHING("posix_fallocate64"), NOTHING("posix_fadvise64"),
          NOTHING("fchmod"), NO_FILE("unlink"), NO_FILE("rename"), NO_FILE("mkdir"), NO_FILE("rmdir"),
          NO_FILE("faccessat"), NO_FILE("readlinkat"), NO_FILE("mkstemp64"), NO_FILE("chmod"), NO_FILE("g_mkstemp"),
          NO_FILE("remove"), NO_RESULT("g_dir_make_tmp"), NO_RESULT("g_file_read_link"), NO_RESULT("fdopen"),
          NO_RESULT("popen"))
