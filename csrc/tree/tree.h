/*
 * Tree: the in-memory form of a dump, immutable once built; the only input of the dump engines. The parser, the
 * lowering of Python's model and the reader of QEMU binaries build trees.
 *
 * Invariants, established by the functions below and relied on by the engines:
 * - names are UTF-8 without control characters, quotes and backslashes: printed unescaped, as QEMU prints them, they
 *   are valid JSON; they end in NUL, and VMD_PADDING bytes from the start of every string are readable;
 * - a description refers only to descriptions created before it: there are no cycles;
 * - no description nests deeper than VMD_MAX_DEPTH, so the engines may recurse.
 *
 * Descriptions are shared by pointer. A tree may refer to descriptions of other trees; its creator keeps those alive.
 * Any number of threads may read a tree.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_TREE_H
#define VMD_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/load.h"

/* cdef: begin */
#define VMD_MAX_DEPTH 1000
#define VMD_ARRAY 4           /* VMS_ARRAY: "num" is printed */
#define VMD_MUST_EXIST 4096   /* VMS_MUST_EXIST: the field is an assertion, not printed */
#define VMD_AUTO_ALLOC 131072 /* VMS_ARRAY_OF_POINTER_AUTO_ALLOC; QEMU 11 uses another bit */
#define VMD_UNKNOWN 0xffffffffffffffff

/* vmd_desc.traits: metadata of a description that QEMU's dump omits. */
#define VMD_DETAILED 1 /* traits, priority and the flags and details of all fields are known; if unset, none are */
#define VMD_UNMIGRATABLE 2
#define VMD_EARLY_SETUP 4
#define VMD_NEEDED 8 /* has this hook, as below; an _errp variant counts as the hook */
#define VMD_PRE_LOAD 16
#define VMD_POST_LOAD 32
#define VMD_PRE_SAVE 64
#define VMD_POST_SAVE 128
#define VMD_DEV_UNPLUG_PENDING 256
#define VMD_LOAD_STATE_OLD 512 /* QEMU 5 and older */
#define VMD_NO_DESCRIPTION                                                                                             \
    1024 /* placeholder for the missing Description of a device in an edited dump: empty, not printed */

struct vmd_field {
    const char *name;
    const struct vmd_desc *vmsd; /* NULL: none */
    uint64_t size;               /* of one element, in bytes */
    uint32_t name_len;           /* in bytes */
    uint32_t flags;              /* VMStateFlags */
    int32_t num;                 /* elements, if flags has VMD_ARRAY */
    int32_t version_id;
    uint32_t field_exists; /* 1: has a run-time test */
};

/* Metadata of a field that QEMU's dump omits. Strings: NULL if absent. */
struct vmd_field_details {
    const char *info; /* VMStateInfo.name */
    const char *err_hint;
    uint32_t info_len;
    uint32_t err_hint_len;
    uint64_t offset; /* here and below, VMD_UNKNOWN: unknown or absent */
    uint64_t start;
    uint64_t num_offset;
    uint64_t size_offset;
    int32_t struct_version_id;
    uint32_t reserved;
};

/* Size of a part of a dump: bytes + i * lines bytes at indentation i. */
struct vmd_extent {
    uint64_t bytes;
    uint64_t lines;
};

struct vmd_desc {
    const char *name;
    uint32_t name_len;
    int32_t version_id;
    int32_t minimum_version_id;
    uint32_t depth;  /* 1: nothing nested */
    uint32_t traits; /* VMD_DETAILED and so on */
    int32_t priority;
    const struct vmd_field *fields;            /* NULL: no list of fields, not even an empty one */
    const struct vmd_desc *const *subsections; /* NULL: no list of subsections */
    uint64_t n_fields;
    uint64_t n_subsections;
    uint64_t n_total;                              /* printed fields, nested ones included; saturates */
    struct vmd_extent extent;                      /* as a nested Description, without any "num" */
    struct vmd_extent num_extent;                  /* size of the "num" lines */
    const struct vmd_field_details *field_details; /* one per field; NULL without VMD_DETAILED */
};

/* Metadata of a device class that QEMU's dump omits. */
struct vmd_device_details {
    const char *parents; /* n_parents names, nearest first, each ended by NUL */
    const char *desc;    /* DeviceClass.desc; NULL: none */
    const char *module;  /* module that registers the type; NULL: built in */
    uint32_t n_parents;
    uint32_t is_abstract;
};

struct vmd_device {
    const char *name;  /* QOM type: the key in the outermost object */
    const char *label; /* value of "Name": the type as QEMU prints it, anything in edited dumps */
    const struct vmd_desc *vmsd;
    uint32_t name_len;
    uint32_t label_len;
    int32_t version_id;
    int32_t minimum_version_id;
    const struct vmd_device_details *details; /* NULL: not known */
};

/* A standalone description: not the DeviceClass.vmsd of any type. */
struct vmd_standalone {
    const struct vmd_desc *vmsd;
    const char *symbol; /* exported by the binary; NULL: none */
    const char *uses;   /* n_uses NUL-terminated words: how it is registered */
    const char *types;  /* n_types NUL-terminated names of QOM types whose classes refer to it */
    uint32_t n_uses;
    uint32_t n_types;
};

struct vmd_tree {
    const char *machine;
    const struct vmd_device *devices;
    uint64_t n_devices;
    uint64_t size; /* of the dump: see vmd_tree_size */
    uint32_t machine_len;
    uint32_t print_num; /* 0: no "num", as QEMU 7.2 and older print */
    const struct vmd_standalone *standalone;
    uint64_t n_standalone;
    const char *producer; /* JSON object with metadata of the producer; NULL: none */
    uint64_t producer_size;
    struct vmd_arena *arena;
};

/* A description of a table; its fields and subsections follow those of the previous rows. */
struct vmd_desc_row {
    int32_t version_id;
    int32_t minimum_version_id;
    int32_t n_fields;      /* -1: no list */
    int32_t n_subsections; /* -1: no list */
};

/* A field of a table. has_vmsd: it has the table's next nested description. */
struct vmd_field_row {
    uint64_t size;
    int32_t num;
    int32_t version_id;
    uint32_t flags;
    uint32_t field_exists; /* here and below, 0: false */
    uint32_t has_vmsd;
    uint32_t reserved;
};

/* Metadata of a field of a table: see struct vmd_field_details. */
struct vmd_field_details_row {
    uint64_t offset;
    uint64_t start;
    uint64_t num_offset;
    uint64_t size_offset;
    int32_t struct_version_id;
    uint32_t has_info;
    uint32_t has_err_hint;
    uint32_t reserved;
};

/* Metadata of a description of a table: see struct vmd_desc. */
struct vmd_desc_details_row {
    uint32_t traits;
    int32_t priority;
};

/*
 * Descriptions as packed by vmdump/dump/lowering.py. names: for each description in order its name and those of its
 * fields, NUL-terminated. refs: n_known pointers to existing descriptions (of this tree or others), then space for
 * n_descs; row i of descs becomes refs[n_known + i] and may refer to any before it.
 */
struct vmd_table {
    const struct vmd_desc_row *descs;
    uint64_t n_descs;
    const struct vmd_field_row *fields;
    uint64_t n_fields;
    const uint32_t *nested; /* indices into refs, of the fields with a vmsd, in order */
    uint64_t n_nested;
    const uint32_t *subsections; /* indices into refs */
    uint64_t n_subsections;
    const char *names;
    uint64_t names_size; /* bytes, NULs included */
    const struct vmd_desc **refs;
    uint64_t n_known;
    /* Metadata of descs and fields; texts: infos and hints of the fields, NUL-terminated. NULL: unknown. */
    const struct vmd_desc_details_row *desc_details;
    const struct vmd_field_details_row *field_details;
    const char *texts;
    uint64_t texts_size;
};

/* VMD_NO_MEMORY or VMD_OK. Destroy accepts NULL. */
enum vmd_status vmd_tree_create(struct vmd_tree **ret);
void vmd_tree_destroy(struct vmd_tree *tree);

/*
 * Add the table's descriptions. VMD_BAD_NAME: index of the name. VMD_TOO_DEEP, VMD_BAD_REFERENCE: index of the
 * description. On failure refs and the tree are partly filled: destroy the tree.
 */
enum vmd_status vmd_tree_add_table(struct vmd_tree *tree, const struct vmd_table *table, struct vmd_error *err);

/*
 * Set machine and devices. names: of the machine, then of the devices, NUL-terminated; vmsds: one per device, which
 * gets its versions. VMD_BAD_NAME: index 0 is the machine, then the devices.
 */
enum vmd_status vmd_tree_set_devices(struct vmd_tree *tree, const char *names, uint64_t names_size,
                                     const struct vmd_desc *const *vmsds, uint64_t n_devices, uint32_t print_num,
                                     struct vmd_error *err);

/*
 * Set the metadata of a device. texts: its parents, nearest first, then its desc and its module if present,
 * NUL-terminated. VMD_NO_MEMORY; VMD_BAD_REFERENCE: too few texts.
 */
enum vmd_status vmd_tree_set_device_details(struct vmd_tree *tree, uint64_t device, const char *texts,
                                            uint64_t texts_size, uint32_t n_parents, uint32_t has_desc,
                                            uint32_t has_module, uint32_t is_abstract, struct vmd_error *err);

/*
 * Set the standalone descriptions. texts: for each its symbol (empty: none), its uses and its types, NUL-terminated;
 * counts: for each the number of uses and the number of types. VMD_NO_MEMORY; VMD_BAD_REFERENCE: too few texts.
 */
enum vmd_status vmd_tree_set_standalone(struct vmd_tree *tree, const struct vmd_desc *const *vmsds,
                                        const uint32_t *counts, uint64_t n_standalone, const char *texts,
                                        uint64_t texts_size, struct vmd_error *err);

/* Set the metadata of the producer: a copy of a JSON object. VMD_NO_MEMORY. */
enum vmd_status vmd_tree_set_producer(struct vmd_tree *tree, const char *json, uint64_t size, struct vmd_error *err);

/* Compute the size of the dump; call it when machine and devices are set. */
void vmd_tree_measure(struct vmd_tree *tree);

/* Bytes of the dump in QEMU's form; UINT64_MAX if that overflows. */
uint64_t vmd_tree_size(const struct vmd_tree *tree);

/* Printed fields of the dump, nested ones included; saturates. */
uint64_t vmd_tree_fields(const struct vmd_tree *tree);
/* cdef: end */

#define VMD_REPEAT_BYTE(byte) (0x0101010101010101 * (uint64_t)(byte))

/* End of a run of printable ASCII characters without quote and backslash, which a name may have unchecked. */
static inline const char *vmd_name_skip_plain(const char *p, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; end - p >= 8; p += 8) {
        uint64_t word = vmd_load_u64(p);
        uint64_t quote = word ^ VMD_REPEAT_BYTE('"'), backslash = word ^ VMD_REPEAT_BYTE('\\');
        /* The high bit of each byte that ends the run; bytes above the first may be false positives. */
        uint64_t stop =
            word | (word - VMD_REPEAT_BYTE(' ')) | (quote - VMD_REPEAT_BYTE(1)) | (backslash - VMD_REPEAT_BYTE(1));

        stop &= VMD_REPEAT_BYTE(0x80);
        if (stop) {
            return p + __builtin_ctzll(stop) / 8;
        }
    }
#endif
    while (p < end && (unsigned char)*p >= ' ' && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

/* Bytes that are readable from the start of any string of a tree. */
#define VMD_PADDING 32

/* Memory that is freed with the tree, aligned to 8 bytes. NULL: out of memory. */
void *vmd_tree_alloc(struct vmd_tree *tree, size_t size);

/* A NUL-terminated, padded copy of a string. NULL: out of memory. */
const char *vmd_tree_string(struct vmd_tree *tree, const char *text, size_t size);
/* As vmd_tree_string, for size < VMD_PADDING; VMD_PADDING bytes of text must be readable. */
const char *vmd_tree_short_string(struct vmd_tree *tree, const char *text, size_t size);

/* Length of the longest prefix of text that is printable in JSON unescaped. */
size_t vmd_name_printable_prefix(const char *text, size_t size);

/* Compute depth, n_total and extents of desc, whose lists are complete. VMD_TOO_DEEP or VMD_OK. */
enum vmd_status vmd_desc_measure(struct vmd_desc *desc);

#endif
