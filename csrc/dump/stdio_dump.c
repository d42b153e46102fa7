/*
 * The stdio engine: QEMU's own way to dump, recursive and with fprintf. It is the reference that the fast engine must
 * equal, and the baseline of the benchmarks.
 *
 * Source: QEMU 8.2.2 migration/savevm.c, the functions of the same names. What differs: it reads a tree instead of the
 * class registry, "num" can be left out as QEMU 7.2 does, and it stops early when the sink has failed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <stdio.h>

#include "dump/dump.h"
#include "format/format.h"

struct stdio_dump {
    FILE *out;
    const struct vmd_sink *sink;
    bool print_num;
};

static void dump_vmstate_vmsd(const struct stdio_dump *dump, const struct vmd_desc *vmsd, int indent,
                              bool is_subsection);

static void dump_vmstate_vmsf(const struct stdio_dump *dump, const struct vmd_field *field, int indent)
{
    fprintf(dump->out, FMT_FIELD_OPEN, indent, "");
    indent += INDENT_MEMBER;
    fprintf(dump->out, FMT_FIELD_NAME, indent, "", field->name);
    fprintf(dump->out, FMT_FIELD_VERSION, indent, "", field->version_id);
    fprintf(dump->out, field->field_exists ? FMT_FIELD_EXISTS : FMT_FIELD_ALWAYS, indent, "");
    if (dump->print_num && (field->flags & VMD_ARRAY)) {
        fprintf(dump->out, FMT_FIELD_NUM, indent, "", field->num);
    }
    fprintf(dump->out, FMT_FIELD_SIZE, indent, "", (size_t)field->size);
    if (field->vmsd) {
        fprintf(dump->out, FMT_NEXT);
        dump_vmstate_vmsd(dump, field->vmsd, indent, false);
    }
    fprintf(dump->out, FMT_CLOSE, indent - INDENT_MEMBER, "");
}

static void dump_vmstate_vmss(const struct stdio_dump *dump, const struct vmd_desc *subsection, int indent)
{
    dump_vmstate_vmsd(dump, subsection, indent, true);
}

static void dump_fields(const struct stdio_dump *dump, const struct vmd_desc *vmsd, int indent)
{
    bool first = true;

    fprintf(dump->out, FMT_FIELDS_OPEN, indent, "");
    for (uint64_t i = 0; i < vmsd->n_fields && !dump->sink->err->code; i++) {
        if (vmsd->fields[i].flags & VMD_MUST_EXIST) {
            continue;
        }
        if (!first) {
            fprintf(dump->out, FMT_NEXT);
        }
        dump_vmstate_vmsf(dump, &vmsd->fields[i], indent + INDENT_ELEMENT - INDENT_MEMBER);
        first = false;
    }
    fprintf(dump->out, FMT_LIST_CLOSE, indent, "");
}

static void dump_subsections(const struct stdio_dump *dump, const struct vmd_desc *vmsd, int indent)
{
    fprintf(dump->out, FMT_SUBSECTIONS_OPEN, indent, "");
    for (uint64_t i = 0; i < vmsd->n_subsections && !dump->sink->err->code; i++) {
        if (i) {
            fprintf(dump->out, FMT_NEXT);
        }
        dump_vmstate_vmss(dump, vmsd->subsections[i], indent + INDENT_ELEMENT - INDENT_MEMBER);
    }
    fprintf(dump->out, FMT_LIST_CLOSE, indent, "");
}

static void dump_vmstate_vmsd(const struct stdio_dump *dump, const struct vmd_desc *vmsd, int indent,
                              bool is_subsection)
{
    fprintf(dump->out, is_subsection ? FMT_SUBSECTION_OPEN : FMT_DESC_OPEN, indent, "");
    indent += INDENT_MEMBER;
    fprintf(dump->out, FMT_DESC_NAME, indent, "", vmsd->name);
    fprintf(dump->out, FMT_DESC_VERSION, indent, "", vmsd->version_id);
    fprintf(dump->out, FMT_DESC_MINIMUM, indent, "", vmsd->minimum_version_id);
    if (vmsd->fields) {
        dump_fields(dump, vmsd, indent);
    }
    if (vmsd->subsections) {
        dump_subsections(dump, vmsd, indent);
    }
    fprintf(dump->out, FMT_CLOSE, indent - INDENT_MEMBER, "");
}

static void dump_machine_type(const struct stdio_dump *dump, const struct vmd_tree *tree)
{
    fprintf(dump->out, FMT_MACHINE, tree->machine);
}

static void dump_device(const struct stdio_dump *dump, const struct vmd_device *device)
{
    int indent = INDENT_DEVICE;

    fprintf(dump->out, FMT_DEVICE_OPEN, indent, "", device->name);
    indent += INDENT_MEMBER;
    fprintf(dump->out, FMT_DEVICE_NAME, indent, "", device->name);
    fprintf(dump->out, FMT_DEVICE_VERSION, indent, "", device->version_id);
    fprintf(dump->out, FMT_DEVICE_MINIMUM, indent, "", device->minimum_version_id);
    dump_vmstate_vmsd(dump, device->vmsd, indent, false);
    fprintf(dump->out, FMT_CLOSE, indent - INDENT_MEMBER, "");
}

static void dump_vmstate_json(const struct stdio_dump *dump, const struct vmd_tree *tree)
{
    fprintf(dump->out, FMT_BEGIN);
    dump_machine_type(dump, tree);
    for (uint64_t i = 0; i < tree->n_devices && !dump->sink->err->code; i++) {
        fprintf(dump->out, FMT_NEXT);
        dump_device(dump, &tree->devices[i]);
    }
    fprintf(dump->out, FMT_END);
}

enum vmd_status vmd_dump_stdio(const struct vmd_tree *tree, struct vmd_sink *sink)
{
    struct stdio_dump dump = {.out = vmd_sink_open(sink), .sink = sink, .print_num = tree->print_num};

    if (!dump.out) {
        return VMD_NO_MEMORY;
    }
    dump_vmstate_json(&dump, tree);
    fclose(dump.out);
    return VMD_OK;
}
