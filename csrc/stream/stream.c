/*
 * Trees as a check reads them. See wire.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stream/stream.h"

#include <stdlib.h>
#include <string.h>

/* Sections and fields as rows */

static char *put_text(char *text, const char *from, uint64_t size)
{
    if (size) {
        memcpy(text, from, size);
    }
    text[size] = '\0';
    return text + size + 1;
}

uint64_t vmd_wire_sections_text(const struct vmd_tree *tree)
{
    uint64_t size = 0;

    for (uint64_t i = 0; i < tree->n_devices; i++) {
        size += (uint64_t)tree->devices[i].name_len + tree->devices[i].vmsd->name_len + 2;
    }
    for (uint64_t i = 0; i < tree->n_roots; i++) {
        const struct vmd_root *root = &tree->roots[i];

        size += (root->symbol ? strlen(root->symbol) : 0) + root->vmsd->name_len + 2;
    }
    return size;
}

void vmd_wire_sections(const struct vmd_tree *tree, struct vmd_section_row *rows, char *text)
{
    for (uint64_t i = 0; i < tree->n_devices; i++) {
        const struct vmd_device *device = &tree->devices[i];

        *rows++ = (struct vmd_section_row){(uintptr_t)device->vmsd, device->version_id, device->minimum_version_id};
        text = put_text(text, device->name, device->name_len);
        text = put_text(text, device->vmsd->name, device->vmsd->name_len);
    }
    for (uint64_t i = 0; i < tree->n_roots; i++) {
        const struct vmd_root *root = &tree->roots[i];
        const struct vmd_desc *vmsd = root->vmsd;

        *rows++ = (struct vmd_section_row){(uintptr_t)vmsd, vmsd->version_id, vmsd->minimum_version_id};
        text = put_text(text, root->symbol, root->symbol ? strlen(root->symbol) : 0);
        text = put_text(text, vmsd->name, vmsd->name_len);
    }
}

uint32_t vmd_wire_tells_nums(const struct vmd_tree *tree)
{
    for (uint64_t i = 0; i < tree->n_devices; i++) {
        if (tree->devices[i].vmsd->num_extent.lines) {
            return 1;
        }
    }
    return 0;
}

uint64_t vmd_wire_fields_text(const struct vmd_desc *desc)
{
    uint64_t size = (uint64_t)desc->name_len + 1;

    for (uint64_t i = 0; i < desc->n_fields; i++) {
        const struct vmd_field_details *details = desc->field_details ? &desc->field_details[i] : NULL;

        size += (uint64_t)desc->fields[i].name_len + (details && details->info ? details->info_len : 0) + 2;
    }
    return size;
}

void vmd_wire_fields(const struct vmd_desc *desc, struct vmd_wire_row *rows, uint64_t *subsections, char *text)
{
    text = put_text(text, desc->name, desc->name_len);
    for (uint64_t i = 0; i < desc->n_fields; i++) {
        const struct vmd_field *field = &desc->fields[i];
        const struct vmd_field_details *details = desc->field_details ? &desc->field_details[i] : NULL;

        rows[i] = (struct vmd_wire_row){.vmsd = (uintptr_t)field->vmsd,
                                        .size = field->size,
                                        .offset = details ? details->offset : VMD_UNKNOWN,
                                        .num_offset = details ? details->num_offset : VMD_UNKNOWN,
                                        .size_offset = details ? details->size_offset : VMD_UNKNOWN,
                                        .num = field->num,
                                        .version_id = field->version_id,
                                        .struct_version_id = details ? details->struct_version_id : 0,
                                        .flags = field->flags,
                                        .field_exists = field->field_exists};
        text = put_text(text, field->name, field->name_len);
        text = put_text(text, details ? details->info : NULL, details && details->info ? details->info_len : 0);
    }
    for (uint64_t i = 0; i < desc->n_subsections; i++) {
        subsections[i] = (uintptr_t)desc->subsections[i];
    }
}

/* Equality, and names. What was found equal is remembered: descriptions may share others exponentially. */

/* The VMStateFlags that say what travels: not SINGLE, POINTER, BUFFER and ALLOC. */
enum { WIRE_FLAGS = 0x3ffff & ~(0x1 | 0x2 | 0x20 | 0x2000), VMS_VSTRUCT = 0x8000 };

struct pair {
    const struct vmd_desc *a, *b;
};

struct pairs {
    struct pair *slots;
    uint64_t n_slots; /* a power of two, or 0 */
    uint64_t n_used;
    bool no_memory;
    bool nums;
};

static struct pair *find_pair(struct pair *slots, uint64_t n_slots, const struct vmd_desc *a, const struct vmd_desc *b)
{
    uint64_t hash = ((uintptr_t)a >> 4) * 0x9e3779b97f4a7c15 + ((uintptr_t)b >> 4) * 0xc2b2ae3d27d4eb4f;
    uint64_t i = hash >> 20;

    for (;; i++) {
        struct pair *slot = &slots[i & (n_slots - 1)];

        if (!slot->a || (slot->a == a && slot->b == b)) {
            return slot;
        }
    }
}

static void remember(struct pairs *pairs, const struct vmd_desc *a, const struct vmd_desc *b)
{
    if (pairs->n_used * 2 >= pairs->n_slots) {
        uint64_t n_slots = pairs->n_slots ? pairs->n_slots * 2 : 256;
        struct pair *slots = calloc(n_slots, sizeof(*slots));

        if (!slots) {
            pairs->no_memory = true;
            return;
        }
        for (uint64_t i = 0; i < pairs->n_slots; i++) {
            if (pairs->slots[i].a) {
                *find_pair(slots, n_slots, pairs->slots[i].a, pairs->slots[i].b) = pairs->slots[i];
            }
        }
        free(pairs->slots);
        pairs->slots = slots;
        pairs->n_slots = n_slots;
    }
    *find_pair(pairs->slots, pairs->n_slots, a, b) = (struct pair){a, b};
    pairs->n_used++;
}

static bool same_text(const char *a, uint32_t a_len, const char *b, uint32_t b_len)
{
    return a_len == b_len && (!a_len || !memcmp(a, b, a_len));
}

static bool desc_equal(struct pairs *pairs, const struct vmd_desc *a, const struct vmd_desc *b);

static bool details_equal(const struct vmd_field *a, const struct vmd_field_details *a_details,
                          const struct vmd_field *b, const struct vmd_field_details *b_details)
{
    if ((a->flags ^ b->flags) & WIRE_FLAGS || a->num != b->num) {
        return false;
    }
    if (a->flags & VMS_VSTRUCT && a_details->struct_version_id != b_details->struct_version_id) {
        return false;
    }
    if (!a_details->info != !b_details->info) {
        return false;
    }
    return !a_details->info || same_text(a_details->info, a_details->info_len, b_details->info, b_details->info_len);
}

static bool fields_equal(struct pairs *pairs, const struct vmd_desc *a, const struct vmd_desc *b, bool detailed)
{
    uint64_t i = 0, j = 0;

    for (;; i++, j++) {
        const struct vmd_field *left, *right;

        while (!detailed && i < a->n_fields && a->fields[i].flags & VMD_MUST_EXIST) {
            i++;
        }
        while (!detailed && j < b->n_fields && b->fields[j].flags & VMD_MUST_EXIST) {
            j++;
        }
        if (i == a->n_fields || j == b->n_fields) {
            return i == a->n_fields && j == b->n_fields;
        }
        left = &a->fields[i];
        right = &b->fields[j];
        if (!same_text(left->name, left->name_len, right->name, right->name_len) || !left->vmsd != !right->vmsd ||
            left->version_id != right->version_id || left->field_exists != right->field_exists ||
            (!left->vmsd && left->size != right->size)) {
            return false;
        }
        if (detailed) {
            if (!details_equal(left, &a->field_details[i], right, &b->field_details[j])) {
                return false;
            }
        } else if (pairs->nums &&
                   ((left->flags ^ right->flags) & VMD_ARRAY || (left->flags & VMD_ARRAY && left->num != right->num))) {
            return false;
        }
        if (left->vmsd && !desc_equal(pairs, left->vmsd, right->vmsd)) {
            return false;
        }
    }
}

/* No deeper than VMD_MAX_DEPTH: trees are not. */
static bool desc_equal(struct pairs *pairs, const struct vmd_desc *a, const struct vmd_desc *b)
{
    const uint32_t traits = VMD_NEEDED | VMD_UNMIGRATABLE;
    bool detailed = a->traits & b->traits & VMD_DETAILED && (!a->n_fields || a->field_details) &&
                    (!b->n_fields || b->field_details);

    if (a == b) {
        return true;
    }
    if (pairs->n_slots && find_pair(pairs->slots, pairs->n_slots, a, b)->a) {
        return true;
    }
    if (!same_text(a->name, a->name_len, b->name, b->name_len) || a->version_id != b->version_id ||
        a->minimum_version_id != b->minimum_version_id || a->n_subsections != b->n_subsections ||
        (detailed && (a->traits ^ b->traits) & traits) || !fields_equal(pairs, a, b, detailed)) {
        return false;
    }
    for (uint64_t i = 0; i < a->n_subsections; i++) {
        if (!desc_equal(pairs, a->subsections[i], b->subsections[i])) {
            return false;
        }
    }
    remember(pairs, a, b);
    return true;
}

enum vmd_status vmd_wire_equal(const uint64_t *a, const uint64_t *b, uint64_t n, uint32_t nums, uint8_t *equal)
{
    struct pairs pairs = {.nums = nums};

    for (uint64_t i = 0; i < n && !pairs.no_memory; i++) {
        equal[i] =
            desc_equal(&pairs, (const struct vmd_desc *)(uintptr_t)a[i], (const struct vmd_desc *)(uintptr_t)b[i]);
    }
    free(pairs.slots);
    return pairs.no_memory ? VMD_NO_MEMORY : VMD_OK;
}

/* Descriptions without namesakes are remembered, as pairs with themselves. No deeper than VMD_MAX_DEPTH. */
static bool has_namesakes(struct pairs *without, const struct vmd_desc *desc)
{
    if (without->n_slots && find_pair(without->slots, without->n_slots, desc, desc)->a) {
        return false;
    }
    for (uint64_t i = 0; i < desc->n_subsections; i++) {
        const struct vmd_desc *later = desc->subsections[i];

        for (uint64_t j = 0; j < i; j++) {
            if (same_text(desc->subsections[j]->name, desc->subsections[j]->name_len, later->name, later->name_len)) {
                return true;
            }
        }
        if (has_namesakes(without, later)) {
            return true;
        }
    }
    for (uint64_t i = 0; i < desc->n_fields; i++) {
        if (desc->fields[i].vmsd && has_namesakes(without, desc->fields[i].vmsd)) {
            return true;
        }
    }
    remember(without, desc, desc);
    return false;
}

enum vmd_status vmd_wire_namesakes(const uint64_t *descs, uint64_t n, uint8_t *found)
{
    struct pairs without = {0};

    for (uint64_t i = 0; i < n && !without.no_memory; i++) {
        found[i] = has_namesakes(&without, (const struct vmd_desc *)(uintptr_t)descs[i]);
    }
    free(without.slots);
    return without.no_memory ? VMD_NO_MEMORY : VMD_OK;
}
