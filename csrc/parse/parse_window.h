/*
 * Window on a dump file: the part of it that is in memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PARSE_WINDOW_H
#define VMD_PARSE_WINDOW_H

#include "parse/parse_tokens.h"

/*
 * Between two members of the outermost object nothing refers to the text, so the window can drop everything before that
 * point. A member that the window cuts off is parsed again in a larger window.
 */
struct vmd_window {
    int fd;
    uint64_t offset; /* of the next read */
    uint64_t end;    /* upper limit of reads: a file may grow without end */
    char *text;
    size_t capacity;
    bool ended;
};

/* Initial size in bytes; the fuzz targets set a small one. */
#ifndef VMD_PARSE_WINDOW
#define VMD_PARSE_WINDOW (512 << 10)
#endif

/* VMD_NO_MEMORY or VMD_OK. end: file offset at which reading stops. */
enum vmd_status vmd_window_init(struct vmd_window *window, int fd, uint64_t offset, uint64_t end);
void vmd_window_deinit(struct vmd_window *window);

/* Drop the text before the parser's position and fill the window of parser->window, which grows if it is half full. */
enum vmd_status vmd_window_refill(struct vmd_parser *parser);

#endif
