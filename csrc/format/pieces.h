/*
 * The text of a dump between its values (names and numbers). It depends on the indentation alone: for each level of
 * indentation its pieces are made once, from the words in format.h, when the level is first met, and are kept for the
 * life of the process. The fast engine copies them, the parser looks whether they are what it reads.
 *
 * Indentation beyond VMD_LEVELS has no pieces: who needs them makes them each time, so that memory does not grow with
 * depth.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PIECES_H
#define VMD_PIECES_H

#include <stddef.h>

enum {
    VMD_BLOCK = 32,  /* bytes: so many can be read from behind any piece */
    VMD_LEVELS = 64, /* levels with pieces: indents 0, 2, ... 126 */
};

/* The pieces. None begins with an indentation: that follows a line's end inside of a piece. */
enum vmd_piece_id {
    PIECE_DEVICE_FIRST, /* from the end of the machine to the device's name */
    PIECE_DEVICE_NEXT,  /* from the end of a device's description to the next one's name */
    PIECE_DEVICE_NAME,
    PIECE_DEVICE_VERSION,
    PIECE_DEVICE_MINIMUM,
    PIECE_DEVICE_DESC, /* up to the description's name */
    PIECE_DEVICE_CLOSE,
    PIECE_DESC_NESTED, /* from a field's size to its description's name */
    PIECE_DESC_VERSION,
    PIECE_DESC_MINIMUM,
    PIECE_DESC_CLOSE,
    PIECE_FIELDS_EMPTY,
    PIECE_FIELDS_FIRST, /* from the description's versions to the first field's name */
    PIECE_FIELDS_NEXT,  /* from the end of a field to the next one's name */
    PIECE_FIELDS_CLOSE,
    PIECE_SUBSECTIONS_EMPTY,
    PIECE_SUBSECTIONS_FIRST,
    PIECE_SUBSECTIONS_NEXT,
    PIECE_SUBSECTIONS_CLOSE,
    PIECE_FIELD_VERSION, /* from name to version_id */
    PIECE_FIELD_SIZE,    /* from version_id to size */
    PIECE_FIELD_SIZE_EXISTS,
    PIECE_FIELD_NUM, /* from version_id to num */
    PIECE_FIELD_NUM_EXISTS,
    PIECE_FIELD_NUM_SIZE, /* from num to size */
    PIECE_FIELD_0_SIZE,   /* from name to size where version_id is 0, as it nearly always is */
    PIECE_FIELD_0_SIZE_EXISTS,
    PIECE_FIELD_0_NUM,
    PIECE_FIELD_0_NUM_EXISTS,
    N_PIECES,
};

struct vmd_piece {
    const char *text;
    size_t size;
};

/* A level: the pieces at one indentation, that of the device or description they belong to. */
struct vmd_level {
    struct vmd_piece pieces[N_PIECES];
    char text[];
};

/* By indent / 2; NULL: not met yet. */
extern struct vmd_level *vmd_levels[VMD_LEVELS];

/* Makes the level of an indent below 2 * VMD_LEVELS, unless another thread has. NULL: there is no memory. */
const struct vmd_level *vmd_level_create(int indent);

static inline const struct vmd_level *vmd_level_find(int indent)
{
    const struct vmd_level *level = __atomic_load_n(&vmd_levels[indent / 2], __ATOMIC_ACQUIRE);

    return __builtin_expect(level != NULL, 1) ? level : vmd_level_create(indent);
}

/* What pieces are made from: their text, with a VMD_INDENT wherever the indentation belongs. */
extern const char *const vmd_recipes[N_PIECES];
#define VMD_INDENT "\1"

/* Bytes and indentations of the largest recipe. */
struct vmd_recipe_size {
    size_t text_size, n_indents;
};

struct vmd_recipe_size vmd_recipes_max(void);

/* Makes a piece at out; returns its end. */
char *vmd_piece_expand(char *out, enum vmd_piece_id id, size_t indent);

#endif
