/*
 * Input of a walk: a window of 1 MiB that moves along the stream. See walker.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "savevm/walker.h"

void vmd_savevm_fail(struct vmd_savevm_walker *walker, enum vmd_savevm_problem problem, uint64_t offset, uint64_t value)
{
    if (vmd_savevm_ok(walker)) {
        walker->vm->problem = problem;
        walker->vm->problem_offset = offset;
        walker->vm->problem_value = value;
        walker->vm->problem_section = walker->section;
    }
}

int64_t vmd_savevm_read_fd(void *opaque, uint64_t offset, char *buffer, uint64_t size)
{
    const struct vmd_savevm_file *file = opaque;
    uint64_t from;

    if (__builtin_add_overflow(file->base, offset, &from) || from > INT64_MAX) {
        return 0;
    }
    for (;;) {
        ssize_t n;

        if (file->poll && file->poll(NULL)) {
            return -EINTR;
        }
        n = pread(file->fd, buffer, size, (off_t)from);
        if (n >= 0 || errno != EINTR) {
            return n < 0 ? -errno : n;
        }
    }
}

vmd_savevm_read_fn *vmd_savevm_fd_reader(void)
{
    return vmd_savevm_read_fd;
}

uint64_t vmd_savevm_peek(struct vmd_savevm_walker *walker, uint64_t size)
{
    while (walker->filled - walker->at < size && !walker->at_eof && vmd_savevm_ok(walker)) {
        int64_t n;

        if (walker->at) {
            memmove(walker->window, walker->window + walker->at, walker->filled - walker->at);
            walker->offset += walker->at;
            walker->filled -= walker->at;
            walker->at = 0;
        }
        n = walker->read(walker->opaque, walker->offset + walker->filled, (char *)walker->window + walker->filled,
                         VMD_SAVEVM_WINDOW - walker->filled);
        if (n < 0) {
            vmd_savevm_fail(walker, n == -EINTR ? VMD_SAVEVM_INTERRUPTED : VMD_SAVEVM_IO,
                            walker->offset + walker->filled, (uint64_t)-n);
        } else if (n == 0) {
            walker->at_eof = true;
        } else {
            walker->filled += (uint64_t)n;
        }
    }
    return walker->filled - walker->at;
}

const uint8_t *vmd_savevm_take(struct vmd_savevm_walker *walker, uint64_t size)
{
    uint64_t available = walker->filled - walker->at;

    if (available < size && (available = vmd_savevm_peek(walker, size)) < size) {
        vmd_savevm_fail(walker, VMD_SAVEVM_TRUNCATED, vmd_savevm_tell(walker) + available, 0);
        return NULL;
    }
    walker->at += size;
    return walker->window + walker->at - size;
}

void vmd_savevm_skip(struct vmd_savevm_walker *walker, uint64_t size)
{
    uint64_t available = walker->filled - walker->at, to;

    if (size <= available) {
        walker->at += size;
        return;
    }
    if (__builtin_add_overflow(vmd_savevm_tell(walker), size, &to)) {
        vmd_savevm_fail(walker, VMD_SAVEVM_TRUNCATED, vmd_savevm_tell(walker) + available, 0);
        return;
    }
    walker->offset = to;
    walker->at = walker->filled = 0;
}

uint8_t vmd_savevm_u8(struct vmd_savevm_walker *walker)
{
    const uint8_t *bytes = vmd_savevm_take(walker, 1);

    return bytes ? bytes[0] : 0;
}

uint16_t vmd_savevm_be16(struct vmd_savevm_walker *walker)
{
    const uint8_t *bytes = vmd_savevm_take(walker, 2);

    return bytes ? (uint16_t)vmd_load_be(bytes, 2) : 0;
}

uint32_t vmd_savevm_be32(struct vmd_savevm_walker *walker)
{
    const uint8_t *bytes = vmd_savevm_take(walker, 4);

    return bytes ? (uint32_t)vmd_load_be(bytes, 4) : 0;
}

uint64_t vmd_savevm_be64(struct vmd_savevm_walker *walker)
{
    const uint8_t *bytes = vmd_savevm_take(walker, 8);

    return bytes ? vmd_load_be(bytes, 8) : 0;
}

/* Ensure room for size more bytes after used. NULL: out of memory. */
static char *reserve(char *bytes, uint64_t *room, uint64_t used, uint64_t size)
{
    uint64_t wanted = used + size;

    if (wanted > *room) {
        wanted = wanted < 4096 ? 4096 : wanted + wanted / 2;
        bytes = realloc(bytes, wanted);
        *room = bytes ? wanted : *room;
    }
    return bytes;
}

void vmd_savevm_keep(struct vmd_savevm_walker *walker, uint64_t size)
{
    struct vmd_savevm *vm = walker->vm;
    struct vmd_savevm_section *section = &vm->sections[walker->section - 1];

    section->size += size;
    walker->drops |= size > VMD_SAVEVM_MAX_DATA - vm->data_size;
    if (walker->drops) {
        section->data_size = 0;
        vmd_savevm_skip(walker, size);
        return;
    }
    while (size && vmd_savevm_ok(walker)) {
        uint64_t part = size < VMD_SAVEVM_WINDOW ? size : VMD_SAVEVM_WINDOW;
        const uint8_t *bytes = vmd_savevm_take(walker, part);
        char *data = bytes ? reserve(vm->data, &walker->data_room, vm->data_size, part) : NULL;

        if (!data) {
            vmd_savevm_fail(walker, VMD_SAVEVM_NO_MEMORY, vmd_savevm_tell(walker), 0);
            return;
        }
        vm->data = data;
        memcpy(data + vm->data_size, bytes, part);
        vm->data_size += part;
        section->data_size += part;
        size -= part;
    }
}

uint32_t vmd_savevm_text(struct vmd_savevm_walker *walker, uint64_t size)
{
    struct vmd_savevm *vm = walker->vm;
    const uint8_t *bytes = size <= VMD_SAVEVM_WINDOW ? vmd_savevm_take(walker, size) : NULL;
    uint64_t at = vm->text_size;
    char *text;

    if (!bytes) {
        vmd_savevm_fail(walker, VMD_SAVEVM_TRUNCATED, vmd_savevm_tell(walker), 0);
        return 0;
    }
    text = at < UINT32_MAX / 2 ? reserve(vm->text, &walker->text_room, at, size + 1) : NULL;
    if (!text) {
        vmd_savevm_fail(walker, VMD_SAVEVM_NO_MEMORY, vmd_savevm_tell(walker), 0);
        return 0;
    }
    vm->text = text;
    memcpy(text + at, bytes, size);
    text[at + size] = '\0';
    vm->text_size += size + 1;
    return (uint32_t)at;
}
