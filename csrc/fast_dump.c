/*
 * The fast engine: the same bytes as stdio_dump.c from templates.
 *
 * Between two values of a dump (names and numbers) the text depends on the indentation alone. So for each level of
 * indentation the pieces of text between values are made once, from the formats in format.h, when the level is first
 * met; a field is then three or four block copies with its values between them. Pieces are copied in whole blocks:
 * both sides have room behind them, and the next value overwrites what was copied too much.
 *
 * Indentation beyond LEVELS has no templates: there the pieces of the last level are copied line by line, with the
 * missing spaces put in, so that memory does not grow with depth.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "format.h"

enum {
    BLOCK = 32,  /* bytes copied at a time */
    LEVELS = 64, /* levels with templates: indents 0, 2, ... 126 */
    STEPS_MAX = 6,
    NAME_INLINE_MAX = 512, /* longer names take the slow path */
    /* What is written between two checks for room: pieces of less than 1 KiB, numbers, a short name. */
    RESERVE = 3 * 1024 + NAME_INLINE_MAX + BLOCK,
};
_Static_assert(RESERVE <= VMD_SINK_SLACK, "what is written unchecked fits behind the chunk");

/* The pieces. None begins with an indentation: that follows a line's end inside of a piece. */
enum piece_id {
    DEVICE_FIRST, /* from the end of the machine to the device's name */
    DEVICE_NEXT,  /* from the end of a device's description to the next one's name */
    DEVICE_NAME,
    DEVICE_VERSION,
    DEVICE_MINIMUM,
    DEVICE_DESC, /* up to the description's name */
    DEVICE_CLOSE,
    DESC_NESTED, /* from a field's size to its description's name */
    DESC_VERSION,
    DESC_MINIMUM,
    DESC_CLOSE,
    FIELDS_EMPTY,
    FIELDS_FIRST, /* from the description's versions to the first field's name */
    FIELDS_NEXT,  /* from the end of a field to the next one's name */
    FIELDS_CLOSE,
    SUBSECTIONS_EMPTY,
    SUBSECTIONS_FIRST,
    SUBSECTIONS_NEXT,
    SUBSECTIONS_CLOSE,
    FIELD_VERSION, /* from name to version_id */
    FIELD_SIZE,    /* from version_id to size */
    FIELD_SIZE_EXISTS,
    FIELD_NUM, /* from version_id to num */
    FIELD_NUM_EXISTS,
    FIELD_NUM_SIZE, /* from num to size */
    FIELD_0_SIZE,   /* from name to size where version_id is 0, as it nearly always is */
    FIELD_0_SIZE_EXISTS,
    FIELD_0_NUM,
    FIELD_0_NUM_EXISTS,
    N_PIECES,
};

/* Of which formats a piece is made: all of one, or the part before or behind its value; how much deeper it stands. */
enum part { NONE, ALL, HEAD, TAIL };
struct step {
    enum part part;
    const char *format;
    int indent;
};

/* clang-format off */
#define FIELD_MEMBER (INDENT_ELEMENT + INDENT_MEMBER)
#define STEP_VERSION_0 {TAIL, FMT_FIELD_NAME, 0}, {HEAD, FMT_FIELD_VERSION, FIELD_MEMBER}, {ALL, "0", 0}
#define STEP_ALWAYS {TAIL, FMT_FIELD_VERSION, 0}, {ALL, FMT_FIELD_ALWAYS, FIELD_MEMBER}
#define STEP_EXISTS {TAIL, FMT_FIELD_VERSION, 0}, {ALL, FMT_FIELD_EXISTS, FIELD_MEMBER}
#define STEP_SIZE {HEAD, FMT_FIELD_SIZE, FIELD_MEMBER}
#define STEP_NUM {HEAD, FMT_FIELD_NUM, FIELD_MEMBER}
#define STEP_FIELD {ALL, FMT_FIELD_OPEN, INDENT_ELEMENT}, {HEAD, FMT_FIELD_NAME, FIELD_MEMBER}
#define STEP_SUBSECTION {ALL, FMT_SUBSECTION_OPEN, INDENT_ELEMENT}, {HEAD, FMT_DESC_NAME, FIELD_MEMBER}
/* clang-format on */

/* Indents count from the braces of the device or description that the piece belongs to. */
static const struct step recipes[N_PIECES][STEPS_MAX] = {
    [DEVICE_FIRST] = {{ALL, FMT_NEXT, 0}, {HEAD, FMT_DEVICE_OPEN, 0}},
    [DEVICE_NEXT] = {{ALL, FMT_CLOSE, 0}, {ALL, FMT_NEXT, 0}, {HEAD, FMT_DEVICE_OPEN, 0}},
    [DEVICE_NAME] = {{TAIL, FMT_DEVICE_OPEN, 0}, {HEAD, FMT_DEVICE_NAME, INDENT_MEMBER}},
    [DEVICE_VERSION] = {{TAIL, FMT_DEVICE_NAME, 0}, {HEAD, FMT_DEVICE_VERSION, INDENT_MEMBER}},
    [DEVICE_MINIMUM] = {{TAIL, FMT_DEVICE_VERSION, 0}, {HEAD, FMT_DEVICE_MINIMUM, INDENT_MEMBER}},
    [DEVICE_DESC] = {{TAIL, FMT_DEVICE_MINIMUM, 0},
                     {ALL, FMT_DESC_OPEN, INDENT_MEMBER},
                     {HEAD, FMT_DESC_NAME, 2 * INDENT_MEMBER}},
    [DEVICE_CLOSE] = {{ALL, FMT_CLOSE, 0}},
    [DESC_NESTED] = {{ALL, FMT_NEXT, 0}, {ALL, FMT_DESC_OPEN, 0}, {HEAD, FMT_DESC_NAME, INDENT_MEMBER}},
    [DESC_VERSION] = {{TAIL, FMT_DESC_NAME, 0}, {HEAD, FMT_DESC_VERSION, INDENT_MEMBER}},
    [DESC_MINIMUM] = {{TAIL, FMT_DESC_VERSION, 0}, {HEAD, FMT_DESC_MINIMUM, INDENT_MEMBER}},
    [DESC_CLOSE] = {{ALL, FMT_CLOSE, 0}},
    [FIELDS_EMPTY] = {{ALL, FMT_FIELDS_OPEN, INDENT_MEMBER}, {ALL, FMT_LIST_CLOSE, INDENT_MEMBER}},
    [FIELDS_FIRST] = {{ALL, FMT_FIELDS_OPEN, INDENT_MEMBER}, STEP_FIELD},
    [FIELDS_NEXT] = {{ALL, FMT_CLOSE, INDENT_ELEMENT}, {ALL, FMT_NEXT, 0}, STEP_FIELD},
    [FIELDS_CLOSE] = {{ALL, FMT_CLOSE, INDENT_ELEMENT}, {ALL, FMT_LIST_CLOSE, INDENT_MEMBER}},
    [SUBSECTIONS_EMPTY] = {{ALL, FMT_SUBSECTIONS_OPEN, INDENT_MEMBER}, {ALL, FMT_LIST_CLOSE, INDENT_MEMBER}},
    [SUBSECTIONS_FIRST] = {{ALL, FMT_SUBSECTIONS_OPEN, INDENT_MEMBER}, STEP_SUBSECTION},
    [SUBSECTIONS_NEXT] = {{ALL, FMT_NEXT, 0}, STEP_SUBSECTION},
    [SUBSECTIONS_CLOSE] = {{ALL, FMT_LIST_CLOSE, INDENT_MEMBER}},
    [FIELD_VERSION] = {{TAIL, FMT_FIELD_NAME, 0}, {HEAD, FMT_FIELD_VERSION, FIELD_MEMBER}},
    [FIELD_SIZE] = {STEP_ALWAYS, STEP_SIZE},
    [FIELD_SIZE_EXISTS] = {STEP_EXISTS, STEP_SIZE},
    [FIELD_NUM] = {STEP_ALWAYS, STEP_NUM},
    [FIELD_NUM_EXISTS] = {STEP_EXISTS, STEP_NUM},
    [FIELD_NUM_SIZE] = {{TAIL, FMT_FIELD_NUM, 0}, STEP_SIZE},
    [FIELD_0_SIZE] = {STEP_VERSION_0, STEP_ALWAYS, STEP_SIZE},
    [FIELD_0_SIZE_EXISTS] = {STEP_VERSION_0, STEP_EXISTS, STEP_SIZE},
    [FIELD_0_NUM] = {STEP_VERSION_0, STEP_ALWAYS, STEP_NUM},
    [FIELD_0_NUM_EXISTS] = {STEP_VERSION_0, STEP_EXISTS, STEP_NUM},
};

struct piece {
    const char *text;
    size_t size;
};

struct level {
    struct piece pieces[N_PIECES];
    char text[];
};

/* Appends what part of a format is, at an indent, to text (NULL: only counts); the number of bytes. */
static size_t step_expand(const struct step *step, int indent, char *text)
{
    bool wanted = step->part != TAIL;
    size_t size = 0;

    for (const char *c = step->format; *c; c++) {
        if (*c == '%' && c[1] != '*') {
            wanted = !wanted;
            c += c[1] == 'z' ? 2 : 1;
        } else if (wanted) {
            size_t n = *c == '%' ? (size_t)(indent + step->indent) : 1;

            if (text) {
                memset(text + size, *c == '%' ? ' ' : *c, n);
            }
            size += n;
            c += *c == '%' ? 2 : 0;
        } else if (*c == '%') {
            c += 2;
        }
    }
    return size;
}

/* Expands all recipes at an indent one behind the other; the bytes it takes, or would take with text == NULL. */
static size_t level_expand(int indent, struct piece *pieces, char *text)
{
    size_t size = 0;

    for (int id = 0; id < N_PIECES; id++) {
        size_t start = size;

        for (const struct step *step = recipes[id]; step < recipes[id] + STEPS_MAX && step->part; step++) {
            size += step_expand(step, indent, text ? text + size : NULL);
        }
        if (text) {
            pieces[id] = (struct piece){text + start, size - start};
        }
    }
    return size;
}

static struct level *level_create(int indent)
{
    size_t size = level_expand(indent, NULL, NULL);
    struct level *level = malloc(sizeof(*level) + size + BLOCK);

    if (level) {
        level_expand(indent, level->pieces, level->text);
        memset(level->text + size, 0, BLOCK);
    }
    return level;
}

struct fast_dump {
    struct vmd_sink *sink;
    char *limit; /* from here on the sink is flushed */
    bool print_num;
    bool no_memory;
    struct level *levels[LEVELS];
};

/* Where a piece is found: a level's templates, and the spaces that are missing from each line. */
struct place {
    const struct level *level;
    size_t missing;
};

static inline bool place_find(struct fast_dump *dump, int indent, struct place *ret)
{
    int index = indent / 2 < LEVELS ? indent / 2 : LEVELS - 1;

    if (!dump->levels[index]) {
        dump->levels[index] = level_create(2 * index);
        if (!dump->levels[index]) {
            dump->no_memory = true;
            return false;
        }
    }
    ret->level = dump->levels[index];
    ret->missing = indent - 2 * index;
    return true;
}

static inline char *make_room(struct fast_dump *dump, char *p)
{
    if (__builtin_expect(p >= dump->limit, 0)) {
        dump->sink->used = p - dump->sink->buffer;
        vmd_sink_flush(dump->sink);
        p = dump->sink->buffer;
    }
    return p;
}

static inline bool stopped(const struct fast_dump *dump)
{
    return dump->sink->err->code || dump->no_memory;
}

/* A piece whose lines need more spaces than its level has: a line ends where text or another line follows. */
static char *put_deep(struct fast_dump *dump, char *p, const struct piece *piece, size_t missing)
{
    const char *text = piece->text, *end = piece->text + piece->size;

    dump->sink->used = p - dump->sink->buffer;
    while (text < end) {
        const char *newline = memchr(text, '\n', end - text);
        const char *stop = newline ? newline + 1 : end;

        vmd_sink_write(dump->sink, text, stop - text);
        for (size_t left = newline && stop < end && *stop != '\n' ? missing : 0; left;) {
            static const char spaces[] = "                                                                ";
            size_t n = left < sizeof(spaces) - 1 ? left : sizeof(spaces) - 1;

            vmd_sink_write(dump->sink, spaces, n);
            left -= n;
        }
        text = stop;
    }
    return make_room(dump, dump->sink->buffer + dump->sink->used);
}

static inline char *put_piece(struct fast_dump *dump, char *p, struct place place, enum piece_id id)
{
    const struct piece *piece = &place.level->pieces[id];

    if (__builtin_expect(place.missing != 0, 0)) {
        return put_deep(dump, p, piece, place.missing);
    }
    for (size_t i = 0; i < piece->size; i += BLOCK) {
        memcpy(p + i, piece->text + i, BLOCK);
    }
    return p + piece->size;
}

static inline char *put_name(struct fast_dump *dump, char *p, const char *name, uint32_t size)
{
    _Static_assert(BLOCK <= VMD_PADDING, "a name can be read in whole blocks");
    if (__builtin_expect(size > NAME_INLINE_MAX, 0)) {
        dump->sink->used = p - dump->sink->buffer;
        vmd_sink_write(dump->sink, name, size);
        return make_room(dump, dump->sink->buffer + dump->sink->used);
    }
    memcpy(p, name, BLOCK);
    if (size > BLOCK) {
        memcpy(p + BLOCK, name + BLOCK, size - BLOCK);
    }
    return p + size;
}

static inline char *put_size(char *p, uint64_t value)
{
    char digits[20];
    int n = 0;

    do {
        digits[n++] = '0' + value % 10;
        value /= 10;
    } while (value);
    while (n) {
        *p++ = digits[--n];
    }
    return p;
}

static inline char *put_int(char *p, int32_t value)
{
    if (value < 0) {
        *p++ = '-';
    }
    return put_size(p, value < 0 ? -(int64_t)value : value);
}

static char *put_desc(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, int indent);

/* A field from behind its name's opening quote to its size or nested description. */
static inline char *put_field(struct fast_dump *dump, char *p, const struct vmd_field *field, struct place place,
                              int indent)
{
    unsigned exists = field->field_exists != 0;
    bool num = dump->print_num && (field->flags & VMD_ARRAY);

    p = put_name(dump, p, field->name, field->name_len);
    if (field->version_id == 0) {
        p = put_piece(dump, p, place, (num ? FIELD_0_NUM : FIELD_0_SIZE) + exists);
    } else {
        p = put_piece(dump, p, place, FIELD_VERSION);
        p = put_int(p, field->version_id);
        p = put_piece(dump, p, place, (num ? FIELD_NUM : FIELD_SIZE) + exists);
    }
    if (num) {
        p = put_int(p, field->num);
        p = put_piece(dump, p, place, FIELD_NUM_SIZE);
    }
    p = put_size(p, field->size);
    if (field->vmsd) {
        struct place nested;

        if (!place_find(dump, indent + FIELD_MEMBER, &nested)) {
            return p;
        }
        p = put_piece(dump, make_room(dump, p), nested, DESC_NESTED);
        p = put_desc(dump, p, field->vmsd, indent + FIELD_MEMBER);
    }
    return p;
}

static char *put_fields(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, struct place place, int indent)
{
    const struct vmd_field *end = vmsd->fields + vmsd->n_fields;
    enum piece_id open = FIELDS_FIRST;

    for (const struct vmd_field *field = vmsd->fields; field < end && !stopped(dump); field++) {
        if (field->flags & VMD_MUST_EXIST) {
            continue;
        }
        p = put_piece(dump, make_room(dump, p), place, open);
        p = put_field(dump, p, field, place, indent);
        open = FIELDS_NEXT;
    }
    return put_piece(dump, make_room(dump, p), place, open == FIELDS_FIRST ? FIELDS_EMPTY : FIELDS_CLOSE);
}

static char *put_subsections(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, struct place place,
                             int indent)
{
    for (uint64_t i = 0; i < vmsd->n_subsections && !stopped(dump); i++) {
        p = put_piece(dump, make_room(dump, p), place, i ? SUBSECTIONS_NEXT : SUBSECTIONS_FIRST);
        p = put_desc(dump, p, vmsd->subsections[i], indent + INDENT_ELEMENT);
    }
    return put_piece(dump, make_room(dump, p), place, vmsd->n_subsections ? SUBSECTIONS_CLOSE : SUBSECTIONS_EMPTY);
}

/* A description from behind its name's opening quote to its closing brace. */
static char *put_desc(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, int indent)
{
    struct place place;

    if (!place_find(dump, indent, &place)) {
        return p;
    }
    p = put_name(dump, make_room(dump, p), vmsd->name, vmsd->name_len);
    p = put_piece(dump, p, place, DESC_VERSION);
    p = put_int(p, vmsd->version_id);
    p = put_piece(dump, p, place, DESC_MINIMUM);
    p = put_int(p, vmsd->minimum_version_id);
    if (vmsd->fields) {
        p = put_fields(dump, p, vmsd, place, indent);
    }
    if (vmsd->subsections) {
        p = put_subsections(dump, p, vmsd, place, indent);
    }
    return put_piece(dump, make_room(dump, p), place, DESC_CLOSE);
}

static char *put_device(struct fast_dump *dump, char *p, const struct vmd_device *device, struct place place)
{
    p = put_name(dump, make_room(dump, p), device->name, device->name_len);
    p = put_piece(dump, make_room(dump, p), place, DEVICE_NAME);
    p = put_name(dump, p, device->name, device->name_len);
    p = put_piece(dump, make_room(dump, p), place, DEVICE_VERSION);
    p = put_int(p, device->version_id);
    p = put_piece(dump, p, place, DEVICE_MINIMUM);
    p = put_int(p, device->minimum_version_id);
    p = put_piece(dump, p, place, DEVICE_DESC);
    return put_desc(dump, p, device->vmsd, INDENT_DEVICE + INDENT_MEMBER);
}

static void put_machine(struct vmd_sink *sink, const struct vmd_tree *tree)
{
    static const char machine[] = FMT_MACHINE;
    const char *value = strstr(machine, "%s");

    vmd_sink_write(sink, FMT_BEGIN, strlen(FMT_BEGIN));
    vmd_sink_write(sink, machine, value - machine);
    vmd_sink_write(sink, tree->machine, tree->machine_len);
    vmd_sink_write(sink, value + 2, strlen(value + 2));
}

enum vmd_status vmd_dump_fast(const struct vmd_tree *tree, struct vmd_sink *sink)
{
    struct fast_dump dump = {.sink = sink, .limit = sink->buffer + VMD_CHUNK, .print_num = tree->print_num};
    struct place place;
    char *p;

    put_machine(sink, tree);
    p = make_room(&dump, sink->buffer + sink->used);
    if (tree->n_devices && place_find(&dump, INDENT_DEVICE, &place)) {
        for (uint64_t i = 0; i < tree->n_devices && !stopped(&dump); i++) {
            p = put_piece(&dump, make_room(&dump, p), place, i ? DEVICE_NEXT : DEVICE_FIRST);
            p = put_device(&dump, p, &tree->devices[i], place);
        }
        p = put_piece(&dump, make_room(&dump, p), place, DEVICE_CLOSE);
    }
    sink->used = make_room(&dump, p) - sink->buffer;
    vmd_sink_write(sink, FMT_END, strlen(FMT_END));
    for (int i = 0; i < LEVELS; i++) {
        free(dump.levels[i]);
    }
    return dump.no_memory ? VMD_NO_MEMORY : VMD_OK;
}
