/*
 * Sections, comparison and risks of a migration stream: see stream.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "stream/stream.h"

#include <stdlib.h>
#include <string.h>

/* Sections and fields as rows */

static char *write_text(char *text, const char *from, uint64_t size)
{
    if (size) {
        memcpy(text, from, size);
    }
    text[size] = '\0';
    return text + size + 1;
}

uint64_t vmd_stream_sections_text_size(const struct vmd_tree *tree)
{
    uint64_t size = 0;

    for (uint64_t i = 0; i < tree->n_devices; i++) {
        size += (uint64_t)tree->devices[i].name_len + tree->devices[i].vmsd->name_len + 2;
    }
    for (uint64_t i = 0; i < tree->n_standalone; i++) {
        const struct vmd_standalone *standalone = &tree->standalone[i];

        size += (standalone->symbol ? strlen(standalone->symbol) : 0) + standalone->vmsd->name_len + 2;
    }
    return size;
}

void vmd_stream_read_sections(const struct vmd_tree *tree, struct vmd_stream_section *rows, char *text)
{
    for (uint64_t i = 0; i < tree->n_devices; i++) {
        const struct vmd_device *device = &tree->devices[i];

        *rows++ = (struct vmd_stream_section){(uintptr_t)device->vmsd, device->version_id, device->minimum_version_id};
        text = write_text(text, device->name, device->name_len);
        text = write_text(text, device->vmsd->name, device->vmsd->name_len);
    }
    for (uint64_t i = 0; i < tree->n_standalone; i++) {
        const struct vmd_standalone *standalone = &tree->standalone[i];
        const struct vmd_desc *vmsd = standalone->vmsd;

        *rows++ = (struct vmd_stream_section){(uintptr_t)vmsd, vmsd->version_id, vmsd->minimum_version_id};
        text = write_text(text, standalone->symbol, standalone->symbol ? strlen(standalone->symbol) : 0);
        text = write_text(text, vmsd->name, vmsd->name_len);
    }
}

uint32_t vmd_stream_has_nums(const struct vmd_tree *tree)
{
    for (uint64_t i = 0; i < tree->n_devices; i++) {
        if (tree->devices[i].vmsd->num_extent.lines) {
            return 1;
        }
    }
    return 0;
}

struct vmd_text vmd_stream_info_of(const struct vmd_desc *desc, uint64_t i)
{
    const struct vmd_field_details *details = desc->field_details ? &desc->field_details[i] : NULL;

    return details && details->info ? (struct vmd_text){details->info, details->info_len} : (struct vmd_text){NULL, 0};
}

struct vmd_stream_field vmd_stream_field_of(const struct vmd_desc *desc, uint64_t i)
{
    const struct vmd_field *field = &desc->fields[i];
    const struct vmd_field_details *details = desc->field_details ? &desc->field_details[i] : NULL;

    return (struct vmd_stream_field){.vmsd = (uintptr_t)field->vmsd,
                                     .size = field->size,
                                     .offset = details ? details->offset : VMD_UNKNOWN,
                                     .num_offset = details ? details->num_offset : VMD_UNKNOWN,
                                     .size_offset = details ? details->size_offset : VMD_UNKNOWN,
                                     .num = field->num,
                                     .version_id = field->version_id,
                                     .struct_version_id = details ? details->struct_version_id : 0,
                                     .flags = field->flags,
                                     .field_exists = field->field_exists};
}

uint64_t vmd_stream_fields_text_size(const struct vmd_desc *desc)
{
    uint64_t size = (uint64_t)desc->name_len + 1;

    for (uint64_t i = 0; i < desc->n_fields; i++) {
        size += (uint64_t)desc->fields[i].name_len + vmd_stream_info_of(desc, i).len + 2;
    }
    return size;
}

void vmd_stream_read_fields(const struct vmd_desc *desc, struct vmd_stream_field *rows, uint64_t *subsections,
                            char *text)
{
    text = write_text(text, desc->name, desc->name_len);
    for (uint64_t i = 0; i < desc->n_fields; i++) {
        struct vmd_text info = vmd_stream_info_of(desc, i);

        rows[i] = vmd_stream_field_of(desc, i);
        text = write_text(text, desc->fields[i].name, desc->fields[i].name_len);
        text = write_text(text, info.text, info.len);
    }
    for (uint64_t i = 0; i < desc->n_subsections; i++) {
        subsections[i] = (uintptr_t)desc->subsections[i];
    }
}

/* Comparison. Equal pairs are remembered: the number of paths through shared descriptions may be exponential. */

/* The VMStateFlags that affect the stream: not SINGLE, POINTER, BUFFER and ALLOC. */
enum { STREAM_FLAGS = 0x3ffff & ~(0x1 | 0x2 | 0x20 | 0x2000), VMS_VSTRUCT = 0x8000 };

struct pair {
    const struct vmd_desc *a, *b;
};

struct pairs {
    struct pair *slots;
    uint64_t n_slots; /* a power of two, or 0 */
    uint64_t n_used;
    bool no_memory;
    bool nums;
    bool hooks;
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

static bool is_same_text(const char *a, uint32_t a_len, const char *b, uint32_t b_len)
{
    return a_len == b_len && (!a_len || !memcmp(a, b, a_len));
}

static const char UNUSED_NAME[] = "unused";

static bool is_unused(const struct vmd_field *field)
{
    return is_same_text(field->name, field->name_len, UNUSED_NAME, sizeof(UNUSED_NAME) - 1);
}

static bool desc_equal(struct pairs *pairs, const struct vmd_desc *a, const struct vmd_desc *b);

static bool details_equal(const struct vmd_field *a, const struct vmd_field_details *a_details,
                          const struct vmd_field *b, const struct vmd_field_details *b_details)
{
    if ((a->flags ^ b->flags) & STREAM_FLAGS || a->num != b->num) {
        return false;
    }
    if (a->flags & VMS_VSTRUCT && a_details->struct_version_id != b_details->struct_version_id) {
        return false;
    }
    if (!a_details->info != !b_details->info) {
        return false;
    }
    return !a_details->info || is_same_text(a_details->info, a_details->info_len, b_details->info, b_details->info_len);
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
        if (!is_same_text(left->name, left->name_len, right->name, right->name_len) || !left->vmsd != !right->vmsd ||
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

/* Recursion is limited by VMD_MAX_DEPTH. */
static bool desc_equal(struct pairs *pairs, const struct vmd_desc *a, const struct vmd_desc *b)
{
    const uint32_t traits = VMD_NEEDED | VMD_UNMIGRATABLE, hooks = VMD_PRE_LOAD | VMD_POST_LOAD;
    bool detailed = a->traits & b->traits & VMD_DETAILED && (!a->n_fields || a->field_details) &&
                    (!b->n_fields || b->field_details);

    if (a == b) {
        return true;
    }
    if (pairs->n_slots && find_pair(pairs->slots, pairs->n_slots, a, b)->a) {
        return true;
    }
    if (!is_same_text(a->name, a->name_len, b->name, b->name_len) || a->version_id != b->version_id ||
        a->minimum_version_id != b->minimum_version_id || a->n_subsections != b->n_subsections ||
        (detailed && (a->traits ^ b->traits) & traits) ||
        (detailed && pairs->hooks && ~a->traits & b->traits & hooks) || !fields_equal(pairs, a, b, detailed)) {
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

enum vmd_status vmd_stream_compare(const uint64_t *a, const uint64_t *b, uint64_t n, uint32_t flags, uint8_t *equal)
{
    struct pairs pairs = {.nums = flags & VMD_STREAM_NUMS, .hooks = flags & VMD_STREAM_HOOKS};

    for (uint64_t i = 0; i < n && !pairs.no_memory; i++) {
        equal[i] =
            desc_equal(&pairs, (const struct vmd_desc *)(uintptr_t)a[i], (const struct vmd_desc *)(uintptr_t)b[i]);
    }
    free(pairs.slots);
    return pairs.no_memory ? VMD_NO_MEMORY : VMD_OK;
}

/* Risks. The flags of a description are remembered as a pair of it and the element of FOUND at the flags. */

enum { N_FOUND = (VMD_STREAM_RISK | VMD_STREAM_ARRAY) + 1 };

static const struct vmd_desc FOUND[N_FOUND];

struct risk_search {
    struct pairs known_descs;
    const char *known; /* names of VMStateInfos, each ended by NUL */
    uint64_t n_known;
    bool detailed;
    bool nums;
};

static bool knows_info(const struct risk_search *search, const char *info, uint32_t info_len)
{
    const char *known = search->known;

    for (uint64_t i = 0; i < search->n_known; i++) {
        size_t len = strlen(known);

        if (is_same_text(known, (uint32_t)len, info, info_len)) {
            return true;
        }
        known += len + 1;
    }
    return false;
}

static uint8_t field_risks(const struct risk_search *search, const struct vmd_desc *desc, uint64_t i)
{
    const struct vmd_field *field = &desc->fields[i];
    uint8_t found = 0;

    if (field->flags & VMD_MUST_EXIST) {
        return 0;
    }
    if (search->nums ? field->flags & VMD_ARRAY : field->size && !field->vmsd) {
        found |= VMD_STREAM_ARRAY;
    }
    if (search->detailed) {
        const struct vmd_field_details *details = &desc->field_details[i];

        if (details->info && !knows_info(search, details->info, details->info_len)) {
            found |= VMD_STREAM_RISK;
        }
    } else if (!field->size && !field->vmsd && !is_unused(field)) {
        found |= VMD_STREAM_RISK;
    }
    return found;
}

static int compare_names(const void *a, const void *b)
{
    const struct vmd_desc *left = *(const struct vmd_desc *const *)a, *right = *(const struct vmd_desc *const *)b;

    if (left->name_len != right->name_len) {
        return left->name_len < right->name_len ? -1 : 1;
    }
    return memcmp(left->name, right->name, left->name_len);
}

/* Whether the destination finds each subsection: its name begins with the parent's, and no other one has it. */
static bool are_subsections_loadable(struct risk_search *search, const struct vmd_desc *parent)
{
    const struct vmd_desc **sorted = malloc((parent->n_subsections + 1) * sizeof(*sorted));
    bool is_loadable = true;

    if (!sorted) {
        search->known_descs.no_memory = true;
        return false;
    }
    for (uint64_t i = 0; i < parent->n_subsections; i++) {
        const struct vmd_desc *subsection = sorted[i] = parent->subsections[i];

        if (subsection->name_len <= parent->name_len || memcmp(subsection->name, parent->name, parent->name_len)) {
            is_loadable = false;
        }
    }
    qsort(sorted, parent->n_subsections, sizeof(*sorted), compare_names);
    for (uint64_t i = 1; i < parent->n_subsections; i++) {
        is_loadable = is_loadable && compare_names(&sorted[i - 1], &sorted[i]);
    }
    free(sorted);
    return is_loadable;
}

/* Recursion is limited by VMD_MAX_DEPTH. */
static uint8_t desc_risks(struct risk_search *search, const struct vmd_desc *desc)
{
    uint8_t found =
        desc->traits & VMD_UNMIGRATABLE || desc->version_id < desc->minimum_version_id ? VMD_STREAM_RISK : 0;

    for (uint8_t i = 0; search->known_descs.n_slots && i < N_FOUND; i++) {
        if (find_pair(search->known_descs.slots, search->known_descs.n_slots, desc, &FOUND[i])->a) {
            return i;
        }
    }
    for (uint64_t i = 0; i < desc->n_fields; i++) {
        found |= field_risks(search, desc, i);
        if (desc->fields[i].vmsd) {
            found |= desc_risks(search, desc->fields[i].vmsd);
        }
    }
    found |= are_subsections_loadable(search, desc) ? 0 : VMD_STREAM_RISK;
    for (uint64_t i = 0; i < desc->n_subsections; i++) {
        found |= desc_risks(search, desc->subsections[i]);
    }
    remember(&search->known_descs, desc, &FOUND[found]);
    return found;
}

enum vmd_status vmd_stream_find_risks(const uint64_t *descs, uint64_t n, uint32_t detailed, uint32_t nums,
                                      const char *known, uint64_t n_known, uint8_t *found)
{
    struct risk_search search = {.known = known, .n_known = n_known, .detailed = detailed, .nums = nums};

    for (uint64_t i = 0; i < n && !search.known_descs.no_memory; i++) {
        found[i] = desc_risks(&search, (const struct vmd_desc *)(uintptr_t)descs[i]);
    }
    free(search.known_descs.slots);
    return search.known_descs.no_memory ? VMD_NO_MEMORY : VMD_OK;
}
