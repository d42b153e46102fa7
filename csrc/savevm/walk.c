/*
 * Elements of a stream. See savevm.h. Source: migration/savevm.c qemu_loadvm_state, qemu_loadvm_state_main,
 * qemu_loadvm_section_start_full, loadvm_process_command; vmstate_configuration.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "savevm/walker.h"

enum { MAGIC = 0x5145564d, VERSION = 3, RAM_VERSION = 4, MULTIFD_MAGIC = 0x11223344 };

/* Highest bits of pages that are plausible: those of the largest base pages. */
enum { MAX_PAGE_BITS = 16 };

enum vmd_status vmd_savevm_create(struct vmd_savevm **ret)
{
    struct vmd_savevm *vm = calloc(1, sizeof(*vm));

    if (!vm || !(vm->text = calloc(1, 1))) {
        free(vm);
        return VMD_NO_MEMORY;
    }
    vm->text_size = 1; /* offset 0 is the empty string */
    *ret = vm;
    return VMD_OK;
}

void vmd_savevm_destroy(struct vmd_savevm *vm)
{
    if (vm) {
        free(vm->sections);
        free(vm->blocks);
        free(vm->data);
        free(vm->text);
        free(vm->vmdescription);
        free(vm);
    }
}

/* Source: vmstate_configuration and its subsections. */
static void read_configuration_subsection(struct vmd_savevm_walker *walker, const char *name)
{
    struct vmd_savevm *vm = walker->vm;

    if (!strcmp(name, "configuration/target-page-bits")) {
        vm->page_bits = vmd_savevm_be32(walker);
        if (vm->page_bits <= MAX_PAGE_BITS) {
            vm->page_size = (uint64_t)1 << vm->page_bits;
        }
    } else if (!strcmp(name, "configuration/capabilities")) {
        uint32_t n = vmd_savevm_be32(walker);

        vm->capabilities = (uint32_t)vm->text_size;
        for (uint32_t i = 0; i < n && vmd_savevm_ok(walker); i++) {
            vmd_savevm_text(walker, vmd_savevm_u8(walker));
            vm->n_capabilities += vmd_savevm_ok(walker);
        }
    } else if (!strcmp(name, "configuration/uuid")) {
        const uint8_t *uuid = vmd_savevm_take(walker, sizeof(vm->uuid));

        if (uuid) {
            memcpy(vm->uuid, uuid, sizeof(vm->uuid));
            vm->has_uuid = 1;
        }
    } else {
        vmd_savevm_fail(walker, VMD_SAVEVM_CONFIGURATION, vmd_savevm_tell(walker), 0);
    }
}

static void read_configuration(struct vmd_savevm_walker *walker)
{
    walker->vm->machine = vmd_savevm_text(walker, vmd_savevm_be32(walker));
    walker->vm->has_configuration = 1;
    while (vmd_savevm_ok(walker) && vmd_savevm_peek(walker, 1) && walker->window[walker->at] == QEMU_VM_SUBSECTION) {
        char name[256];
        const uint8_t *bytes;
        uint8_t name_len;

        vmd_savevm_u8(walker);
        name_len = vmd_savevm_u8(walker);
        bytes = vmd_savevm_take(walker, name_len);
        if (bytes) {
            memcpy(name, bytes, name_len);
            name[name_len] = '\0';
            vmd_savevm_be32(walker); /* version */
            read_configuration_subsection(walker, name);
        }
    }
}

/* Read the footer of the current section. The first section shows whether the stream has footers. */
static void read_footer(struct vmd_savevm_walker *walker)
{
    struct vmd_savevm *vm = walker->vm;
    bool is_next = vmd_savevm_ok(walker) && vmd_savevm_at_footer(walker);

    if (!vmd_savevm_ok(walker)) {
        return;
    }
    if (!walker->knows_footers) {
        if (!is_next && vmd_savevm_peek(walker, 5) < 5) {
            vmd_savevm_fail(walker, VMD_SAVEVM_TRUNCATED, vmd_savevm_tell(walker) + vmd_savevm_peek(walker, 5), 0);
            return;
        }
        walker->knows_footers = true;
        vm->has_footers = is_next;
    }
    if (is_next) {
        vmd_savevm_take(walker, 5);
    } else if (vm->has_footers) {
        uint64_t n = vmd_savevm_peek(walker, 5);

        vmd_savevm_fail(walker, n < 5 ? VMD_SAVEVM_TRUNCATED : VMD_SAVEVM_NO_FOOTER,
                        vmd_savevm_tell(walker) + (n < 5 ? n : 0), n ? walker->window[walker->at] : 0);
    }
}

/* Read the body of an element of the current section, and its footer. */
static void read_body(struct vmd_savevm_walker *walker, uint8_t type)
{
    struct vmd_savevm_section *section = &walker->vm->sections[walker->section - 1];

    section->n_parts++;
    if (type != QEMU_VM_SECTION_FULL && !strcmp(walker->vm->text + section->name, "ram")) {
        uint64_t from = vmd_savevm_tell(walker);

        if (section->version_id != RAM_VERSION) {
            vmd_savevm_fail(walker, VMD_SAVEVM_RAM_VERSION, from, section->version_id);
        }
        vmd_savevm_read_ram(walker);
        section->size += vmd_savevm_tell(walker) - from;
    } else if (!vmd_savevm_read_live(walker, type)) {
        section->end = vmd_savevm_find_end(walker);
    }
    read_footer(walker);
}

static void read_header(struct vmd_savevm_walker *walker, uint8_t type)
{
    uint64_t offset = vmd_savevm_tell(walker) - 1;
    uint32_t id = vmd_savevm_be32(walker);
    uint8_t name_len = vmd_savevm_u8(walker);
    uint32_t name = vmd_savevm_text(walker, name_len);
    uint32_t instance_id = vmd_savevm_be32(walker);
    uint32_t version_id = vmd_savevm_be32(walker);
    struct vmd_savevm_section *section = vmd_savevm_ok(walker) ? vmd_savevm_add_section(walker) : NULL;

    if (!section) {
        return;
    }
    *section = (struct vmd_savevm_section){.offset = offset,
                                           .name = name,
                                           .name_len = name_len,
                                           .id = id,
                                           .instance_id = instance_id,
                                           .version_id = version_id,
                                           .type = type,
                                           .is_packaged = walker->limit != UINT64_MAX};
    vmd_savevm_map_section(walker);
    walker->section = (uint32_t)walker->vm->n_sections;
    read_body(walker, type);
}

static void read_part(struct vmd_savevm_walker *walker, uint8_t type)
{
    uint64_t offset = vmd_savevm_tell(walker);
    uint32_t id = vmd_savevm_be32(walker);
    uint32_t section = vmd_savevm_ok(walker) ? vmd_savevm_find_section(walker, id) : 0;

    if (!section) {
        vmd_savevm_fail(walker, VMD_SAVEVM_UNKNOWN_SECTION, offset, id);
        return;
    }
    walker->section = section;
    walker->vm->sections[section - 1].is_ended |= type == QEMU_VM_SECTION_END;
    read_body(walker, type);
}

static void read_elements(struct vmd_savevm_walker *walker);

/* Elements up to the end of a package. Packages do not nest. Source: loadvm_handle_cmd_packaged. */
static void read_package(struct vmd_savevm_walker *walker)
{
    uint64_t size = vmd_savevm_be32(walker);

    if (walker->limit != UINT64_MAX) {
        vmd_savevm_fail(walker, VMD_SAVEVM_PACKAGE, vmd_savevm_tell(walker), 0);
        return;
    }
    walker->limit = vmd_savevm_tell(walker) + size;
    read_elements(walker);
    if (vmd_savevm_ok(walker)) {
        vmd_savevm_skip(walker, walker->limit - vmd_savevm_tell(walker));
    }
    walker->limit = UINT64_MAX;
}

static void read_command(struct vmd_savevm_walker *walker)
{
    uint16_t command = vmd_savevm_be16(walker), size = vmd_savevm_be16(walker);

    if (vmd_savevm_ok(walker)) {
        walker->vm->commands[command < VMD_SAVEVM_COMMANDS ? command : 0]++;
    }
    if (command == MIG_CMD_PACKAGED && size == 4) {
        read_package(walker);
    } else {
        vmd_savevm_skip(walker, size);
    }
}

static void read_vmdescription(struct vmd_savevm_walker *walker)
{
    uint64_t size = vmd_savevm_be32(walker), done = 0;
    struct vmd_savevm *vm = walker->vm;

    if (!vmd_savevm_ok(walker)) {
        return;
    }
    vm->has_vmdescription = 1;
    if (size > VMD_SAVEVM_MAX_VMDESCRIPTION) {
        vmd_savevm_skip(walker, size);
        return;
    }
    while (done < size) {
        uint64_t part = size - done < VMD_SAVEVM_WINDOW ? size - done : VMD_SAVEVM_WINDOW;
        const uint8_t *bytes = vmd_savevm_take(walker, part);
        char *text = bytes ? realloc(vm->vmdescription, done + part) : NULL;

        if (!text) {
            vmd_savevm_fail(walker, VMD_SAVEVM_NO_MEMORY, vmd_savevm_tell(walker), 0);
            return;
        }
        vm->vmdescription = text;
        memcpy(text + done, bytes, part);
        vm->vmdescription_size = done += part;
    }
}

/* Read the element that begins with a type. Returns false after the last one. */
static bool read_element(struct vmd_savevm_walker *walker, uint8_t type)
{
    switch (type) {
    case QEMU_VM_EOF:
        walker->section = 0;
        if (walker->limit == UINT64_MAX && vmd_savevm_peek(walker, 1) &&
            walker->window[walker->at] == QEMU_VM_VMDESCRIPTION) {
            vmd_savevm_u8(walker);
            read_vmdescription(walker);
        }
        return false;
    case QEMU_VM_SECTION_START:
    case QEMU_VM_SECTION_FULL:
        read_header(walker, type);
        return true;
    case QEMU_VM_SECTION_PART:
    case QEMU_VM_SECTION_END:
        read_part(walker, type);
        return true;
    case QEMU_VM_CONFIGURATION:
        read_configuration(walker);
        return true;
    case QEMU_VM_COMMAND:
        read_command(walker);
        return true;
    default:
        vmd_savevm_fail(walker, VMD_SAVEVM_ELEMENT, vmd_savevm_tell(walker) - 1, type);
        return false;
    }
}

/* Read elements up to EOF or the end of the package. */
static void read_elements(struct vmd_savevm_walker *walker)
{
    bool is_more = true;

    while (is_more && vmd_savevm_ok(walker) && vmd_savevm_tell(walker) < walker->limit) {
        uint8_t type = vmd_savevm_u8(walker);

        if (vmd_savevm_ok(walker)) {
            walker->vm->n_elements++;
            is_more = read_element(walker, type);
            walker->vm->size = vmd_savevm_ok(walker) ? vmd_savevm_tell(walker) : walker->vm->size;
        }
    }
    if (walker->limit != UINT64_MAX && vmd_savevm_tell(walker) > walker->limit) {
        vmd_savevm_fail(walker, VMD_SAVEVM_PACKAGE, vmd_savevm_tell(walker), 0);
    }
}

static void read_stream(struct vmd_savevm_walker *walker)
{
    uint32_t magic = vmd_savevm_be32(walker), version = vmd_savevm_be32(walker);

    if (!vmd_savevm_ok(walker)) {
        return;
    }
    if (magic != MAGIC) {
        vmd_savevm_fail(walker, magic == MULTIFD_MAGIC ? VMD_SAVEVM_MULTIFD : VMD_SAVEVM_NO_MAGIC, 0, magic);
    } else if (version != VERSION) {
        vmd_savevm_fail(walker, VMD_SAVEVM_VERSION, 4, version);
    }
    read_elements(walker);
}

enum vmd_status vmd_savevm_walk(struct vmd_savevm *vm, vmd_savevm_read_fn *read, void *opaque, uint64_t base,
                                uint64_t page_size, const struct vmd_savevm_size *sizes, uint64_t n_sizes,
                                const char *text)
{
    struct vmd_savevm_walker walker = {.vm = vm,
                                       .read = read,
                                       .opaque = opaque,
                                       .base = base,
                                       .limit = UINT64_MAX,
                                       .sizes = sizes,
                                       .n_sizes = n_sizes,
                                       .size_names = text,
                                       .text_room = 1};

    walker.window = malloc(VMD_SAVEVM_WINDOW);
    if (!walker.window) {
        return VMD_NO_MEMORY;
    }
    vm->page_size = page_size;
    read_stream(&walker);
    free(walker.ids.slots);
    free(walker.blocks.slots);
    free(walker.window);
    return VMD_OK;
}
