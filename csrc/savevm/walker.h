/*
 * State of a walk, shared by the files of this directory.
 *
 * The first problem is kept and ends the walk: after it, reads return 0, and every loop checks vmd_savevm_ok.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_SAVEVM_WALKER_H
#define VMD_SAVEVM_WALKER_H

#include <stdbool.h>

#include "savevm/savevm.h"

#ifndef VMD_SAVEVM_WINDOW /* .ci/fuzz makes it small */
#define VMD_SAVEVM_WINDOW (1 << 20)
#endif

enum {
    VMD_SAVEVM_MAX_SECTIONS = 1 << 16,
    VMD_SAVEVM_MAX_BLOCKS = 1 << 14,
};

/* Limit of all bodies that are kept, and of the vmdescription, in bytes. */
#define VMD_SAVEVM_MAX_DATA ((uint64_t)256 << 20)
#define VMD_SAVEVM_MAX_VMDESCRIPTION ((uint64_t)64 << 20)

/* Elements. Source: migration/savevm.h QEMU_VM_*. */
enum {
    QEMU_VM_EOF = 0,
    QEMU_VM_SECTION_START = 1,
    QEMU_VM_SECTION_PART = 2,
    QEMU_VM_SECTION_END = 3,
    QEMU_VM_SECTION_FULL = 4,
    QEMU_VM_SUBSECTION = 5,
    QEMU_VM_VMDESCRIPTION = 6,
    QEMU_VM_CONFIGURATION = 7,
    QEMU_VM_COMMAND = 8,
    QEMU_VM_SECTION_FOOTER = 0x7e,
    MIG_CMD_POSTCOPY_ADVISE = 3,
    MIG_CMD_PACKAGED = 7,
};

/* Open addressing: indices + 1 of sections or blocks; 0: free. */
struct vmd_savevm_map {
    uint32_t *slots;
    uint32_t n_slots; /* a power of two */
};

struct vmd_savevm_walker {
    struct vmd_savevm *vm;
    vmd_savevm_read_fn *read;
    void *opaque;
    uint64_t base;
    uint8_t *window;
    uint64_t offset; /* of the window, in the stream */
    uint64_t at;     /* of the next byte, in the window */
    uint64_t filled;
    bool at_eof;
    bool drops;         /* the body of the current section is too large to keep */
    bool knows_footers; /* vm->has_footers is known */
    uint64_t limit;     /* end of the package; UINT64_MAX: not in one */
    const struct vmd_savevm_size *sizes;
    uint64_t n_sizes;
    uint64_t next_size;
    const char *size_names;
    uint32_t section; /* index + 1 of the current one */
    uint32_t block;   /* index + 1 of the last page's */
    uint64_t data_room, text_room, sections_room, blocks_room;
    struct vmd_savevm_map ids;    /* of sections */
    struct vmd_savevm_map blocks; /* by name */
};

static inline bool vmd_savevm_ok(const struct vmd_savevm_walker *walker)
{
    return walker->vm->problem == VMD_SAVEVM_OK;
}

/* Offset of the next byte in the stream. */
static inline uint64_t vmd_savevm_tell(const struct vmd_savevm_walker *walker)
{
    return walker->offset + walker->at;
}

/* Keep the first problem. */
void vmd_savevm_fail(struct vmd_savevm_walker *walker, enum vmd_savevm_problem problem, uint64_t offset,
                     uint64_t value);

/* input.c */

/* Fill the window up to size bytes from the next one on, or to the end of the stream; size <= VMD_SAVEVM_WINDOW. Return
 * the bytes available, of which there may be more. */
uint64_t vmd_savevm_peek(struct vmd_savevm_walker *walker, uint64_t size);
/* Return the next size bytes, which are consumed, or NULL: TRUNCATED. size <= VMD_SAVEVM_WINDOW. */
const uint8_t *vmd_savevm_take(struct vmd_savevm_walker *walker, uint64_t size);
void vmd_savevm_skip(struct vmd_savevm_walker *walker, uint64_t size);
uint8_t vmd_savevm_u8(struct vmd_savevm_walker *walker);
uint16_t vmd_savevm_be16(struct vmd_savevm_walker *walker);
uint32_t vmd_savevm_be32(struct vmd_savevm_walker *walker);
uint64_t vmd_savevm_be64(struct vmd_savevm_walker *walker);
/* Append the next size bytes to vm->data. */
void vmd_savevm_keep(struct vmd_savevm_walker *walker, uint64_t size);
/* Read size bytes as text, with a NUL; return its offset in vm->text. */
uint32_t vmd_savevm_text(struct vmd_savevm_walker *walker, uint64_t size);

static inline uint64_t vmd_load_be(const uint8_t *from, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value = value << 8 | from[i];
    }
    return value;
}

/* tables.c */

/* A new zeroed section or block, or NULL: a problem. */
struct vmd_savevm_section *vmd_savevm_add_section(struct vmd_savevm_walker *walker);
struct vmd_savevm_block *vmd_savevm_add_block(struct vmd_savevm_walker *walker);
/* Register the last section by its id, the last block by its name. */
void vmd_savevm_map_section(struct vmd_savevm_walker *walker);
void vmd_savevm_map_block(struct vmd_savevm_walker *walker);
/* Index + 1, or 0. The latest of an id. */
uint32_t vmd_savevm_find_section(const struct vmd_savevm_walker *walker, uint32_t id);
uint32_t vmd_savevm_find_block(const struct vmd_savevm_walker *walker, const uint8_t *name, uint32_t name_len);

/* find_end.c */

/* Whether the next n bytes, at most all that is left of the stream if is_last, may begin an element after a section.
 * strict: without a footer before them. */
bool vmd_savevm_is_element(const struct vmd_savevm_walker *walker, const uint8_t *bytes, uint64_t n, bool is_last,
                           bool strict);
/* Prepare to keep the body of an element of the current section. */
void vmd_savevm_begin_body(struct vmd_savevm_walker *walker);
/* Read to the end of the body of a section, keep it, and return what determined the end. */
uint32_t vmd_savevm_find_end(struct vmd_savevm_walker *walker);
/* Whether the footer of the current section is next. */
bool vmd_savevm_at_footer(struct vmd_savevm_walker *walker);

/* ram.c, live.c: read the body of an element of a live section. */

void vmd_savevm_read_ram(struct vmd_savevm_walker *walker);
/* Returns false if the format is not known; the body may have been read in part. */
bool vmd_savevm_read_live(struct vmd_savevm_walker *walker, uint8_t type);

#endif
