/*
 * Extended form of a dump: QEMU's JSON with metadata as additional keys. Readers of QEMU's form, its own checker
 * included, can read it: all of QEMU's keys stay in place, and the outermost object, whose keys are device types, gets
 * no additional key.
 *
 *   vmschkmachine   "producer": JSON object of the source
 *                   "prints_num": false if QEMU's own dump has no "num" (QEMU 8.1 and older)
 *                   "Descriptions": standalone descriptions: {"uses", "types", "symbol", "Description"}
 *   a device        "parents", "abstract", "desc", "module"
 *   a description   "needed", "hooks", "priority", "unmigratable", "early_setup"; "Validations": MUST_EXIST fields,
 *                   which QEMU does not print, each with its "position" in the list of all fields
 *   a field         "info", "flags", "offset", "struct_version_id", "start", "num_offset", "size_offset", "err_hint"
 *
 * "needed" and "flags" are present if the description is detailed; other keys only if they have a value; "num" always
 * if it has one. Numbers are bytes, versions and elements, as in struct vmd_field_details.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_EXTENDED_H
#define VMD_EXTENDED_H

#include <stdint.h>

struct vmd_word {
    const char *word;
    uint32_t bit;
};

/* Names of flags and hooks in printing order; word NULL ends the list. */
extern const struct vmd_word vmd_flag_words[];
extern const struct vmd_word vmd_hook_words[];

#endif
