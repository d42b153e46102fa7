/*
 * Fast path for text that QEMU or the fast engine wrote: it is compared with the templates of format/templates.h
 * instead of being parsed token by token. Whatever differs, errors included, is left to parse_schema.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PARSE_FAST_H
#define VMD_PARSE_FAST_H

#include "format/format.h"
#include "format/templates.h"
#include "parse/parse_tokens.h"

/* End of the fragment at p; NULL: other text. */
static inline const char *vmd_parse_match(const struct vmd_parser *parser, const char *p, struct vmd_fragment fragment)
{
    return (size_t)(parser->end - p) >= fragment.size && memcmp(p, fragment.text, fragment.size) == 0
               ? p + fragment.size
               : NULL;
}

/* The level of a description or device whose braces are at indent; NULL: no level at this depth. */
static inline enum vmd_status vmd_parse_find_level(struct vmd_parser *parser, size_t indent,
                                                   const struct vmd_level **ret)
{
    *ret = indent < 2 * VMD_LEVELS ? vmd_level_find(indent) : NULL;
    return *ret || indent >= 2 * VMD_LEVELS ? VMD_OK : vmd_parse_fail_memory(parser);
}

/* Destinations of the first three keys of a device or description. */
struct vmd_parse_head {
    const char **name;
    uint32_t *name_len;
    int32_t *version_id, *minimum_version_id;
};

enum { VMD_PARSE_HEAD_KEYS = 3 };

/*
 * Parse the head of the object at the position up to the end of its numbers and set object->begun; an object that does
 * not have QEMU's form is left alone. name_template ends in the text before the name, from offset on. type: the only
 * accepted name, or NULL.
 */
static inline enum vmd_status vmd_parse_head_fast(struct vmd_parser *parser, struct vmd_parse_object *object,
                                                  enum vmd_template_id name_template, size_t offset,
                                                  const struct vmd_slice *type, struct vmd_parse_head head)
{
    const struct vmd_level *level;
    struct vmd_fragment open;
    const char *name, *name_end, *p;
    uint32_t version, minimum;

    if (vmd_parse_find_level(parser, parser->indent, &level) || !level) {
        return parser->err->code;
    }
    open = level->fragments[name_template];
    name = vmd_parse_match(parser, parser->pos, (struct vmd_fragment){open.text + offset, open.size - offset});
    if (!name) {
        return VMD_OK;
    }
    name_end = vmd_name_skip_plain(name, parser->end);
    if (type && (name_end - name != (ptrdiff_t)type->size || memcmp(name, type->text, type->size))) {
        return VMD_OK; /* rare: left to the general parser */
    }
    if (name_end - name < VMD_PADDING &&
        (p = vmd_parse_match(parser, name_end, level->fragments[VMD_TEMPLATE_DESC_VERSION])) &&
        (p = vmd_parse_small_at(parser, p, &version)) &&
        (p = vmd_parse_match(parser, p, level->fragments[VMD_TEMPLATE_DESC_MINIMUM])) &&
        (p = vmd_parse_small_at(parser, p, &minimum))) {
        *head.name = vmd_tree_short_string(parser->tree, name, name_end - name);
        if (!*head.name) {
            return vmd_parse_fail_memory(parser);
        }
        *head.name_len = name_end - name;
        *head.version_id = version;
        *head.minimum_version_id = minimum;
        object->begun = true;
        object->seen = (1u << VMD_PARSE_HEAD_KEYS) - 1;
        object->next = VMD_PARSE_HEAD_KEYS;
        object->frame = (struct vmd_frame){.up = parser->at};
        parser->indent += 2;
        parser->pos = p;
    }
    return VMD_OK;
}

/*
 * Match a field after its name, up to its size; returns the end or NULL. Nearly all fields have neither version nor
 * test nor "num", so that case is compared at once.
 */
static inline const char *vmd_parse_match_field(const struct vmd_parser *parser, const char *p,
                                                const struct vmd_level *level, struct vmd_field *field)
{
    const struct vmd_fragment *fragments = level->fragments;
    const char *at = vmd_parse_match(parser, p, fragments[VMD_TEMPLATE_FIELD_0_SIZE]);
    uint32_t version = 0, num = 0, size;

    if (!at) {
        at = vmd_parse_match(parser, p, fragments[VMD_TEMPLATE_FIELD_VERSION]);
        p = at ? vmd_parse_small_at(parser, at, &version) : NULL;
        for (int exists = 0; p && exists < 2; exists++) {
            if ((at = vmd_parse_match(parser, p, fragments[VMD_TEMPLATE_FIELD_SIZE + exists]))) {
                field->field_exists = exists;
                break;
            }
            if ((at = vmd_parse_match(parser, p, fragments[VMD_TEMPLATE_FIELD_NUM + exists]))) {
                field->field_exists = exists;
                field->flags = VMD_ARRAY; /* QEMU prints "num" for these only */
                at = vmd_parse_small_at(parser, at, &num);
                at = at ? vmd_parse_match(parser, at, fragments[VMD_TEMPLATE_FIELD_NUM_SIZE]) : NULL;
                break;
            }
        }
    }
    at = at ? vmd_parse_small_at(parser, at, &size) : NULL;
    if (at) {
        field->version_id = version;
        field->num = num;
        field->size = size;
    }
    return at;
}

/*
 * Push fields, from the one at the position on, as long as they have QEMU's form and no description. *more: the next
 * field needs the general parser; false: the list ends here or continues in another form.
 */
static inline enum vmd_status vmd_parse_fields_fast(struct vmd_parser *parser, struct vmd_frame *frame, bool *more)
{
    const size_t indent = parser->indent - VMD_INDENT_ELEMENT, close_size = 1 + parser->indent + 1;
    const struct vmd_level *level;
    struct vmd_fragment next, close, open;
    const char *name;

    *more = true;
    if (vmd_parse_find_level(parser, indent, &level) || !level) {
        return parser->err->code;
    }
    next = level->fragments[VMD_TEMPLATE_FIELDS_NEXT]; /* a line's end and a brace; then ",\n", and the line that opens
                                                          a field */
    close = (struct vmd_fragment){next.text, close_size};
    open =
        (struct vmd_fragment){next.text + close_size + 2 + parser->indent, next.size - close_size - 2 - parser->indent};
    vmd_parse_skip_space(parser);
    name = vmd_parse_match(parser, parser->pos, open);
    while (name) {
        const char *name_end = vmd_name_skip_plain(name, parser->end), *end, *next_name;
        struct vmd_field *field = vmd_stack_push(&parser->fields, sizeof(*field));

        if (!field) {
            return vmd_parse_fail_memory(parser);
        }
        memset(field, 0, sizeof(*field));
        end = name_end - name <= INT32_MAX ? vmd_parse_match_field(parser, name_end, level, field) : NULL;
        next_name = end ? vmd_parse_match(parser, end, next) : NULL;
        if (!next_name && (!end || !vmd_parse_match(parser, end, close))) {
            parser->fields.used -= sizeof(*field);
            break;
        }
        field->name_len = name_end - name;
        /* After a name comes a fragment, so VMD_PADDING bytes are readable. */
        field->name = field->name_len < VMD_PADDING ? vmd_tree_short_string(parser->tree, name, field->name_len)
                                                    : vmd_tree_string(parser->tree, name, field->name_len);
        if (!field->name) {
            return vmd_parse_fail_memory(parser);
        }
        *more = next_name;
        parser->pos = next_name ? next_name - open.size : end + close_size;
        frame->index += *more;
        name = next_name;
    }
    return VMD_OK;
}

/*
 * About half of a real dump repeats earlier descriptions verbatim: those of a base type in each of its devices, those
 * of one CPU type in the next. The parser remembers recent descriptions with their text, as long as that is in memory;
 * a repeated text is skipped and the tree shares the description.
 */

/* The slot of the description at the position; NULL: too little text follows. */
static inline struct vmd_repeat *vmd_parse_find_repeat(struct vmd_parser *parser)
{
    const size_t name_at = sizeof("{\n\"name\": \"") - 1 + parser->indent + 2;
    uint64_t hash;

    if ((size_t)(parser->end - parser->pos) < name_at + 2 * sizeof(hash)) {
        return NULL;
    }
    hash = vmd_load_u64(parser->pos + name_at) * 31 + vmd_load_u64(parser->pos + name_at + sizeof(hash));
    hash *= 0x9e3779b97f4a7c15; /* Fibonacci hashing: the high bits are well mixed */
    return &parser->repeats[hash / (UINT64_MAX / VMD_N_REPEATS + 1)];
}

/* Whether the text at the position is the remembered one. */
static inline bool vmd_parse_is_repeat(const struct vmd_parser *parser, const struct vmd_repeat *repeat)
{
    return repeat->desc && (size_t)(parser->end - parser->pos) >= repeat->size &&
           memcmp(parser->pos, repeat->text, repeat->size) == 0 && repeat->desc->depth <= VMD_MAX_DEPTH - parser->depth;
}

#endif
