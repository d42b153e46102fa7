/*
 * Descriptions and their fields: see parse_schema.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse/parse_schema.h"

#include "format/extended.h"
#include "format/format.h"
#include "parse/parse_fast.h"

/* Bytes of the longest text that is remembered: a text is compared once for each level of nesting. */
enum { REPEAT_MAX = 32 << 10 };

#define VMD_NO_POSITION UINT32_MAX /* in details.reserved: the field has no position in a list */

/* Keys of a field: QEMU's, then those of the extended form. */
enum field_key {
    FIELD_NAME,
    FIELD_VERSION,
    FIELD_EXISTS,
    FIELD_NUM,
    FIELD_SIZE,
    FIELD_DESCRIPTION,
    FIELD_INFO,
    FIELD_FLAGS,
    FIELD_OFFSET,
    FIELD_STRUCT_VERSION,
    FIELD_START,
    FIELD_NUM_OFFSET,
    FIELD_SIZE_OFFSET,
    FIELD_ERR_HINT,
    FIELD_POSITION,
};

/* The value of a key that only the extended form has. */
static enum vmd_status parse_field_metadata(struct vmd_parser *parser, int key, struct vmd_field *field,
                                            struct vmd_field_details *details, uint64_t *position)
{
    switch (key) {
    case FIELD_INFO:
        return vmd_parse_text(parser, &details->info, &details->info_len);
    case FIELD_FLAGS:
        return vmd_parse_bits(parser, vmd_flag_words, &field->flags);
    case FIELD_OFFSET:
        return vmd_parse_size(parser, &details->offset);
    case FIELD_STRUCT_VERSION:
        return vmd_parse_int(parser, &details->struct_version_id);
    case FIELD_START:
        return vmd_parse_size(parser, &details->start);
    case FIELD_NUM_OFFSET:
        return vmd_parse_size(parser, &details->num_offset);
    case FIELD_SIZE_OFFSET:
        return vmd_parse_size(parser, &details->size_offset);
    case FIELD_ERR_HINT:
        return vmd_parse_text(parser, &details->err_hint, &details->err_hint_len);
    case FIELD_POSITION:
        return vmd_parse_size(parser, position);
    }
    return VMD_OK;
}

static enum vmd_status parse_field(struct vmd_parser *parser, struct vmd_field *field,
                                   struct vmd_field_details *details, bool *ret_detailed)
{
    static const struct vmd_slice keys[] = {
        VMD_KEY("field"),       VMD_KEY("version_id"),        VMD_KEY("field_exists"), VMD_KEY("num"),
        VMD_KEY("size"),        VMD_KEY("Description"),       VMD_KEY("info"),         VMD_KEY("flags"),
        VMD_KEY("offset"),      VMD_KEY("struct_version_id"), VMD_KEY("start"),        VMD_KEY("num_offset"),
        VMD_KEY("size_offset"), VMD_KEY("err_hint"),          VMD_KEY("position"),     {0}};
    struct vmd_parse_object object = {.keys = keys,
                                      .required = 1u << FIELD_NAME | 1u << FIELD_VERSION | 1u << FIELD_EXISTS |
                                                  1u << FIELD_SIZE,
                                      .what = "a field lacks field, version_id, field_exists or size"};
    enum vmd_status status;
    uint64_t position = VMD_NO_POSITION;
    int key;

    memset(field, 0, sizeof(*field));
    *details = (struct vmd_field_details){.offset = VMD_UNKNOWN, .num_offset = VMD_UNKNOWN, .size_offset = VMD_UNKNOWN};
    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case FIELD_NAME:
            status = vmd_parse_name(parser, &field->name, &field->name_len);
            break;
        case FIELD_VERSION:
            status = vmd_parse_int(parser, &field->version_id);
            break;
        case FIELD_EXISTS:
            status = vmd_parse_bool(parser, &field->field_exists);
            break;
        case FIELD_NUM:
            status = vmd_parse_int(parser, &field->num);
            break;
        case FIELD_SIZE:
            status = vmd_parse_size(parser, &field->size);
            break;
        case FIELD_DESCRIPTION:
            status = vmd_parse_desc(parser, &field->vmsd);
            break;
        default:
            status = parse_field_metadata(parser, key, field, details, &position);
            break;
        }
        if (status) {
            break;
        }
    }
    *ret_detailed = object.seen & 1u << FIELD_FLAGS;
    if (!*ret_detailed && object.seen & 1u << FIELD_NUM) {
        field->flags |= VMD_ARRAY; /* QEMU prints "num" for these only */
    }
    details->reserved = position < VMD_NO_POSITION ? (uint32_t)position : VMD_NO_POSITION;
    return status;
}

static enum vmd_status push_field(struct vmd_parser *parser, bool validations, bool *ret_detailed)
{
    struct vmd_field field, *field_slot;
    struct vmd_field_details details, *details_slot;
    enum vmd_status status = parse_field(parser, &field, &details, ret_detailed);

    if (status) {
        return status;
    }
    if (validations != !!(field.flags & VMD_MUST_EXIST) || validations != (details.reserved != VMD_NO_POSITION)) {
        return vmd_parse_fail_at(
            parser, VMD_BAD_JSON, parser->pos,
            "a field is in the wrong list: Validations are the fields with MUST_EXIST and a position");
    }
    field_slot = vmd_stack_push(&parser->fields, sizeof(field));
    if (!field_slot) {
        return vmd_parse_fail_memory(parser);
    }
    *field_slot = field;
    if (*ret_detailed) {
        details_slot = vmd_stack_push(&parser->details, sizeof(details));
        if (!details_slot) {
            return vmd_parse_fail_memory(parser);
        }
        *details_slot = details;
    }
    return VMD_OK;
}

/* Push a list of fields. Validations are MUST_EXIST fields, which only the extended form has. */
static enum vmd_status push_fields(struct vmd_parser *parser, bool validations)
{
    struct vmd_frame frame;
    bool more, detailed = validations;
    enum vmd_status status = vmd_parse_element(parser, &frame, true, &more);

    while (!status && more) {
        if (!detailed) {
            status = vmd_parse_fields_fast(parser, &frame, &more);
        }
        if (!status && more) {
            status = push_field(parser, validations, &detailed);
        }
        if (!status) {
            status = vmd_parse_element(parser, &frame, false, &more);
        }
    }
    return status;
}

/* A list of fields in the tree. n_details is n or 0. */
struct fields {
    struct vmd_field *fields; /* NULL: no list */
    struct vmd_field_details *details;
    uint64_t n, n_details;
};

static enum vmd_status parse_fields(struct vmd_parser *parser, bool validations, struct fields *ret)
{
    size_t bottom = parser->fields.used, details_bottom = parser->details.used;
    enum vmd_status status = push_fields(parser, validations);

    if (!status) {
        ret->n = (parser->fields.used - bottom) / sizeof(*ret->fields);
        ret->n_details = (parser->details.used - details_bottom) / sizeof(*ret->details);
        ret->fields = (void *)vmd_stack_pop(&parser->fields, bottom, parser->tree);
        ret->details = (void *)vmd_stack_pop(&parser->details, details_bottom, parser->tree);
        status = ret->fields && ret->details ? VMD_OK : vmd_parse_fail_memory(parser);
    }
    return status;
}

/* Insert validations between the fields, at their positions. */
static enum vmd_status merge_validations(struct vmd_parser *parser, struct fields *fields,
                                         const struct fields *validations)
{
    uint64_t n = fields->n + validations->n, next = 0;
    struct fields merged = {.n = n, .n_details = n};

    merged.fields = vmd_tree_alloc(parser->tree, n * sizeof(*merged.fields));
    merged.details = vmd_tree_alloc(parser->tree, n * sizeof(*merged.details));
    if (!merged.fields || !merged.details) {
        return vmd_parse_fail_memory(parser);
    }
    for (uint64_t i = 0; i < n; i++) {
        bool validation = next < validations->n && validations->details[next].reserved == i;
        const struct fields *from = validation ? validations : fields;
        uint64_t at = validation ? next : i - next;

        if (at >= from->n) {
            return vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos,
                                     "a position of Validations is outside the list");
        }
        merged.fields[i] = from->fields[at];
        merged.details[i] = from->details[at];
        merged.details[i].reserved = 0;
        next += validation;
    }
    *fields = merged;
    return VMD_OK;
}

/* Set the fields of a description after all its members have been parsed. */
static enum vmd_status set_fields(struct vmd_parser *parser, struct vmd_desc *desc, struct fields *fields,
                                  const struct fields *validations)
{
    bool detailed = desc->traits & VMD_DETAILED;

    if (fields->n_details != (detailed ? fields->n : 0) || validations->n_details != validations->n ||
        (validations->fields && (!detailed || !fields->fields))) {
        return vmd_parse_fail_at(
            parser, VMD_BAD_JSON, parser->pos,
            "incomplete metadata: a description with needed must have flags in all fields, and vice versa");
    }
    if (validations->n && merge_validations(parser, fields, validations)) {
        return parser->err->code;
    }
    for (uint64_t i = 0; detailed && i < fields->n; i++) {
        fields->details[i].reserved = 0;
    }
    desc->fields = fields->fields;
    desc->field_details = detailed && fields->fields ? fields->details : NULL;
    desc->n_fields = fields->n;
    return VMD_OK;
}

static enum vmd_status parse_subsections(struct vmd_parser *parser, struct vmd_desc *desc)
{
    size_t bottom = parser->subsections.used;
    struct vmd_frame frame;
    bool more;
    enum vmd_status status = vmd_parse_element(parser, &frame, true, &more);

    while (!status && more) {
        const struct vmd_desc *subsection, **slot;

        status = vmd_parse_desc(parser, &subsection);
        if (status) {
            return status;
        }
        slot = vmd_stack_push(&parser->subsections, sizeof(subsection));
        if (!slot) {
            return vmd_parse_fail_memory(parser);
        }
        *slot = subsection;
        status = vmd_parse_element(parser, &frame, false, &more);
    }
    if (!status) {
        desc->n_subsections = (parser->subsections.used - bottom) / sizeof(*desc->subsections);
        desc->subsections = vmd_stack_pop(&parser->subsections, bottom, parser->tree);
        status = desc->subsections ? VMD_OK : vmd_parse_fail_memory(parser);
    }
    return status;
}

/* Set a trait if the value is true. */
static enum vmd_status parse_trait(struct vmd_parser *parser, uint32_t trait, uint32_t *traits)
{
    uint32_t value = 0;
    enum vmd_status status = vmd_parse_bool(parser, &value);

    if (!status && value) {
        *traits |= trait;
    }
    return status;
}

/* Keys of a description: QEMU's, then those of the extended form. */
enum desc_key {
    DESC_NAME,
    DESC_VERSION,
    DESC_MINIMUM,
    DESC_FIELDS,
    DESC_SUBSECTIONS,
    DESC_NEEDED,
    DESC_HOOKS,
    DESC_PRIORITY,
    DESC_UNMIGRATABLE,
    DESC_EARLY_SETUP,
    DESC_VALIDATIONS,
};

/* The value of a key that only the extended form has. */
static enum vmd_status parse_desc_metadata(struct vmd_parser *parser, int key, struct vmd_desc *desc,
                                           struct fields *validations)
{
    enum vmd_status status;
    uint32_t hooks;

    switch (key) {
    case DESC_NEEDED:
        desc->traits |= VMD_DETAILED;
        return parse_trait(parser, VMD_NEEDED, &desc->traits);
    case DESC_HOOKS:
        status = vmd_parse_bits(parser, vmd_hook_words, &hooks);
        desc->traits |= hooks;
        return status;
    case DESC_PRIORITY:
        return vmd_parse_int(parser, &desc->priority);
    case DESC_UNMIGRATABLE:
        return parse_trait(parser, VMD_UNMIGRATABLE, &desc->traits);
    case DESC_EARLY_SETUP:
        return parse_trait(parser, VMD_EARLY_SETUP, &desc->traits);
    case DESC_VALIDATIONS:
        return parse_fields(parser, true, validations);
    }
    return VMD_OK;
}

static enum vmd_status parse_desc_members(struct vmd_parser *parser, struct vmd_desc *desc)
{
    static const struct vmd_slice keys[] = {
        VMD_KEY("name"),        VMD_KEY("version_id"),  VMD_KEY("minimum_version_id"),
        VMD_KEY("Fields"),      VMD_KEY("Subsections"), VMD_KEY("needed"),
        VMD_KEY("hooks"),       VMD_KEY("priority"),    VMD_KEY("unmigratable"),
        VMD_KEY("early_setup"), VMD_KEY("Validations"), {0}};
    struct vmd_parse_object object = {.keys = keys,
                                      .required = 1u << DESC_NAME | 1u << DESC_VERSION | 1u << DESC_MINIMUM,
                                      .what = "a description lacks name, version_id or minimum_version_id"};
    const struct vmd_parse_head head = {&desc->name, &desc->name_len, &desc->version_id, &desc->minimum_version_id};
    struct fields fields = {0}, validations = {0};
    enum vmd_status status;
    int key;

    if (vmd_parse_head_fast(parser, &object, VMD_TEMPLATE_DESC_NESTED,
                            2 + parser->indent + sizeof(VMD_DESC_OPEN) - sizeof("{\n"), NULL, head)) {
        return parser->err->code;
    }
    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case DESC_NAME:
            status = vmd_parse_name(parser, &desc->name, &desc->name_len);
            break;
        case DESC_VERSION:
            status = vmd_parse_int(parser, &desc->version_id);
            break;
        case DESC_MINIMUM:
            status = vmd_parse_int(parser, &desc->minimum_version_id);
            break;
        case DESC_FIELDS:
            status = parse_fields(parser, false, &fields);
            break;
        case DESC_SUBSECTIONS:
            status = parse_subsections(parser, desc);
            break;
        default:
            status = parse_desc_metadata(parser, key, desc, &validations);
            break;
        }
        if (status) {
            break;
        }
    }
    return status ? status : set_fields(parser, desc, &fields, &validations);
}

enum vmd_status vmd_parse_desc(struct vmd_parser *parser, const struct vmd_desc **ret)
{
    struct vmd_desc *desc;
    struct vmd_repeat *repeat;
    const char *begin;
    enum vmd_status status;

    vmd_parse_skip_space(parser);
    repeat = vmd_parse_find_repeat(parser);
    if (repeat && vmd_parse_is_repeat(parser, repeat)) {
        parser->pos += repeat->size;
        *ret = repeat->desc;
        return VMD_OK;
    }
    begin = parser->pos;
    /* Check before recursing, which bounds the C stack; vmd_desc_measure cannot fail then. */
    if (parser->depth == VMD_MAX_DEPTH) {
        return vmd_parse_fail_at(parser, VMD_TOO_DEEP, parser->pos, "descriptions nest deeper than 1000");
    }
    desc = vmd_tree_alloc(parser->tree, sizeof(*desc));
    if (!desc) {
        return vmd_parse_fail_memory(parser);
    }
    memset(desc, 0, sizeof(*desc));
    parser->depth++;
    status = parse_desc_members(parser, desc);
    parser->depth--;
    if (!status) {
        vmd_desc_measure(desc);
        *ret = desc;
    }
    if (!status && repeat && parser->pos - begin <= REPEAT_MAX) {
        *repeat = (struct vmd_repeat){desc, begin, parser->pos - begin};
    }
    return status;
}
