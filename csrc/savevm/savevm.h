/*
 * Reader of migration streams: the file that `migrate file:`, savevm and libvirt write. It finds every section, counts
 * RAM pages without keeping them, and keeps the bodies of device sections.
 *
 * The stream does not say where the state of a device ends. Its end is, in this order: the size that the caller knows
 * (from the vmdescription of an earlier walk), the section's footer followed by a possible element, or, in streams
 * without footers, the next possible section header.
 *
 * Source: QEMU 5.2, 7.2, 10.0 and 11.1 migration/savevm.c, migration/ram.c, migration/block-dirty-bitmap.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_SAVEVM_H
#define VMD_SAVEVM_H

#include "base/error.h"

/* cdef: begin */
/* What ended a walk. offset: of the problem in the stream, in bytes; value, section: see each. */
enum vmd_savevm_problem {
    VMD_SAVEVM_OK = 0,
    VMD_SAVEVM_NO_MEMORY = 1,
    VMD_SAVEVM_IO = 2,              /* value: errno */
    VMD_SAVEVM_INTERRUPTED = 3,     /* the read or poll callback raised an exception */
    VMD_SAVEVM_TRUNCATED = 4,       /* the stream ends */
    VMD_SAVEVM_NO_MAGIC = 5,        /* value: the first four bytes */
    VMD_SAVEVM_VERSION = 6,         /* value: the version */
    VMD_SAVEVM_ELEMENT = 7,         /* value: the unknown type of an element */
    VMD_SAVEVM_UNKNOWN_SECTION = 8, /* value: the id of a PART or END without START */
    VMD_SAVEVM_NO_FOOTER = 9,       /* value: the byte in place of the footer */
    VMD_SAVEVM_NO_END = 10,         /* no footer follows up to the end of the stream */
    VMD_SAVEVM_CONFIGURATION = 11,  /* an unknown subsection of configuration */
    VMD_SAVEVM_TOO_MANY = 12,       /* value: the limit of sections or RAM blocks */
    VMD_SAVEVM_RAM_VERSION = 13,    /* value: the version of the RAM section */
    VMD_SAVEVM_RAM_FLAGS = 14,      /* value: the flags of a RAM record */
    VMD_SAVEVM_RAM_BLOCK = 15,      /* a page of an unknown RAM block */
    VMD_SAVEVM_RAM_SIZES = 16,      /* the blocks are larger than their sum */
    VMD_SAVEVM_MULTIFD = 17,        /* pages in another channel */
    VMD_SAVEVM_MAPPED = 18,         /* value: the version of a mapped-ram header, or an offset that points back */
    VMD_SAVEVM_LIVE = 19,           /* value: the flags of a record of a live section */
    VMD_SAVEVM_PACKAGE = 20,        /* an element exceeds the package that it is in */
};

/* struct vmd_savevm_section.end: what determined the end of the body. */
#define VMD_SAVEVM_END_FORMAT 0 /* the format of a live section */
#define VMD_SAVEVM_END_SIZE 1   /* vmd_savevm_expect */
#define VMD_SAVEVM_END_FOOTER 2 /* the first footer */
#define VMD_SAVEVM_END_HEADER 3 /* the next header */

/* The idstr of a section, or the id of a RAM block: text[name], NUL-terminated. */
struct vmd_savevm_section {
    uint64_t offset;    /* of the first element, in the stream */
    uint64_t size;      /* bytes of the bodies of all elements */
    uint64_t data;      /* offset of the body in vmd_savevm.data */
    uint64_t data_size; /* bytes kept there: of all elements, of the last, or 0 if too large */
    uint32_t name;
    uint32_t name_len;
    uint32_t id;
    uint32_t instance_id;
    uint32_t version_id;
    uint32_t type;     /* of the first element: 1 START, 4 FULL */
    uint32_t n_parts;  /* elements, the first included */
    uint32_t is_ended; /* has had its END */
    uint32_t end;      /* VMD_SAVEVM_END_* */
    uint32_t is_packaged;
};

struct vmd_savevm_block {
    uint64_t size;          /* used_length */
    uint64_t page_size;     /* 0: not sent */
    uint64_t address;       /* in the guest, with x-ignore-shared */
    uint64_t bitmap_offset; /* with mapped-ram, absolute in the file */
    uint64_t pages_offset;
    uint64_t pages; /* records of each encoding; with mapped-ram, the bits set in the bitmap */
    uint64_t zero;
    uint64_t xbzrle;
    uint64_t compressed;
    uint32_t name;
    uint32_t name_len;
};

/* Length of the table of commands: MIG_CMD_* are below. */
#define VMD_SAVEVM_COMMANDS 64

struct vmd_savevm {
    enum vmd_savevm_problem problem;
    uint32_t problem_section; /* index + 1; 0: none */
    uint64_t problem_offset;
    uint64_t problem_value;
    uint64_t size; /* up to the end of the last element */
    uint64_t n_sections;
    uint64_t n_blocks;
    struct vmd_savevm_section *sections;
    struct vmd_savevm_block *blocks;
    char *data;
    uint64_t data_size;
    char *text;
    uint64_t text_size;
    char *vmdescription; /* JSON, not NUL-terminated */
    uint64_t vmdescription_size;
    uint32_t has_vmdescription;
    uint32_t has_configuration;
    uint32_t has_footers; /* 0: none, or not known */
    uint32_t has_uuid;
    uint32_t machine;      /* in text */
    uint32_t capabilities; /* in text: n_capabilities NUL-terminated names */
    uint32_t n_capabilities;
    uint32_t page_bits; /* sent in the configuration; 0: not sent */
    uint64_t page_size; /* sent, expected, or found by the positions of pages; 0: not known */
    uint64_t ram_flags; /* RAM_SAVE_FLAG_* of all records */
    uint64_t ram_bytes; /* of pages that a walk has skipped */
    uint8_t uuid[16];
    uint64_t commands[VMD_SAVEVM_COMMANDS]; /* how often each MIG_CMD_* was sent; 0: unknown ones */
    uint64_t n_elements;
};

/*
 * Read up to size bytes of the stream from an offset on, which never decreases. Return the number, 0 at the end, or a
 * negative errno; -EINTR: the callback has stored an exception.
 */
typedef int64_t vmd_savevm_read_fn(void *opaque, uint64_t offset, char *buffer, uint64_t size);

/* What is known of a section before the walk; name: offset in text. */
struct vmd_savevm_size {
    uint64_t size; /* of the body, in bytes */
    uint32_t name;
    uint32_t instance_id;
};

/* An empty result. VMD_NO_MEMORY. */
enum vmd_status vmd_savevm_create(struct vmd_savevm **ret);
void vmd_savevm_destroy(struct vmd_savevm *vm);

/*
 * Walk a stream. The result has all that was read before a problem. VMD_NO_MEMORY if the walk can't begin; all else is
 * a problem of the result.
 *
 * read, opaque: the stream. base: the offset of the stream in the file that mapped-ram's absolute offsets refer to.
 * page_size: 0: unknown. sizes: of n_sizes device sections, in their order, with names in text.
 */
enum vmd_status vmd_savevm_walk(struct vmd_savevm *vm, vmd_savevm_read_fn *read, void *opaque, uint64_t base,
                                uint64_t page_size, const struct vmd_savevm_size *sizes, uint64_t n_sizes,
                                const char *text);

/* A file as a stream: vmd_savevm_read_fd reads file->fd at file->base + offset. */
struct vmd_savevm_file {
    int fd;
    uint64_t base;
    int (*poll)(void *opaque); /* called before each read; nonzero: an exception is stored */
};
int64_t vmd_savevm_read_fd(void *opaque, uint64_t offset, char *buffer, uint64_t size);
vmd_savevm_read_fn *vmd_savevm_fd_reader(void);

/*
 * Decompress a block of LZO1X, lzop's format. Return the number of bytes written, or -1 for data that are corrupt or
 * exceed room. Source: the Linux kernel's Documentation/staging/lzo.rst.
 */
int64_t vmd_lzo1x_decompress(const char *data, uint64_t size, char *out, uint64_t room);
/* cdef: end */

#endif
