/*
 * The module tide-ccw: a device of the s390x board alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tide.h"

static const VMStateDescription vmstate_tide_ccw = {
    .name = "tide-ccw",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]){VMSTATE_END_OF_LIST()},
};

static void tide_ccw_class_init(ObjectClass *klass, void *data)
{
    (void)data;
    DEVICE_CLASS(klass)->vmsd = &vmstate_tide_ccw;
}

static const TypeInfo tide_ccw_types[] = {
    {.name = "tide-ccw", .parent = TYPE_DEVICE, .class_init = tide_ccw_class_init},
};

DEFINE_TYPES(tide_ccw_types)

module_obj("tide-ccw");
module_arch("s390x");
VMDUMP_MODULE();
