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
#include "format/pieces.h"

/* Bytes of the longest text that is compared with one before: a text is compared once for each level it is nested in.
 */
enum { TOLD_MAX = 32 << 10 };

#define VMD_NO_POSITION UINT32_MAX /* in details.reserved: the field has no position in a list */

static enum vmd_status take_desc(struct parser *parser, const struct vmd_desc **ret);

static enum vmd_status take_field(struct parser *parser, struct vmd_field *field, struct vmd_field_details *details,
                                  bool *ret_detailed)
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
    static const struct slice keys[] = {
        KEY("field"),       KEY("version_id"),        KEY("field_exists"), KEY("num"),
        KEY("size"),        KEY("Description"),       KEY("info"),         KEY("flags"),
        KEY("offset"),      KEY("struct_version_id"), KEY("start"),        KEY("num_offset"),
        KEY("size_offset"), KEY("err_hint"),          KEY("position"),     {0}};
    struct object object = {.keys = keys,
                            .required = 1u << FIELD | 1u << VERSION | 1u << EXISTS | 1u << SIZE,
                            .what = "a field lacks field, version_id, field_exists or size"};
    enum vmd_status status;
    uint64_t position = VMD_NO_POSITION;
    int key;

    memset(field, 0, sizeof(*field));
    *details = (struct vmd_field_details){.offset = VMD_UNKNOWN, .num_offset = VMD_UNKNOWN, .size_offset = VMD_UNKNOWN};
    while (!(status = vmd_next_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case FIELD:
            status = take_name(parser, &field->name, &field->name_len);
            break;
        case VERSION:
            status = take_int(parser, &field->version_id);
            break;
        case EXISTS:
            status = take_bool(parser, &field->field_exists);
            break;
        case NUM:
            status = take_int(parser, &field->num);
            break;
        case SIZE:
            status = take_size(parser, &field->size);
            break;
        case DESCRIPTION:
            status = take_desc(parser, &field->vmsd);
            break;
        case INFO:
            status = vmd_take_text(parser, &details->info, &details->info_len);
            break;
        case FLAGS:
            status = vmd_take_bits(parser, vmd_flag_words, &field->flags);
            break;
        case OFFSET:
            status = take_size(parser, &details->offset);
            break;
        case STRUCT_VERSION:
            status = take_int(parser, &details->struct_version_id);
            break;
        case START:
            status = take_size(parser, &details->start);
            break;
        case NUM_OFFSET:
            status = take_size(parser, &details->num_offset);
            break;
        case SIZE_OFFSET:
            status = take_size(parser, &details->size_offset);
            break;
        case ERR_HINT:
            status = vmd_take_text(parser, &details->err_hint, &details->err_hint_len);
            break;
        case POSITION:
            status = take_size(parser, &position);
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

/* Where a piece ends that stands at p; NULL: it does not. */
static inline const char *match(const struct parser *parser, const char *p, struct vmd_piece piece)
{
    return (size_t)(parser->end - p) >= piece.size && memcmp(p, piece.text, piece.size) == 0 ? p + piece.size : NULL;
}

/* The level of the description or device whose braces stand at indent; NULL: it has none. */
static enum vmd_status find_level(struct parser *parser, size_t indent, const struct vmd_level **ret)
{
    *ret = indent < 2 * VMD_LEVELS ? vmd_level_find(indent) : NULL;
    return *ret || indent >= 2 * VMD_LEVELS ? VMD_OK : vmd_fail_memory(parser);
}

/* What devices and descriptions begin with, the first three of their keys: where it goes. */
struct head {
    const char **name;
    uint32_t *name_len;
    int32_t *version_id, *minimum_version_id;
};

enum { HEAD_KEYS = 3 };

/*
 * Reads the head of an object that begins here, if QEMU wrote it, up to behind its numbers; then object->begun is true.
 * name_piece ends in what stands before the name, from offset on; type: the name that it has to be, or NULL.
 */
static enum vmd_status take_known_head(struct parser *parser, struct object *object, enum vmd_piece_id name_piece,
                                       size_t offset, const struct slice *type, struct head head)
{
    const struct vmd_level *level;
    struct vmd_piece open;
    const char *name, *name_end, *p;
    uint32_t version, minimum;

    if (find_level(parser, parser->indent, &level) || !level) {
        return parser->err->code;
    }
    open = level->pieces[name_piece];
    name = match(parser, parser->pos, (struct vmd_piece){open.text + offset, open.size - offset});
    if (!name) {
        return VMD_OK;
    }
    name_end = vmd_skip_plain(name, parser->end);
    if (type && (name_end - name != (ptrdiff_t)type->size || memcmp(name, type->text, type->size))) {
        return VMD_OK; /* an error, whose place is found on the way that reads everything */
    }
    if (name_end - name < VMD_PADDING && (p = match(parser, name_end, level->pieces[PIECE_DESC_VERSION])) &&
        (p = read_small(parser, p, &version)) && (p = match(parser, p, level->pieces[PIECE_DESC_MINIMUM])) &&
        (p = read_small(parser, p, &minimum))) {
        *head.name = vmd_tree_short_string(parser->tree, name, name_end - name);
        if (!*head.name) {
            return vmd_fail_memory(parser);
        }
        *head.name_len = name_end - name;
        *head.version_id = version;
        *head.minimum_version_id = minimum;
        object->begun = true;
        object->seen = (1u << HEAD_KEYS) - 1;
        object->next = HEAD_KEYS;
        object->frame = (struct frame){.up = parser->at};
        parser->indent += 2;
        parser->pos = p;
    }
    return VMD_OK;
}

/*
 * From behind a field's name to behind its size, if QEMU wrote it: where that ends; else NULL. As nearly all fields
 * have neither version nor test nor "num", that is compared at once.
 */
static inline const char *match_field(const struct parser *parser, const char *p, const struct vmd_level *level,
                                      struct vmd_field *field)
{
    const struct vmd_piece *pieces = level->pieces;
    const char *at = match(parser, p, pieces[PIECE_FIELD_0_SIZE]);
    uint32_t version = 0, num = 0, size;

    if (!at) {
        at = match(parser, p, pieces[PIECE_FIELD_VERSION]);
        p = at ? read_small(parser, at, &version) : NULL;
        for (int exists = 0; p && exists < 2; exists++) {
            if ((at = match(parser, p, pieces[PIECE_FIELD_SIZE + exists]))) {
                field->field_exists = exists;
                break;
            }
            if ((at = match(parser, p, pieces[PIECE_FIELD_NUM + exists]))) {
                field->field_exists = exists;
                field->flags = VMD_ARRAY; /* QEMU prints it of those alone */
                at = read_small(parser, at, &num);
                at = at ? match(parser, at, pieces[PIECE_FIELD_NUM_SIZE]) : NULL;
                break;
            }
        }
    }
    at = at ? read_small(parser, at, &size) : NULL;
    if (at) {
        field->version_id = version;
        field->num = num;
        field->size = size;
    }
    return at;
}

/*
 * Pushes fields from the one that begins here on, as long as QEMU wrote them and they have no description: then they
 * are values between the pieces that the fast engine would write. At one that is not *more is true; where the list
 * seems to end, or goes on otherwise, it is false. All errors are left to take_field.
 */
static enum vmd_status push_known_fields(struct parser *parser, struct frame *frame, bool *more)
{
    const size_t indent = parser->indent - INDENT_ELEMENT, close_size = 1 + parser->indent + 1;
    const struct vmd_level *level;
    struct vmd_piece next, close, open;
    const char *name;

    *more = true;
    if (find_level(parser, indent, &level) || !level) {
        return parser->err->code;
    }
    next = level->pieces[PIECE_FIELDS_NEXT]; /* a line's end and a brace; then ",\n", and the line that opens a field */
    close = (struct vmd_piece){next.text, close_size};
    open = (struct vmd_piece){next.text + close_size + 2 + parser->indent, next.size - close_size - 2 - parser->indent};
    skip_space(parser);
    name = match(parser, parser->pos, open);
    while (name) {
        const char *name_end = vmd_skip_plain(name, parser->end), *end, *next_name;
        struct vmd_field *field = stack_push(&parser->fields, sizeof(*field));

        if (!field) {
            return vmd_fail_memory(parser);
        }
        memset(field, 0, sizeof(*field));
        end = name_end - name <= INT32_MAX ? match_field(parser, name_end, level, field) : NULL;
        next_name = end ? match(parser, end, next) : NULL;
        if (!next_name && (!end || !match(parser, end, close))) {
            parser->fields.used -= sizeof(*field);
            break;
        }
        field->name_len = name_end - name;
        /* Behind a name stands at least a piece, which is longer than what may be read of it. */
        field->name = field->name_len < VMD_PADDING ? vmd_tree_short_string(parser->tree, name, field->name_len)
                                                    : vmd_tree_string(parser->tree, name, field->name_len);
        if (!field->name) {
            return vmd_fail_memory(parser);
        }
        *more = next_name;
        parser->pos = next_name ? next_name - open.size : end + close_size;
        frame->index += *more;
        name = next_name;
    }
    return VMD_OK;
}

static enum vmd_status push_field(struct parser *parser, bool validations, bool *ret_detailed)
{
    struct vmd_field field, *field_slot;
    struct vmd_field_details details, *details_slot;
    enum vmd_status status = take_field(parser, &field, &details, ret_detailed);

    if (status) {
        return status;
    }
    if (validations != !!(field.flags & VMD_MUST_EXIST) || validations != (details.reserved != VMD_NO_POSITION)) {
        return vmd_fail_at(parser, VMD_BAD_JSON, parser->pos,
                           "a field that is in the wrong list: those with MUST_EXIST and a position are Validations");
    }
    field_slot = stack_push(&parser->fields, sizeof(field));
    if (!field_slot) {
        return vmd_fail_memory(parser);
    }
    *field_slot = field;
    if (*ret_detailed) {
        details_slot = stack_push(&parser->details, sizeof(details));
        if (!details_slot) {
            return vmd_fail_memory(parser);
        }
        *details_slot = details;
    }
    return VMD_OK;
}

/* Pushes a list of fields. Validations are those that are assertions; QEMU itself prints the others alone. */
static enum vmd_status push_fields(struct parser *parser, bool validations)
{
    struct frame frame;
    bool more, detailed = validations;
    enum vmd_status status = next_element(parser, &frame, true, &more);

    while (!status && more) {
        if (!detailed) {
            status = push_known_fields(parser, &frame, &more);
        }
        if (!status && more) {
            status = push_field(parser, validations, &detailed);
        }
        if (!status) {
            status = next_element(parser, &frame, false, &more);
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

static enum vmd_status take_fields(struct parser *parser, bool validations, struct fields *ret)
{
    size_t bottom = parser->fields.used, details_bottom = parser->details.used;
    enum vmd_status status = push_fields(parser, validations);

    if (!status) {
        ret->n = (parser->fields.used - bottom) / sizeof(*ret->fields);
        ret->n_details = (parser->details.used - details_bottom) / sizeof(*ret->details);
        ret->fields = (void *)vmd_stack_take(&parser->fields, bottom, parser->tree);
        ret->details = (void *)vmd_stack_take(&parser->details, details_bottom, parser->tree);
        status = ret->fields && ret->details ? VMD_OK : vmd_fail_memory(parser);
    }
    return status;
}

/* Puts validations back between the fields, to where their positions say. */
static enum vmd_status merge_validations(struct parser *parser, struct fields *fields, const struct fields *validations)
{
    uint64_t n = fields->n + validations->n, next = 0;
    struct fields merged = {.n = n, .n_details = n};

    merged.fields = vmd_tree_alloc(parser->tree, n * sizeof(*merged.fields));
    merged.details = vmd_tree_alloc(parser->tree, n * sizeof(*merged.details));
    if (!merged.fields || !merged.details) {
        return vmd_fail_memory(parser);
    }
    for (uint64_t i = 0; i < n; i++) {
        bool validation = next < validations->n && validations->details[next].reserved == i;
        const struct fields *from = validation ? validations : fields;
        uint64_t at = validation ? next : i - next;

        if (at >= from->n) {
            return vmd_fail_at(parser, VMD_BAD_JSON, parser->pos, "Validations whose positions are not in the list");
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
static enum vmd_status set_fields(struct parser *parser, struct vmd_desc *desc, struct fields *fields,
                                  const struct fields *validations)
{
    bool detailed = desc->traits & VMD_DETAILED;

    if (fields->n_details != (detailed ? fields->n : 0) || validations->n_details != validations->n ||
        (validations->fields && (!detailed || !fields->fields))) {
        return vmd_fail_at(parser, VMD_BAD_JSON, parser->pos,
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

static enum vmd_status take_subsections(struct parser *parser, struct vmd_desc *desc)
{
    size_t bottom = parser->subsections.used;
    struct frame frame;
    bool more;
    enum vmd_status status = next_element(parser, &frame, true, &more);

    while (!status && more) {
        const struct vmd_desc *subsection, **slot;

        status = take_desc(parser, &subsection);
        if (status) {
            return status;
        }
        slot = stack_push(&parser->subsections, sizeof(subsection));
        if (!slot) {
            return vmd_fail_memory(parser);
        }
        *slot = subsection;
        status = next_element(parser, &frame, false, &more);
    }
    if (!status) {
        desc->n_subsections = (parser->subsections.used - bottom) / sizeof(*desc->subsections);
        desc->subsections = vmd_stack_take(&parser->subsections, bottom, parser->tree);
        status = desc->subsections ? VMD_OK : vmd_fail_memory(parser);
    }
    return status;
}

/* Sets a trait if the value says so. */
static enum vmd_status take_trait(struct parser *parser, uint32_t trait, uint32_t *traits)
{
    uint32_t value = 0;
    enum vmd_status status = take_bool(parser, &value);

    if (!status && value) {
        *traits |= trait;
    }
    return status;
}

static enum vmd_status take_desc_members(struct parser *parser, struct vmd_desc *desc)
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
    static const struct slice keys[] = {KEY("name"),        KEY("version_id"),  KEY("minimum_version_id"),
                                        KEY("Fields"),      KEY("Subsections"), KEY("needed"),
                                        KEY("hooks"),       KEY("priority"),    KEY("unmigratable"),
                                        KEY("early_setup"), KEY("Validations"), {0}};
    struct object object = {.keys = keys,
                            .required = 1u << NAME | 1u << VERSION | 1u << MINIMUM,
                            .what = "a description lacks name, version_id or minimum_version_id"};
    const struct head head = {&desc->name, &desc->name_len, &desc->version_id, &desc->minimum_version_id};
    struct fields fields = {0}, validations = {0};
    enum vmd_status status;
    uint32_t hooks = 0;
    int key;

    if (take_known_head(parser, &object, PIECE_DESC_NESTED, 2 + parser->indent + sizeof(DESC_OPEN) - sizeof("{\n"),
                        NULL, head)) {
        return parser->err->code;
    }
    while (!(status = vmd_next_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case NAME:
            status = take_name(parser, &desc->name, &desc->name_len);
            break;
        case VERSION:
            status = take_int(parser, &desc->version_id);
            break;
        case MINIMUM:
            status = take_int(parser, &desc->minimum_version_id);
            break;
        case FIELDS:
            status = take_fields(parser, false, &fields);
            break;
        case SUBSECTIONS:
            status = take_subsections(parser, desc);
            break;
        case NEEDED:
            desc->traits |= VMD_DETAILED;
            status = take_trait(parser, VMD_NEEDED, &desc->traits);
            break;
        case HOOKS:
            status = vmd_take_bits(parser, vmd_hook_words, &hooks);
            break;
        case PRIORITY:
            status = take_int(parser, &desc->priority);
            break;
        case UNMIGRATABLE:
            status = take_trait(parser, VMD_UNMIGRATABLE, &desc->traits);
            break;
        case EARLY_SETUP:
            status = take_trait(parser, VMD_EARLY_SETUP, &desc->traits);
            break;
        case VALIDATIONS:
            status = take_fields(parser, true, &validations);
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
static struct told *find_told(struct parser *parser)
{
    const size_t name_at = sizeof("{\n\"name\": \"") - 1 + parser->indent + 2;
    uint64_t hash;

    if ((size_t)(parser->end - parser->pos) < name_at + 2 * sizeof(hash)) {
        return NULL;
    }
    hash = vmd_load_word(parser->pos + name_at) * 31 + vmd_load_word(parser->pos + name_at + sizeof(hash));
    hash *= 0x9e3779b97f4a7c15; /* Fibonacci hashing: the high bits are the good ones */
    return &parser->told[hash / (UINT64_MAX / VMD_N_TOLD + 1)];
}

static bool is_told_again(const struct parser *parser, const struct told *told)
{
    return told->desc && (size_t)(parser->end - parser->pos) >= told->size &&
           memcmp(parser->pos, told->text, told->size) == 0 && told->desc->depth <= VMD_MAX_DEPTH - parser->depth;
}

static enum vmd_status take_desc(struct parser *parser, const struct vmd_desc **ret)
{
    struct vmd_desc *desc;
    struct told *told;
    const char *begin;
    enum vmd_status status;

    skip_space(parser);
    told = find_told(parser);
    if (told && is_told_again(parser, told)) {
        parser->pos += told->size;
        *ret = told->desc;
        return VMD_OK;
    }
    begin = parser->pos;
    /* The depth is limited on the way down, so that the C stack is; vmd_desc_measure cannot exceed it then. */
    if (parser->depth == VMD_MAX_DEPTH) {
        return vmd_fail_at(parser, VMD_TOO_DEEP, parser->pos, "descriptions nest deeper than 1000");
    }
    desc = vmd_tree_alloc(parser->tree, sizeof(*desc));
    if (!desc) {
        return vmd_fail_memory(parser);
    }
    memset(desc, 0, sizeof(*desc));
    parser->depth++;
    status = take_desc_members(parser, desc);
    parser->depth--;
    if (!status) {
        vmd_desc_measure(desc);
        *ret = desc;
    }
    if (!status && told && parser->pos - begin <= TOLD_MAX) {
        *told = (struct told){desc, begin, parser->pos - begin};
    }
    return status;
}

/* A description that is on no device class. */
static enum vmd_status take_root(struct parser *parser, struct vmd_root *root)
{
    enum { USES, TYPES, SYMBOL, DESCRIPTION };
    static const struct slice keys[] = {KEY("uses"), KEY("types"), KEY("symbol"), KEY("Description"), {0}};
    struct object object = {.keys = keys,
                            .required = 1u << USES | 1u << DESCRIPTION,
                            .what = "a description on no device class lacks uses or Description"};
    enum vmd_status status;
    uint32_t size;
    int key;

    memset(root, 0, sizeof(*root));
    while (!(status = vmd_next_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case USES:
            status = vmd_take_texts(parser, &root->uses, &root->n_uses);
            break;
        case TYPES:
            status = vmd_take_texts(parser, &root->types, &root->n_types);
            break;
        case SYMBOL:
            status = vmd_take_text(parser, &root->symbol, &size);
            break;
        case DESCRIPTION:
            status = take_desc(parser, &root->vmsd);
            break;
        }
        if (status) {
            break;
        }
    }
    return status;
}

static enum vmd_status take_roots(struct parser *parser)
{
    struct frame frame;
    bool more;
    enum vmd_status status = next_element(parser, &frame, true, &more);

    while (!status && more) {
        struct vmd_root root, *slot;

        status = take_root(parser, &root);
        if (status) {
            return status;
        }
        slot = stack_push(&parser->roots, sizeof(root));
        if (!slot) {
            return vmd_fail_memory(parser);
        }
        *slot = root;
        status = next_element(parser, &frame, false, &more);
    }
    if (!status) {
        parser->tree->n_roots = parser->roots.used / sizeof(struct vmd_root);
        parser->tree->roots = vmd_stack_take(&parser->roots, 0, parser->tree);
        status = parser->tree->roots ? VMD_OK : vmd_fail_memory(parser);
    }
    return status;
}

static enum vmd_status take_machine(struct parser *parser)
{
    enum { NAME, PRINTS_NUM, PRODUCER, DESCRIPTIONS };
    static const struct slice keys[] = {KEY("Name"), KEY("prints_num"), KEY("producer"), KEY("Descriptions"), {0}};
    struct object object = {.keys = keys, .required = 1u << NAME, .what = "vmschkmachine lacks Name"};
    struct vmd_tree *tree = parser->tree;
    enum vmd_status status;
    int key;

    while (!(status = vmd_next_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case NAME:
            status = take_name(parser, &tree->machine, &tree->machine_len);
            break;
        case PRINTS_NUM:
            status = take_bool(parser, &tree->print_num);
            break;
        case PRODUCER:
            status = vmd_take_object(parser, &tree->about, &tree->about_size);
            break;
        case DESCRIPTIONS:
            status = take_roots(parser);
            break;
        }
        if (status) {
            break;
        }
    }
    return status;
}

static enum vmd_status set_device_details(struct parser *parser, struct vmd_device *device,
                                          const struct vmd_device_details *details)
{
    struct vmd_device_details *copy = vmd_tree_alloc(parser->tree, sizeof(*copy));

    if (!copy) {
        return vmd_fail_memory(parser);
    }
    *copy = *details;
    device->details = copy;
    return VMD_OK;
}

static enum vmd_status take_device(struct parser *parser, struct vmd_device *device)
{
    enum { NAME, VERSION, MINIMUM, DESCRIPTION, PARENTS, ABSTRACT, DESC, MODULE };
    static const struct slice keys[] = {KEY("Name"),        KEY("version_id"), KEY("minimum_version_id"),
                                        KEY("Description"), KEY("parents"),    KEY("abstract"),
                                        KEY("desc"),        KEY("module"),     {0}};
    struct object object = {.keys = keys,
                            .required = 1u << NAME | 1u << VERSION | 1u << MINIMUM | 1u << DESCRIPTION,
                            .what = "a device lacks Name, version_id, minimum_version_id or Description"};
    const struct slice type = parser->at->key;
    const struct head head = {&device->name, &device->name_len, &device->version_id, &device->minimum_version_id};
    struct vmd_device_details details = {0};
    enum vmd_status status;
    uint32_t size;
    int key;

    memset(device, 0, sizeof(*device));
    if (take_known_head(parser, &object, PIECE_DEVICE_NAME, sizeof("\":") - 1, &type, head)) {
        return parser->err->code;
    }
    while (!(status = vmd_next_key(parser, &object, &key)) && key >= 0) {
        const char *where = parser->pos;

        switch (key) {
        case NAME:
            status = take_name(parser, &device->name, &device->name_len);
            if (!status && (device->name_len != type.size || memcmp(device->name, type.text, type.size))) {
                status = vmd_fail_at(parser, VMD_BAD_JSON, where, "a device's Name is not its key");
            }
            break;
        case VERSION:
            status = take_int(parser, &device->version_id);
            break;
        case MINIMUM:
            status = take_int(parser, &device->minimum_version_id);
            break;
        case DESCRIPTION:
            status = take_desc(parser, &device->vmsd);
            break;
        case PARENTS:
            status = vmd_take_texts(parser, &details.parents, &details.n_parents);
            break;
        case ABSTRACT:
            status = take_bool(parser, &details.is_abstract);
            break;
        case DESC:
            status = vmd_take_text(parser, &details.desc, &size);
            break;
        case MODULE:
            status = vmd_take_text(parser, &details.module, &size);
            break;
        }
        if (status) {
            break;
        }
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
static enum vmd_status check_duplicates(struct parser *parser)
{
    uint64_t n = parser->tree->n_devices;
    struct hashed *sorted = malloc(n * sizeof(*sorted) + 1);
    enum vmd_status status = VMD_OK;

    if (!sorted) {
        return vmd_fail_memory(parser);
    }
    for (uint64_t i = 0; i < n; i++) {
        sorted[i].device = &parser->tree->devices[i];
        sorted[i].hash = hash_name(sorted[i].device->name);
    }
    qsort(sorted, n, sizeof(*sorted), compare_hashed);
    for (uint64_t i = 1; i < n && !status; i++) {
        if (compare_hashed(&sorted[i - 1], &sorted[i]) == 0) {
            const struct vmd_device *device = sorted[i].device;
            struct frame frame = {.key = {device->name, device->name_len}};

            parser->at = &frame;
            status = vmd_fail_at(parser, VMD_DUPLICATE, parser->begin, "a device type twice in one file");
            parser->at = NULL;
        }
    }
    free(sorted);
    return status;
}

static enum vmd_status take_member(struct parser *parser, struct frame *frame)
{
    static const char machine[] = "vmschkmachine";
    struct vmd_device device, *slot;
    const char *where;
    enum vmd_status status;

    skip_space(parser);
    where = parser->pos;
    status = vmd_take_string(parser, &frame->key);
    if (status || (status = expect(parser, ':', "expected ':'"))) {
        return status;
    }
    parser->at = frame;
    if (frame->key.size == sizeof(machine) - 1 && memcmp(frame->key.text, machine, frame->key.size) == 0) {
        return parser->tree->machine ? vmd_fail_at(parser, VMD_DUPLICATE, where, "vmschkmachine twice in one file")
                                     : take_machine(parser);
    }
    status = take_device(parser, &device);
    if (status) {
        return status;
    }
    slot = stack_push(&parser->devices, sizeof(device));
    if (!slot) {
        return vmd_fail_memory(parser);
    }
    *slot = device;
    return VMD_OK;
}

/*
 * A file that is read as it is parsed. Between two members of the outermost object nothing refers to the text, so what
 * has been read can be dropped there; a member that the window cuts off is read once more, in a larger window.
 */
struct input {
    int fd;
    uint64_t offset; /* of what has not been read */
    char *window;
    size_t capacity;
    bool ended;
};

/* Bytes of the window to begin with; fuzzed with few. */
#ifndef VMD_PARSE_WINDOW
#define VMD_PARSE_WINDOW (512 << 10)
#endif

/* Drops what stands before the position and fills the window, which grows where it holds too little else. */
static enum vmd_status refill(struct parser *parser)
{
    struct input *input = parser->input;
    size_t kept = parser->end - parser->pos, at = parser->pos - parser->begin;

    if (kept >= input->capacity / 2) {
        char *window = realloc(input->window, 2 * input->capacity);

        if (!window) {
            return vmd_fail_memory(parser);
        }
        input->window = window;
        input->capacity *= 2;
    }
    memmove(input->window, input->window + at, kept);
    memset(parser->told, 0, sizeof(parser->told));
    while (kept < input->capacity && !input->ended) {
        ssize_t n = pread(input->fd, input->window + kept, input->capacity - kept, input->offset);

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
static enum vmd_status skip_to_text(struct parser *parser)
{
    skip_space(parser);
    while (parser->pos == parser->end && parser->input && !parser->input->ended) {
        if (refill(parser)) {
            return parser->err->code;
        }
        skip_space(parser);
    }
    return VMD_OK;
}

/* A member of the outermost object, with the comma before it; *more is false at the object's end. */
static enum vmd_status take_next_member(struct parser *parser, bool first, bool *more)
{
    struct frame frame = {0};

    *more = !take_end(parser, '}', first);
    if (*more && !first && expect(parser, ',', "expected ',' or '}'")) {
        return parser->err->code;
    }
    return *more ? take_member(parser, &frame) : VMD_OK;
}

/* The same where the window may end in the middle: as often as it takes. */
static enum vmd_status take_whole_member(struct parser *parser, bool first, bool *more)
{
    const struct vmd_tree tree = *parser->tree;
    size_t devices = parser->devices.used;

    for (;;) {
        const char *begin = parser->pos;
        enum vmd_status status = take_next_member(parser, first, more);

        if (!status || status == VMD_NO_MEMORY || !parser->input || parser->input->ended) {
            return status;
        }
        *parser->tree = tree;
        parser->devices.used = devices;
        parser->fields.used = parser->details.used = parser->subsections.used = 0;
        parser->texts.used = parser->roots.used = 0;
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

static enum vmd_status take_file(struct parser *parser)
{
    bool more = true;

    if (skip_to_text(parser) || expect(parser, '{', "expected an object: not a file of -dump-vmstate")) {
        return parser->err->code;
    }
    parser->indent = 2;
    for (bool first = true; more; first = false) {
        if (take_whole_member(parser, first, &more)) {
            return parser->err->code;
        }
        parser->at = NULL;
    }
    if (skip_to_text(parser)) {
        return parser->err->code;
    }
    if (parser->pos < parser->end) {
        return vmd_fail_at(parser, VMD_BAD_JSON, parser->pos, "text behind the end of the document");
    }
    if (!parser->tree->machine) {
        return vmd_fail_at(parser, VMD_BAD_JSON, parser->pos, "no vmschkmachine: not a file of -dump-vmstate");
    }
    parser->tree->n_devices = parser->devices.used / sizeof(struct vmd_device);
    parser->tree->devices = vmd_stack_take(&parser->devices, 0, parser->tree);
    if (!parser->tree->devices) {
        return vmd_fail_memory(parser);
    }
    vmd_tree_measure(parser->tree);
    return check_duplicates(parser);
}

static enum vmd_status parse(struct parser *parser)
{
    enum vmd_status status;

    vmd_error_set(parser->err, VMD_OK, 0, NULL);
    parser->tree->print_num = 1;
    status = parser->input ? refill(parser) : VMD_OK;
    if (!status) {
        status = take_file(parser);
    }
    free(parser->fields.items);
    free(parser->details.items);
    free(parser->subsections.items);
    free(parser->devices.items);
    free(parser->texts.items);
    free(parser->roots.items);
    return status;
}

enum vmd_status vmd_tree_parse(struct vmd_tree *tree, const char *text, size_t size, struct vmd_error *err)
{
    struct parser parser = {.tree = tree, .err = err, .begin = text, .pos = text, .end = text + size};

    return parse(&parser);
}

enum vmd_status vmd_tree_parse_file(struct vmd_tree *tree, int fd, uint64_t offset, struct vmd_error *err)
{
    struct input input = {.fd = fd, .offset = offset, .window = malloc(VMD_PARSE_WINDOW), .capacity = VMD_PARSE_WINDOW};
    struct parser parser = {.tree = tree, .err = err, .input = &input};
    enum vmd_status status;

    if (!input.window) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    parser.begin = parser.pos = parser.end = input.window;
    status = parse(&parser);
    free(input.window);
    return status;
}
