/*
 * Writes the extended form: see extended.h. With fprintf, in the shape of stdio_dump.c: its speed is that of QEMU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "format/extended.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "dump/dump.h"
#include "format/format.h"

const struct vmd_word vmd_flag_words[] = {
    {"SINGLE", 1},
    {"POINTER", 2},
    {"ARRAY", VMD_ARRAY},
    {"STRUCT", 8},
    {"VARRAY_INT32", 0x10},
    {"BUFFER", 0x20},
    {"ARRAY_OF_POINTER", 0x40},
    {"VARRAY_UINT16", 0x80},
    {"VBUFFER", 0x100},
    {"MULTIPLY", 0x200},
    {"VARRAY_UINT8", 0x400},
    {"VARRAY_UINT32", 0x800},
    {"MUST_EXIST", VMD_MUST_EXIST},
    {"ALLOC", 0x2000},
    {"MULTIPLY_ELEMENTS", 0x4000},
    {"VSTRUCT", 0x8000},
    {"ARRAY_OF_POINTER_AUTO_ALLOC", VMD_AUTO_ALLOC},
    {NULL, 0},
};

const struct vmd_word vmd_hook_words[] = {
    {"pre_load", VMD_PRE_LOAD},
    {"post_load", VMD_POST_LOAD},
    {"pre_save", VMD_PRE_SAVE},
    {"post_save", VMD_POST_SAVE},
    {"dev_unplug_pending", VMD_DEV_UNPLUG_PENDING},
    {"load_state_old", VMD_LOAD_STATE_OLD},
    {NULL, 0},
};

struct extended_dump {
    FILE *out;
    const struct vmd_sink *sink;
};

static void dump_desc(const struct extended_dump *dump, const struct vmd_desc *desc, int indent, bool is_subsection);

/* A member that stands behind another one. */
static void dump_key(const struct extended_dump *dump, int indent, const char *key)
{
    fprintf(dump->out, ",\n%*s\"%s\": ", indent, "", key);
}

/* A string of any characters. */
static void dump_text(const struct extended_dump *dump, const char *text, size_t size)
{
    fputc('"', dump->out);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = text[i];

        if (c == '"' || c == '\\') {
            fputc('\\', dump->out);
            fputc(c, dump->out);
        } else if (c < 0x20) {
            fprintf(dump->out, "\\u%04x", c);
        } else {
            fputc(c, dump->out);
        }
    }
    fputc('"', dump->out);
}

/* n strings, each ended by NUL, on one line. */
static void dump_texts(const struct extended_dump *dump, const char *texts, uint32_t n)
{
    fputc('[', dump->out);
    for (uint32_t i = 0; i < n; i++) {
        fputs(i ? ", " : "", dump->out);
        dump_text(dump, texts, strlen(texts));
        texts += strlen(texts) + 1;
    }
    fputc(']', dump->out);
}

/* The names of bits, and what has no name as a number. */
static void dump_words(const struct extended_dump *dump, const struct vmd_word *words, uint32_t bits)
{
    const char *comma = "";

    fputc('[', dump->out);
    for (; words->word; words++) {
        if (bits & words->bit) {
            fprintf(dump->out, "%s\"%s\"", comma, words->word);
            bits &= ~words->bit;
            comma = ", ";
        }
    }
    if (bits) {
        fprintf(dump->out, "%s\"%#" PRIx32 "\"", comma, bits);
    }
    fputc(']', dump->out);
}

static void dump_offset(const struct extended_dump *dump, int indent, const char *key, uint64_t offset)
{
    if (offset != VMD_UNKNOWN) {
        dump_key(dump, indent, key);
        fprintf(dump->out, "%" PRIu64, offset);
    }
}

static void dump_field_details(const struct extended_dump *dump, const struct vmd_field *field,
                               const struct vmd_field_details *details, int indent)
{
    if (details->info) {
        dump_key(dump, indent, "info");
        dump_text(dump, details->info, details->info_len);
    }
    dump_key(dump, indent, "flags");
    dump_words(dump, vmd_flag_words, field->flags);
    dump_offset(dump, indent, "offset", details->offset);
    if (details->struct_version_id) {
        dump_key(dump, indent, "struct_version_id");
        fprintf(dump->out, "%" PRId32, details->struct_version_id);
    }
    dump_offset(dump, indent, "start", details->start ? details->start : VMD_UNKNOWN);
    dump_offset(dump, indent, "num_offset", details->num_offset);
    dump_offset(dump, indent, "size_offset", details->size_offset);
    if (details->err_hint) {
        dump_key(dump, indent, "err_hint");
        dump_text(dump, details->err_hint, details->err_hint_len);
    }
}

static void dump_field(const struct extended_dump *dump, const struct vmd_desc *desc, uint64_t i, int indent)
{
    const struct vmd_field *field = &desc->fields[i];

    fprintf(dump->out, FMT_FIELD_OPEN, indent, "");
    indent += INDENT_MEMBER;
    fprintf(dump->out, FMT_FIELD_NAME, indent, "", field->name);
    if (field->flags & VMD_MUST_EXIST) {
        fprintf(dump->out, "%*s\"position\": %" PRIu64 ",\n", indent, "", i);
    }
    fprintf(dump->out, FMT_FIELD_VERSION, indent, "", field->version_id);
    fprintf(dump->out, field->field_exists ? FMT_FIELD_EXISTS : FMT_FIELD_ALWAYS, indent, "");
    /* Where QEMU prints it, and where details are known also where it is a factor. */
    if (field->flags & VMD_ARRAY || field->num) {
        fprintf(dump->out, FMT_FIELD_NUM, indent, "", field->num);
    }
    fprintf(dump->out, FMT_FIELD_SIZE, indent, "", (size_t)field->size);
    if (desc->field_details) {
        dump_field_details(dump, field, &desc->field_details[i], indent);
    }
    if (field->vmsd) {
        fprintf(dump->out, FMT_NEXT);
        dump_desc(dump, field->vmsd, indent, false);
    }
    fprintf(dump->out, FMT_CLOSE, indent - INDENT_MEMBER, "");
}

/* The fields that are assertions, or those that are not. */
static void dump_fields(const struct extended_dump *dump, const struct vmd_desc *desc, bool assertions, int indent)
{
    const char *next = "";

    fprintf(dump->out, assertions ? ",\n%*s\"Validations\": [\n" : FMT_FIELDS_OPEN, indent, "");
    for (uint64_t i = 0; i < desc->n_fields && !dump->sink->err->code; i++) {
        if (!!(desc->fields[i].flags & VMD_MUST_EXIST) == assertions) {
            fputs(next, dump->out);
            dump_field(dump, desc, i, indent + INDENT_ELEMENT - INDENT_MEMBER);
            next = FMT_NEXT;
        }
    }
    fprintf(dump->out, FMT_LIST_CLOSE, indent, "");
}

/* Without details they are not told: nothing would say that they are assertions. */
static bool tells_assertions(const struct vmd_desc *desc)
{
    for (uint64_t i = 0; desc->traits & VMD_DETAILED && i < desc->n_fields; i++) {
        if (desc->fields[i].flags & VMD_MUST_EXIST) {
            return true;
        }
    }
    return false;
}

static void dump_desc_details(const struct extended_dump *dump, const struct vmd_desc *desc, int indent)
{
    uint32_t hooks = desc->traits & ~(VMD_DETAILED | VMD_UNMIGRATABLE | VMD_EARLY_SETUP | VMD_NEEDED);

    dump_key(dump, indent, "needed");
    fputs(desc->traits & VMD_NEEDED ? "true" : "false", dump->out);
    if (hooks) {
        dump_key(dump, indent, "hooks");
        dump_words(dump, vmd_hook_words, hooks);
    }
    if (desc->priority) {
        dump_key(dump, indent, "priority");
        fprintf(dump->out, "%" PRId32, desc->priority);
    }
    if (desc->traits & VMD_UNMIGRATABLE) {
        dump_key(dump, indent, "unmigratable");
        fputs("true", dump->out);
    }
    if (desc->traits & VMD_EARLY_SETUP) {
        dump_key(dump, indent, "early_setup");
        fputs("true", dump->out);
    }
}

static void dump_desc(const struct extended_dump *dump, const struct vmd_desc *desc, int indent, bool is_subsection)
{
    fprintf(dump->out, is_subsection ? FMT_SUBSECTION_OPEN : FMT_DESC_OPEN, indent, "");
    indent += INDENT_MEMBER;
    fprintf(dump->out, FMT_DESC_NAME, indent, "", desc->name);
    fprintf(dump->out, FMT_DESC_VERSION, indent, "", desc->version_id);
    fprintf(dump->out, FMT_DESC_MINIMUM, indent, "", desc->minimum_version_id);
    if (desc->traits & VMD_DETAILED) {
        dump_desc_details(dump, desc, indent);
    }
    if (desc->fields) {
        dump_fields(dump, desc, false, indent);
    }
    if (tells_assertions(desc)) {
        dump_fields(dump, desc, true, indent);
    }
    if (desc->subsections) {
        fprintf(dump->out, FMT_SUBSECTIONS_OPEN, indent, "");
        for (uint64_t i = 0; i < desc->n_subsections && !dump->sink->err->code; i++) {
            fputs(i ? FMT_NEXT : "", dump->out);
            dump_desc(dump, desc->subsections[i], indent + INDENT_ELEMENT - INDENT_MEMBER, true);
        }
        fprintf(dump->out, FMT_LIST_CLOSE, indent, "");
    }
    fprintf(dump->out, FMT_CLOSE, indent - INDENT_MEMBER, "");
}

static void dump_root(const struct extended_dump *dump, const struct vmd_root *root, int indent)
{
    fprintf(dump->out, "%*s{\n", indent, "");
    indent += INDENT_MEMBER;
    fprintf(dump->out, "%*s\"uses\": ", indent, "");
    dump_texts(dump, root->uses, root->n_uses);
    if (root->n_types) {
        dump_key(dump, indent, "types");
        dump_texts(dump, root->types, root->n_types);
    }
    if (root->symbol) {
        dump_key(dump, indent, "symbol");
        dump_text(dump, root->symbol, strlen(root->symbol));
    }
    fputs(FMT_NEXT, dump->out);
    dump_desc(dump, root->vmsd, indent, false);
    fprintf(dump->out, FMT_CLOSE, indent - INDENT_MEMBER, "");
}

static void dump_machine(const struct extended_dump *dump, const struct vmd_tree *tree, bool roots)
{
    int indent = INDENT_DEVICE;

    fprintf(dump->out, "%*s\"vmschkmachine\": {\n", indent, "");
    indent += INDENT_MEMBER;
    fprintf(dump->out, "%*s\"Name\": \"%s\"", indent, "", tree->machine);
    if (!tree->print_num) {
        dump_key(dump, indent, "prints_num");
        fputs("false", dump->out);
    }
    if (tree->about) {
        dump_key(dump, indent, "producer");
        fwrite(tree->about, 1, tree->about_size, dump->out);
    }
    if (roots && tree->roots) {
        fprintf(dump->out, ",\n%*s\"Descriptions\": [\n", indent, "");
        for (uint64_t i = 0; i < tree->n_roots && !dump->sink->err->code; i++) {
            fputs(i ? FMT_NEXT : "", dump->out);
            dump_root(dump, &tree->roots[i], indent + INDENT_MEMBER);
        }
        fprintf(dump->out, FMT_LIST_CLOSE, indent, "");
    }
    fprintf(dump->out, FMT_CLOSE, indent - INDENT_MEMBER, "");
}

static void dump_device(const struct extended_dump *dump, const struct vmd_device *device)
{
    const struct vmd_device_details *details = device->details;
    int indent = INDENT_DEVICE;

    fprintf(dump->out, FMT_DEVICE_OPEN, indent, "", device->name);
    indent += INDENT_MEMBER;
    fprintf(dump->out, FMT_DEVICE_NAME, indent, "", device->name);
    fprintf(dump->out, FMT_DEVICE_VERSION, indent, "", device->version_id);
    fprintf(dump->out, FMT_DEVICE_MINIMUM, indent, "", device->minimum_version_id);
    if (details) {
        fprintf(dump->out, "%*s\"abstract\": %s,\n%*s\"parents\": ", indent, "",
                details->is_abstract ? "true" : "false", indent, "");
        dump_texts(dump, details->parents, details->n_parents);
        fputs(FMT_NEXT, dump->out);
        if (details->desc) {
            fprintf(dump->out, "%*s\"desc\": ", indent, "");
            dump_text(dump, details->desc, strlen(details->desc));
            fputs(FMT_NEXT, dump->out);
        }
        if (details->module) {
            fprintf(dump->out, "%*s\"module\": ", indent, "");
            dump_text(dump, details->module, strlen(details->module));
            fputs(FMT_NEXT, dump->out);
        }
    }
    dump_desc(dump, device->vmsd, indent, false);
    fprintf(dump->out, FMT_CLOSE, indent - INDENT_MEMBER, "");
}

enum vmd_status vmd_dump_extended(const struct vmd_tree *tree, bool roots, struct vmd_sink *sink)
{
    struct extended_dump dump = {.out = vmd_sink_open(sink), .sink = sink};

    if (!dump.out) {
        return VMD_NO_MEMORY;
    }
    fputs(FMT_BEGIN, dump.out);
    dump_machine(&dump, tree, roots);
    for (uint64_t i = 0; i < tree->n_devices && !sink->err->code; i++) {
        fputs(FMT_NEXT, dump.out);
        dump_device(&dump, &tree->devices[i]);
    }
    fputs(FMT_END, dump.out);
    fclose(dump.out);
    return VMD_OK;
}
