/*
 * Sections and RAM blocks of a walk, found by id and by name. See walker.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "savevm/walker.h"

/* Return the table with room for one more element, or NULL: a problem. */
static void *grow(struct vmd_savevm_walker *walker, void *table, uint64_t *room, uint64_t used, size_t size,
                  uint64_t most)
{
    if (used == most) {
        vmd_savevm_fail(walker, VMD_SAVEVM_TOO_MANY, vmd_savevm_tell(walker), most);
        return NULL;
    }
    if (used == *room) {
        uint64_t wanted = used ? used * 2 : 64;

        table = realloc(table, wanted * size);
        if (!table) {
            vmd_savevm_fail(walker, VMD_SAVEVM_NO_MEMORY, vmd_savevm_tell(walker), 0);
            return NULL;
        }
        *room = wanted;
    }
    memset((char *)table + used * size, 0, size);
    return table;
}

struct vmd_savevm_section *vmd_savevm_add_section(struct vmd_savevm_walker *walker)
{
    struct vmd_savevm *vm = walker->vm;
    struct vmd_savevm_section *sections =
        grow(walker, vm->sections, &walker->sections_room, vm->n_sections, sizeof(*sections), VMD_SAVEVM_MAX_SECTIONS);

    if (!sections) {
        return NULL;
    }
    vm->sections = sections;
    return &sections[vm->n_sections++];
}

struct vmd_savevm_block *vmd_savevm_add_block(struct vmd_savevm_walker *walker)
{
    struct vmd_savevm *vm = walker->vm;
    struct vmd_savevm_block *blocks =
        grow(walker, vm->blocks, &walker->blocks_room, vm->n_blocks, sizeof(*blocks), VMD_SAVEVM_MAX_BLOCKS);

    if (!blocks) {
        return NULL;
    }
    vm->blocks = blocks;
    return &blocks[vm->n_blocks++];
}

static uint32_t hash_id(uint32_t id)
{
    return id * 0x9e3779b1u >> 4;
}

static uint32_t hash_name(const uint8_t *name, uint32_t name_len)
{
    uint32_t hash = 2166136261u;

    for (uint32_t i = 0; i < name_len; i++) {
        hash = (hash ^ name[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static bool is_block(const struct vmd_savevm *vm, uint32_t index, const uint8_t *name, uint32_t name_len)
{
    const struct vmd_savevm_block *block = &vm->blocks[index];

    return block->name_len == name_len && !memcmp(vm->text + block->name, name, name_len);
}

/* The tables have twice as many slots as there may be elements, so there is always a free one. */
static bool make_slots(struct vmd_savevm_walker *walker, struct vmd_savevm_map *map, uint32_t most)
{
    if (!map->slots) {
        map->n_slots = most * 2;
        map->slots = calloc(map->n_slots, sizeof(*map->slots));
    }
    if (!map->slots) {
        vmd_savevm_fail(walker, VMD_SAVEVM_NO_MEMORY, vmd_savevm_tell(walker), 0);
    }
    return map->slots;
}

void vmd_savevm_map_section(struct vmd_savevm_walker *walker)
{
    const struct vmd_savevm *vm = walker->vm;
    uint32_t id = vm->sections[vm->n_sections - 1].id;

    if (make_slots(walker, &walker->ids, VMD_SAVEVM_MAX_SECTIONS)) {
        uint32_t mask = walker->ids.n_slots - 1, i = hash_id(id) & mask;

        while (walker->ids.slots[i] && vm->sections[walker->ids.slots[i] - 1].id != id) {
            i = (i + 1) & mask;
        }
        walker->ids.slots[i] = (uint32_t)vm->n_sections;
    }
}

void vmd_savevm_map_block(struct vmd_savevm_walker *walker)
{
    const struct vmd_savevm *vm = walker->vm;
    const struct vmd_savevm_block *block = &vm->blocks[vm->n_blocks - 1];
    const uint8_t *name = (const uint8_t *)vm->text + block->name;

    if (make_slots(walker, &walker->blocks, VMD_SAVEVM_MAX_BLOCKS)) {
        uint32_t mask = walker->blocks.n_slots - 1, i = hash_name(name, block->name_len) & mask;

        while (walker->blocks.slots[i] && !is_block(vm, walker->blocks.slots[i] - 1, name, block->name_len)) {
            i = (i + 1) & mask;
        }
        walker->blocks.slots[i] = (uint32_t)vm->n_blocks;
    }
}

uint32_t vmd_savevm_find_section(const struct vmd_savevm_walker *walker, uint32_t id)
{
    const struct vmd_savevm_map *map = &walker->ids;

    for (uint32_t i = hash_id(id); map->slots; i++) {
        uint32_t found = map->slots[i & (map->n_slots - 1)];

        if (!found || walker->vm->sections[found - 1].id == id) {
            return found;
        }
    }
    return 0;
}

uint32_t vmd_savevm_find_block(const struct vmd_savevm_walker *walker, const uint8_t *name, uint32_t name_len)
{
    const struct vmd_savevm_map *map = &walker->blocks;

    if (walker->block && is_block(walker->vm, walker->block - 1, name, name_len)) {
        return walker->block;
    }
    for (uint32_t i = hash_name(name, name_len); map->slots; i++) {
        uint32_t found = map->slots[i & (map->n_slots - 1)];

        if (!found || is_block(walker->vm, found - 1, name, name_len)) {
            return found;
        }
    }
    return 0;
}
