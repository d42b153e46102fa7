/*
 * Engine of the extended form: see extended.h. It uses fprintf, as stdio_dump.c does, and is as fast as QEMU.
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

struct extended_dump {
    FILE *out;
    const struct vmd_sink *sink;
};

static void dump_desc(const struct extended_dump *dump, const struct vmd_desc *desc, int indent, bool is_subsection);

/* The key of a member that is not the first. */
static void dump_key(const struct extended_dump *dump, int indent, const char *key)
{
    fprintf(dump->out, ",\n%*s\"%s\": ", indent, "", key);
}

/* A string of any characters; bytes that are not UTF-8 as Python's backslashreplace writes them. */
static void dump_text(const struct extended_dump *dump, const char *text, size_t size)
{
    const char *end = text + size;

    fputc('"', dump->out);
    while (text < end) {
        size_t plain = vmd_name_printable_prefix(text, end - text);

        fwrite(text, 1, plain, dump->out);
        text += plain;
        if (text < end) {
            unsigned char c = *text++;

            fprintf(dump->out, c == '"' || c == '\\' ? "\\%c" : c < 0x20 ? "\\u%04x" : "\\\\x%02x", c);
        }
    }
    fputc('"', dump->out);
}

/* A list of n NUL-terminated strings, on one line. */
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

/* The names of bits; bits without a name as one number. */
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

    fprintf(dump->out, VMD_FMT_FIELD_OPEN, indent, "");
    indent += VMD_INDENT_MEMBER;
    fprintf(dump->out, VMD_FMT_FIELD_NAME, indent, "", field->name);
    if (field->flags & VMD_MUST_EXIST) {
        fprintf(dump->out, "%*s\"position\": %" PRIu64 ",\n", indent, "", i);
    }
    fprintf(dump->out, VMD_FMT_FIELD_VERSION, indent, "", field->version_id);
    fprintf(dump->out, field->field_exists ? VMD_FMT_FIELD_EXISTS : VMD_FMT_FIELD_ALWAYS, indent, "");
    /* As QEMU prints it, and also for fields without VMS_ARRAY that have a factor. */
    if (field->flags & VMD_ARRAY || field->num) {
        fprintf(dump->out, VMD_FMT_FIELD_NUM, indent, "", field->num);
    }
    fprintf(dump->out, VMD_FMT_FIELD_SIZE, indent, "", (size_t)field->size);
    if (desc->field_details) {
        dump_field_details(dump, field, &desc->field_details[i], indent);
    }
    if (field->vmsd) {
        fprintf(dump->out, VMD_FMT_NEXT);
        dump_desc(dump, field->vmsd, indent, false);
    }
    fprintf(dump->out, VMD_FMT_CLOSE, indent - VMD_INDENT_MEMBER, "");
}

/* The fields with MUST_EXIST (assertions), or those without. */
static void dump_fields(const struct extended_dump *dump, const struct vmd_desc *desc, bool assertions, int indent)
{
    const char *next = "";

    fprintf(dump->out, assertions ? ",\n%*s\"Validations\": [\n" : VMD_FMT_FIELDS_OPEN, indent, "");
    for (uint64_t i = 0; i < desc->n_fields && !dump->sink->err->code; i++) {
        if (!!(desc->fields[i].flags & VMD_MUST_EXIST) == assertions) {
            fputs(next, dump->out);
            dump_field(dump, desc, i, indent + VMD_INDENT_ELEMENT - VMD_INDENT_MEMBER);
            next = VMD_FMT_NEXT;
        }
    }
    fprintf(dump->out, VMD_FMT_LIST_CLOSE, indent, "");
}

/* Assertions are printed with details only: without flags a reader could not recognise them. */
static bool prints_assertions(const struct vmd_desc *desc)
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
    fprintf(dump->out, is_subsection ? VMD_FMT_SUBSECTION_OPEN : VMD_FMT_DESC_OPEN, indent, "");
    indent += VMD_INDENT_MEMBER;
    fprintf(dump->out, VMD_FMT_DESC_NAME, indent, "", desc->name);
    fprintf(dump->out, VMD_FMT_DESC_VERSION, indent, "", desc->version_id);
    fprintf(dump->out, VMD_FMT_DESC_MINIMUM, indent, "", desc->minimum_version_id);
    if (desc->traits & VMD_DETAILED) {
        dump_desc_details(dump, desc, indent);
    }
    if (desc->fields) {
        dump_fields(dump, desc, false, indent);
    }
    if (prints_assertions(desc)) {
        dump_fields(dump, desc, true, indent);
    }
    if (desc->subsections) {
        fprintf(dump->out, VMD_FMT_SUBSECTIONS_OPEN, indent, "");
        for (uint64_t i = 0; i < desc->n_subsections && !dump->sink->err->code; i++) {
            fputs(i ? VMD_FMT_NEXT : "", dump->out);
            dump_desc(dump, desc->subsections[i], indent + VMD_INDENT_ELEMENT - VMD_INDENT_MEMBER, true);
        }
        fprintf(dump->out, VMD_FMT_LIST_CLOSE, indent, "");
    }
    fprintf(dump->out, VMD_FMT_CLOSE, indent - VMD_INDENT_MEMBER, "");
}

static void dump_standalone(const struct extended_dump *dump, const struct vmd_standalone *standalone, int indent)
{
    fprintf(dump->out, "%*s{\n", indent, "");
    indent += VMD_INDENT_MEMBER;
    fprintf(dump->out, "%*s\"uses\": ", indent, "");
    dump_texts(dump, standalone->uses, standalone->n_uses);
    if (standalone->n_types) {
        dump_key(dump, indent, "types");
        dump_texts(dump, standalone->types, standalone->n_types);
    }
    if (standalone->symbol) {
        dump_key(dump, indent, "symbol");
        dump_text(dump, standalone->symbol, strlen(standalone->symbol));
    }
    fputs(VMD_FMT_NEXT, dump->out);
    dump_desc(dump, standalone->vmsd, indent, false);
    fprintf(dump->out, VMD_FMT_CLOSE, indent - VMD_INDENT_MEMBER, "");
}

static void dump_machine(const struct extended_dump *dump, const struct vmd_tree *tree, bool standalone)
{
    int indent = VMD_INDENT_DEVICE;

    fprintf(dump->out, "%*s\"vmschkmachine\": {\n", indent, "");
    indent += VMD_INDENT_MEMBER;
    fprintf(dump->out, "%*s\"Name\": \"%s\"", indent, "", tree->machine);
    if (!tree->print_num) {
        dump_key(dump, indent, "prints_num");
        fputs("false", dump->out);
    }
    if (tree->producer) {
        dump_key(dump, indent, "producer");
        fwrite(tree->producer, 1, tree->producer_size, dump->out);
    }
    if (standalone && tree->standalone) {
        fprintf(dump->out, ",\n%*s\"Descriptions\": [\n", indent, "");
        for (uint64_t i = 0; i < tree->n_standalone && !dump->sink->err->code; i++) {
            fputs(i ? VMD_FMT_NEXT : "", dump->out);
            dump_standalone(dump, &tree->standalone[i], indent + VMD_INDENT_MEMBER);
        }
        fprintf(dump->out, VMD_FMT_LIST_CLOSE, indent, "");
    }
    fprintf(dump->out, VMD_FMT_CLOSE, indent - VMD_INDENT_MEMBER, "");
}

static void dump_device(const struct extended_dump *dump, const struct vmd_device *device)
{
    const struct vmd_device_details *details = device->details;
    int indent = VMD_INDENT_DEVICE;

    fprintf(dump->out, VMD_FMT_DEVICE_OPEN, indent, "", device->name);
    indent += VMD_INDENT_MEMBER;
    fprintf(dump->out, VMD_FMT_DEVICE_NAME, indent, "", device->label);
    fprintf(dump->out, VMD_FMT_DEVICE_VERSION, indent, "", device->version_id);
    fprintf(dump->out, VMD_FMT_DESC_MINIMUM, indent, "", device->minimum_version_id);
    if (device->vmsd->traits & VMD_NO_DESCRIPTION) {
        fprintf(dump->out, VMD_FMT_CLOSE, indent - VMD_INDENT_MEMBER, "");
        return;
    }
    fputs(VMD_FMT_NEXT, dump->out);
    if (details) {
        fprintf(dump->out, "%*s\"abstract\": %s,\n%*s\"parents\": ", indent, "",
                details->is_abstract ? "true" : "false", indent, "");
        dump_texts(dump, details->parents, details->n_parents);
        fputs(VMD_FMT_NEXT, dump->out);
        if (details->desc) {
            fprintf(dump->out, "%*s\"desc\": ", indent, "");
            dump_text(dump, details->desc, strlen(details->desc));
            fputs(VMD_FMT_NEXT, dump->out);
        }
        if (details->module) {
            fprintf(dump->out, "%*s\"module\": ", indent, "");
            dump_text(dump, details->module, strlen(details->module));
            fputs(VMD_FMT_NEXT, dump->out);
        }
    }
    dump_desc(dump, device->vmsd, indent, false);
    fprintf(dump->out, VMD_FMT_CLOSE, indent - VMD_INDENT_MEMBER, "");
}

/* Limit on the descriptions that are examined: shared ones can multiply without bound. */
enum { MAX_LOOKS = 1 << 20 };

/* Whether desc has anything that QEMU's form leaves out, or more than *looks descriptions. */
static bool desc_differs(const struct vmd_desc *desc, uint32_t *looks)
{
    if (!*looks || desc->traits & VMD_DETAILED || desc->field_details) {
        return true;
    }
    --*looks;
    for (uint64_t i = 0; i < desc->n_fields; i++) {
        const struct vmd_field *field = &desc->fields[i];

        if ((field->num && !(field->flags & VMD_ARRAY)) || (field->vmsd && desc_differs(field->vmsd, looks))) {
            return true;
        }
    }
    for (uint64_t i = 0; i < desc->n_subsections; i++) {
        if (desc_differs(desc->subsections[i], looks)) {
            return true;
        }
    }
    return false;
}

bool vmd_extended_differs(const struct vmd_tree *tree, bool standalone)
{
    uint32_t looks = MAX_LOOKS;

    if (!tree->print_num || tree->producer || (standalone && tree->standalone)) {
        return true;
    }
    for (uint64_t i = 0; i < tree->n_devices; i++) {
        if (tree->devices[i].details || desc_differs(tree->devices[i].vmsd, &looks)) {
            return true;
        }
    }
    return false;
}

enum vmd_status vmd_dump_extended(const struct vmd_tree *tree, bool standalone, struct vmd_sink *sink)
{
    struct extended_dump dump = {.out = vmd_sink_open(sink), .sink = sink};

    if (!dump.out) {
        return VMD_NO_MEMORY;
    }
    fputs(VMD_FMT_BEGIN, dump.out);
    dump_machine(&dump, tree, standalone);
    for (uint64_t i = 0; i < tree->n_devices && !sink->err->code; i++) {
        fputs(VMD_FMT_NEXT, dump.out);
        dump_device(&dump, &tree->devices[i]);
    }
    fputs(VMD_FMT_END, dump.out);
    fclose(dump.out);
    return VMD_OK;
}
