/*
 * Names of flags and hooks in the extended form: see extended.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "format/extended.h"

#include <stddef.h>

#include "tree/tree.h"

const struct vmd_word vmd_flag_words[] = {
    {"SINGLE", 1},
    {"POINTER", 2},
    {"ARRAY", VMD_ARRAY},
    {"STRUCT", 8},
    {"VARRAY_INT32", 0x10},
    {"BUFFER", 0x20},
    {"ARRAY_OF_POINTER", 0x40},
    {"VARRAY_UINT16", 0x80},
    {"VBUFFER", 0x100},
    {"MULTIPLY", 0x200},
    {"VARRAY_UINT8", 0x400},
    {"VARRAY_UINT32", 0x800},
    {"MUST_EXIST", VMD_MUST_EXIST},
    {"ALLOC", 0x2000},
    {"MULTIPLY_ELEMENTS", 0x4000},
    {"VSTRUCT", 0x8000},
    {"ARRAY_OF_POINTER_AUTO_ALLOC", VMD_AUTO_ALLOC},
    {NULL, 0},
};

const struct vmd_word vmd_hook_words[] = {
    {"pre_load", VMD_PRE_LOAD},
    {"post_load", VMD_POST_LOAD},
    {"pre_save", VMD_PRE_SAVE},
    {"post_save", VMD_POST_SAVE},
    {"dev_unplug_pending", VMD_DEV_UNPLUG_PENDING},
    {"load_state_old", VMD_LOAD_STATE_OLD},
    {NULL, 0},
};
