/*
 * Live sections other than RAM, and old handlers without a VMStateDescription.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "savevm/walker.h"

/* Source: hw/ppc/spapr.c htab_save_setup, htab_save_iterate, htab_load. */
static bool read_htab(struct vmd_savevm_walker *walker, uint8_t type)
{
    if (vmd_savevm_be32(walker)) {
        return true; /* the shift, or -1: no hash table */
    }
    while (vmd_savevm_ok(walker)) {
        uint32_t index = vmd_savevm_be32(walker);
        uint64_t n_valid = vmd_savevm_be16(walker);
        uint16_t n_invalid = vmd_savevm_be16(walker);

        if (!index && !n_valid && !n_invalid) {
            return true;
        }
        vmd_savevm_skip(walker, 16 * n_valid);
    }
    return true;
}

/* Source: hw/s390x/s390-stattrib.c cmma_save, cmma_load. */
static bool read_storage_attributes(struct vmd_savevm_walker *walker, uint8_t type)
{
    enum { END = 1, MORE = 2, DONE = 8 };

    while (vmd_savevm_ok(walker)) {
        uint64_t offset = vmd_savevm_tell(walker), flags = vmd_savevm_be64(walker) & 0xfff;

        if (flags == END) {
            return true;
        }
        if (flags == MORE) {
            vmd_savevm_skip(walker, vmd_savevm_be64(walker));
        } else if (flags == DONE) {
            if (walker->vm->has_footers && vmd_savevm_at_footer(walker)) {
                return true; /* some versions send no END */
            }
        } else {
            vmd_savevm_fail(walker, VMD_SAVEVM_LIVE, offset, flags);
        }
    }
    return true;
}

/* Read a word and keep it. */
static uint64_t keep_be64(struct vmd_savevm_walker *walker)
{
    uint64_t word = vmd_savevm_peek(walker, 8) < 8 ? 0 : vmd_load_be(walker->window + walker->at, 8);

    vmd_savevm_keep(walker, 8);
    return word;
}

/* The vmdescription has this section as one field, so its body is kept. Source: hw/s390x/s390-skeys.c
 * s390_storage_keys_save, s390_storage_keys_load. */
static bool read_storage_keys(struct vmd_savevm_walker *walker, uint8_t type)
{
    enum { END = 1, KEYS = 2, FAILED = 4 };

    vmd_savevm_begin_body(walker);
    while (vmd_savevm_ok(walker)) {
        uint64_t offset = vmd_savevm_tell(walker), flags = keep_be64(walker) & 0xfff;

        if (flags == END || flags == FAILED) {
            return true;
        }
        if (flags != KEYS) {
            vmd_savevm_fail(walker, VMD_SAVEVM_LIVE, offset, flags);
        }
        vmd_savevm_keep(walker, keep_be64(walker));
    }
    return true;
}

/* Source: migration/block-dirty-bitmap.c dirty_bitmap_load, dirty_bitmap_load_header. */
static bool read_dirty_bitmap(struct vmd_savevm_walker *walker, uint8_t type)
{
    enum { END = 1, ZEROES = 2, BITMAP_NAME = 4, DEVICE_NAME = 8, START = 0x10, COMPLETE = 0x20, BITS = 0x40 };
    enum { EXTRA_FLAGS = 0x80 };
    uint32_t flags;

    do {
        uint64_t offset = vmd_savevm_tell(walker);

        flags = vmd_savevm_u8(walker);
        if (flags & EXTRA_FLAGS) {
            flags = flags << 8 | vmd_savevm_u8(walker);
            if (flags & EXTRA_FLAGS) {
                flags = flags << 16 | vmd_savevm_be16(walker);
            }
        }
        if (flags & DEVICE_NAME) {
            vmd_savevm_skip(walker, vmd_savevm_u8(walker));
        }
        if (flags & BITMAP_NAME) {
            vmd_savevm_skip(walker, vmd_savevm_u8(walker));
        }
        if (flags & START) {
            vmd_savevm_skip(walker, 5); /* granularity and flags */
        } else if (flags & BITS) {
            vmd_savevm_skip(walker, 8 + 4);
            if (!(flags & ZEROES)) {
                vmd_savevm_skip(walker, vmd_savevm_be64(walker));
            }
        } else if (!(flags & (COMPLETE | END))) {
            vmd_savevm_fail(walker, VMD_SAVEVM_LIVE, offset, flags);
        }
    } while (!(flags & END) && vmd_savevm_ok(walker));
    return true;
}

/* Source: migration/block.c block_load; until QEMU 9.0. */
static bool read_block(struct vmd_savevm_walker *walker, uint8_t type)
{
    enum { DEVICE_BLOCK = 1, END = 2, PROGRESS = 4, ZERO_BLOCK = 8, BLOCK_SIZE = 1 << 20 };
    uint64_t flags;

    do {
        uint64_t offset = vmd_savevm_tell(walker);

        flags = vmd_savevm_be64(walker) & 0x1ff;
        if (flags & DEVICE_BLOCK) {
            vmd_savevm_skip(walker, vmd_savevm_u8(walker));
            vmd_savevm_skip(walker, flags & ZERO_BLOCK ? 0 : BLOCK_SIZE);
        } else if (!(flags & (END | PROGRESS))) {
            vmd_savevm_fail(walker, VMD_SAVEVM_LIVE, offset, flags);
        }
    } while (!(flags & END) && vmd_savevm_ok(walker));
    return true;
}

/* Source: hw/vfio/migration.c vfio_load_state. The device's configuration is a description, whose end is searched. */
static bool read_vfio(struct vmd_savevm_walker *walker, uint8_t type)
{
    const uint64_t END = 0xffffffffef100001, CONFIG = 0xffffffffef100002, DATA = 0xffffffffef100004;

    while (vmd_savevm_ok(walker)) {
        uint64_t tag = vmd_savevm_be64(walker);

        if (tag == END) {
            return true;
        }
        if (tag == CONFIG || tag < END || tag > END + 16) {
            return false;
        }
        if (tag == DATA) {
            vmd_savevm_skip(walker, vmd_savevm_be64(walker));
        }
    }
    return true;
}

static const struct {
    const char *name; /* idstr, or its end */
    bool (*read)(struct vmd_savevm_walker *walker, uint8_t type);
    bool is_full;
} HANDLERS[] = {
    {"spapr/htab", read_htab, false},
    {"s390-storage_attributes", read_storage_attributes, false},
    {"s390-stattrib", read_storage_attributes, false},
    {"s390-skeys", read_storage_keys, true},
    {"dirty-bitmap", read_dirty_bitmap, false},
    {"block", read_block, false},
    {"/vfio", read_vfio, false},
};

bool vmd_savevm_read_live(struct vmd_savevm_walker *walker, uint8_t type)
{
    struct vmd_savevm_section *section = &walker->vm->sections[walker->section - 1];
    const char *name = walker->vm->text + section->name;
    size_t name_len = strlen(name);

    for (size_t i = 0; i < sizeof(HANDLERS) / sizeof(HANDLERS[0]); i++) {
        size_t suffix = strlen(HANDLERS[i].name);
        uint64_t from = vmd_savevm_tell(walker);
        bool is_known;

        if (HANDLERS[i].is_full != (type == QEMU_VM_SECTION_FULL) || name_len < suffix ||
            strcmp(name + name_len - suffix, HANDLERS[i].name) != 0 ||
            (name_len != suffix && HANDLERS[i].name[0] != '/')) {
            continue;
        }
        is_known = HANDLERS[i].read(walker, type);
        section->size += HANDLERS[i].is_full ? 0 : vmd_savevm_tell(walker) - from; /* what is kept is counted */
        return is_known;
    }
    return false;
}
