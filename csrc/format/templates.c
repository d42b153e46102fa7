/*
 * Templates and fragments: see templates.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "format/templates.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "format/format.h"

/* Beginnings of lines. */
#define AT_MEMBER VMD_INDENT_MARK VMD_SPACES_MEMBER
#define AT_ELEMENT VMD_INDENT_MARK VMD_SPACES_ELEMENT
#define AT_FIELD_MEMBER AT_ELEMENT VMD_SPACES_MEMBER
#define END_LINE "\n"

/* clang-format off */
#define NEXT_DEVICE VMD_FMT_NEXT VMD_INDENT_MARK VMD_DEVICE_OPEN_HEAD
#define NEXT_FIELD AT_ELEMENT VMD_FIELD_OPEN AT_FIELD_MEMBER VMD_FIELD_NAME_HEAD
#define NEXT_SUBSECTION AT_ELEMENT VMD_SUBSECTION_OPEN AT_FIELD_MEMBER VMD_DESC_NAME_HEAD
#define CLOSE_FIELD END_LINE AT_ELEMENT VMD_CLOSE
#define CLOSE_LIST END_LINE AT_MEMBER VMD_LIST_CLOSE
#define TO_VERSION VMD_NAME_TAIL AT_FIELD_MEMBER VMD_VERSION_HEAD
#define TO_ALWAYS VMD_NUMBER_TAIL AT_FIELD_MEMBER VMD_FIELD_ALWAYS
#define TO_EXISTS VMD_NUMBER_TAIL AT_FIELD_MEMBER VMD_FIELD_EXISTS
#define TO_NUM AT_FIELD_MEMBER VMD_NUM_HEAD
#define TO_SIZE AT_FIELD_MEMBER VMD_SIZE_HEAD

const char *const vmd_templates[VMD_N_TEMPLATES] = {
    [VMD_TEMPLATE_DEVICE_FIRST] = NEXT_DEVICE,
    [VMD_TEMPLATE_DEVICE_NEXT] = END_LINE VMD_INDENT_MARK VMD_CLOSE NEXT_DEVICE,
    [VMD_TEMPLATE_DEVICE_NAME] = VMD_DEVICE_OPEN_TAIL AT_MEMBER VMD_DEVICE_NAME_HEAD,
    [VMD_TEMPLATE_DEVICE_VERSION] = VMD_NAME_TAIL AT_MEMBER VMD_VERSION_HEAD,
    [VMD_TEMPLATE_DEVICE_MINIMUM] = VMD_NUMBER_TAIL AT_MEMBER VMD_MINIMUM_HEAD,
    [VMD_TEMPLATE_DEVICE_DESC] = VMD_NUMBER_TAIL AT_MEMBER VMD_DESC_OPEN AT_MEMBER VMD_SPACES_MEMBER VMD_DESC_NAME_HEAD,
    [VMD_TEMPLATE_DEVICE_CLOSE] = END_LINE VMD_INDENT_MARK VMD_CLOSE,
    [VMD_TEMPLATE_DESC_NESTED] = VMD_FMT_NEXT VMD_INDENT_MARK VMD_DESC_OPEN AT_MEMBER VMD_DESC_NAME_HEAD,
    [VMD_TEMPLATE_DESC_VERSION] = VMD_NAME_TAIL AT_MEMBER VMD_VERSION_HEAD,
    [VMD_TEMPLATE_DESC_MINIMUM] = VMD_NUMBER_TAIL AT_MEMBER VMD_MINIMUM_HEAD,
    [VMD_TEMPLATE_DESC_CLOSE] = END_LINE VMD_INDENT_MARK VMD_CLOSE,
    [VMD_TEMPLATE_FIELDS_EMPTY] = VMD_FMT_NEXT AT_MEMBER VMD_FIELDS_OPEN CLOSE_LIST,
    [VMD_TEMPLATE_FIELDS_FIRST] = VMD_FMT_NEXT AT_MEMBER VMD_FIELDS_OPEN NEXT_FIELD,
    [VMD_TEMPLATE_FIELDS_NEXT] = CLOSE_FIELD VMD_FMT_NEXT NEXT_FIELD,
    [VMD_TEMPLATE_FIELDS_CLOSE] = CLOSE_FIELD CLOSE_LIST,
    [VMD_TEMPLATE_SUBSECTIONS_EMPTY] = VMD_FMT_NEXT AT_MEMBER VMD_SUBSECTIONS_OPEN CLOSE_LIST,
    [VMD_TEMPLATE_SUBSECTIONS_FIRST] = VMD_FMT_NEXT AT_MEMBER VMD_SUBSECTIONS_OPEN NEXT_SUBSECTION,
    [VMD_TEMPLATE_SUBSECTIONS_NEXT] = VMD_FMT_NEXT NEXT_SUBSECTION,
    [VMD_TEMPLATE_SUBSECTIONS_CLOSE] = CLOSE_LIST,
    [VMD_TEMPLATE_FIELD_VERSION] = TO_VERSION,
    [VMD_TEMPLATE_FIELD_SIZE] = TO_ALWAYS TO_SIZE,
    [VMD_TEMPLATE_FIELD_SIZE_EXISTS] = TO_EXISTS TO_SIZE,
    [VMD_TEMPLATE_FIELD_NUM] = TO_ALWAYS TO_NUM,
    [VMD_TEMPLATE_FIELD_NUM_EXISTS] = TO_EXISTS TO_NUM,
    [VMD_TEMPLATE_FIELD_NUM_SIZE] = VMD_NUMBER_TAIL TO_SIZE,
    [VMD_TEMPLATE_FIELD_0_SIZE] = TO_VERSION "0" TO_ALWAYS TO_SIZE,
    [VMD_TEMPLATE_FIELD_0_SIZE_EXISTS] = TO_VERSION "0" TO_EXISTS TO_SIZE,
    [VMD_TEMPLATE_FIELD_0_NUM] = TO_VERSION "0" TO_ALWAYS TO_NUM,
    [VMD_TEMPLATE_FIELD_0_NUM_EXISTS] = TO_VERSION "0" TO_EXISTS TO_NUM,
};
/* clang-format on */

struct vmd_level *vmd_levels[VMD_LEVELS];

static struct vmd_template_size template_size(const char *template)
{
    struct vmd_template_size size = {.text_size = strlen(template)};

    for (size_t i = 0; i < size.text_size; i++) {
        size.n_indents += template[i] == *VMD_INDENT_MARK;
    }
    return size;
}

struct vmd_template_size vmd_template_max_size(void)
{
    struct vmd_template_size max = {0};

    for (int id = 0; id < VMD_N_TEMPLATES; id++) {
        struct vmd_template_size size = template_size(vmd_templates[id]);

        max.text_size = size.text_size > max.text_size ? size.text_size : max.text_size;
        max.n_indents = size.n_indents > max.n_indents ? size.n_indents : max.n_indents;
    }
    return max;
}

char *vmd_template_expand(char *out, enum vmd_template_id id, size_t indent)
{
    const char *template = vmd_templates[id];
    size_t size = strlen(template);
    char *mark;

    while ((mark = memccpy(out, template, *VMD_INDENT_MARK, size))) {
        template += mark - out;
        size -= mark - out;
        memset(mark - 1, ' ', indent);
        out = mark - 1 + indent;
    }
    return out + size;
}

static struct vmd_level *level_new(size_t indent)
{
    size_t size = 0;
    struct vmd_level *level;
    char *out;

    for (int id = 0; id < VMD_N_TEMPLATES; id++) {
        struct vmd_template_size template = template_size(vmd_templates[id]);

        size += template.text_size + template.n_indents * indent;
    }
    level = malloc(sizeof(*level) + size + VMD_BLOCK);
    out = level ? level->text : NULL;
    for (int id = 0; level && id < VMD_N_TEMPLATES; id++) {
        char *begin = out;

        out = vmd_template_expand(begin, id, indent);
        level->fragments[id] = (struct vmd_fragment){begin, out - begin};
    }
    if (level) {
        memset(out, 0, VMD_BLOCK);
    }
    return level;
}

const struct vmd_level *vmd_level_create(int indent)
{
    struct vmd_level *before = NULL, *level = level_new(indent);

    if (level && !__atomic_compare_exchange_n(&vmd_levels[indent / 2], &before, level, false, __ATOMIC_ACQ_REL,
                                              __ATOMIC_ACQUIRE)) {
        free(level);
        level = before;
    }
    return level;
}
