/*
 * The parser: see parse.h. Recursive descent over a known schema; each function leaves the position behind what it has
 * read, or reports the offset at which it stopped. Lists are gathered on stacks that all levels of nesting share, and
 * copied into the tree when their end is known.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/extended.h"
#include "format/format.h"
#include "parse/parse_tokens.h"
#include "format/templates.h"

/* Bytes of the longest text that is compared with one before: a text is compared once for each level it is nested in.
 */
enum { REPEAT_MAX = 32 << 10 };

#define VMD_NO_POSITION UINT32_MAX /* in details.reserved: the field has no position in a list */

static enum vmd_status vmd_parse_desc(struct vmd_parser *parser, const struct vmd_desc **ret);

static enum vmd_status parse_field(struct vmd_parser *parser, struct vmd_field *field,
                                   struct vmd_field_details *details, bool *ret_detailed)
{
    enum {
        FIELD,
        VERSION,
        EXISTS,
        NUM,
        SIZE,
        DESCRIPTION,
        INFO,
        FLAGS,
        OFFSET,
        STRUCT_VERSION,
        START,
        NUM_OFFSET,
        SIZE_OFFSET,
        ERR_HINT,
        POSITION
    };
    static const struct vmd_slice keys[] = {
        VMD_KEY("field"),       VMD_KEY("version_id"),        VMD_KEY("field_exists"), VMD_KEY("num"),
        VMD_KEY("size"),        VMD_KEY("Description"),       VMD_KEY("info"),         VMD_KEY("flags"),
        VMD_KEY("offset"),      VMD_KEY("struct_version_id"), VMD_KEY("start"),        VMD_KEY("num_offset"),
        VMD_KEY("size_offset"), VMD_KEY("err_hint"),          VMD_KEY("position"),     {0}};
    struct vmd_parse_object object = {.keys = keys,
                                      .required = 1u << FIELD | 1u << VERSION | 1u << EXISTS | 1u << SIZE,
                                      .what = "a field lacks field, version_id, field_exists or size"};
    enum vmd_status status;
    uint64_t position = VMD_NO_POSITION;
    int key;

    memset(field, 0, sizeof(*field));
    *details = (struct vmd_field_details){.offset = VMD_UNKNOWN, .num_offset = VMD_UNKNOWN, .size_offset = VMD_UNKNOWN};
    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case FIELD:
            status = vmd_parse_name(parser, &field->name, &field->name_len);
            break;
        case VERSION:
            status = vmd_parse_int(parser, &field->version_id);
            break;
        case EXISTS:
            status = vmd_parse_bool(parser, &field->field_exists);
            break;
        case NUM:
            status = vmd_parse_int(parser, &field->num);
            break;
        case SIZE:
            status = vmd_parse_size(parser, &field->size);
            break;
        case DESCRIPTION:
            status = vmd_parse_desc(parser, &field->vmsd);
            break;
        case INFO:
            status = vmd_parse_text(parser, &details->info, &details->info_len);
            break;
        case FLAGS:
            status = vmd_parse_bits(parser, vmd_flag_words, &field->flags);
            break;
        case OFFSET:
            status = vmd_parse_size(parser, &details->offset);
            break;
        case STRUCT_VERSION:
            status = vmd_parse_int(parser, &details->struct_version_id);
            break;
        case START:
            status = vmd_parse_size(parser, &details->start);
            break;
        case NUM_OFFSET:
            status = vmd_parse_size(parser, &details->num_offset);
            break;
        case SIZE_OFFSET:
            status = vmd_parse_size(parser, &details->size_offset);
            break;
        case ERR_HINT:
            status = vmd_parse_text(parser, &details->err_hint, &details->err_hint_len);
            break;
        case POSITION:
            status = vmd_parse_size(parser, &position);
            break;
        }
        if (status) {
            break;
        }
    }
    *ret_detailed = object.seen & 1u << FLAGS;
    if (!*ret_detailed && object.seen & 1u << NUM) {
        field->flags |= VMD_ARRAY; /* QEMU prints it of those alone */
    }
    details->reserved = position < VMD_NO_POSITION ? (uint32_t)position : VMD_NO_POSITION;
    return status;
}

/* Where a fragment ends that stands at p; NULL: it does not. */
static inline const char *match(const struct vmd_parser *parser, const char *p, struct vmd_fragment fragment)
{
    return (size_t)(parser->end - p) >= fragment.size && memcmp(p, fragment.text, fragment.size) == 0
               ? p + fragment.size
               : NULL;
}

/* The level of the description or device whose braces stand at indent; NULL: it has none. */
static enum vmd_status find_level(struct vmd_parser *parser, size_t indent, const struct vmd_level **ret)
{
    *ret = indent < 2 * VMD_LEVELS ? vmd_level_find(indent) : NULL;
    return *ret || indent >= 2 * VMD_LEVELS ? VMD_OK : vmd_parse_fail_memory(parser);
}

/* What devices and descriptions begin with, the first three of their keys: where it goes. */
struct vmd_parse_head {
    const char **name;
    uint32_t *name_len;
    int32_t *version_id, *minimum_version_id;
};

enum { HEAD_KEYS = 3 };

/*
 * Reads the head of an object that begins here, if QEMU wrote it, up to behind its numbers; then object->begun is true.
 * name_template ends in what stands before the name, from offset on; type: the only name that is taken, or NULL.
 */
static enum vmd_status vmd_parse_head_fast(struct vmd_parser *parser, struct vmd_parse_object *object,
                                           enum vmd_template_id name_template, size_t offset,
                                           const struct vmd_slice *type, struct vmd_parse_head head)
{
    const struct vmd_level *level;
    struct vmd_fragment open;
    const char *name, *name_end, *p;
    uint32_t version, minimum;

    if (find_level(parser, parser->indent, &level) || !level) {
        return parser->err->code;
    }
    open = level->fragments[name_template];
    name = match(parser, parser->pos, (struct vmd_fragment){open.text + offset, open.size - offset});
    if (!name) {
        return VMD_OK;
    }
    name_end = vmd_skip_plain(name, parser->end);
    if (type && (name_end - name != (ptrdiff_t)type->size || memcmp(name, type->text, type->size))) {
        return VMD_OK; /* rare: left to the way that reads everything */
    }
    if (name_end - name < VMD_PADDING && (p = match(parser, name_end, level->fragments[VMD_TEMPLATE_DESC_VERSION])) &&
        (p = vmd_parse_small_at(parser, p, &version)) &&
        (p = match(parser, p, level->fragments[VMD_TEMPLATE_DESC_MINIMUM])) &&
        (p = vmd_parse_small_at(parser, p, &minimum))) {
        *head.name = vmd_tree_short_string(parser->tree, name, name_end - name);
        if (!*head.name) {
            return vmd_parse_fail_memory(parser);
        }
        *head.name_len = name_end - name;
        *head.version_id = version;
        *head.minimum_version_id = minimum;
        object->begun = true;
        object->seen = (1u << HEAD_KEYS) - 1;
        object->next = HEAD_KEYS;
        object->frame = (struct vmd_frame){.up = parser->at};
        parser->indent += 2;
        parser->pos = p;
    }
    return VMD_OK;
}

/*
 * From behind a field's name to behind its size, if QEMU wrote it: where that ends; else NULL. As nearly all fields
 * have neither version nor test nor "num", that is compared at once.
 */
static inline const char *match_field(const struct vmd_parser *parser, const char *p, const struct vmd_level *level,
                                      struct vmd_field *field)
{
    const struct vmd_fragment *fragments = level->fragments;
    const char *at = match(parser, p, fragments[VMD_TEMPLATE_FIELD_0_SIZE]);
    uint32_t version = 0, num = 0, size;

    if (!at) {
        at = match(parser, p, fragments[VMD_TEMPLATE_FIELD_VERSION]);
        p = at ? vmd_parse_small_at(parser, at, &version) : NULL;
        for (int exists = 0; p && exists < 2; exists++) {
            if ((at = match(parser, p, fragments[VMD_TEMPLATE_FIELD_SIZE + exists]))) {
                field->field_exists = exists;
                break;
            }
            if ((at = match(parser, p, fragments[VMD_TEMPLATE_FIELD_NUM + exists]))) {
                field->field_exists = exists;
                field->flags = VMD_ARRAY; /* QEMU prints it of those alone */
                at = vmd_parse_small_at(parser, at, &num);
                at = at ? match(parser, at, fragments[VMD_TEMPLATE_FIELD_NUM_SIZE]) : NULL;
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
 * Pushes fields from the one that begins here on, as long as QEMU wrote them and they have no description: then they
 * are values between the fragments that the fast engine would write. At one that is not *more is true; where the list
 * seems to end, or goes on otherwise, it is false. All errors are left to parse_field.
 */
static enum vmd_status vmd_parse_fields_fast(struct vmd_parser *parser, struct vmd_frame *frame, bool *more)
{
    const size_t indent = parser->indent - VMD_INDENT_ELEMENT, close_size = 1 + parser->indent + 1;
    const struct vmd_level *level;
    struct vmd_fragment next, close, open;
    const char *name;

    *more = true;
    if (find_level(parser, indent, &level) || !level) {
        return parser->err->code;
    }
    next = level->fragments[VMD_TEMPLATE_FIELDS_NEXT]; /* a line's end and a brace; then ",\n", and the line that opens
                                                          a field */
    close = (struct vmd_fragment){next.text, close_size};
    open =
        (struct vmd_fragment){next.text + close_size + 2 + parser->indent, next.size - close_size - 2 - parser->indent};
    vmd_parse_skip_space(parser);
    name = match(parser, parser->pos, open);
    while (name) {
        const char *name_end = vmd_skip_plain(name, parser->end), *end, *next_name;
        struct vmd_field *field = vmd_stack_push(&parser->fields, sizeof(*field));

        if (!field) {
            return vmd_parse_fail_memory(parser);
        }
        memset(field, 0, sizeof(*field));
        end = name_end - name <= INT32_MAX ? match_field(parser, name_end, level, field) : NULL;
        next_name = end ? match(parser, end, next) : NULL;
        if (!next_name && (!end || !match(parser, end, close))) {
            parser->fields.used -= sizeof(*field);
            break;
        }
        field->name_len = name_end - name;
        /* Behind a name stands at least a fragment, which is longer than what may be read of it. */
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
            "a field that is in the wrong list: those with MUST_EXIST and a position are Validations");
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

/* Pushes a list of fields. Validations are those that are assertions; QEMU itself prints the others alone. */
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

/* A list of fields, taken off the stack; details: one each, or none. */
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

/* Puts validations back between the fields, to where their positions say. */
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
                                     "Validations whose positions are not in the list");
        }
        merged.fields[i] = from->fields[at];
        merged.details[i] = from->details[at];
        merged.details[i].reserved = 0;
        next += validation;
    }
    *fields = merged;
    return VMD_OK;
}

/* Sets the fields of a description whose members have all been read. */
static enum vmd_status set_fields(struct vmd_parser *parser, struct vmd_desc *desc, struct fields *fields,
                                  const struct fields *validations)
{
    bool detailed = desc->traits & VMD_DETAILED;

    if (fields->n_details != (detailed ? fields->n : 0) || validations->n_details != validations->n ||
        (validations->fields && (!detailed || !fields->fields))) {
        return vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos,
                                 "details of a part: needed of a description and flags of all its fields go together");
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

/* Sets a trait if the value says so. */
static enum vmd_status parse_trait(struct vmd_parser *parser, uint32_t trait, uint32_t *traits)
{
    uint32_t value = 0;
    enum vmd_status status = vmd_parse_bool(parser, &value);

    if (!status && value) {
        *traits |= trait;
    }
    return status;
}

static enum vmd_status parse_desc_members(struct vmd_parser *parser, struct vmd_desc *desc)
{
    enum {
        NAME,
        VERSION,
        MINIMUM,
        FIELDS,
        SUBSECTIONS,
        NEEDED,
        HOOKS,
        PRIORITY,
        UNMIGRATABLE,
        EARLY_SETUP,
        VALIDATIONS
    };
    static const struct vmd_slice keys[] = {
        VMD_KEY("name"),        VMD_KEY("version_id"),  VMD_KEY("minimum_version_id"),
        VMD_KEY("Fields"),      VMD_KEY("Subsections"), VMD_KEY("needed"),
        VMD_KEY("hooks"),       VMD_KEY("priority"),    VMD_KEY("unmigratable"),
        VMD_KEY("early_setup"), VMD_KEY("Validations"), {0}};
    struct vmd_parse_object object = {.keys = keys,
                                      .required = 1u << NAME | 1u << VERSION | 1u << MINIMUM,
                                      .what = "a description lacks name, version_id or minimum_version_id"};
    const struct vmd_parse_head head = {&desc->name, &desc->name_len, &desc->version_id, &desc->minimum_version_id};
    struct fields fields = {0}, validations = {0};
    enum vmd_status status;
    uint32_t hooks = 0;
    int key;

    if (vmd_parse_head_fast(parser, &object, VMD_TEMPLATE_DESC_NESTED,
                            2 + parser->indent + sizeof(VMD_DESC_OPEN) - sizeof("{\n"), NULL, head)) {
        return parser->err->code;
    }
    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case NAME:
            status = vmd_parse_name(parser, &desc->name, &desc->name_len);
            break;
        case VERSION:
            status = vmd_parse_int(parser, &desc->version_id);
            break;
        case MINIMUM:
            status = vmd_parse_int(parser, &desc->minimum_version_id);
            break;
        case FIELDS:
            status = parse_fields(parser, false, &fields);
            break;
        case SUBSECTIONS:
            status = parse_subsections(parser, desc);
            break;
        case NEEDED:
            desc->traits |= VMD_DETAILED;
            status = parse_trait(parser, VMD_NEEDED, &desc->traits);
            break;
        case HOOKS:
            status = vmd_parse_bits(parser, vmd_hook_words, &hooks);
            break;
        case PRIORITY:
            status = vmd_parse_int(parser, &desc->priority);
            break;
        case UNMIGRATABLE:
            status = parse_trait(parser, VMD_UNMIGRATABLE, &desc->traits);
            break;
        case EARLY_SETUP:
            status = parse_trait(parser, VMD_EARLY_SETUP, &desc->traits);
            break;
        case VALIDATIONS:
            status = parse_fields(parser, true, &validations);
            break;
        }
        if (status) {
            break;
        }
    }
    desc->traits |= hooks;
    return status ? status : set_fields(parser, desc, &fields, &validations);
}

/*
 * Half of a real dump is descriptions that it has told before, word for word: a base type's in each of its devices, one
 * CPU type's after the other's. So the last ones are remembered with their texts, as long as those are in memory, and
 * where the same text follows again it is the same description: it need not be read, and the tree shares it.
 */

/* Where the description that begins here would be remembered: by what stands where QEMU puts its name. */
static struct vmd_repeat *find_repeat(struct vmd_parser *parser)
{
    const size_t name_at = sizeof("{\n\"name\": \"") - 1 + parser->indent + 2;
    uint64_t hash;

    if ((size_t)(parser->end - parser->pos) < name_at + 2 * sizeof(hash)) {
        return NULL;
    }
    hash = vmd_load_u64(parser->pos + name_at) * 31 + vmd_load_u64(parser->pos + name_at + sizeof(hash));
    hash *= 0x9e3779b97f4a7c15; /* Fibonacci hashing: the high bits are the good ones */
    return &parser->repeats[hash / (UINT64_MAX / VMD_N_REPEATS + 1)];
}

static bool is_repeat(const struct vmd_parser *parser, const struct vmd_repeat *told)
{
    return told->desc && (size_t)(parser->end - parser->pos) >= told->size &&
           memcmp(parser->pos, told->text, told->size) == 0 && told->desc->depth <= VMD_MAX_DEPTH - parser->depth;
}

static enum vmd_status vmd_parse_desc(struct vmd_parser *parser, const struct vmd_desc **ret)
{
    struct vmd_desc *desc;
    struct vmd_repeat *told;
    const char *begin;
    enum vmd_status status;

    vmd_parse_skip_space(parser);
    told = find_repeat(parser);
    if (told && is_repeat(parser, told)) {
        parser->pos += told->size;
        *ret = told->desc;
        return VMD_OK;
    }
    begin = parser->pos;
    /* The depth is limited on the way down, so that the C stack is; vmd_desc_measure cannot exceed it then. */
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
    if (!status && told && parser->pos - begin <= REPEAT_MAX) {
        *told = (struct vmd_repeat){desc, begin, parser->pos - begin};
    }
    return status;
}

/* A description that is on no device class. */
static enum vmd_status parse_standalone(struct vmd_parser *parser, struct vmd_standalone *standalone)
{
    enum { USES, TYPES, SYMBOL, DESCRIPTION };
    static const struct vmd_slice keys[] = {
        VMD_KEY("uses"), VMD_KEY("types"), VMD_KEY("symbol"), VMD_KEY("Description"), {0}};
    struct vmd_parse_object object = {.keys = keys,
                                      .required = 1u << USES | 1u << DESCRIPTION,
                                      .what = "a description on no device class lacks uses or Description"};
    enum vmd_status status;
    uint32_t size;
    int key;

    memset(standalone, 0, sizeof(*standalone));
    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case USES:
            status = vmd_parse_texts(parser, &standalone->uses, &standalone->n_uses);
            break;
        case TYPES:
            status = vmd_parse_texts(parser, &standalone->types, &standalone->n_types);
            break;
        case SYMBOL:
            status = vmd_parse_text(parser, &standalone->symbol, &size);
            break;
        case DESCRIPTION:
            status = vmd_parse_desc(parser, &standalone->vmsd);
            break;
        }
        if (status) {
            break;
        }
    }
    return status;
}

static enum vmd_status parse_standalone_list(struct vmd_parser *parser)
{
    struct vmd_frame frame;
    bool more;
    enum vmd_status status = vmd_parse_element(parser, &frame, true, &more);

    while (!status && more) {
        struct vmd_standalone standalone, *slot;

        status = parse_standalone(parser, &standalone);
        if (status) {
            return status;
        }
        slot = vmd_stack_push(&parser->standalone, sizeof(standalone));
        if (!slot) {
            return vmd_parse_fail_memory(parser);
        }
        *slot = standalone;
        status = vmd_parse_element(parser, &frame, false, &more);
    }
    if (!status) {
        parser->tree->n_standalone = parser->standalone.used / sizeof(struct vmd_standalone);
        parser->tree->standalone = vmd_stack_pop(&parser->standalone, 0, parser->tree);
        status = parser->tree->standalone ? VMD_OK : vmd_parse_fail_memory(parser);
    }
    return status;
}

static enum vmd_status vmd_parse_machine(struct vmd_parser *parser)
{
    enum { NAME, PRINTS_NUM, PRODUCER, DESCRIPTIONS };
    static const struct vmd_slice keys[] = {
        VMD_KEY("Name"), VMD_KEY("prints_num"), VMD_KEY("producer"), VMD_KEY("Descriptions"), {0}};
    struct vmd_parse_object object = {.keys = keys, .required = 1u << NAME, .what = "vmschkmachine lacks Name"};
    struct vmd_tree *tree = parser->tree;
    enum vmd_status status;
    int key;

    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case NAME:
            status = vmd_parse_name(parser, &tree->machine, &tree->machine_len);
            break;
        case PRINTS_NUM:
            status = vmd_parse_bool(parser, &tree->print_num);
            break;
        case PRODUCER:
            status = vmd_parse_verbatim_object(parser, &tree->producer, &tree->producer_size);
            break;
        case DESCRIPTIONS:
            status = parse_standalone_list(parser);
            break;
        }
        if (status) {
            break;
        }
    }
    return status;
}

static enum vmd_status set_device_details(struct vmd_parser *parser, struct vmd_device *device,
                                          const struct vmd_device_details *details)
{
    struct vmd_device_details *copy = vmd_tree_alloc(parser->tree, sizeof(*copy));

    if (!copy) {
        return vmd_parse_fail_memory(parser);
    }
    *copy = *details;
    device->details = copy;
    return VMD_OK;
}

/*
 * Sets a device's type, which is its key: QEMU prints the type as Name too, but its checker looks devices up by key and
 * never reads their Name, so that dumps edited for it, such as QEMU's own dump2.json, have other Names.
 */
static enum vmd_status set_type(struct vmd_parser *parser, struct vmd_device *device, struct vmd_slice type)
{
    if (device->label_len == type.size && memcmp(device->label, type.text, type.size) == 0) {
        device->name = device->label;
    } else if (type.size > INT32_MAX) {
        return vmd_parse_fail_at(parser, VMD_BAD_NAME, parser->pos, "a name of more than 2 GiB");
    } else {
        device->name = vmd_tree_string(parser->tree, type.text, type.size);
    }
    device->name_len = type.size;
    return device->name ? VMD_OK : vmd_parse_fail_memory(parser);
}

/* A device without Description: QEMU prints none, but its checker reads them, and dump2.json has one. */
static enum vmd_status set_no_description(struct vmd_parser *parser, struct vmd_device *device)
{
    struct vmd_desc *desc = vmd_tree_alloc(parser->tree, sizeof(*desc));

    if (!desc) {
        return vmd_parse_fail_memory(parser);
    }
    *desc = (struct vmd_desc){.name = vmd_tree_string(parser->tree, "", 0),
                              .version_id = device->version_id,
                              .minimum_version_id = device->minimum_version_id,
                              .depth = 1,
                              .traits = VMD_NO_DESCRIPTION};
    device->vmsd = desc;
    return desc->name ? VMD_OK : vmd_parse_fail_memory(parser);
}

static enum vmd_status vmd_parse_device(struct vmd_parser *parser, struct vmd_device *device)
{
    enum { NAME, VERSION, MINIMUM, DESCRIPTION, PARENTS, ABSTRACT, DESC, MODULE };
    static const struct vmd_slice keys[] = {
        VMD_KEY("Name"),        VMD_KEY("version_id"), VMD_KEY("minimum_version_id"),
        VMD_KEY("Description"), VMD_KEY("parents"),    VMD_KEY("abstract"),
        VMD_KEY("desc"),        VMD_KEY("module"),     {0}};
    struct vmd_parse_object object = {.keys = keys,
                                      .required = 1u << NAME | 1u << VERSION | 1u << MINIMUM,
                                      .what = "a device lacks Name, version_id or minimum_version_id"};
    const struct vmd_slice type = parser->at->key;
    const struct vmd_parse_head head = {&device->label, &device->label_len, &device->version_id,
                                        &device->minimum_version_id};
    struct vmd_device_details details = {0};
    enum vmd_status status;
    uint32_t size;
    int key;

    memset(device, 0, sizeof(*device));
    if (vmd_parse_head_fast(parser, &object, VMD_TEMPLATE_DEVICE_NAME, sizeof("\":") - 1, &type, head)) {
        return parser->err->code;
    }
    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case NAME:
            status = vmd_parse_name(parser, &device->label, &device->label_len);
            break;
        case VERSION:
            status = vmd_parse_int(parser, &device->version_id);
            break;
        case MINIMUM:
            status = vmd_parse_int(parser, &device->minimum_version_id);
            break;
        case DESCRIPTION:
            status = vmd_parse_desc(parser, &device->vmsd);
            break;
        case PARENTS:
            status = vmd_parse_texts(parser, &details.parents, &details.n_parents);
            break;
        case ABSTRACT:
            status = vmd_parse_bool(parser, &details.is_abstract);
            break;
        case DESC:
            status = vmd_parse_text(parser, &details.desc, &size);
            break;
        case MODULE:
            status = vmd_parse_text(parser, &details.module, &size);
            break;
        }
        if (status) {
            break;
        }
    }
    if (!status && !device->vmsd) {
        status = details.parents
                     ? vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos, "a device with parents lacks Description")
                     : set_no_description(parser, device);
    }
    if (!status) {
        status = set_type(parser, device, type);
    }
    return status || !details.parents ? status : set_device_details(parser, device, &details);
}

/* A device by the hash of its name. */
struct hashed {
    uint64_t hash;
    const struct vmd_device *device;
};

/* FNV-1a */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325;

    while (*name) {
        hash = (hash ^ (unsigned char)*name++) * 0x100000001b3;
    }
    return hash;
}

/* By hash: names, which are all over the memory, are looked at where hashes are equal only. */
static int compare_hashed(const void *a, const void *b)
{
    const struct hashed *left = a, *right = b;

    if (left->hash != right->hash) {
        return left->hash < right->hash ? -1 : 1;
    }
    return strcmp(left->device->name, right->device->name);
}

/* Two devices of one name are two meanings of one key: which one counts depends on who reads the file. */
static enum vmd_status check_duplicates(struct vmd_parser *parser)
{
    uint64_t n = parser->tree->n_devices;
    struct hashed *sorted = malloc(n * sizeof(*sorted) + 1);
    enum vmd_status status = VMD_OK;

    if (!sorted) {
        return vmd_parse_fail_memory(parser);
    }
    for (uint64_t i = 0; i < n; i++) {
        sorted[i].device = &parser->tree->devices[i];
        sorted[i].hash = hash_name(sorted[i].device->name);
    }
    qsort(sorted, n, sizeof(*sorted), compare_hashed);
    for (uint64_t i = 1; i < n && !status; i++) {
        if (compare_hashed(&sorted[i - 1], &sorted[i]) == 0) {
            const struct vmd_device *device = sorted[i].device;
            struct vmd_frame frame = {.key = {device->name, device->name_len}};

            parser->at = &frame;
            status = vmd_parse_fail_at(parser, VMD_DUPLICATE, parser->begin, "a device type twice in one file");
            parser->at = NULL;
        }
    }
    free(sorted);
    return status;
}

static enum vmd_status parse_member(struct vmd_parser *parser, struct vmd_frame *frame)
{
    static const char machine[] = "vmschkmachine";
    struct vmd_device device, *slot;
    const char *where;
    enum vmd_status status;

    vmd_parse_skip_space(parser);
    where = parser->pos;
    status = vmd_parse_string(parser, &frame->key);
    if (status || (status = vmd_parse_expect(parser, ':', "expected ':'"))) {
        return status;
    }
    parser->at = frame;
    if (frame->key.size == sizeof(machine) - 1 && memcmp(frame->key.text, machine, frame->key.size) == 0) {
        return parser->tree->machine
                   ? vmd_parse_fail_at(parser, VMD_DUPLICATE, where, "vmschkmachine twice in one file")
                   : vmd_parse_machine(parser);
    }
    status = vmd_parse_device(parser, &device);
    if (status) {
        return status;
    }
    slot = vmd_stack_push(&parser->devices, sizeof(device));
    if (!slot) {
        return vmd_parse_fail_memory(parser);
    }
    *slot = device;
    return VMD_OK;
}

/*
 * A file that is read as it is parsed. Between two members of the outermost object nothing refers to the text, so what
 * has been read can be dropped there; a member that the window cuts off is read once more, in a larger window.
 */
struct vmd_window {
    int fd;
    uint64_t offset; /* of what has not been read */
    uint64_t end;    /* what stands behind it is not read: a file may grow without end */
    char *window;
    size_t capacity;
    bool ended;
};

/* Bytes of the window to begin with; fuzzed with few. */
#ifndef VMD_PARSE_WINDOW
#define VMD_PARSE_WINDOW (512 << 10)
#endif

/* Drops what stands before the position and fills the window, which grows where it holds too little else. */
static enum vmd_status refill(struct vmd_parser *parser)
{
    struct vmd_window *input = parser->input;
    size_t kept = parser->end - parser->pos, at = parser->pos - parser->begin;

    if (kept >= input->capacity / 2) {
        char *window = realloc(input->window, 2 * input->capacity);

        if (!window) {
            return vmd_parse_fail_memory(parser);
        }
        input->window = window;
        input->capacity *= 2;
    }
    memmove(input->window, input->window + at, kept);
    memset(parser->repeats, 0, sizeof(parser->repeats));
    while (kept < input->capacity && !input->ended) {
        size_t room = input->capacity - kept;
        uint64_t left = input->end > input->offset ? input->end - input->offset : 0;
        ssize_t n = pread(input->fd, input->window + kept, left < room ? left : room, input->offset);

        if (n < 0 && errno != EINTR) {
            return vmd_error_set(parser->err, VMD_IO, errno, "read error");
        }
        input->ended = n == 0;
        kept += n > 0 ? n : 0;
        input->offset += n > 0 ? n : 0;
    }
    parser->begin = parser->pos = input->window;
    parser->end = input->window + kept;
    return VMD_OK;
}

/* Skips space to the next text, or to the end of the file. */
static enum vmd_status skip_to_text(struct vmd_parser *parser)
{
    vmd_parse_skip_space(parser);
    while (parser->pos == parser->end && parser->input && !parser->input->ended) {
        if (refill(parser)) {
            return parser->err->code;
        }
        vmd_parse_skip_space(parser);
    }
    return VMD_OK;
}

/* A member of the outermost object, with the comma before it; *more is false at the object's end. */
static enum vmd_status parse_next_member(struct vmd_parser *parser, bool first, bool *more)
{
    struct vmd_frame frame = {0};

    *more = !vmd_parse_end(parser, '}', first);
    if (*more && !first && vmd_parse_expect(parser, ',', "expected ',' or '}'")) {
        return parser->err->code;
    }
    return *more ? parse_member(parser, &frame) : VMD_OK;
}

/* The same where the window may end in the middle: as often as it takes. */
static enum vmd_status parse_whole_member(struct vmd_parser *parser, bool first, bool *more)
{
    const struct vmd_tree tree = *parser->tree;
    size_t devices = parser->devices.used;

    for (;;) {
        const char *begin = parser->pos;
        enum vmd_status status = parse_next_member(parser, first, more);

        if (!status || status == VMD_NO_MEMORY || !parser->input || parser->input->ended) {
            return status;
        }
        *parser->tree = tree;
        parser->devices.used = devices;
        parser->fields.used = parser->details.used = parser->subsections.used = 0;
        parser->texts.used = parser->standalone.used = 0;
        parser->at = NULL;
        parser->depth = 0;
        parser->indent = 2;
        parser->pos = begin;
        vmd_error_set(parser->err, VMD_OK, 0, NULL);
        status = refill(parser);
        if (status) {
            return status;
        }
    }
}

static enum vmd_status parse_document(struct vmd_parser *parser)
{
    bool more = true;

    if (skip_to_text(parser) || vmd_parse_expect(parser, '{', "expected an object: not a file of -dump-vmstate")) {
        return parser->err->code;
    }
    parser->indent = 2;
    for (bool first = true; more; first = false) {
        if (parse_whole_member(parser, first, &more)) {
            return parser->err->code;
        }
        parser->at = NULL;
    }
    if (skip_to_text(parser)) {
        return parser->err->code;
    }
    if (parser->pos < parser->end) {
        return vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos, "text behind the end of the document");
    }
    if (!parser->tree->machine) {
        return vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos, "no vmschkmachine: not a file of -dump-vmstate");
    }
    parser->tree->n_devices = parser->devices.used / sizeof(struct vmd_device);
    parser->tree->devices = vmd_stack_pop(&parser->devices, 0, parser->tree);
    if (!parser->tree->devices) {
        return vmd_parse_fail_memory(parser);
    }
    vmd_tree_measure(parser->tree);
    return check_duplicates(parser);
}

static enum vmd_status parse(struct vmd_parser *parser)
{
    enum vmd_status status;

    vmd_error_set(parser->err, VMD_OK, 0, NULL);
    parser->tree->print_num = 1;
    status = parser->input ? refill(parser) : VMD_OK;
    if (!status) {
        status = parse_document(parser);
    }
    free(parser->fields.items);
    free(parser->details.items);
    free(parser->subsections.items);
    free(parser->devices.items);
    free(parser->texts.items);
    free(parser->standalone.items);
    return status;
}

enum vmd_status vmd_tree_parse(struct vmd_tree *tree, const char *text, size_t size, struct vmd_error *err)
{
    struct vmd_parser parser = {.tree = tree, .err = err, .begin = text, .pos = text, .end = text + size};

    return parse(&parser);
}

enum vmd_status vmd_tree_parse_file(struct vmd_tree *tree, int fd, uint64_t offset, uint64_t end, struct vmd_error *err)
{
    struct vmd_window input = {.fd = fd, .offset = offset, .end = end, .capacity = VMD_PARSE_WINDOW};
    struct vmd_parser parser = {.tree = tree, .err = err, .input = &input};
    enum vmd_status status;

    input.window = malloc(VMD_PARSE_WINDOW);
    if (!input.window) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    parser.begin = parser.pos = parser.end = input.window;
    status = parse(&parser);
    free(input.window);
    return status;
}
