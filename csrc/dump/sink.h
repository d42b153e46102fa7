/*
 * Where a dump's bytes go: a file descriptor, memory, or a FILE*. The engines write into the sink's window; when it is
 * full it is drained in one piece, and there may be another window then: of memory it is a part of that memory. The
 * first error sticks: what is written afterwards is dropped, so that engines need
 * not look after every line, and vmd_sink_finish reports it.
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
 * Asked about every VMD_POLL_BYTES of output and whenever a signal interrupts a write: nonzero ends the dump with
 * VMD_INTERRUPTED. NULL: never asked.
 */
typedef int (*vmd_poll_fn)(void *opaque);

enum {
    VMD_CHUNK = 256 << 10, /* bytes that reach the kernel at a time */
    VMD_POLL_BYTES = 16 << 20,
};

struct vmd_sink {
    char *buffer; /* the window that is written to: room bytes, and VMD_SINK_SLACK behind them */
    size_t room;
    size_t used;
    char *own; /* the sink's own buffer */
    enum vmd_status (*drain)(struct vmd_sink *sink, const char *bytes, size_t size);
    int fd;
    bool fd_waits; /* it may take bytes only after a while */
    FILE *file;
    char *memory;
    size_t memory_left;
    uint64_t *count;
    vmd_poll_fn poll;
    void *opaque;
    uint64_t until_poll;
    struct vmd_error *err; /* the caller's; its code is the sink's state */
};

/* VMD_NO_MEMORY or VMD_OK; deinit frees the buffer alone: descriptors, files and memory are the caller's. */
enum vmd_status vmd_sink_init_fd(struct vmd_sink *sink, int fd, vmd_poll_fn poll, void *opaque, struct vmd_error *err);
enum vmd_status vmd_sink_init_file(struct vmd_sink *sink, FILE *file, vmd_poll_fn poll, void *opaque,
                                   struct vmd_error *err);
enum vmd_status vmd_sink_init_memory(struct vmd_sink *sink, char *memory, size_t size, vmd_poll_fn poll, void *opaque,
                                     struct vmd_error *err);
/* Counts bytes and drops them. */
enum vmd_status vmd_sink_init_count(struct vmd_sink *sink, uint64_t *count, vmd_poll_fn poll, void *opaque,
                                    struct vmd_error *err);
void vmd_sink_deinit(struct vmd_sink *sink);

/* Empties the window, or moves it on. */
void vmd_sink_flush(struct vmd_sink *sink);

/* Appends bytes of any number. */
void vmd_sink_write(struct vmd_sink *sink, const char *bytes, size_t size);

/* Empties the window; the first error since init, or VMD_OK. */
enum vmd_status vmd_sink_finish(struct vmd_sink *sink);

/* A FILE* that writes into the sink, for an engine that prints; closed by the engine, before the sink is finished.
 * NULL: no memory. */
FILE *vmd_sink_open(struct vmd_sink *sink);

/* Bytes that an engine may write behind the window's room before it flushes. */
#define VMD_SINK_SLACK 4096

#endif
