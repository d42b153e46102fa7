/*
 * Fast path for text that QEMU or the fast engine wrote: it is compared with the templates of format/templates.h
 * instead of being parsed token by token. Whatever differs, errors included, is left to parse_schema.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PARSE_FAST_H
#define VMD_PARSE_FAST_H

#include "format/templates.h"
#include "parse/parse_tokens.h"

/* Destinations of the first three keys of a device or description. */
struct vmd_parse_head {
    const char **name;
    uint32_t *name_len;
    int32_t *version_id, *minimum_version_id;
};

/*
 * Parse the head of the object at the position up to the end of its numbers and set object->begun; an object that does
 * not have QEMU's form is left alone. name_template ends in the text before the name, from offset on. type: the only
 * accepted name, or NULL.
 */
enum vmd_status vmd_parse_head_fast(struct vmd_parser *parser, struct vmd_parse_object *object,
                                    enum vmd_template_id name_template, size_t offset, const struct vmd_slice *type,
                                    struct vmd_parse_head head);

/*
 * Push fields, from the one at the position on, as long as they have QEMU's form and no description. *more: the next
 * field needs the general parser; false: the list ends here or continues in another form.
 */
enum vmd_status vmd_parse_fields_fast(struct vmd_parser *parser, struct vmd_frame *frame, bool *more);

/*
 * About half of a real dump repeats earlier descriptions verbatim: those of a base type in each of its devices, those
 * of one CPU type in the next. The parser remembers recent descriptions with their text, as long as that is in memory;
 * a repeated text is skipped and the tree shares the description.
 */

/* The slot of the description at the position; NULL: too little text follows. */
struct vmd_repeat *vmd_parse_find_repeat(struct vmd_parser *parser);

/* Whether the text at the position is the remembered one. */
static inline bool vmd_parse_is_repeat(const struct vmd_parser *parser, const struct vmd_repeat *repeat)
{
    return repeat->desc && (size_t)(parser->end - parser->pos) >= repeat->size &&
           memcmp(parser->pos, repeat->text, repeat->size) == 0 && repeat->desc->depth <= VMD_MAX_DEPTH - parser->depth;
}

#endif
