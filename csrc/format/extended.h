/*
 * The extended form of a dump: QEMU's JSON, with what is known beside it as further keys. Who reads QEMU's form, QEMU's
 * own checker included, can read it too: every key of QEMU's stands where it always does, and nothing is added to the
 * outermost object, whose keys are device types.
 *
 *   vmschkmachine   "producer": a JSON object, as sources make it
 *                   "prints_num": false, where QEMU's own form is without "num" (QEMU 8.1 and older)
 *                   "Descriptions": of what is on no device class: {"uses", "types",
 *                   "symbol", "Description"}
 *   a device        "parents", "abstract", "desc", "module"
 *   a description   "needed", "hooks", "priority", "unmigratable", "early_setup"; "Validations": the fields that are
 *                   assertions, which QEMU does not print, each with its "position" in the whole list
 *   a field         "info", "flags", "offset", "struct_version_id", "start", "num_offset", "size_offset", "err_hint"
 *
 * "needed" and "flags" are there wherever details are known; the other keys only where they say something, and "num"
 * wherever there is one. Numbers are bytes, versions and elements, as in struct vmd_field_details.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_EXTENDED_H
#define VMD_EXTENDED_H

#include "tree/tree.h"

struct vmd_word {
    const char *word;
    uint32_t bit;
};

/* Names of flags and hooks, in the order in which they are printed; word NULL ends the list. */
extern const struct vmd_word vmd_flag_words[];
extern const struct vmd_word vmd_hook_words[];

#endif
