/*
 * RAM sections: lists of blocks, and pages, which are counted and skipped. Source: migration/ram.c of QEMU 5.2 to 11.1:
 * ram_save_setup, ram_load_precopy, load_xbzrle, mapped_ram_setup_ramblock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "savevm/walker.h"

/* RAM_SAVE_FLAG_*. Addresses of pages have the flags in their low bits; pages have at least 1024 bytes, except AVR's.
 */
enum {
    ZERO = 0x02,
    MEM_SIZE = 0x04,
    PAGE = 0x08,
    EOS = 0x10,
    CONTINUE = 0x20,
    XBZRLE = 0x40,
    HOOK = 0x80,
    COMPRESS_PAGE = 0x100,
    MULTIFD_FLUSH = 0x200,
    FLAGS = 0x3ff,
    AVR_PAGE = 256,
};

enum { MAPPED_RAM_VERSION = 1 };

/* Records that are looked at to find the size of pages. */
enum { MOST_RECORDS = 64 };

static bool has_capability(const struct vmd_savevm *vm, const char *name)
{
    const char *text = vm->text + vm->capabilities;

    for (uint32_t i = 0; i < vm->n_capabilities; i++) {
        if (!strcmp(text, name)) {
            return true;
        }
        text += strlen(text) + 1;
    }
    return false;
}

/* Go forward to an absolute offset of the file. */
static void go_to(struct vmd_savevm_walker *walker, uint64_t offset)
{
    uint64_t here = walker->base + vmd_savevm_tell(walker);

    if (offset < here) {
        vmd_savevm_fail(walker, VMD_SAVEVM_MAPPED, vmd_savevm_tell(walker), offset);
        return;
    }
    vmd_savevm_skip(walker, offset - here);
}

static void read_mapped(struct vmd_savevm_walker *walker, struct vmd_savevm_block *block)
{
    uint32_t version = vmd_savevm_be32(walker);
    uint64_t page_size = vmd_savevm_be64(walker), pages, bytes;

    block->bitmap_offset = vmd_savevm_be64(walker);
    block->pages_offset = vmd_savevm_be64(walker);
    if (!vmd_savevm_ok(walker) || (!block->bitmap_offset && !block->pages_offset)) {
        return; /* shared: neither bitmap nor pages */
    }
    if (version != MAPPED_RAM_VERSION || !page_size || block->pages_offset > UINT64_MAX - block->size) {
        vmd_savevm_fail(walker, VMD_SAVEVM_MAPPED, vmd_savevm_tell(walker), version);
        return;
    }
    walker->vm->page_size = page_size;
    go_to(walker, block->bitmap_offset);
    pages = block->size / page_size + (block->size % page_size != 0);
    bytes = (pages / 64 + (pages % 64 != 0)) * 8;
    if (bytes > VMD_SAVEVM_MAX_BITMAP) {
        vmd_savevm_fail(walker, VMD_SAVEVM_MAPPED, vmd_savevm_tell(walker), block->size);
        return;
    }
    while (bytes && vmd_savevm_ok(walker)) {
        uint64_t part = bytes < VMD_SAVEVM_WINDOW / 2 ? bytes : VMD_SAVEVM_WINDOW / 2;
        const uint8_t *bits = vmd_savevm_take(walker, part);

        for (uint64_t i = 0; bits && i < part; i++) {
            block->pages += (uint64_t)__builtin_popcount(bits[i]);
        }
        bytes -= part;
    }
    go_to(walker, block->pages_offset + block->size);
}

/* Whether the size of a block's pages is next: with postcopy-ram, blocks of huge pages have it. Ids of blocks do not
 * begin with a byte 0, and flags are not multiples of a page. */
static bool has_page_size(struct vmd_savevm_walker *walker)
{
    uint64_t word = vmd_savevm_peek(walker, 8) < 8 ? 0 : vmd_load_be(walker->window + walker->at, 8);

    return word && !(word & FLAGS) && word >> 56 == 0;
}

static void read_blocks(struct vmd_savevm_walker *walker, uint64_t total)
{
    bool ignore_shared = has_capability(walker->vm, "x-ignore-shared");
    bool mapped = has_capability(walker->vm, "mapped-ram");

    while (total && vmd_savevm_ok(walker)) {
        uint8_t name_len = vmd_savevm_u8(walker);
        uint32_t name = vmd_savevm_text(walker, name_len);
        struct vmd_savevm_block *block = vmd_savevm_ok(walker) ? vmd_savevm_add_block(walker) : NULL;

        if (!block) {
            return;
        }
        block->name = name;
        block->name_len = name_len;
        block->size = vmd_savevm_be64(walker);
        if (!block->size || block->size > total) {
            vmd_savevm_fail(walker, VMD_SAVEVM_RAM_SIZES, vmd_savevm_tell(walker), block->size);
            return;
        }
        total -= block->size;
        if (!mapped && !ignore_shared && walker->vm->commands[MIG_CMD_POSTCOPY_ADVISE] && has_page_size(walker)) {
            block->page_size = vmd_savevm_be64(walker);
        }
        if (ignore_shared) {
            block->address = vmd_savevm_be64(walker);
        }
        if (mapped) {
            read_mapped(walker, block);
        }
        vmd_savevm_map_block(walker);
    }
}

/* Whether flags are those of one record. */
static bool is_record(uint64_t flags)
{
    uint64_t kind = flags & ~(uint64_t)CONTINUE;

    return kind == ZERO || kind == PAGE || kind == XBZRLE || kind == COMPRESS_PAGE || flags == EOS ||
           flags == MULTIFD_FLUSH;
}

/* How many records follow each other if pages have a size, up to EOS or the end of n bytes. 0: they do not. */
static unsigned follow(const uint8_t *bytes, uint64_t n, uint64_t page_size, uint32_t id)
{
    uint64_t at = 0;
    unsigned records = 0;

    while (at + 9 <= n && records < MOST_RECORDS) {
        uint64_t flags = vmd_load_be(bytes + at, 8) & (page_size == AVR_PAGE ? AVR_PAGE - 1 : FLAGS);

        if (!is_record(flags)) {
            return 0;
        }
        records++;
        at += 8;
        if (flags == EOS) {
            bool is_footer = at + 5 <= n && bytes[at] == QEMU_VM_SECTION_FOOTER && vmd_load_be(bytes + at + 1, 4) == id;

            return records + (is_footer ? MOST_RECORDS : 0);
        }
        if (flags == MULTIFD_FLUSH) {
            continue;
        }
        at += flags & CONTINUE ? 0 : 1u + bytes[at];
        if (flags & ZERO) {
            at += 1;
        } else if (flags & PAGE) {
            at += page_size;
        } else if (at + 4 <= n) {
            at += flags & XBZRLE ? 3 + vmd_load_be(bytes + at + 1, 2) : 4 + vmd_load_be(bytes + at, 4);
        }
    }
    return records;
}

/* Find the size of pages, which only the configuration of some targets has, by the records that follow this one. */
static void find_page_size(struct vmd_savevm_walker *walker)
{
    static const uint32_t SIZES[] = {4096, 1024, 8192, 2048, 16384, 65536, AVR_PAGE};
    uint32_t id = walker->vm->sections[walker->section - 1].id;
    unsigned best = 0;
    uint64_t n;

    n = vmd_savevm_peek(walker, VMD_SAVEVM_WINDOW / 4);
    for (unsigned i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        const uint8_t *page = walker->window + walker->at;
        unsigned records = n > SIZES[i] ? follow(page + SIZES[i], n - SIZES[i], SIZES[i], id) : 0;

        if (records > best) {
            best = records;
            walker->vm->page_size = SIZES[i];
        }
    }
}

static void read_page(struct vmd_savevm_walker *walker, struct vmd_savevm_block *block, uint64_t flags)
{
    struct vmd_savevm *vm = walker->vm;
    uint64_t size = 0;

    if (flags & ZERO) {
        block->zero++;
        vmd_savevm_u8(walker);
        return;
    }
    if (flags & PAGE) {
        if (!vm->page_size) {
            find_page_size(walker);
        }
        block->pages++;
        size = vm->page_size ? vm->page_size : 4096;
    } else if (flags & XBZRLE) {
        const uint8_t *header = vmd_savevm_take(walker, 3);

        block->xbzrle++;
        size = header ? vmd_load_be(header + 1, 2) : 0;
    } else {
        block->compressed++;
        size = vmd_savevm_be32(walker);
    }
    vm->ram_bytes += size;
    vmd_savevm_skip(walker, size);
}

static void read_record(struct vmd_savevm_walker *walker, uint64_t flags, uint64_t offset)
{
    if (!(flags & CONTINUE)) {
        uint8_t name_len = vmd_savevm_u8(walker);
        const uint8_t *name = vmd_savevm_take(walker, name_len);

        walker->block = name ? vmd_savevm_find_block(walker, name, name_len) : 0;
    }
    if (!walker->block) {
        vmd_savevm_fail(walker, VMD_SAVEVM_RAM_BLOCK, offset, flags);
        return;
    }
    read_page(walker, &walker->vm->blocks[walker->block - 1], flags);
}

/* The flags of a record. Those of AVR are in eight bits: flags that no record has are its address in part. */
static uint64_t flags_of(struct vmd_savevm *vm, uint64_t word)
{
    uint64_t flags = word & FLAGS, few = word & (AVR_PAGE - 1);

    if (!vm->page_size && !(flags & MEM_SIZE) && !is_record(flags) && is_record(few)) {
        vm->page_size = AVR_PAGE;
    }
    return vm->page_size == AVR_PAGE ? few : flags;
}

void vmd_savevm_read_ram(struct vmd_savevm_walker *walker)
{
    while (vmd_savevm_ok(walker)) {
        uint64_t offset = vmd_savevm_tell(walker), flags = 0, word = vmd_savevm_be64(walker);

        flags = flags_of(walker->vm, word);
        walker->vm->ram_flags |= flags;
        if (!vmd_savevm_ok(walker)) {
            return;
        }
        if (flags == MEM_SIZE) {
            read_blocks(walker, word & ~(uint64_t)FLAGS);
        } else if (flags == EOS) {
            return;
        } else if (flags != MULTIFD_FLUSH) {
            if (!is_record(flags)) {
                vmd_savevm_fail(walker, VMD_SAVEVM_RAM_FLAGS, offset, flags);
                return;
            }
            read_record(walker, flags, offset);
        }
    }
}
