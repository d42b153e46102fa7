/*
 * A dump as rows: columns of fixed width and dictionaries of strings, in the layout of Apache Arrow's arrays, so that
 * no value becomes a Python object. vmdump/bulk/query/parquet.py documents the columns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_ROWS_H
#define VMD_ROWS_H

#include "stream/text_table.h"
#include "tree/tree.h"

/* cdef: begin */
/* Values of VMD_ROWS_KIND. */
#define VMD_ROW_DEVICE 0
#define VMD_ROW_DESCRIPTION 1
#define VMD_ROW_FIELD 2
#define VMD_ROW_SUBSECTION 3

/* Columns of int32_t. From VMD_ROWS_TYPE to VMD_ROWS_FLAG_NAMES they are indices into vmd_rows.texts. */
#define VMD_ROWS_TYPE 0
#define VMD_ROWS_SECTION 1
#define VMD_ROWS_PATH 2
#define VMD_ROWS_NAME 3
#define VMD_ROWS_DESCRIPTION 4
#define VMD_ROWS_INFO 5
#define VMD_ROWS_FLAG_NAMES 6 /* its strings are the four bytes of a uint32_t each: flags */
#define VMD_ROWS_N_TEXTS 7
#define VMD_ROWS_KIND 7
#define VMD_ROWS_OWNER                                                                                                 \
    8 /* of a device row, and the first row of a root: index of the device; of the root + n_devices */
#define VMD_ROWS_N_CODES 9

/* Columns of int64_t. */
#define VMD_ROWS_VERSION_ID 0
#define VMD_ROWS_MINIMUM_VERSION_ID 1
#define VMD_ROWS_STRUCT_VERSION_ID 2
#define VMD_ROWS_SIZE 3
#define VMD_ROWS_NUM 4
#define VMD_ROWS_OFFSET 5
#define VMD_ROWS_FLAGS 6
#define VMD_ROWS_PRIORITY 7
#define VMD_ROWS_N_INTS 8

/* Columns of bits. */
#define VMD_ROWS_FIELD_EXISTS 0
#define VMD_ROWS_UNMIGRATABLE 1
#define VMD_ROWS_NEEDED 2
#define VMD_ROWS_N_BITS 3

/* One column. valid: a bit per row, lowest first; 0 is null, and the value is 0 then. */
struct vmd_rows_column {
    char *values;
    char *valid;
    uint64_t n_valid;
};

/* Rows n_all of the dump are read in chunks: n rows are in the columns. */
struct vmd_rows {
    uint64_t n_all;
    uint64_t n;
    struct vmd_rows_column codes[9];
    struct vmd_rows_column ints[8];
    struct vmd_rows_column bits[3];
    struct vmd_rows_texts texts[7];
};

/*
 * Start reading the rows of a tree, which must outlive ret. At most chunk rows are in the columns at a time, fewer if
 * their strings are long. n_all is above max_rows if there are more rows than that: then nothing can be read.
 * VMD_NO_MEMORY. Destroy takes NULL.
 */
enum vmd_status vmd_rows_create(const struct vmd_tree *tree, uint64_t chunk, uint64_t max_rows, struct vmd_rows **ret);
void vmd_rows_destroy(struct vmd_rows *rows);

/* Replace the rows in the columns by the next ones; n is 0 after the last. VMD_NO_MEMORY. */
enum vmd_status vmd_rows_next(struct vmd_rows *rows);

/* Whether any device of the tree has struct vmd_device_details. */
uint32_t vmd_rows_has_device_details(const struct vmd_tree *tree);
/* cdef: end */

#endif
