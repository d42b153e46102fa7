/*
 * Fast engine: writes the bytes of stdio_dump.c from the fragments of templates.h. A field is two or three fragments
 * with its values between them. Fragments are copied in whole blocks: source and destination have space after them, and
 * the next value overwrites the excess.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <string.h>

#include "dump/dump.h"
#include "format/format.h"
#include "format/templates.h"

enum {
    NAME_INLINE_MAX = 512, /* longer names take the slow path */
    N_WRITTEN = 256,       /* a power of 2 */
    WRITTEN_MIN = 256,     /* bytes without indentation: looking up shorter descriptions costs more than writing them */
    /* Bytes written between two checks for room: fragments of less than 1 KiB, numbers, a short name. */
    RESERVE = 3 * 1024 + NAME_INLINE_MAX + VMD_BLOCK,
};
_Static_assert(RESERVE <= VMD_SINK_SLACK, "unchecked output fits into the slack of the window");

/* With AVX2 one register holds a block: see fast_dump_avx2.c. */
typedef char block __attribute__((vector_size(VMD_BLOCK), aligned(1), may_alias));

static inline void copy_block(char *to, const char *from)
{
    *(block *)to = *(const block *)from;
}

/* A description in the window: its text after the opening quote of its name, up to its closing brace. */
struct written {
    const struct vmd_desc *vmsd; /* NULL: none */
    const char *text;
    size_t size;
    int indent;
    unsigned window; /* number of the window that holds the text */
};

struct fast_dump {
    struct vmd_sink *sink;
    char *limit;     /* the sink is flushed at and after it; if stopped, always */
    uint32_t arrays; /* flag of the fields whose "num" is printed; 0: none */
    bool stopped;    /* the sink has failed, or memory is exhausted */
    bool no_memory;
    struct vmd_template_size max;      /* of all templates; zeros: not computed yet */
    unsigned window;                   /* number of the window: incremented by enter */
    struct written written[N_WRITTEN]; /* indexed by a hash */
};

/* Where fragments come from: a level or, if NULL, templates expanded at the indentation. */
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

/* Hand the window, from p on, to the functions of the sink; enter takes it back. */
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
 * Expand a template that has no level: at once if it fits into the window, else in parts. Also called if there is no
 * memory for a level; the output is discarded then.
 */
static __attribute__((noinline)) char *write_template(struct fast_dump *dump, char *p, int indent,
                                                      enum vmd_template_id id)
{
    char spaces[256];

    if (!dump->max.text_size) {
        dump->max = vmd_template_max_size();
    }
    if (p < dump->limit && (size_t)(dump->limit - p) > dump->max.text_size + dump->max.n_indents * indent) {
        return vmd_template_expand(p, id, indent);
    }
    memset(spaces, ' ', sizeof(spaces));
    leave(dump, p);
    for (const char *c = vmd_templates[id]; *c && !dump->no_memory;) {
        size_t size = strcspn(c, VMD_INDENT_MARK);

        vmd_sink_write(dump->sink, c, size);
        c += size;
        for (size_t left = *c ? indent : 0, n; left; left -= n) {
            n = left < sizeof(spaces) ? left : sizeof(spaces);
            vmd_sink_write(dump->sink, spaces, n);
        }
        c += *c == *VMD_INDENT_MARK;
    }
    return enter(dump);
}

static inline char *copy_fragment(char *p, struct vmd_fragment fragment)
{
    for (size_t i = 0; i < fragment.size; i += VMD_BLOCK) {
        copy_block(p + i, fragment.text + i);
    }
    return p + fragment.size;
}

static inline char *write_fragment(struct fast_dump *dump, char *p, struct place place, enum vmd_template_id id)
{
    if (__builtin_expect(!place.level, 0)) {
        return write_template(dump, p, place.indent, id);
    }
    return copy_fragment(p, place.level->fragments[id]);
}

static inline char *write_name(struct fast_dump *dump, char *p, const char *name, uint32_t size)
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

static __attribute__((noinline)) char *write_digits(char *p, uint64_t value)
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

static inline char *write_size(char *p, uint64_t value)
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
    return write_digits(p, value);
}

static inline char *write_int(char *p, int32_t value)
{
    if (value < 0) {
        *p++ = '-';
    }
    return write_size(p, value < 0 ? -(int64_t)value : value);
}

static char *write_desc(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, int indent);

enum { FIELD_MEMBER = VMD_INDENT_ELEMENT + VMD_INDENT_MEMBER };

/* A field after its name, up to its size, if it has a version_id or its "num" is printed. */
static __attribute__((noinline)) char *write_rare(struct fast_dump *dump, char *p, const struct vmd_field *field,
                                                  struct place place)
{
    unsigned exists = field->field_exists != 0;
    bool num = field->flags & dump->arrays;

    if (field->version_id) {
        p = write_fragment(dump, p, place, VMD_TEMPLATE_FIELD_VERSION);
        p = write_int(p, field->version_id);
        p = write_fragment(dump, p, place, (num ? VMD_TEMPLATE_FIELD_NUM : VMD_TEMPLATE_FIELD_SIZE) + exists);
    } else {
        p = write_fragment(dump, p, place, VMD_TEMPLATE_FIELD_0_NUM + exists);
    }
    if (num) {
        p = write_int(p, field->num);
        p = write_fragment(dump, p, place, VMD_TEMPLATE_FIELD_NUM_SIZE);
    }
    return p;
}

/* A field after the opening quote of its name, up to its size or nested description. */
static inline char *write_field(struct fast_dump *dump, char *p, const struct vmd_field *field, struct place place)
{
    p = write_name(dump, p, field->name, field->name_len);
    if (__builtin_expect(field->version_id || field->flags & dump->arrays, 0)) {
        p = write_rare(dump, p, field, place);
    } else {
        p = write_fragment(dump, p, place,
                           field->field_exists ? VMD_TEMPLATE_FIELD_0_SIZE_EXISTS : VMD_TEMPLATE_FIELD_0_SIZE);
    }
    p = write_size(p, field->size);
    if (__builtin_expect(field->vmsd != NULL, 0)) {
        int indent = place.indent + FIELD_MEMBER;

        p = write_fragment(dump, make_room(dump, p), place_find(dump, indent), VMD_TEMPLATE_DESC_NESTED);
        p = write_desc(dump, p, field->vmsd, indent);
    }
    return p;
}

/* Whether a field is a name and a digit between two fragments, as nearly all are. */
static inline bool is_plain(const struct vmd_field *field, uint32_t special)
{
    return !((uint32_t)field->version_id | (field->flags & special) | field->field_exists | (field->size > 9) |
             (field->name_len > VMD_PADDING) | (field->vmsd != NULL));
}

static char *write_fields(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, struct place place)
{
    const struct vmd_field *end = vmsd->fields + vmsd->n_fields;
    const uint32_t special = dump->arrays | VMD_MUST_EXIST;
    const struct vmd_fragment none = {NULL, 0};
    const struct vmd_fragment next = place.level ? place.level->fragments[VMD_TEMPLATE_FIELDS_NEXT] : none;
    const struct vmd_fragment to_size = place.level ? place.level->fragments[VMD_TEMPLATE_FIELD_0_SIZE] : none;
    enum vmd_template_id open = VMD_TEMPLATE_FIELDS_FIRST;

    for (const struct vmd_field *field = vmsd->fields; field < end; field++) {
        if (is_full(dump, p)) {
            p = flush(dump, p);
            if (dump->stopped) {
                break;
            }
        }
        if (__builtin_expect(is_plain(field, special) && open == VMD_TEMPLATE_FIELDS_NEXT && next.text, 1)) {
            p = copy_fragment(p, next);
            memcpy(p, field->name, VMD_PADDING);
            p = copy_fragment(p + field->name_len, to_size);
            *p++ = '0' + field->size;
            continue;
        }
        if (__builtin_expect(!(field->flags & VMD_MUST_EXIST), 1)) {
            p = write_fragment(dump, p, place, open);
            p = write_field(dump, p, field, place);
            open = VMD_TEMPLATE_FIELDS_NEXT;
        }
    }
    return write_fragment(dump, make_room(dump, p), place,
                          open == VMD_TEMPLATE_FIELDS_FIRST ? VMD_TEMPLATE_FIELDS_EMPTY : VMD_TEMPLATE_FIELDS_CLOSE);
}

static char *write_subsections(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, struct place place)
{
    for (uint64_t i = 0; i < vmsd->n_subsections && !dump->stopped; i++) {
        p = write_fragment(dump, make_room(dump, p), place,
                           i ? VMD_TEMPLATE_SUBSECTIONS_NEXT : VMD_TEMPLATE_SUBSECTIONS_FIRST);
        p = write_desc(dump, p, vmsd->subsections[i], place.indent + VMD_INDENT_ELEMENT);
    }
    return write_fragment(dump, make_room(dump, p), place,
                          vmsd->n_subsections ? VMD_TEMPLATE_SUBSECTIONS_CLOSE : VMD_TEMPLATE_SUBSECTIONS_EMPTY);
}

/* A description after the opening quote of its name, up to its closing brace. */
static char *write_new_desc(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, int indent)
{
    struct place place = place_find(dump, indent);

    p = write_name(dump, make_room(dump, p), vmsd->name, vmsd->name_len);
    p = write_fragment(dump, p, place, VMD_TEMPLATE_DESC_VERSION);
    p = write_int(p, vmsd->version_id);
    p = write_fragment(dump, p, place, VMD_TEMPLATE_DESC_MINIMUM);
    p = write_int(p, vmsd->minimum_version_id);
    if (vmsd->fields) {
        p = write_fields(dump, p, vmsd, place);
    }
    if (vmsd->subsections) {
        p = write_subsections(dump, p, vmsd, place);
    }
    return write_fragment(dump, make_room(dump, p), place, VMD_TEMPLATE_DESC_CLOSE);
}

static inline struct written *find_written(struct fast_dump *dump, const struct vmd_desc *vmsd, int indent)
{
    uint64_t hash = ((uintptr_t)vmsd + indent) * 0x9e3779b97f4a7c15; /* Fibonacci hashing: the high bits are good */

    return &dump->written[hash / (UINT64_MAX / N_WRITTEN + 1)];
}

/* As write_new_desc, but copy the text if it is still in the window: real dumps repeat about half of their text. */
static char *write_desc(struct fast_dump *dump, char *p, const struct vmd_desc *vmsd, int indent)
{
    const char *begin = p;
    unsigned window = dump->window;
    struct written *written;

    if (vmsd->extent.bytes < WRITTEN_MIN) {
        return write_new_desc(dump, p, vmsd, indent);
    }
    written = find_written(dump, vmsd, indent);
    if (written->vmsd == vmsd && written->indent == indent && written->window == window && p < dump->limit &&
        written->size < (size_t)(dump->limit - p)) {
        memcpy(p, written->text, written->size);
        return p + written->size;
    }
    p = write_new_desc(dump, p, vmsd, indent);
    if (window == dump->window) {
        *written = (struct written){vmsd, begin, p - begin, indent, window};
    }
    return p;
}

static char *write_device(struct fast_dump *dump, char *p, const struct vmd_device *device, struct place place)
{
    p = write_name(dump, make_room(dump, p), device->name, device->name_len);
    p = write_fragment(dump, make_room(dump, p), place, VMD_TEMPLATE_DEVICE_NAME);
    p = write_name(dump, p, device->label, device->label_len);
    p = write_fragment(dump, make_room(dump, p), place, VMD_TEMPLATE_DEVICE_VERSION);
    p = write_int(p, device->version_id);
    p = write_fragment(dump, p, place, VMD_TEMPLATE_DEVICE_MINIMUM);
    p = write_int(p, device->minimum_version_id);
    if (__builtin_expect(device->vmsd->traits & VMD_NO_DESCRIPTION, 0)) {
        return p;
    }
    p = write_fragment(dump, p, place, VMD_TEMPLATE_DEVICE_DESC);
    return write_desc(dump, p, device->vmsd, VMD_INDENT_DEVICE + VMD_INDENT_MEMBER);
}

static void write_machine(struct vmd_sink *sink, const struct vmd_tree *tree)
{
    static const char machine[] = VMD_FMT_MACHINE;
    const char *value = strstr(machine, "%s");

    vmd_sink_write(sink, VMD_FMT_BEGIN, strlen(VMD_FMT_BEGIN));
    vmd_sink_write(sink, machine, value - machine);
    vmd_sink_write(sink, tree->machine, tree->machine_len);
    vmd_sink_write(sink, value + 2, strlen(value + 2));
}

enum vmd_status vmd_dump_fast(const struct vmd_tree *tree, struct vmd_sink *sink)
{
    struct fast_dump dump = {.sink = sink, .arrays = tree->print_num ? VMD_ARRAY : 0};
    char *p;

    write_machine(sink, tree);
    p = enter(&dump);
    if (tree->n_devices) {
        struct place place = place_find(&dump, VMD_INDENT_DEVICE);

        for (uint64_t i = 0; i < tree->n_devices && !dump.stopped; i++) {
            p = write_fragment(&dump, make_room(&dump, p), place,
                               i ? VMD_TEMPLATE_DEVICE_NEXT : VMD_TEMPLATE_DEVICE_FIRST);
            p = write_device(&dump, p, &tree->devices[i], place);
        }
        p = write_fragment(&dump, make_room(&dump, p), place, VMD_TEMPLATE_DEVICE_CLOSE);
    }
    leave(&dump, p);
    vmd_sink_write(sink, VMD_FMT_END, strlen(VMD_FMT_END));
    return dump.no_memory ? VMD_NO_MEMORY : VMD_OK;
}
