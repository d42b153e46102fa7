/*
 * Templates: the text of a dump between its values (names and numbers), with a mark for the indentation. A fragment is
 * a template expanded at one indentation. The fragments of an indentation form a level; it is created when first used
 * and kept for the life of the process. The fast engine copies fragments, the parser compares its input with them.
 *
 * Indentations from 2 * VMD_LEVELS on have no level, so that memory does not grow with depth: templates are expanded
 * each time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_TEMPLATES_H
#define VMD_TEMPLATES_H

#include <stddef.h>

enum {
    VMD_BLOCK = 32,  /* bytes that are readable after any fragment */
    VMD_LEVELS = 64, /* number of levels: indentations 0, 2, ... 126 */
};

/* The templates. None begins with an indentation, which always follows the end of a line within a template. */
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
    VMD_TEMPLATE_FIELD_0_SIZE,   /* from name to size if version_id is 0, the usual case */
    VMD_TEMPLATE_FIELD_0_SIZE_EXISTS,
    VMD_TEMPLATE_FIELD_0_NUM,
    VMD_TEMPLATE_FIELD_0_NUM_EXISTS,
    VMD_N_TEMPLATES,
};

struct vmd_fragment {
    const char *text;
    size_t size;
};

/* The fragments at the indentation of a device or description. */
struct vmd_level {
    struct vmd_fragment fragments[VMD_N_TEMPLATES];
    char text[];
};

/* Indexed by indent / 2; NULL: not created yet. Access with vmd_level_find. */
extern struct vmd_level *vmd_levels[VMD_LEVELS];

/* Create the level of an indentation below 2 * VMD_LEVELS, unless another thread has. NULL: out of memory. */
const struct vmd_level *vmd_level_create(int indent);

static inline const struct vmd_level *vmd_level_find(int indent)
{
    const struct vmd_level *level = __atomic_load_n(&vmd_levels[indent / 2], __ATOMIC_ACQUIRE);

    return __builtin_expect(level != NULL, 1) ? level : vmd_level_create(indent);
}

/* Text of the templates; VMD_INDENT_MARK stands for the indentation. */
extern const char *const vmd_templates[VMD_N_TEMPLATES];
#define VMD_INDENT_MARK "\1"

/* Bytes and indentation marks of a template. */
struct vmd_template_size {
    size_t text_size, n_indents;
};

/* The maxima over all templates. */
struct vmd_template_size vmd_template_max_size(void);

/* Expand a template at out; returns the end of the fragment. */
char *vmd_template_expand(char *out, enum vmd_template_id id, size_t indent);

#endif
