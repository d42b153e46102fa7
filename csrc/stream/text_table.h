/*
 * The distinct strings of a column of rows: a hash table beside the struct vmd_rows_texts that Arrow reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_TEXT_TABLE_H
#define VMD_TEXT_TABLE_H

#include "stream/rows.h"

/* The memory of a struct vmd_rows_texts, and a hash table of its strings. All zero: empty. */
struct vmd_text_table {
    uint64_t text_size, text_room;
    uint64_t offsets_room;
    uint32_t *slots; /* index of the string + 1; 0: free. n_slots is a power of two above twice the strings */
    uint32_t *hashes;
    uint64_t n_slots;
    const char *last; /* the string that was interned last: most rows repeat it */
    int32_t last_code;
};

/* Index of a string, which is added if it is new; -1: no memory, or more than INT32_MAX bytes. */
int32_t vmd_text_table_intern(struct vmd_text_table *table, struct vmd_rows_texts *texts, const char *text,
                              size_t size);
/* Clear keeps the memory for the next strings. */
void vmd_text_table_clear(struct vmd_text_table *table, struct vmd_rows_texts *texts);
void vmd_text_table_deinit(struct vmd_text_table *table, struct vmd_rows_texts *texts);

#endif
