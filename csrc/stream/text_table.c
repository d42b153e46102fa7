/*
 * The distinct strings of a column. See text_table.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stream/text_table.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_of(const char *text, size_t size)
{
    uint64_t hash = size * 0x9e3779b97f4a7c15;

    for (; size >= 8; size -= 8, text += 8) {
        hash = (hash ^ vmd_load_u64(text)) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 32;
    }
    for (; size; size--, text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    }
    hash *= 0x9e3779b97f4a7c15;
    return (uint32_t)(hash >> 32);
}

static bool grow_slots(struct vmd_text_table *table)
{
    uint64_t n_slots = table->n_slots ? 4 * table->n_slots : 256;
    uint32_t *slots = calloc(n_slots, sizeof(*slots)), *hashes = malloc(n_slots * sizeof(*hashes));

    if (!slots || !hashes) {
        free(slots);
        free(hashes);
        return false;
    }
    for (uint64_t i = 0; i < table->n_slots; i++) {
        if (table->slots[i]) {
            uint64_t at = table->hashes[i] & (n_slots - 1);

            while (slots[at]) {
                at = (at + 1) & (n_slots - 1);
            }
            slots[at] = table->slots[i];
            hashes[at] = table->hashes[i];
        }
    }
    free(table->slots);
    free(table->hashes);
    table->slots = slots;
    table->hashes = hashes;
    table->n_slots = n_slots;
    return true;
}

static bool grow_text(struct vmd_text_table *table, struct vmd_rows_texts *texts, size_t size)
{
    if (size > INT32_MAX - table->text_size) {
        return false;
    }
    if (table->text_room <= table->text_size + size) {
        uint64_t room = 2 * (table->text_size + size) + 4096;
        char *text = realloc(texts->text, room);

        if (!text) {
            return false;
        }
        texts->text = text;
        table->text_room = room;
    }
    if (table->offsets_room < texts->n + 2) {
        uint64_t room = 2 * texts->n + 256;
        int32_t *offsets = realloc(texts->offsets, room * sizeof(*offsets));

        if (!offsets) {
            return false;
        }
        texts->offsets = offsets;
        table->offsets_room = room;
    }
    return true;
}

int32_t vmd_text_table_intern(struct vmd_text_table *table, struct vmd_rows_texts *texts, const char *text, size_t size)
{
    uint32_t hash = hash_of(text, size);
    uint64_t at;

    if (table->n_slots <= 2 * texts->n && !grow_slots(table)) {
        return -1;
    }
    for (at = hash & (table->n_slots - 1); table->slots[at]; at = (at + 1) & (table->n_slots - 1)) {
        const int32_t *offsets = &texts->offsets[table->slots[at] - 1];

        if (table->hashes[at] == hash && (size_t)(offsets[1] - offsets[0]) == size &&
            !memcmp(texts->text + offsets[0], text, size)) {
            return (int32_t)table->slots[at] - 1;
        }
    }
    if (!grow_text(table, texts, size)) {
        return -1;
    }
    memcpy(texts->text + table->text_size, text, size);
    table->text_size += size;
    texts->offsets[0] = 0;
    texts->offsets[++texts->n] = (int32_t)table->text_size;
    table->slots[at] = (uint32_t)texts->n;
    table->hashes[at] = hash;
    return (int32_t)texts->n - 1;
}

void vmd_text_table_clear(struct vmd_text_table *table, struct vmd_rows_texts *texts)
{
    texts->n = 0;
    table->text_size = 0;
    table->last = NULL;
    if (table->n_slots) {
        memset(table->slots, 0, table->n_slots * sizeof(*table->slots));
    }
}

void vmd_text_table_deinit(struct vmd_text_table *table, struct vmd_rows_texts *texts)
{
    free(texts->text);
    free(texts->offsets);
    free(table->slots);
    free(table->hashes);
}
