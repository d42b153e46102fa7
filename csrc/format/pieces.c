/*
 * Text between values: see pieces.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "format/pieces.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "format/format.h"

/* Where a line of a piece begins. */
#define AT_MEMBER VMD_INDENT SPACES_MEMBER
#define AT_ELEMENT VMD_INDENT SPACES_ELEMENT
#define AT_FIELD_MEMBER AT_ELEMENT SPACES_MEMBER
#define END_LINE "\n"

/* clang-format off */
#define NEXT_DEVICE FMT_NEXT VMD_INDENT DEVICE_OPEN_HEAD
#define NEXT_FIELD AT_ELEMENT FIELD_OPEN AT_FIELD_MEMBER FIELD_NAME_HEAD
#define NEXT_SUBSECTION AT_ELEMENT SUBSECTION_OPEN AT_FIELD_MEMBER DESC_NAME_HEAD
#define CLOSE_FIELD END_LINE AT_ELEMENT CLOSE
#define CLOSE_LIST END_LINE AT_MEMBER LIST_CLOSE
#define TO_VERSION NAME_TAIL AT_FIELD_MEMBER VERSION_HEAD
#define TO_ALWAYS NUMBER_TAIL AT_FIELD_MEMBER FIELD_ALWAYS
#define TO_EXISTS NUMBER_TAIL AT_FIELD_MEMBER FIELD_EXISTS
#define TO_NUM AT_FIELD_MEMBER NUM_HEAD
#define TO_SIZE AT_FIELD_MEMBER SIZE_HEAD

const char *const vmd_recipes[N_PIECES] = {
    [PIECE_DEVICE_FIRST] = NEXT_DEVICE,
    [PIECE_DEVICE_NEXT] = END_LINE VMD_INDENT CLOSE NEXT_DEVICE,
    [PIECE_DEVICE_NAME] = DEVICE_OPEN_TAIL AT_MEMBER DEVICE_NAME_HEAD,
    [PIECE_DEVICE_VERSION] = NAME_TAIL AT_MEMBER VERSION_HEAD,
    [PIECE_DEVICE_MINIMUM] = NUMBER_TAIL AT_MEMBER MINIMUM_HEAD,
    [PIECE_DEVICE_DESC] = NUMBER_TAIL AT_MEMBER DESC_OPEN AT_MEMBER SPACES_MEMBER DESC_NAME_HEAD,
    [PIECE_DEVICE_CLOSE] = END_LINE VMD_INDENT CLOSE,
    [PIECE_DESC_NESTED] = FMT_NEXT VMD_INDENT DESC_OPEN AT_MEMBER DESC_NAME_HEAD,
    [PIECE_DESC_VERSION] = NAME_TAIL AT_MEMBER VERSION_HEAD,
    [PIECE_DESC_MINIMUM] = NUMBER_TAIL AT_MEMBER MINIMUM_HEAD,
    [PIECE_DESC_CLOSE] = END_LINE VMD_INDENT CLOSE,
    [PIECE_FIELDS_EMPTY] = FMT_NEXT AT_MEMBER FIELDS_OPEN CLOSE_LIST,
    [PIECE_FIELDS_FIRST] = FMT_NEXT AT_MEMBER FIELDS_OPEN NEXT_FIELD,
    [PIECE_FIELDS_NEXT] = CLOSE_FIELD FMT_NEXT NEXT_FIELD,
    [PIECE_FIELDS_CLOSE] = CLOSE_FIELD CLOSE_LIST,
    [PIECE_SUBSECTIONS_EMPTY] = FMT_NEXT AT_MEMBER SUBSECTIONS_OPEN CLOSE_LIST,
    [PIECE_SUBSECTIONS_FIRST] = FMT_NEXT AT_MEMBER SUBSECTIONS_OPEN NEXT_SUBSECTION,
    [PIECE_SUBSECTIONS_NEXT] = FMT_NEXT NEXT_SUBSECTION,
    [PIECE_SUBSECTIONS_CLOSE] = CLOSE_LIST,
    [PIECE_FIELD_VERSION] = TO_VERSION,
    [PIECE_FIELD_SIZE] = TO_ALWAYS TO_SIZE,
    [PIECE_FIELD_SIZE_EXISTS] = TO_EXISTS TO_SIZE,
    [PIECE_FIELD_NUM] = TO_ALWAYS TO_NUM,
    [PIECE_FIELD_NUM_EXISTS] = TO_EXISTS TO_NUM,
    [PIECE_FIELD_NUM_SIZE] = NUMBER_TAIL TO_SIZE,
    [PIECE_FIELD_0_SIZE] = TO_VERSION "0" TO_ALWAYS TO_SIZE,
    [PIECE_FIELD_0_SIZE_EXISTS] = TO_VERSION "0" TO_EXISTS TO_SIZE,
    [PIECE_FIELD_0_NUM] = TO_VERSION "0" TO_ALWAYS TO_NUM,
    [PIECE_FIELD_0_NUM_EXISTS] = TO_VERSION "0" TO_EXISTS TO_NUM,
};
/* clang-format on */

struct vmd_level *vmd_levels[VMD_LEVELS];

static struct vmd_recipe_size recipe_size(const char *recipe)
{
    struct vmd_recipe_size size = {.text_size = strlen(recipe)};

    for (size_t i = 0; i < size.text_size; i++) {
        size.n_indents += recipe[i] == *VMD_INDENT;
    }
    return size;
}

struct vmd_recipe_size vmd_recipes_max(void)
{
    struct vmd_recipe_size max = {0};

    for (int id = 0; id < N_PIECES; id++) {
        struct vmd_recipe_size size = recipe_size(vmd_recipes[id]);

        max.text_size = size.text_size > max.text_size ? size.text_size : max.text_size;
        max.n_indents = size.n_indents > max.n_indents ? size.n_indents : max.n_indents;
    }
    return max;
}

char *vmd_piece_expand(char *out, enum vmd_piece_id id, size_t indent)
{
    const char *recipe = vmd_recipes[id];
    size_t size = strlen(recipe);
    char *mark;

    while ((mark = memccpy(out, recipe, *VMD_INDENT, size))) {
        recipe += mark - out;
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

    for (int id = 0; id < N_PIECES; id++) {
        struct vmd_recipe_size recipe = recipe_size(vmd_recipes[id]);

        size += recipe.text_size + recipe.n_indents * indent;
    }
    level = malloc(sizeof(*level) + size + VMD_BLOCK);
    out = level ? level->text : NULL;
    for (int id = 0; level && id < N_PIECES; id++) {
        char *begin = out;

        out = vmd_piece_expand(begin, id, indent);
        level->pieces[id] = (struct vmd_piece){begin, out - begin};
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
