/*
 * The end of a device's state, which the stream does not mark. See savevm.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "savevm/walker.h"

enum {
    FOOTER = 5,    /* bytes */
    LONGEST = 300, /* bytes that is_element looks at: a header */
    MAX_ID = 1 << 20,
    MAX_VERSION = 1 << 16,
    MAX_SHOWN_VERSION = 256,
};

static bool is_name(const uint8_t *name, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        if (name[i] <= ' ' || name[i] > '~') {
            /* names of VMStateDescriptions may have blanks, but do not begin with them */
            if (name[i] != ' ' || !i) {
                return false;
            }
        }
    }
    return size > 0;
}

/* Whether bytes may begin a section with a header that no earlier section has. */
static bool is_header(const struct vmd_savevm_walker *walker, const uint8_t *bytes, uint64_t n, bool strict)
{
    uint64_t name_len = n > 5 ? bytes[5] : 0;
    uint32_t id = n > 5 ? (uint32_t)vmd_load_be(bytes + 1, 4) : 0;

    if (n < 6) {
        return !strict; /* the stream ends here */
    }
    if (id > MAX_ID || (strict && (name_len < 2 || vmd_savevm_find_section(walker, id)))) {
        return false;
    }
    if (n < 6 + name_len + 8) {
        return !strict && is_name(bytes + 6, n - 6);
    }
    return is_name(bytes + 6, name_len) &&
           vmd_load_be(bytes + 6 + name_len + 4, 4) < (strict ? MAX_SHOWN_VERSION : MAX_VERSION);
}

bool vmd_savevm_is_element(const struct vmd_savevm_walker *walker, const uint8_t *bytes, uint64_t n, bool is_last,
                           bool strict)
{
    if (!n) {
        return !strict;
    }
    switch (bytes[0]) {
    case QEMU_VM_EOF:
        if (n == 1) {
            return is_last;
        }
        return !strict || (n > 6 && bytes[1] == QEMU_VM_VMDESCRIPTION && bytes[6] == '{');
    case QEMU_VM_SECTION_START:
    case QEMU_VM_SECTION_FULL:
        return is_header(walker, bytes, n, strict);
    case QEMU_VM_SECTION_PART:
    case QEMU_VM_SECTION_END:
        return !strict && (n < 5 || vmd_savevm_find_section(walker, (uint32_t)vmd_load_be(bytes + 1, 4)));
    case QEMU_VM_COMMAND:
        return n < 3 ? !strict : !bytes[1] && bytes[2] && bytes[2] < VMD_SAVEVM_COMMANDS && !strict;
    default:
        return false;
    }
}

bool vmd_savevm_at_footer(struct vmd_savevm_walker *walker)
{
    uint32_t id = walker->vm->sections[walker->section - 1].id;

    if (vmd_savevm_peek(walker, FOOTER) < FOOTER) {
        return false;
    }
    return walker->window[walker->at] == QEMU_VM_SECTION_FOOTER &&
           vmd_load_be(walker->window + walker->at + 1, 4) == id;
}

/* Whether the next element, after the footer if the stream has footers, begins at index of the window. */
static bool ends_at(struct vmd_savevm_walker *walker, uint64_t index, bool footers)
{
    uint64_t ahead = index - walker->at + (footers ? FOOTER : 0), n;
    uint32_t id = walker->vm->sections[walker->section - 1].id;
    const uint8_t *bytes;

    n = vmd_savevm_peek(walker, ahead + LONGEST); /* may move the window */
    index = walker->at + ahead - (footers ? FOOTER : 0);
    bytes = walker->window + index;
    if (n < ahead || (footers && (bytes[0] != QEMU_VM_SECTION_FOOTER || vmd_load_be(bytes + 1, 4) != id))) {
        return false;
    }
    if (walker->limit != UINT64_MAX && walker->offset + walker->at + ahead == walker->limit) {
        return true;
    }
    return vmd_savevm_is_element(walker, walker->window + walker->at + ahead, n - ahead, n - ahead < LONGEST, !footers);
}

/* Index in the window of the next byte that may be the end, from an index on; filled: none. */
static uint64_t next_candidate(const struct vmd_savevm_walker *walker, uint64_t index, bool footers)
{
    const uint8_t *found;

    if (footers) {
        found = memchr(walker->window + index, QEMU_VM_SECTION_FOOTER, walker->filled - index);
        return found ? (uint64_t)(found - walker->window) : walker->filled;
    }
    while (index < walker->filled && walker->window[index] != QEMU_VM_SECTION_FULL &&
           walker->window[index] != QEMU_VM_SECTION_START && walker->window[index] != QEMU_VM_EOF) {
        index++;
    }
    return index;
}

/* Keep bytes up to the first possible end. */
static uint32_t search(struct vmd_savevm_walker *walker)
{
    bool footers = !walker->knows_footers || walker->vm->has_footers;

    while (vmd_savevm_peek(walker, 1) && vmd_savevm_ok(walker)) {
        if (walker->vm->sections[walker->section - 1].size > VMD_SAVEVM_MAX_STATE) {
            vmd_savevm_fail(walker, VMD_SAVEVM_TOO_LARGE, vmd_savevm_tell(walker), VMD_SAVEVM_MAX_STATE);
            return 0;
        }
        uint64_t index = walker->at;

        while ((index = next_candidate(walker, index, footers)) < walker->filled) {
            uint64_t ahead = index - walker->at;

            if (ahead > VMD_SAVEVM_WINDOW / 2) {
                break; /* keep what is before, so that there is room to look ahead */
            }
            if (ends_at(walker, index, footers)) {
                vmd_savevm_keep(walker, ahead);
                return footers ? VMD_SAVEVM_END_FOOTER : VMD_SAVEVM_END_HEADER;
            }
            index = walker->at + ahead + 1;
        }
        vmd_savevm_keep(walker, index - walker->at);
    }
    vmd_savevm_fail(walker, VMD_SAVEVM_NO_END, vmd_savevm_tell(walker), 0);
    return 0;
}

/* The size of the current section that the caller gave. Sizes are in the order of the stream. */
static const struct vmd_savevm_size *known_size(struct vmd_savevm_walker *walker)
{
    const struct vmd_savevm_section *section = &walker->vm->sections[walker->section - 1];

    for (uint64_t i = 0; i < walker->n_sizes; i++) {
        uint64_t index = (walker->next_size + i) % walker->n_sizes;
        const struct vmd_savevm_size *size = &walker->sizes[index];

        if (size->instance_id == section->instance_id &&
            !strcmp(walker->size_names + size->name, walker->vm->text + section->name)) {
            walker->next_size = index + 1;
            return size;
        }
        if (i > 64) {
            return NULL; /* without a search through all of them for each section */
        }
    }
    return NULL;
}

void vmd_savevm_begin_body(struct vmd_savevm_walker *walker)
{
    struct vmd_savevm_section *section = &walker->vm->sections[walker->section - 1];

    if (section->data + section->data_size != walker->vm->data_size) {
        section->data = walker->vm->data_size; /* of several elements, keep the last that follow each other */
        section->data_size = 0;
    }
    walker->drops = false;
}

uint32_t vmd_savevm_find_end(struct vmd_savevm_walker *walker)
{
    const struct vmd_savevm_section *section = &walker->vm->sections[walker->section - 1];
    const struct vmd_savevm_size *known = section->type == QEMU_VM_SECTION_FULL ? known_size(walker) : NULL;

    vmd_savevm_begin_body(walker);
    if (known) {
        vmd_savevm_keep(walker, known->size);
        return VMD_SAVEVM_END_SIZE;
    }
    return search(walker);
}
