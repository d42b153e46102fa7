/*
 * Devices, the machine and standalone descriptions: see parse_schema.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "parse/parse_fast.h"
#include "parse/parse_schema.h"

/* A standalone description. */
static enum vmd_status parse_standalone(struct vmd_parser *parser, struct vmd_standalone *standalone)
{
    enum { USES, TYPES, SYMBOL, DESCRIPTION };
    static const struct vmd_slice keys[] = {
        VMD_KEY("uses"), VMD_KEY("types"), VMD_KEY("symbol"), VMD_KEY("Description"), {0}};
    struct vmd_parse_object object = {.keys = keys,
                                      .required = 1u << USES | 1u << DESCRIPTION,
                                      .what = "a standalone description lacks uses or Description"};
    enum vmd_status status;
    uint32_t size;
    int key;

    memset(standalone, 0, sizeof(*standalone));
    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case USES:
            status = vmd_parse_texts(parser, &standalone->uses, &standalone->n_uses);
            break;
        case TYPES:
            status = vmd_parse_texts(parser, &standalone->types, &standalone->n_types);
            break;
        case SYMBOL:
            status = vmd_parse_text(parser, &standalone->symbol, &size);
            break;
        case DESCRIPTION:
            status = vmd_parse_desc(parser, &standalone->vmsd);
            break;
        }
        if (status) {
            break;
        }
    }
    return status;
}

static enum vmd_status parse_standalone_list(struct vmd_parser *parser)
{
    struct vmd_frame frame;
    bool more;
    enum vmd_status status = vmd_parse_element(parser, &frame, true, &more);

    while (!status && more) {
        struct vmd_standalone standalone, *slot;

        status = parse_standalone(parser, &standalone);
        if (status) {
            return status;
        }
        slot = vmd_stack_push(&parser->standalone, sizeof(standalone));
        if (!slot) {
            return vmd_parse_fail_memory(parser);
        }
        *slot = standalone;
        status = vmd_parse_element(parser, &frame, false, &more);
    }
    if (!status) {
        parser->tree->n_standalone = parser->standalone.used / sizeof(struct vmd_standalone);
        parser->tree->standalone = vmd_stack_pop(&parser->standalone, 0, parser->tree);
        status = parser->tree->standalone ? VMD_OK : vmd_parse_fail_memory(parser);
    }
    return status;
}

enum vmd_status vmd_parse_machine(struct vmd_parser *parser)
{
    enum { NAME, PRINTS_NUM, PRODUCER, DESCRIPTIONS };
    static const struct vmd_slice keys[] = {
        VMD_KEY("Name"), VMD_KEY("prints_num"), VMD_KEY("producer"), VMD_KEY("Descriptions"), {0}};
    struct vmd_parse_object object = {.keys = keys, .required = 1u << NAME, .what = "vmschkmachine lacks Name"};
    struct vmd_tree *tree = parser->tree;
    enum vmd_status status;
    int key;

    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case NAME:
            status = vmd_parse_name(parser, &tree->machine, &tree->machine_len);
            break;
        case PRINTS_NUM:
            status = vmd_parse_bool(parser, &tree->print_num);
            break;
        case PRODUCER:
            status = vmd_parse_verbatim_object(parser, &tree->producer, &tree->producer_size);
            break;
        case DESCRIPTIONS:
            status = parse_standalone_list(parser);
            break;
        }
        if (status) {
            break;
        }
    }
    return status;
}

static enum vmd_status set_device_details(struct vmd_parser *parser, struct vmd_device *device,
                                          const struct vmd_device_details *details)
{
    struct vmd_device_details *copy = vmd_tree_alloc(parser->tree, sizeof(*copy));

    if (!copy) {
        return vmd_parse_fail_memory(parser);
    }
    *copy = *details;
    device->details = copy;
    return VMD_OK;
}

/*
 * Set a device's type, which is its key. QEMU prints the type as Name too, but its checker looks devices up by key and
 * ignores Name, so edited dumps, such as QEMU's own dump2.json, may have another Name.
 */
static enum vmd_status set_type(struct vmd_parser *parser, struct vmd_device *device, struct vmd_slice type)
{
    if (device->label_len == type.size && memcmp(device->label, type.text, type.size) == 0) {
        device->name = device->label;
    } else if (type.size > INT32_MAX) {
        return vmd_parse_fail_at(parser, VMD_BAD_NAME, parser->pos, "a name exceeds 2 GiB");
    } else {
        device->name = vmd_tree_string(parser->tree, type.text, type.size);
    }
    device->name_len = type.size;
    return device->name ? VMD_OK : vmd_parse_fail_memory(parser);
}

/* A device without Description: QEMU never prints one, but its checker accepts it, and dump2.json has one. */
static enum vmd_status set_no_description(struct vmd_parser *parser, struct vmd_device *device)
{
    struct vmd_desc *desc = vmd_tree_alloc(parser->tree, sizeof(*desc));

    if (!desc) {
        return vmd_parse_fail_memory(parser);
    }
    *desc = (struct vmd_desc){.name = vmd_tree_string(parser->tree, "", 0),
                              .version_id = device->version_id,
                              .minimum_version_id = device->minimum_version_id,
                              .depth = 1,
                              .traits = VMD_NO_DESCRIPTION};
    device->vmsd = desc;
    return desc->name ? VMD_OK : vmd_parse_fail_memory(parser);
}

enum vmd_status vmd_parse_device(struct vmd_parser *parser, struct vmd_device *device)
{
    enum { NAME, VERSION, MINIMUM, DESCRIPTION, PARENTS, ABSTRACT, DESC, MODULE };
    static const struct vmd_slice keys[] = {
        VMD_KEY("Name"),        VMD_KEY("version_id"), VMD_KEY("minimum_version_id"),
        VMD_KEY("Description"), VMD_KEY("parents"),    VMD_KEY("abstract"),
        VMD_KEY("desc"),        VMD_KEY("module"),     {0}};
    struct vmd_parse_object object = {.keys = keys,
                                      .required = 1u << NAME | 1u << VERSION | 1u << MINIMUM,
                                      .what = "a device lacks Name, version_id or minimum_version_id"};
    const struct vmd_slice type = parser->at->key;
    const struct vmd_parse_head head = {&device->label, &device->label_len, &device->version_id,
                                        &device->minimum_version_id};
    struct vmd_device_details details = {0};
    enum vmd_status status;
    uint32_t size;
    int key;

    memset(device, 0, sizeof(*device));
    if (vmd_parse_head_fast(parser, &object, VMD_TEMPLATE_DEVICE_NAME, sizeof("\":") - 1, &type, head)) {
        return parser->err->code;
    }
    while (!(status = vmd_parse_key(parser, &object, &key)) && key >= 0) {
        switch (key) {
        case NAME:
            status = vmd_parse_name(parser, &device->label, &device->label_len);
            break;
        case VERSION:
            status = vmd_parse_int(parser, &device->version_id);
            break;
        case MINIMUM:
            status = vmd_parse_int(parser, &device->minimum_version_id);
            break;
        case DESCRIPTION:
            status = vmd_parse_desc(parser, &device->vmsd);
            break;
        case PARENTS:
            status = vmd_parse_texts(parser, &details.parents, &details.n_parents);
            break;
        case ABSTRACT:
            status = vmd_parse_bool(parser, &details.is_abstract);
            break;
        case DESC:
            status = vmd_parse_text(parser, &details.desc, &size);
            break;
        case MODULE:
            status = vmd_parse_text(parser, &details.module, &size);
            break;
        }
        if (status) {
            break;
        }
    }
    if (!status && !device->vmsd) {
        status = details.parents
                     ? vmd_parse_fail_at(parser, VMD_BAD_JSON, parser->pos, "a device with parents lacks Description")
                     : set_no_description(parser, device);
    }
    if (!status) {
        status = set_type(parser, device, type);
    }
    return status || !details.parents ? status : set_device_details(parser, device, &details);
}
