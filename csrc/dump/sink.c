/*
 * Sinks: see sink.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dump/sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_MILLISECONDS = 100 };

typedef enum vmd_status (*drain_fn)(struct vmd_sink *sink, const char *bytes, size_t size);

/* room: of the sink's own buffer, the initial window. */
static enum vmd_status sink_init(struct vmd_sink *sink, drain_fn drain, size_t room, vmd_poll_fn poll, void *opaque,
                                 struct vmd_error *err)
{
    memset(sink, 0, sizeof(*sink));
    vmd_error_set(err, VMD_OK, 0, NULL);
    sink->drain = drain;
    sink->own = malloc(room + VMD_SINK_SLACK);
    sink->buffer = sink->own;
    sink->room = room;
    sink->poll = poll;
    sink->opaque = opaque;
    sink->until_poll = VMD_POLL_BYTES;
    sink->err = err;
    return sink->own ? VMD_OK : vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
}

void vmd_sink_deinit(struct vmd_sink *sink)
{
    free(sink->own);
    sink->own = NULL;
}

static enum vmd_status sink_poll(struct vmd_sink *sink)
{
    sink->until_poll = VMD_POLL_BYTES;
    return sink->poll && sink->poll(sink->opaque) ? vmd_error_set(sink->err, VMD_INTERRUPTED, 0, "interrupted")
                                                  : VMD_OK;
}

static enum vmd_status sink_io_error(struct vmd_sink *sink)
{
    return vmd_error_set(sink->err, VMD_IO, errno, "write error");
}

/* Wait up to WAIT_MILLISECONDS for the descriptor to become writable or to report an error. */
static bool fd_is_ready(const struct vmd_sink *sink)
{
    struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};

    return poll(&ready, 1, WAIT_MILLISECONDS) > 0;
}

/*
 * Continue short writes and poll after signals. A signal that arrives just before a write blocks does not interrupt it;
 * so pipes and sockets, which may block for long, are written when ready, in parts of PIPE_BUF bytes.
 */
static enum vmd_status drain_fd(struct vmd_sink *sink, const char *bytes, size_t size)
{
    while (size) {
        ssize_t written;

        if (sink->fd_waits && !fd_is_ready(sink)) {
            if (sink_poll(sink)) {
                return VMD_INTERRUPTED;
            }
            continue;
        }
        written = write(sink->fd, bytes, sink->fd_waits && size > PIPE_BUF ? PIPE_BUF : size);
        if (written >= 0) {
            bytes += written;
            size -= written;
        } else if (errno == EINTR) {
            if (sink_poll(sink)) {
                return VMD_INTERRUPTED;
            }
        } else if (errno == EAGAIN) {
            sink->fd_waits = true;
        } else {
            return sink_io_error(sink);
        }
    }
    return VMD_OK;
}

enum vmd_status vmd_sink_init_fd(struct vmd_sink *sink, int fd, vmd_poll_fn poll, void *opaque, struct vmd_error *err)
{
    enum vmd_status status = sink_init(sink, drain_fd, VMD_CHUNK, poll, opaque, err);
    struct stat what;

    sink->fd = fd;
    sink->fd_waits = fstat(fd, &what) == 0 && (S_ISFIFO(what.st_mode) || S_ISSOCK(what.st_mode));
    return status;
}

static enum vmd_status drain_file(struct vmd_sink *sink, const char *bytes, size_t size)
{
    return fwrite(bytes, 1, size, sink->file) == size ? VMD_OK : sink_io_error(sink);
}

enum vmd_status vmd_sink_init_file(struct vmd_sink *sink, FILE *file, vmd_poll_fn poll, void *opaque,
                                   struct vmd_error *err)
{
    enum vmd_status status = sink_init(sink, drain_file, VMD_CHUNK, poll, opaque, err);

    sink->file = file;
    return status;
}

/* The next window is in the memory itself, which avoids a copy, until the slack no longer fits. */
static void move_window(struct vmd_sink *sink)
{
    bool fits = sink->memory_left > VMD_SINK_SLACK;

    sink->buffer = fits ? sink->memory : sink->own;
    sink->room = fits ? sink->memory_left - VMD_SINK_SLACK : VMD_SINK_SLACK;
    if (fits && sink->room > VMD_CHUNK) {
        sink->room = VMD_CHUNK;
    }
}

static enum vmd_status drain_memory(struct vmd_sink *sink, const char *bytes, size_t size)
{
    if (size > sink->memory_left) {
        return vmd_error_set(sink->err, VMD_TOO_LARGE, 0, "the dump is larger than its memory");
    }
    if (bytes != sink->memory) {
        memcpy(sink->memory, bytes, size);
    }
    sink->memory += size;
    sink->memory_left -= size;
    move_window(sink);
    return VMD_OK;
}

enum vmd_status vmd_sink_init_memory(struct vmd_sink *sink, char *memory, size_t size, vmd_poll_fn poll, void *opaque,
                                     struct vmd_error *err)
{
    enum vmd_status status = sink_init(sink, drain_memory, VMD_SINK_SLACK, poll, opaque, err);

    sink->memory = memory;
    sink->memory_left = size;
    move_window(sink);
    return status;
}

static enum vmd_status drain_count(struct vmd_sink *sink, const char *bytes, size_t size)
{
    *sink->count += size;
    return VMD_OK;
}

enum vmd_status vmd_sink_init_count(struct vmd_sink *sink, uint64_t *count, vmd_poll_fn poll, void *opaque,
                                    struct vmd_error *err)
{
    enum vmd_status status = sink_init(sink, drain_count, VMD_CHUNK, poll, opaque, err);

    *count = 0;
    sink->count = count;
    return status;
}

/* Drain bytes unless the sink has failed, and poll if VMD_POLL_BYTES have passed. */
static void sink_drain(struct vmd_sink *sink, const char *bytes, size_t size)
{
    if (sink->err->code || sink->drain(sink, bytes, size)) {
        return;
    }
    if (size < sink->until_poll) {
        sink->until_poll -= size;
    } else {
        sink_poll(sink);
    }
}

void vmd_sink_flush(struct vmd_sink *sink)
{
    sink_drain(sink, sink->buffer, sink->used);
    sink->used = 0;
}

void vmd_sink_write(struct vmd_sink *sink, const char *bytes, size_t size)
{
    size_t n;

    for (; size; bytes += n, size -= n) {
        if (sink->used >= sink->room) {
            vmd_sink_flush(sink);
        }
        n = size < sink->room - sink->used ? size : sink->room - sink->used;
        memcpy(sink->buffer + sink->used, bytes, n);
        sink->used += n;
    }
}

enum vmd_status vmd_sink_finish(struct vmd_sink *sink)
{
    vmd_sink_flush(sink);
    if (sink->file && !sink->err->code && fflush(sink->file)) {
        sink_io_error(sink);
    }
    return sink->err->code;
}

static ssize_t cookie_write(void *cookie, const char *bytes, size_t size)
{
    struct vmd_sink *sink = cookie;

    vmd_sink_write(sink, bytes, size);
    return sink->err->code ? 0 : (ssize_t)size;
}

FILE *vmd_sink_open(struct vmd_sink *sink)
{
    return fopencookie(sink, "w", (cookie_io_functions_t){.write = cookie_write});
}
