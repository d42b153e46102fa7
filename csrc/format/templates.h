/*
 * The text of a dump between its values (names and numbers). It depends on the indentation alone: for each level of
 * indentation its fragments are made once, from the words in format.h, when the level is first met, and are kept for
 * the life of the process. The fast engine copies them, the parser looks whether they are what it reads.
 *
 * Indentation beyond VMD_LEVELS has no fragments: who needs them makes them each time, so that memory does not grow
 * with depth.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_TEMPLATES_H
#define VMD_TEMPLATES_H

#include <stddef.h>

enum {
    VMD_BLOCK = 32,  /* bytes: so many can be read from behind any fragment */
    VMD_LEVELS = 64, /* levels with fragments: indents 0, 2, ... 126 */
};

/* The fragments. None begins with an indentation: that follows a line's end inside of a fragment. */
enum vmd_template_id {
    VMD_TEMPLATE_DEVICE_FIRST, /* from the end of the machine to the device's name */
    VMD_TEMPLATE_DEVICE_NEXT,  /* from the end of a device's description to the next one's name */
    VMD_TEMPLATE_DEVICE_NAME,
    VMD_TEMPLATE_DEVICE_VERSION,
    VMD_TEMPLATE_DEVICE_MINIMUM,
    VMD_TEMPLATE_DEVICE_DESC, /* up to the description's name */
    VMD_TEMPLATE_DEVICE_CLOSE,
    VMD_TEMPLATE_DESC_NESTED, /* from a field's size to its description's name */
    VMD_TEMPLATE_DESC_VERSION,
    VMD_TEMPLATE_DESC_MINIMUM,
    VMD_TEMPLATE_DESC_CLOSE,
    VMD_TEMPLATE_FIELDS_EMPTY,
    VMD_TEMPLATE_FIELDS_FIRST, /* from the description's versions to the first field's name */
    VMD_TEMPLATE_FIELDS_NEXT,  /* from the end of a field to the next one's name */
    VMD_TEMPLATE_FIELDS_CLOSE,
    VMD_TEMPLATE_SUBSECTIONS_EMPTY,
    VMD_TEMPLATE_SUBSECTIONS_FIRST,
    VMD_TEMPLATE_SUBSECTIONS_NEXT,
    VMD_TEMPLATE_SUBSECTIONS_CLOSE,
    VMD_TEMPLATE_FIELD_VERSION, /* from name to version_id */
    VMD_TEMPLATE_FIELD_SIZE,    /* from version_id to size */
    VMD_TEMPLATE_FIELD_SIZE_EXISTS,
    VMD_TEMPLATE_FIELD_NUM, /* from version_id to num */
    VMD_TEMPLATE_FIELD_NUM_EXISTS,
    VMD_TEMPLATE_FIELD_NUM_SIZE, /* from num to size */
    VMD_TEMPLATE_FIELD_0_SIZE,   /* from name to size where version_id is 0, as it nearly always is */
    VMD_TEMPLATE_FIELD_0_SIZE_EXISTS,
    VMD_TEMPLATE_FIELD_0_NUM,
    VMD_TEMPLATE_FIELD_0_NUM_EXISTS,
    VMD_N_TEMPLATES,
};

struct vmd_fragment {
    const char *text;
    size_t size;
};

/* A level: the fragments at one indentation, that of the device or description they belong to. */
struct vmd_level {
    struct vmd_fragment fragments[VMD_N_TEMPLATES];
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

/* What fragments are made from: their text, with a VMD_INDENT_MARK wherever the indentation belongs. */
extern const char *const vmd_templates[VMD_N_TEMPLATES];
#define VMD_INDENT_MARK "\1"

/* Bytes and indentations of the largest template. */
struct vmd_template_size {
    size_t text_size, n_indents;
};

struct vmd_template_size vmd_template_max_size(void);

/* Makes a fragment at out; returns its end. */
char *vmd_template_expand(char *out, enum vmd_template_id id, size_t indent);

#endif
