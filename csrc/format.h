/*
 * The words of QEMU's dump, once: the printf formats of dump_machine_type, dump_vmstate_json_to_file,
 * dump_vmstate_vmsd and dump_vmstate_vmsf (QEMU 8.2.2 migration/savevm.c). The stdio engine prints with them, the fast
 * engine compiles its templates from them, and the size formula counts their bytes.
 *
 * In every format "%*s" is the indentation; "%s", "%d" and "%zu" are values.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_FORMAT_H
#define VMD_FORMAT_H

#define FMT_BEGIN "{\n"
#define FMT_MACHINE "  \"vmschkmachine\": {\n    \"Name\": \"%s\"\n  }"
#define FMT_END "\n}\n"
/* Before every device: without any, QEMU leaves a comma behind the machine, which is no JSON; vmdump does not. */
#define FMT_NEXT ",\n"

/* A device class: at indent 2, its members at 4. */
#define FMT_DEVICE_OPEN "%*s\"%s\": {\n"
#define FMT_DEVICE_NAME "%*s\"Name\": \"%s\",\n"
#define FMT_DEVICE_VERSION "%*s\"version_id\": %d,\n"
#define FMT_DEVICE_MINIMUM "%*s\"minimum_version_id\": %d,\n"

/* A description: members 2 deeper than its braces. */
#define FMT_DESC_OPEN "%*s\"Description\": {\n"
#define FMT_SUBSECTION_OPEN "%*s{\n"
#define FMT_DESC_NAME "%*s\"name\": \"%s\",\n"
#define FMT_DESC_VERSION "%*s\"version_id\": %d,\n"
#define FMT_DESC_MINIMUM "%*s\"minimum_version_id\": %d"
#define FMT_FIELDS_OPEN ",\n%*s\"Fields\": [\n"
#define FMT_SUBSECTIONS_OPEN ",\n%*s\"Subsections\": [\n"
#define FMT_LIST_CLOSE "\n%*s]"
#define FMT_CLOSE "\n%*s}"

/* A field: members 2 deeper than its braces. */
#define FMT_FIELD_OPEN "%*s{\n"
#define FMT_FIELD_NAME "%*s\"field\": \"%s\",\n"
#define FMT_FIELD_VERSION "%*s\"version_id\": %d,\n"
#define FMT_FIELD_EXISTS "%*s\"field_exists\": true,\n"
#define FMT_FIELD_ALWAYS "%*s\"field_exists\": false,\n"
#define FMT_FIELD_NUM "%*s\"num\": %d,\n"
#define FMT_FIELD_SIZE "%*s\"size\": %zu"

/* How much deeper the parts stand than what they are part of. */
enum {
    INDENT_DEVICE = 2,  /* a device in the file */
    INDENT_MEMBER = 2,  /* members of a device, description or field */
    INDENT_ELEMENT = 4, /* a field or subsection in its description */
};

#endif
