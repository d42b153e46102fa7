/*
 * Windows' own functions for files and paths. See host/files.c: files are read-only, and only those that the emulator's
 * user provides. A mapping without a file is memory that is shared with nobody.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"
#include "guest/host/windows/system.h"

enum { INVALID = -1, ATTRIBUTE_DIRECTORY = 0x10, ATTRIBUTE_NORMAL = 0x80 };

static uint64_t host_file_attributes(struct vmd_host_call *call)
{
    const char *path = vmd_host_string(call->guest, call->args[0]), *data;
    uint64_t size;

    if (path && vmd_host_is_directory(call->guest, path)) {
        return ATTRIBUTE_DIRECTORY;
    }
    return path && vmd_host_read_file(call->guest, path, &data, &size) ? ATTRIBUTE_NORMAL : (uint32_t)INVALID;
}

/* Files are opened by the C runtime: other ways to open one fail. */
static uint64_t host_invalid_handle(struct vmd_host_call *call)
{
    return (uint64_t)INVALID;
}

/* CreateFileMapping(file, security, protection, upper and lower half of its size, name): {address} */
static uint64_t host_create_file_mapping(struct vmd_host_call *call)
{
    uint64_t size = (uint32_t)call->args[3] * (1ull << 32) + (uint32_t)call->args[4], mapping;

    if (call->args[0] != (uint64_t)INVALID) {
        return vmd_windows_error(call->guest, ERROR_INVALID_HANDLE);
    }
    if (!vmd_guest_has_room(call->guest, size, VMD_WINDOWS_GRANULARITY)) {
        return vmd_windows_error(call->guest, ERROR_NOT_ENOUGH_MEMORY);
    }
    mapping = vmd_host_allocate(call->guest, 16);
    vmd_guest_store_u64(call->guest, mapping, vmd_guest_alloc(call->guest, size, VMD_WINDOWS_GRANULARITY));
    return mapping;
}

/* MapViewOfFile(mapping, access, upper and lower half of an offset, size) */
static uint64_t host_map_view(struct vmd_host_call *call)
{
    uint64_t offset = (uint32_t)call->args[2] * (1ull << 32) + (uint32_t)call->args[3];

    return vmd_guest_load_u64(call->guest, call->args[0]) + offset;
}

/* PathCchSkipRoot(path, &rest): no path of the emulated host has a drive. */
static uint64_t host_skip_root(struct vmd_host_call *call)
{
    enum { INVALID_ARGUMENT = 0x80070057 };

    return INVALID_ARGUMENT;
}

/* Wide characters have two bytes. */

static uint64_t host_wcslen(struct vmd_host_call *call)
{
    uint64_t n = 0;
    const char *at;

    while ((at = vmd_guest_at(call->guest, call->args[0] + 2 * n, 2)) && vmd_get_u16(call->guest, at)) {
        n++;
    }
    return n;
}

/* mbsrtowcs(to, &from, n, state), of ASCII */
static uint64_t host_mbsrtowcs(struct vmd_host_call *call)
{
    const char *from = vmd_host_string(call->guest, vmd_guest_load_u64(call->guest, call->args[1]));
    uint64_t length = from ? strlen(from) : 0, n = call->args[2] < length + 1 ? call->args[2] : length + 1;
    char *to = from && call->args[0] && n ? vmd_guest_at(call->guest, call->args[0], 2 * n) : NULL;

    for (uint64_t i = 0; to && i < n; i++) {
        vmd_put_u16(call->guest, to + 2 * i, (unsigned char)from[i]);
    }
    return length;
}

VMD_SERVE_ON(VMD_WINDOWS, {"GetFileAttributesA", host_file_attributes}, {"CreateFileA", host_invalid_handle},
             {"CreateFileW", host_invalid_handle}, {"CreateFileMappingA", host_create_file_mapping},
             {"CreateFileMappingW", host_create_file_mapping}, {"MapViewOfFile", host_map_view},
             {"UnmapViewOfFile", vmd_host_one}, {"PathCchSkipRoot", host_skip_root}, {"wcslen", host_wcslen},
             {"mbsrtowcs", host_mbsrtowcs})
