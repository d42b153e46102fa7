/*
 * Sink: the destination of a dump's bytes, which is a file descriptor, memory, a FILE* or a counter. Engines write into
 * the sink's window. A full window is drained as a whole, and the next one may be elsewhere: the windows of memory are
 * parts of that memory. The first error is kept and later output dropped, so engines need not check every line;
 * vmd_sink_finish reports the error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_SINK_H
#define VMD_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/*
 * Called about every VMD_POLL_BYTES of output and when a signal interrupts a write; nonzero stops the dump with
 * VMD_INTERRUPTED. NULL: no calls.
 */
typedef int (*vmd_poll_fn)(void *opaque);

enum {
    VMD_CHUNK = 256 << 10, /* bytes per write to a descriptor or FILE* */
    VMD_POLL_BYTES = 16 << 20,
};

struct vmd_sink {
    char *buffer; /* the window: room bytes, followed by VMD_SINK_SLACK bytes */
    size_t room;
    size_t used;
    char *own; /* the sink's own buffer */
    enum vmd_status (*drain)(struct vmd_sink *sink, const char *bytes, size_t size);
    int fd;
    bool fd_waits; /* writes may block or fail with EAGAIN */
    FILE *file;
    char *memory;
    size_t memory_left;
    uint64_t *count;
    vmd_poll_fn poll;
    void *opaque;
    uint64_t until_poll;
    struct vmd_error *err; /* the caller's; its code is the sink's state */
};

/* VMD_NO_MEMORY or VMD_OK. deinit frees the buffer only: the caller owns descriptors, files and memory. */
enum vmd_status vmd_sink_init_fd(struct vmd_sink *sink, int fd, vmd_poll_fn poll, void *opaque, struct vmd_error *err);
enum vmd_status vmd_sink_init_file(struct vmd_sink *sink, FILE *file, vmd_poll_fn poll, void *opaque,
                                   struct vmd_error *err);
enum vmd_status vmd_sink_init_memory(struct vmd_sink *sink, char *memory, size_t size, vmd_poll_fn poll, void *opaque,
                                     struct vmd_error *err);
/* Count bytes without storing them. */
enum vmd_status vmd_sink_init_count(struct vmd_sink *sink, uint64_t *count, vmd_poll_fn poll, void *opaque,
                                    struct vmd_error *err);
void vmd_sink_deinit(struct vmd_sink *sink);

/* Drain the window. */
void vmd_sink_flush(struct vmd_sink *sink);

/* Append size bytes. */
void vmd_sink_write(struct vmd_sink *sink, const char *bytes, size_t size);

/* Drain the window; returns the first error since init, or VMD_OK. */
enum vmd_status vmd_sink_finish(struct vmd_sink *sink);

/* A FILE* that writes into the sink. The engine closes it before the sink is finished. NULL: out of memory. */
FILE *vmd_sink_open(struct vmd_sink *sink);

/* Bytes that an engine may write beyond the window's room before it flushes. */
#define VMD_SINK_SLACK 4096

#endif
