/*
 * The words of QEMU's dump, once: the printf formats of dump_machine_type, dump_vmstate_json_to_file,
 * dump_vmstate_vmsd and dump_vmstate_vmsf (QEMU 8.2.2 migration/savevm.c). The stdio engine prints with them, the fast
 * engine's pieces are made of their parts, and the size formula counts their bytes.
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

/* What stands before a line's value, where it has one, is its _HEAD; what stands behind it its _TAIL. */
#define DEVICE_OPEN_HEAD "\""
#define DEVICE_OPEN_TAIL "\": {\n"
#define DEVICE_NAME_HEAD "\"Name\": \""
#define DESC_NAME_HEAD "\"name\": \""
#define FIELD_NAME_HEAD "\"field\": \""
#define NAME_TAIL "\",\n"
#define VERSION_HEAD "\"version_id\": "
#define MINIMUM_HEAD "\"minimum_version_id\": "
#define NUM_HEAD "\"num\": "
#define SIZE_HEAD "\"size\": "
#define NUMBER_TAIL ",\n"

/* A device class: at indent 2, its members at 4. */
#define FMT_DEVICE_OPEN "%*s" DEVICE_OPEN_HEAD "%s" DEVICE_OPEN_TAIL
#define FMT_DEVICE_NAME "%*s" DEVICE_NAME_HEAD "%s" NAME_TAIL
#define FMT_DEVICE_VERSION "%*s" VERSION_HEAD "%d" NUMBER_TAIL
#define FMT_DEVICE_MINIMUM "%*s" MINIMUM_HEAD "%d" NUMBER_TAIL

/* A description: members 2 deeper than its braces. */
#define DESC_OPEN "\"Description\": {\n"
#define SUBSECTION_OPEN "{\n"
#define FIELDS_OPEN "\"Fields\": [\n"
#define SUBSECTIONS_OPEN "\"Subsections\": [\n"
#define LIST_CLOSE "]"
#define CLOSE "}"
#define FMT_DESC_OPEN "%*s" DESC_OPEN
#define FMT_SUBSECTION_OPEN "%*s" SUBSECTION_OPEN
#define FMT_DESC_NAME "%*s" DESC_NAME_HEAD "%s" NAME_TAIL
#define FMT_DESC_VERSION "%*s" VERSION_HEAD "%d" NUMBER_TAIL
#define FMT_DESC_MINIMUM "%*s" MINIMUM_HEAD "%d"
#define FMT_FIELDS_OPEN ",\n%*s" FIELDS_OPEN
#define FMT_SUBSECTIONS_OPEN ",\n%*s" SUBSECTIONS_OPEN
#define FMT_LIST_CLOSE "\n%*s" LIST_CLOSE
#define FMT_CLOSE "\n%*s" CLOSE

/* A field: members 2 deeper than its braces. */
#define FIELD_OPEN "{\n"
#define FIELD_EXISTS "\"field_exists\": true,\n"
#define FIELD_ALWAYS "\"field_exists\": false,\n"
#define FMT_FIELD_OPEN "%*s" FIELD_OPEN
#define FMT_FIELD_NAME "%*s" FIELD_NAME_HEAD "%s" NAME_TAIL
#define FMT_FIELD_VERSION "%*s" VERSION_HEAD "%d" NUMBER_TAIL
#define FMT_FIELD_EXISTS "%*s" FIELD_EXISTS
#define FMT_FIELD_ALWAYS "%*s" FIELD_ALWAYS
#define FMT_FIELD_NUM "%*s" NUM_HEAD "%d" NUMBER_TAIL
#define FMT_FIELD_SIZE "%*s" SIZE_HEAD "%zu"

/* How much deeper the parts stand than what they are part of, as spaces and as numbers. */
#define SPACES_MEMBER "  "    /* members of a device, description or field */
#define SPACES_ELEMENT "    " /* a field or subsection in its description */
enum {
    INDENT_DEVICE = 2, /* a device in the file */
    INDENT_MEMBER = sizeof(SPACES_MEMBER) - 1,
    INDENT_ELEMENT = sizeof(SPACES_ELEMENT) - 1,
};

#endif
