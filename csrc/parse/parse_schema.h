/*
 * The general parser: any JSON that has the schema of a dump, in QEMU's or the extended form.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_PARSE_SCHEMA_H
#define VMD_PARSE_SCHEMA_H

#include "parse/parse_tokens.h"

enum vmd_status vmd_parse_desc(struct vmd_parser *parser, const struct vmd_desc **ret);

/* The value of a device type; parser->at has the type as its key. */
enum vmd_status vmd_parse_device(struct vmd_parser *parser, struct vmd_device *device);

/* The value of "vmschkmachine": sets machine, producer and standalone descriptions of the tree. */
enum vmd_status vmd_parse_machine(struct vmd_parser *parser);

#endif
