/*
 * The tree: the native form of a dump, immutable once made, and the only thing the engines read. Machines make it: the
 * parser, the lowering of Python's model, later the image reader.
 *
 * Invariants, established by the functions below, relied on by the engines:
 * - names are UTF-8 without control characters, quotes and backslashes, so that they can be printed as QEMU prints
 *   them, unescaped, and still be JSON; they end in NUL and VMD_PADDING readable bytes follow every string's start;
 * - a description refers only to descriptions made before it: there are no cycles;
 * - no description is deeper than VMD_MAX_DEPTH, so the engines may recurse.
 *
 * Descriptions are shared by pointer. A tree may refer to descriptions of other trees; whoever makes it so keeps those
 * alive. Any number of threads may read a tree.
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

/* cdef: begin */
#define VMD_MAX_DEPTH 1000
#define VMD_ARRAY 4           /* VMS_ARRAY: "num" is printed */
#define VMD_MUST_EXIST 4096   /* VMS_MUST_EXIST: the field is an assertion, not printed */
#define VMD_AUTO_ALLOC 131072 /* VMS_ARRAY_OF_POINTER_AUTO_ALLOC, which QEMU 11 numbers otherwise */
#define VMD_UNKNOWN 0xffffffffffffffff

/* vmd_desc.traits: what is known of a description beside what QEMU's dump prints. */
#define VMD_DETAILED 1 /* traits, priority, and the flags and details of all fields are known; else none of these */
#define VMD_UNMIGRATABLE 2
#define VMD_EARLY_SETUP 4
#define VMD_NEEDED 8 /* it has such a hook; so on. An _errp variant counts as the hook itself */
#define VMD_PRE_LOAD 16
#define VMD_POST_LOAD 32
#define VMD_PRE_SAVE 64
#define VMD_POST_SAVE 128
#define VMD_DEV_UNPLUG_PENDING 256
#define VMD_LOAD_STATE_OLD 512 /* QEMU 5 and older */

struct vmd_field {
    const char *name;
    const struct vmd_desc *vmsd; /* NULL: none */
    uint64_t size;               /* of one element, in bytes */
    uint32_t name_len;           /* in bytes */
    uint32_t flags;              /* VMStateFlags */
    int32_t num;                 /* elements, if flags has VMD_ARRAY */
    int32_t version_id;
    uint32_t field_exists; /* 1: it has a run-time test */
};

/* What QEMU's dump leaves out of a field. Strings: NULL is none. */
struct vmd_field_details {
    const char *info; /* VMStateInfo.name */
    const char *err_hint;
    uint32_t info_len;
    uint32_t err_hint_len;
    uint64_t offset; /* VMD_UNKNOWN, here and below: not known, or none */
    uint64_t start;
    uint64_t num_offset;
    uint64_t size_offset;
    int32_t struct_version_id;
    uint32_t reserved;
};

/* Printed at indent i, a part of a dump takes bytes + i * lines bytes. */
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
    const struct vmd_field *fields;            /* NULL: the description has no list of fields, not even an empty one */
    const struct vmd_desc *const *subsections; /* NULL: likewise */
    uint64_t n_fields;
    uint64_t n_subsections;
    uint64_t n_total;                              /* printed fields, nested ones included; saturates */
    struct vmd_extent extent;                      /* as a nested Description, without any "num" */
    struct vmd_extent num_extent;                  /* what the "num" lines add */
    const struct vmd_field_details *field_details; /* one a field; NULL where VMD_DETAILED is not set */
};

/* What QEMU's dump leaves out of a device class. */
struct vmd_device_details {
    const char *parents; /* n_parents names, nearest first, each ended by NUL */
    const char *desc;    /* DeviceClass.desc; NULL: none */
    const char *module;  /* that registered it; NULL: built in */
    uint32_t n_parents;
    uint32_t is_abstract;
};

struct vmd_device {
    const char *name;
    const struct vmd_desc *vmsd;
    uint32_t name_len;
    int32_t version_id;
    int32_t minimum_version_id;
    const struct vmd_device_details *details; /* NULL: not known */
};

/* A description that is on no device class. */
struct vmd_root {
    const struct vmd_desc *vmsd;
    const char *symbol; /* as the binary exports it; NULL: it does not */
    const char *uses;   /* n_uses words, each ended by NUL: how it is used, as sources call it */
    const char *types;  /* n_types names of QOM types whose classes refer to it, likewise */
    uint32_t n_uses;
    uint32_t n_types;
};

struct vmd_tree {
    const char *machine;
    const struct vmd_device *devices;
    uint64_t n_devices;
    uint64_t size; /* see vmd_tree_size */
    uint32_t machine_len;
    uint32_t print_num; /* 0: as QEMU 7.2 and older, which print no "num" */
    const struct vmd_root *roots;
    uint64_t n_roots;
    const char *about; /* a JSON object: what is known of the dump's producer; NULL: nothing */
    uint64_t about_size;
    struct vmd_arena *arena;
};

/* One description of a table: its fields and subsections stand behind those of the rows before it. */
struct vmd_desc_row {
    int32_t version_id;
    int32_t minimum_version_id;
    int32_t n_fields;      /* -1: no list */
    int32_t n_subsections; /* -1: no list */
};

/* One field of a table. has_vmsd: the next of the table's nested descriptions is its. */
struct vmd_field_row {
    uint64_t size;
    int32_t num;
    int32_t version_id;
    uint32_t flags;
    uint32_t field_exists; /* 0: no; here and below */
    uint32_t has_vmsd;
    uint32_t reserved;
};

/* What a row of a table leaves out: see struct vmd_field_details. */
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

/* Likewise: see struct vmd_desc. */
struct vmd_desc_details_row {
    uint32_t traits;
    int32_t priority;
};

/*
 * Descriptions as Python packs them. names holds, for each description in order, its name and those of its fields, each
 * ended by NUL. refs has n_known pointers to descriptions made before (of this tree or others), then room for n_descs:
 * row i of descs becomes refs[n_known + i], and may refer to any before it.
 */
struct vmd_table {
    const struct vmd_desc_row *descs;
    uint64_t n_descs;
    const struct vmd_field_row *fields;
    uint64_t n_fields;
    const uint32_t *nested; /* indices into refs: of the fields that have a vmsd, in order */
    uint64_t n_nested;
    const uint32_t *subsections; /* indices into refs */
    uint64_t n_subsections;
    const char *names;
    uint64_t names_size; /* bytes, NULs included */
    const struct vmd_desc **refs;
    uint64_t n_known;
    /* The details of descs and fields, and behind each other the infos and hints that fields have, each ended by NUL;
     * NULL: not known. */
    const struct vmd_desc_details_row *desc_details;
    const struct vmd_field_details_row *field_details;
    const char *texts;
    uint64_t texts_size;
};

/* VMD_NO_MEMORY or VMD_OK. Destroy takes NULL. */
enum vmd_status vmd_tree_create(struct vmd_tree **ret);
void vmd_tree_destroy(struct vmd_tree *tree);

/*
 * Adds the table's descriptions. VMD_BAD_NAME: index counts the names. VMD_TOO_DEEP, VMD_BAD_REFERENCE: index counts
 * the descriptions. refs is partly filled on failure, and the tree holds what was made: destroy it.
 */
enum vmd_status vmd_tree_add_table(struct vmd_tree *tree, const struct vmd_table *table, struct vmd_error *err);

/*
 * Sets machine and devices. names: the machine's name, then the devices', each ended by NUL; vmsds: one a device. Their
 * versions are their descriptions'. VMD_BAD_NAME: index 0 is the machine, then the devices.
 */
enum vmd_status vmd_tree_set_devices(struct vmd_tree *tree, const char *names, uint64_t names_size,
                                     const struct vmd_desc *const *vmsds, uint64_t n_devices, uint32_t print_num,
                                     struct vmd_error *err);

/*
 * Says what is known of a device beside its description. texts: its parents, nearest first, then its desc and its
 * module where it has them, each ended by NUL. VMD_NO_MEMORY; VMD_BAD_REFERENCE: texts are fewer.
 */
enum vmd_status vmd_tree_set_device_details(struct vmd_tree *tree, uint64_t device, const char *texts,
                                            uint64_t texts_size, uint32_t n_parents, uint32_t has_desc,
                                            uint32_t has_module, uint32_t is_abstract, struct vmd_error *err);

/*
 * Sets the descriptions that are on no device class. texts: for each its symbol (empty: none), its uses and its types,
 * each ended by NUL; counts: how many uses and how many types each has. VMD_NO_MEMORY; VMD_BAD_REFERENCE: texts are
 * fewer.
 */
enum vmd_status vmd_tree_set_roots(struct vmd_tree *tree, const struct vmd_desc *const *vmsds, const uint32_t *counts,
                                   uint64_t n_roots, const char *texts, uint64_t texts_size, struct vmd_error *err);

/* Sets what is known of the producer: a copy of a JSON object. VMD_NO_MEMORY. */
enum vmd_status vmd_tree_set_about(struct vmd_tree *tree, const char *json, uint64_t size, struct vmd_error *err);

/* Finds out the size of the dump, when the machine and the devices are there. */
void vmd_tree_measure(struct vmd_tree *tree);

/* Bytes of the whole dump; UINT64_MAX if that overflows. */
uint64_t vmd_tree_size(const struct vmd_tree *tree);

/* Printed fields of the whole dump, nested ones included; saturates. */
uint64_t vmd_tree_fields(const struct vmd_tree *tree);
/* cdef: end */

/* Eight bytes as they lie in memory, and a word of eight times the same byte. */
static inline uint64_t vmd_load_word(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

#define VMD_EACH_BYTE(byte) (0x0101010101010101 * (uint64_t)(byte))

/* Where a run of characters that a name may have and that need no second look ends: ASCII, no quote. */
static inline const char *vmd_skip_plain(const char *p, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; end - p >= 8; p += 8) {
        uint64_t word = vmd_load_word(p);
        uint64_t quote = word ^ VMD_EACH_BYTE('"'), backslash = word ^ VMD_EACH_BYTE('\\');
        /* The high bit of each byte that ends the run; above the first such byte there may be false ones. */
        uint64_t stop =
            word | (word - VMD_EACH_BYTE(' ')) | (quote - VMD_EACH_BYTE(1)) | (backslash - VMD_EACH_BYTE(1));

        stop &= VMD_EACH_BYTE(0x80);
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

/* Bytes that may be read behind the start of any string of a tree. */
#define VMD_PADDING 32

/* Memory of a tree, freed with it. NULL when there is none. Aligned to 8 bytes. */
void *vmd_tree_alloc(struct vmd_tree *tree, size_t size);

/* A copy of a string, ended by NUL and padded. NULL when there is no memory. */
const char *vmd_tree_string(struct vmd_tree *tree, const char *text, size_t size);
/* The same of one of less than VMD_PADDING bytes, where that many can be read. */
const char *vmd_tree_short_string(struct vmd_tree *tree, const char *text, size_t size);

/* The length of the longest prefix of text that can be printed in JSON as it is; size if all of it can. */
size_t vmd_printable_prefix(const char *text, size_t size);

/* Computes depth, n_total and extents of desc, whose lists are complete. VMD_TOO_DEEP or VMD_OK. */
enum vmd_status vmd_desc_measure(struct vmd_desc *desc);

#endif
