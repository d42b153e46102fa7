/*
 * The fast engine: the same bytes as stdio_dump.c from the pieces of pieces.h. A field is two or three copies of pieces
 * with its values between them. Pieces are copied in whole blocks: both sides have room behind them, and the next value
 * overwrites what was copied too much.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <string.h>

#include "dump/dump.h"
#include "format/format.h"
#include "format/pieces.h"

enum {
    NAME_INLINE_MAX = 512, /* longer names take the slow path */
    N_WRITTEN = 256,       /* a power of 2 */
    WRITTEN_MIN = 256,     /* bytes without indentation: copying shorter descriptions is not worth the question */
    /* What is written between two checks for room: pieces of less than 1 KiB, numbers, a short name. */
    RESERVE = 3 * 1024 + NAME_INLINE_MAX + VMD_BLOCK,
};
_Static_assert(RESERVE <= VMD_SINK_SLACK, "what is written unchecked fits behind the window");

/* A block in one register, where the CPU has such: see fast_dump_avx2.c. */
typedef char block __attribute__((vector_size(VMD_BLOCK), aligned(1), may_alias));

static inline void copy_block(char *to, const char *from)
{
    *(block *)to = *(const block *)from;
}

/* A description's text in the window, from behind its name's opening quote to its closing brace. */
struct written {
    const struct vmd_desc *vmsd; /* NULL: none */
    const char *text;
    size_t size;
    int indent;
    unsigned window; /* the number of the one it is in */
};

struct fast_dump {
    struct vmd_sink *sink;
    char *limit;     /* from here on the sink is flushed; once stopped, always */
    uint32_t arrays; /* the flag of fields whose "num" is printed; 0: of none */
    bool stopped;    /* the sink has failed, or there is no memory */
    bool no_memory;
    struct vmd_recipe_size max;        /* of all recipes, once they are measured */
    unsigned window;                   /* counts when it is left and taken back */
    struct written written[N_WRITTEN]; /* by a hash: the last of it */
};

/* Where a piece is found: in a level or, with no level, by the indentation. */
struct place {
    const struct vmd_level *level;
    int indent;
};

static inline struct place place_find(struct fast_dump *dump, int indent)
{
    const struct vmd_level *level;

    if (__builtin_expect(indent / 2 >= VMD_LEVELS, 0)) {
        return (struct place){NULL, indent};
    }
    level = vmd_level_find(indent);
    if (__builtin_expect(!level, 0)) {
        dump->no_memory = true;
        dump->stopped = true;
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
    dump->window++;
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
 * A piece of no level, made at once if it fits into the window, else bit by bit; also where there was no memory for a
 * level, and what is written no longer counts.
 */
static __attribute__((noinline)) char *put_recipe(struct fast_dump *dump, char *p, int indent, enum vmd_piece_id id)
{
    char spaces[256];

    if (!dump->max.text_size) {
        dump->max = vmd_recipes_max();
    }
    if (p < dump->limit && (size_t)(dump->limit - p) > dump->max.text_size + dump->max.n_indents * indent) {
        return vmd_piece_expand(p, id, indent);
    }
    memset(spaces, ' ', sizeof(spaces));
    leave(dump, p);
    for (const char *c = vmd_recipes[id]; *c && !dump->no_memory;) {
        size_t size = strcspn(c, VMD_INDENT);

        vmd_sink_write(dump->sink, c, size);
        c += size;
        for (size_t left = *c ? indent : 0, n; left; left -= n) {
            n = left < sizeof(spaces) ? left : sizeof(spaces);
            vmd_sink_write(dump->sink, spaces, n);
        }
        c += *c == *VMD_INDENT;
    }
    return enter(dump);
}

static inline char *copy_piece(char *p, struct vmd_piece piece)
{
    for (size_t i = 0; i < piece.size; i += VMD_BLOCK) {
        copy_block(p + i, piece.text + i);
    }
    return p + piece.size;
}

static inline char *put_piece(struct fast_dump *dump, char *p, struct place place, enum vmd_piece_id id)
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
        p = put_piece(dump, p, place, PIECE_FIELD_VERSION);
        p = put_int(p, field->version_id);
        p = put_piece(dump, p, place, (num ? PIECE_FIELD_NUM : PIECE_FIELD_SIZE) + exists);
    } else {
        p = put_piece(dump, p, place, PIECE_FIELD_0_NUM + exists);
    }
    if (num) {
        p = put_int(p, field->num);
        p = put_piece(dump, p, place, PIECE_FIELD_NUM_SIZE);
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
        p = put_piece(dump, p, place, field->field_exists ? PIECE_FIELD_0_SIZE_EXISTS : PIECE_FIELD_0_SIZE);
    }
    p = put_size(p, field->size);
    if (__builtin_expect(field->vmsd != NULL, 0)) {
        int indent = place.indent + FIELD_MEMBER;

        p = put_piece(dump, make_room(dump, p), place_find(dump, indent), PIECE_DESC_NESTED);
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
    const struct vmd_piece none = {NULL, 0};
    const struct vmd_piece next = place.level ? place.level->pieces[PIECE_FIELDS_NEXT] : none;
    const struct vmd_piece to_size = place.level ? place.level->pieces[PIECE_FIELD_0_SIZE] : none;
    enum vmd_piece_id open = PIECE_FIELDS_FIRST;

    for (const struct vmd_field *field = vmsd->fields; field < end; field++) {
        if (is_full(dump, p)) {
            p = flush(dump, p);
            if (dump->stopped) {
                break;
            }
        }
        if (__builtin_expect(is_plain(field, special) && open == PIECE_FIELDS_NEXT && next.text, 1)) {
            p = copy_piece(p, next);
            memcpy(p, field->name, VMD_PADDING);
            p = copy_piece(p + field->name_len, to_size);
            *p++ = '0' + field->size;
            continue;
        }
        if (__builtin_expect(!(field->flags & VMD_MUST_EXIST), 1)) {
            p = put_piece(dump, p, place, open);
            p = put_field(dump, p, field, place);
            open = PIECE_FIELDS_NEXT;
        }
    }
    return put_piece(dump, make_room(dump, p), place,
                     open == PIECE_FIELDS_FIRST ? PIECE_FIELDS_EMPTY : PIECE_FIELDS_CLOSE);
}

static char *put_subsections(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, struct place place)
{
    for (uint64_t i = 0; i < vmsd->n_subsections && !dump->stopped; i++) {
        p = put_piece(dump, make_room(dump, p), place, i ? PIECE_SUBSECTIONS_NEXT : PIECE_SUBSECTIONS_FIRST);
        p = put_desc(dump, p, vmsd->subsections[i], place.indent + INDENT_ELEMENT);
    }
    return put_piece(dump, make_room(dump, p), place,
                     vmsd->n_subsections ? PIECE_SUBSECTIONS_CLOSE : PIECE_SUBSECTIONS_EMPTY);
}

/* A description from behind its name's opening quote to its closing brace, from what it is. */
static char *write_desc(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, int indent)
{
    struct place place = place_find(dump, indent);

    p = put_name(dump, make_room(dump, p), vmsd->name, vmsd->name_len);
    p = put_piece(dump, p, place, PIECE_DESC_VERSION);
    p = put_int(p, vmsd->version_id);
    p = put_piece(dump, p, place, PIECE_DESC_MINIMUM);
    p = put_int(p, vmsd->minimum_version_id);
    if (vmsd->fields) {
        p = put_fields(dump, p, vmsd, place);
    }
    if (vmsd->subsections) {
        p = put_subsections(dump, p, vmsd, place);
    }
    return put_piece(dump, make_room(dump, p), place, PIECE_DESC_CLOSE);
}

static inline struct written *find_written(struct fast_dump *dump, const struct vmd_desc *vmsd, int indent)
{
    uint64_t hash = ((uintptr_t)vmsd + indent) * 0x9e3779b97f4a7c15; /* Fibonacci hashing: the high bits are good */

    return &dump->written[hash / (UINT64_MAX / N_WRITTEN + 1)];
}

/*
 * The same, copied where it still stands in the window: real trees share half of what they print.
 */
static char *put_desc(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, int indent)
{
    const char *begin = p;
    unsigned window = dump->window;
    struct written *written;

    if (vmsd->extent.bytes < WRITTEN_MIN) {
        return write_desc(dump, p, vmsd, indent);
    }
    written = find_written(dump, vmsd, indent);
    if (written->vmsd == vmsd && written->indent == indent && written->window == window && p < dump->limit &&
        written->size < (size_t)(dump->limit - p)) {
        memcpy(p, written->text, written->size);
        return p + written->size;
    }
    p = write_desc(dump, p, vmsd, indent);
    if (window == dump->window) {
        *written = (struct written){vmsd, begin, p - begin, indent, window};
    }
    return p;
}

static char *put_device(struct fast_dump *dump, char *p, const struct vmd_device *device, struct place place)
{
    p = put_name(dump, make_room(dump, p), device->name, device->name_len);
    p = put_piece(dump, make_room(dump, p), place, PIECE_DEVICE_NAME);
    p = put_name(dump, p, device->name, device->name_len);
    p = put_piece(dump, make_room(dump, p), place, PIECE_DEVICE_VERSION);
    p = put_int(p, device->version_id);
    p = put_piece(dump, p, place, PIECE_DEVICE_MINIMUM);
    p = put_int(p, device->minimum_version_id);
    p = put_piece(dump, p, place, PIECE_DEVICE_DESC);
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
            p = put_piece(&dump, make_room(&dump, p), place, i ? PIECE_DEVICE_NEXT : PIECE_DEVICE_FIRST);
            p = put_device(&dump, p, &tree->devices[i], place);
        }
        p = put_piece(&dump, make_room(&dump, p), place, PIECE_DEVICE_CLOSE);
    }
    leave(&dump, p);
    vmd_sink_write(sink, FMT_END, strlen(FMT_END));
    return dump.no_memory ? VMD_NO_MEMORY : VMD_OK;
}
