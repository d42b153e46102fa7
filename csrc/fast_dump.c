/*
 * The fast engine: the same bytes as stdio_dump.c from templates.
 *
 * Between two values of a dump (names and numbers) the text depends on the indentation alone. So for each level of
 * indentation the pieces of text between values are made once, from the words in format.h, when the level is first
 * met, and are kept for all dumps; a field is then two or three block copies with its values between them. Pieces are
 * copied in whole blocks: both sides have room behind them, and the next value overwrites what was copied too much.
 *
 * Indentation beyond LEVELS has no templates: there pieces are made each time, so that memory does not grow with depth.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "format.h"

enum {
    BLOCK = 32,            /* bytes copied at a time */
    LEVELS = 64,           /* levels with templates: indents 0, 2, ... 126 */
    NAME_INLINE_MAX = 512, /* longer names take the slow path */
    /* What is written between two checks for room: pieces of less than 1 KiB, numbers, a short name. */
    RESERVE = 3 * 1024 + NAME_INLINE_MAX + BLOCK,
};
_Static_assert(RESERVE <= VMD_SINK_SLACK, "what is written unchecked fits behind the window");

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

/* Where a line of a piece begins: INDENT stands for the spaces before the device or description that it belongs to. */
#define INDENT "\1"
#define AT_MEMBER INDENT SPACES_MEMBER
#define AT_ELEMENT INDENT SPACES_ELEMENT
#define AT_FIELD_MEMBER AT_ELEMENT SPACES_MEMBER
#define END_LINE "\n"

/* clang-format off */
#define NEXT_DEVICE FMT_NEXT INDENT DEVICE_OPEN_HEAD
#define NEXT_FIELD AT_ELEMENT FIELD_OPEN AT_FIELD_MEMBER FIELD_NAME_HEAD
#define NEXT_SUBSECTION AT_ELEMENT SUBSECTION_OPEN AT_FIELD_MEMBER DESC_NAME_HEAD
#define CLOSE_FIELD END_LINE AT_ELEMENT CLOSE
#define CLOSE_LIST END_LINE AT_MEMBER LIST_CLOSE
#define TO_VERSION NAME_TAIL AT_FIELD_MEMBER VERSION_HEAD
#define TO_ALWAYS NUMBER_TAIL AT_FIELD_MEMBER FIELD_ALWAYS
#define TO_EXISTS NUMBER_TAIL AT_FIELD_MEMBER FIELD_EXISTS
#define TO_NUM AT_FIELD_MEMBER NUM_HEAD
#define TO_SIZE AT_FIELD_MEMBER SIZE_HEAD

static const char *const recipes[N_PIECES] = {
    [DEVICE_FIRST] = NEXT_DEVICE,
    [DEVICE_NEXT] = END_LINE INDENT CLOSE NEXT_DEVICE,
    [DEVICE_NAME] = DEVICE_OPEN_TAIL AT_MEMBER DEVICE_NAME_HEAD,
    [DEVICE_VERSION] = NAME_TAIL AT_MEMBER VERSION_HEAD,
    [DEVICE_MINIMUM] = NUMBER_TAIL AT_MEMBER MINIMUM_HEAD,
    [DEVICE_DESC] = NUMBER_TAIL AT_MEMBER DESC_OPEN AT_MEMBER SPACES_MEMBER DESC_NAME_HEAD,
    [DEVICE_CLOSE] = END_LINE INDENT CLOSE,
    [DESC_NESTED] = FMT_NEXT INDENT DESC_OPEN AT_MEMBER DESC_NAME_HEAD,
    [DESC_VERSION] = NAME_TAIL AT_MEMBER VERSION_HEAD,
    [DESC_MINIMUM] = NUMBER_TAIL AT_MEMBER MINIMUM_HEAD,
    [DESC_CLOSE] = END_LINE INDENT CLOSE,
    [FIELDS_EMPTY] = FMT_NEXT AT_MEMBER FIELDS_OPEN CLOSE_LIST,
    [FIELDS_FIRST] = FMT_NEXT AT_MEMBER FIELDS_OPEN NEXT_FIELD,
    [FIELDS_NEXT] = CLOSE_FIELD FMT_NEXT NEXT_FIELD,
    [FIELDS_CLOSE] = CLOSE_FIELD CLOSE_LIST,
    [SUBSECTIONS_EMPTY] = FMT_NEXT AT_MEMBER SUBSECTIONS_OPEN CLOSE_LIST,
    [SUBSECTIONS_FIRST] = FMT_NEXT AT_MEMBER SUBSECTIONS_OPEN NEXT_SUBSECTION,
    [SUBSECTIONS_NEXT] = FMT_NEXT NEXT_SUBSECTION,
    [SUBSECTIONS_CLOSE] = CLOSE_LIST,
    [FIELD_VERSION] = TO_VERSION,
    [FIELD_SIZE] = TO_ALWAYS TO_SIZE,
    [FIELD_SIZE_EXISTS] = TO_EXISTS TO_SIZE,
    [FIELD_NUM] = TO_ALWAYS TO_NUM,
    [FIELD_NUM_EXISTS] = TO_EXISTS TO_NUM,
    [FIELD_NUM_SIZE] = NUMBER_TAIL TO_SIZE,
    [FIELD_0_SIZE] = TO_VERSION "0" TO_ALWAYS TO_SIZE,
    [FIELD_0_SIZE_EXISTS] = TO_VERSION "0" TO_EXISTS TO_SIZE,
    [FIELD_0_NUM] = TO_VERSION "0" TO_ALWAYS TO_NUM,
    [FIELD_0_NUM_EXISTS] = TO_VERSION "0" TO_EXISTS TO_NUM,
};
/* clang-format on */

/* A block in one register, where the CPU has such: see fast_dump_avx2.c. */
typedef char block __attribute__((vector_size(BLOCK), aligned(1), may_alias));

static inline void copy_block(char *to, const char *from)
{
    *(block *)to = *(const block *)from;
}

struct piece {
    const char *text;
    size_t size;
};

struct level {
    struct piece pieces[N_PIECES];
    char text[];
};

struct fast_dump {
    struct vmd_sink *sink;
    char *limit;     /* from here on the sink is flushed; once stopped, always */
    uint32_t arrays; /* the flag of fields whose "num" is printed; 0: of none */
    bool stopped;    /* the sink has failed, or there is no memory */
    bool no_memory;
    size_t text_size, n_indents;         /* of all recipes, once they are measured */
    size_t max_text_size, max_n_indents; /* of one */
};

/* By indent / 2: made by the first thread that wants one, and never freed. */
static struct level *levels[LEVELS];

static void measure_recipes(struct fast_dump *dump)
{
    if (dump->text_size) {
        return;
    }
    for (int id = 0; id < N_PIECES; id++) {
        size_t text_size = strlen(recipes[id]), n_indents = 0;

        for (size_t i = 0; i < text_size; i++) {
            n_indents += recipes[id][i] == *INDENT;
        }
        dump->text_size += text_size;
        dump->n_indents += n_indents;
        dump->max_text_size = text_size > dump->max_text_size ? text_size : dump->max_text_size;
        dump->max_n_indents = n_indents > dump->max_n_indents ? n_indents : dump->max_n_indents;
    }
}

/* Writes a recipe out; returns its end. */
static char *expand(char *out, const char *recipe, size_t indent)
{
    size_t size = strlen(recipe);
    char *mark;

    while ((mark = memccpy(out, recipe, *INDENT, size))) {
        recipe += mark - out;
        size -= mark - out;
        memset(mark - 1, ' ', indent);
        out = mark - 1 + indent;
    }
    return out + size;
}

static struct level *level_create(const struct fast_dump *dump, size_t indent)
{
    struct level *level = malloc(sizeof(*level) + dump->text_size + dump->n_indents * indent + BLOCK);
    char *out = level ? level->text : NULL;

    for (int id = 0; level && id < N_PIECES; id++) {
        char *begin = out;

        out = expand(begin, recipes[id], indent);
        level->pieces[id] = (struct piece){begin, out - begin};
    }
    if (level) {
        memset(out, 0, BLOCK);
    }
    return level;
}

/* Where a piece is found: a level's templates or, with no level, the indentation. */
struct place {
    const struct level *level;
    int indent;
};

static __attribute__((noinline)) struct place place_create(struct fast_dump *dump, int indent)
{
    struct level *before = NULL, *level;

    measure_recipes(dump);
    level = level_create(dump, indent);
    if (level &&
        !__atomic_compare_exchange_n(&levels[indent / 2], &before, level, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        free(level);
        level = before;
    }
    dump->no_memory |= !level;
    dump->stopped |= !level;
    return (struct place){level, indent};
}

static inline struct place place_find(struct fast_dump *dump, int indent)
{
    const struct level *level;

    if (__builtin_expect(indent / 2 >= LEVELS, 0)) {
        return (struct place){NULL, indent};
    }
    level = __atomic_load_n(&levels[indent / 2], __ATOMIC_ACQUIRE);
    if (__builtin_expect(!level, 0)) {
        return place_create(dump, indent);
    }
    return (struct place){level, indent};
}

/* Leaves the window to the sink's own functions, from p on; enter takes it back. */
static void leave(struct fast_dump *dump, char *p)
{
    dump->sink->used = p - dump->sink->buffer;
}

static char *enter(struct fast_dump *dump)
{
    struct vmd_sink *sink = dump->sink;

    if (sink->used >= sink->room) {
        vmd_sink_flush(sink);
    }
    dump->stopped |= sink->err->code != VMD_OK;
    dump->limit = dump->stopped ? sink->buffer : sink->buffer + sink->room;
    return sink->buffer + sink->used;
}

static __attribute__((noinline)) char *flush(struct fast_dump *dump, char *p)
{
    leave(dump, p);
    return enter(dump);
}

static inline bool is_full(const struct fast_dump *dump, const char *p)
{
    return __builtin_expect(p >= dump->limit, 0);
}

static inline char *make_room(struct fast_dump *dump, char *p)
{
    return is_full(dump, p) ? flush(dump, p) : p;
}

/*
 * A piece without a template, at once if it fits into the window, else bit by bit; also where there was no memory for a
 * template, and what is written no longer counts.
 */
static __attribute__((noinline)) char *put_recipe(struct fast_dump *dump, char *p, int indent, enum piece_id id)
{
    char spaces[256];

    measure_recipes(dump);
    if (p < dump->limit && (size_t)(dump->limit - p) > dump->max_text_size + dump->max_n_indents * indent) {
        return expand(p, recipes[id], indent);
    }
    memset(spaces, ' ', sizeof(spaces));
    leave(dump, p);
    for (const char *c = recipes[id]; *c && !dump->no_memory;) {
        size_t size = strcspn(c, INDENT);

        vmd_sink_write(dump->sink, c, size);
        c += size;
        for (size_t left = *c ? indent : 0, n; left; left -= n) {
            n = left < sizeof(spaces) ? left : sizeof(spaces);
            vmd_sink_write(dump->sink, spaces, n);
        }
        c += *c == *INDENT;
    }
    return enter(dump);
}

static inline char *copy_piece(char *p, struct piece piece)
{
    for (size_t i = 0; i < piece.size; i += BLOCK) {
        copy_block(p + i, piece.text + i);
    }
    return p + piece.size;
}

static inline char *put_piece(struct fast_dump *dump, char *p, struct place place, enum piece_id id)
{
    if (__builtin_expect(!place.level, 0)) {
        return put_recipe(dump, p, place.indent, id);
    }
    return copy_piece(p, place.level->pieces[id]);
}

static inline char *put_name(struct fast_dump *dump, char *p, const char *name, uint32_t size)
{

    if (__builtin_expect(size > NAME_INLINE_MAX, 0)) {
        leave(dump, p);
        vmd_sink_write(dump->sink, name, size);
        return enter(dump);
    }
    memcpy(p, name, VMD_PADDING);
    if (__builtin_expect(size > VMD_PADDING, 0)) {
        memcpy(p + VMD_PADDING, name + VMD_PADDING, size - VMD_PADDING);
    }
    return p + size;
}

static __attribute__((noinline)) char *put_digits(char *p, uint64_t value)
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

static inline char *put_size(char *p, uint64_t value)
{
    if (__builtin_expect(value < 10, 1)) {
        *p = '0' + value;
        return p + 1;
    }
    if (value < 100) {
        p[0] = '0' + value / 10;
        p[1] = '0' + value % 10;
        return p + 2;
    }
    return put_digits(p, value);
}

static inline char *put_int(char *p, int32_t value)
{
    if (value < 0) {
        *p++ = '-';
    }
    return put_size(p, value < 0 ? -(int64_t)value : value);
}

static char *put_desc(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, int indent);

enum { FIELD_MEMBER = INDENT_ELEMENT + INDENT_MEMBER };

/* From behind a field's name to its size, where it has a version_id or its "num" is printed. */
static __attribute__((noinline)) char *put_rare(struct fast_dump *dump, char *p, const struct vmd_field *field,
                                                struct place place)
{
    unsigned exists = field->field_exists != 0;
    bool num = field->flags & dump->arrays;

    if (field->version_id) {
        p = put_piece(dump, p, place, FIELD_VERSION);
        p = put_int(p, field->version_id);
        p = put_piece(dump, p, place, (num ? FIELD_NUM : FIELD_SIZE) + exists);
    } else {
        p = put_piece(dump, p, place, FIELD_0_NUM + exists);
    }
    if (num) {
        p = put_int(p, field->num);
        p = put_piece(dump, p, place, FIELD_NUM_SIZE);
    }
    return p;
}

/* A field from behind its name's opening quote to its size or nested description. */
static inline char *put_field(struct fast_dump *dump, char *p, const struct vmd_field *field, struct place place)
{
    p = put_name(dump, p, field->name, field->name_len);
    if (__builtin_expect(field->version_id || field->flags & dump->arrays, 0)) {
        p = put_rare(dump, p, field, place);
    } else {
        p = put_piece(dump, p, place, field->field_exists ? FIELD_0_SIZE_EXISTS : FIELD_0_SIZE);
    }
    p = put_size(p, field->size);
    if (__builtin_expect(field->vmsd != NULL, 0)) {
        int indent = place.indent + FIELD_MEMBER;

        p = put_piece(dump, make_room(dump, p), place_find(dump, indent), DESC_NESTED);
        p = put_desc(dump, p, field->vmsd, indent);
    }
    return p;
}

/* Whether a field is as nearly all are: then it is a name and a digit between two pieces. */
static inline bool is_plain(const struct vmd_field *field, uint32_t special)
{
    return !((uint32_t)field->version_id | (field->flags & special) | field->field_exists | (field->size > 9) |
             (field->name_len > VMD_PADDING) | (field->vmsd != NULL));
}

static char *put_fields(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, struct place place)
{
    const struct vmd_field *end = vmsd->fields + vmsd->n_fields;
    const uint32_t special = dump->arrays | VMD_MUST_EXIST;
    const struct piece none = {NULL, 0};
    const struct piece next = place.level ? place.level->pieces[FIELDS_NEXT] : none;
    const struct piece to_size = place.level ? place.level->pieces[FIELD_0_SIZE] : none;
    enum piece_id open = FIELDS_FIRST;

    for (const struct vmd_field *field = vmsd->fields; field < end; field++) {
        if (is_full(dump, p)) {
            p = flush(dump, p);
            if (dump->stopped) {
                break;
            }
        }
        if (__builtin_expect(is_plain(field, special) && open == FIELDS_NEXT && next.text, 1)) {
            p = copy_piece(p, next);
            memcpy(p, field->name, VMD_PADDING);
            p = copy_piece(p + field->name_len, to_size);
            *p++ = '0' + field->size;
            continue;
        }
        if (__builtin_expect(!(field->flags & VMD_MUST_EXIST), 1)) {
            p = put_piece(dump, p, place, open);
            p = put_field(dump, p, field, place);
            open = FIELDS_NEXT;
        }
    }
    return put_piece(dump, make_room(dump, p), place, open == FIELDS_FIRST ? FIELDS_EMPTY : FIELDS_CLOSE);
}

static char *put_subsections(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, struct place place)
{
    for (uint64_t i = 0; i < vmsd->n_subsections && !dump->stopped; i++) {
        p = put_piece(dump, make_room(dump, p), place, i ? SUBSECTIONS_NEXT : SUBSECTIONS_FIRST);
        p = put_desc(dump, p, vmsd->subsections[i], place.indent + INDENT_ELEMENT);
    }
    return put_piece(dump, make_room(dump, p), place, vmsd->n_subsections ? SUBSECTIONS_CLOSE : SUBSECTIONS_EMPTY);
}

/* A description from behind its name's opening quote to its closing brace. */
static char *put_desc(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, int indent)
{
    struct place place = place_find(dump, indent);

    p = put_name(dump, make_room(dump, p), vmsd->name, vmsd->name_len);
    p = put_piece(dump, p, place, DESC_VERSION);
    p = put_int(p, vmsd->version_id);
    p = put_piece(dump, p, place, DESC_MINIMUM);
    p = put_int(p, vmsd->minimum_version_id);
    if (vmsd->fields) {
        p = put_fields(dump, p, vmsd, place);
    }
    if (vmsd->subsections) {
        p = put_subsections(dump, p, vmsd, place);
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
    struct fast_dump dump = {.sink = sink, .arrays = tree->print_num ? VMD_ARRAY : 0};
    char *p;

    put_machine(sink, tree);
    p = enter(&dump);
    if (tree->n_devices) {
        struct place place = place_find(&dump, INDENT_DEVICE);

        for (uint64_t i = 0; i < tree->n_devices && !dump.stopped; i++) {
            p = put_piece(&dump, make_room(&dump, p), place, i ? DEVICE_NEXT : DEVICE_FIRST);
            p = put_device(&dump, p, &tree->devices[i], place);
        }
        p = put_piece(&dump, make_room(&dump, p), place, DEVICE_CLOSE);
    }
    leave(&dump, p);
    vmd_sink_write(sink, FMT_END, strlen(FMT_END));
    return dump.no_memory ? VMD_NO_MEMORY : VMD_OK;
}
