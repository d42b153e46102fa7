/*
 * Text of QEMU's dump: the printf formats of dump_machine_type, dump_vmstate_json_to_file, dump_vmstate_vmsd and
 * dump_vmstate_vmsf (QEMU 8.2.2 migration/savevm.c). The stdio engine prints with them, the templates consist of their
 * parts, and format/measure.c counts their bytes.
 *
 * "%*s" is the indentation; "%s", "%d" and "%zu" are values.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_FORMAT_H
#define VMD_FORMAT_H

#define VMD_FMT_BEGIN "{\n"
#define VMD_FMT_MACHINE "  \"vmschkmachine\": {\n    \"Name\": \"%s\"\n  }"
#define VMD_FMT_END "\n}\n"
/* Before every device. Without devices QEMU prints a comma after the machine, which is invalid JSON; vmdump does not.
 */
#define VMD_FMT_NEXT ",\n"

/* Text of a line before its value (_HEAD) and after it (_TAIL). */
#define VMD_DEVICE_OPEN_HEAD "\""
#define VMD_DEVICE_OPEN_TAIL "\": {\n"
#define VMD_DEVICE_NAME_HEAD "\"Name\": \""
#define VMD_DESC_NAME_HEAD "\"name\": \""
#define VMD_FIELD_NAME_HEAD "\"field\": \""
#define VMD_NAME_TAIL "\",\n"
#define VMD_VERSION_HEAD "\"version_id\": "
#define VMD_MINIMUM_HEAD "\"minimum_version_id\": "
#define VMD_NUM_HEAD "\"num\": "
#define VMD_SIZE_HEAD "\"size\": "
#define VMD_NUMBER_TAIL ",\n"

/* A device class: at indent 2, its members at 4. */
#define VMD_FMT_DEVICE_OPEN "%*s" VMD_DEVICE_OPEN_HEAD "%s" VMD_DEVICE_OPEN_TAIL
#define VMD_FMT_DEVICE_NAME "%*s" VMD_DEVICE_NAME_HEAD "%s" VMD_NAME_TAIL
#define VMD_FMT_DEVICE_VERSION "%*s" VMD_VERSION_HEAD "%d" VMD_NUMBER_TAIL
#define VMD_FMT_DEVICE_MINIMUM "%*s" VMD_MINIMUM_HEAD "%d" VMD_NUMBER_TAIL

/* A description: members 2 deeper than its braces. */
#define VMD_DESC_OPEN "\"Description\": {\n"
#define VMD_SUBSECTION_OPEN "{\n"
#define VMD_FIELDS_OPEN "\"Fields\": [\n"
#define VMD_SUBSECTIONS_OPEN "\"Subsections\": [\n"
#define VMD_LIST_CLOSE "]"
#define VMD_CLOSE "}"
#define VMD_FMT_DESC_OPEN "%*s" VMD_DESC_OPEN
#define VMD_FMT_SUBSECTION_OPEN "%*s" VMD_SUBSECTION_OPEN
#define VMD_FMT_DESC_NAME "%*s" VMD_DESC_NAME_HEAD "%s" VMD_NAME_TAIL
#define VMD_FMT_DESC_VERSION "%*s" VMD_VERSION_HEAD "%d" VMD_NUMBER_TAIL
#define VMD_FMT_DESC_MINIMUM "%*s" VMD_MINIMUM_HEAD "%d"
#define VMD_FMT_FIELDS_OPEN ",\n%*s" VMD_FIELDS_OPEN
#define VMD_FMT_SUBSECTIONS_OPEN ",\n%*s" VMD_SUBSECTIONS_OPEN
#define VMD_FMT_LIST_CLOSE "\n%*s" VMD_LIST_CLOSE
#define VMD_FMT_CLOSE "\n%*s" VMD_CLOSE

/* A field: members 2 deeper than its braces. */
#define VMD_FIELD_OPEN "{\n"
#define VMD_FIELD_EXISTS "\"field_exists\": true,\n"
#define VMD_FIELD_ALWAYS "\"field_exists\": false,\n"
#define VMD_FMT_FIELD_OPEN "%*s" VMD_FIELD_OPEN
#define VMD_FMT_FIELD_NAME "%*s" VMD_FIELD_NAME_HEAD "%s" VMD_NAME_TAIL
#define VMD_FMT_FIELD_VERSION "%*s" VMD_VERSION_HEAD "%d" VMD_NUMBER_TAIL
#define VMD_FMT_FIELD_EXISTS "%*s" VMD_FIELD_EXISTS
#define VMD_FMT_FIELD_ALWAYS "%*s" VMD_FIELD_ALWAYS
#define VMD_FMT_FIELD_NUM "%*s" VMD_NUM_HEAD "%d" VMD_NUMBER_TAIL
#define VMD_FMT_FIELD_SIZE "%*s" VMD_SIZE_HEAD "%zu"

/* Indentation of parts relative to their parent, as spaces and as numbers. */
#define VMD_SPACES_MEMBER "  "    /* members of a device, description or field */
#define VMD_SPACES_ELEMENT "    " /* a field or subsection in its description */
enum {
    VMD_INDENT_DEVICE = 2, /* a device in the file */
    VMD_INDENT_MEMBER = sizeof(VMD_SPACES_MEMBER) - 1,
    VMD_INDENT_ELEMENT = sizeof(VMD_SPACES_ELEMENT) - 1,
};

#endif
