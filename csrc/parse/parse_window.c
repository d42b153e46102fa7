/*
 * Window on a dump file: see parse_window.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse/parse_window.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum vmd_status vmd_window_init(struct vmd_window *window, int fd, uint64_t offset, uint64_t end)
{
    *window = (struct vmd_window){.fd = fd, .offset = offset, .end = end, .capacity = VMD_PARSE_WINDOW};
    window->text = malloc(window->capacity);
    return window->text ? VMD_OK : VMD_NO_MEMORY;
}

void vmd_window_deinit(struct vmd_window *window)
{
    free(window->text);
    window->text = NULL;
}

enum vmd_status vmd_window_refill(struct vmd_parser *parser)
{
    struct vmd_window *window = parser->window;
    size_t kept = parser->end - parser->pos, at = parser->pos - parser->begin;

    if (kept >= window->capacity / 2) {
        char *text = realloc(window->text, 2 * window->capacity);

        if (!text) {
            return vmd_parse_fail_memory(parser);
        }
        window->text = text;
        window->capacity *= 2;
    }
    memmove(window->text, window->text + at, kept);
    memset(parser->repeats, 0, sizeof(parser->repeats));
    while (kept < window->capacity && !window->ended) {
        size_t room = window->capacity - kept;
        uint64_t left = window->end > window->offset ? window->end - window->offset : 0;
        ssize_t n = pread(window->fd, window->text + kept, left < room ? left : room, window->offset);

        if (n < 0 && errno != EINTR) {
            return vmd_error_set(parser->err, VMD_IO, errno, "read error");
        }
        window->ended = n == 0;
        kept += n > 0 ? n : 0;
        window->offset += n > 0 ? n : 0;
    }
    parser->begin = parser->pos = window->text;
    parser->end = window->text + kept;
    return VMD_OK;
}
