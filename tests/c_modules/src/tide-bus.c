/*
 * The module tide-bus: the abstract type that the board's devices descend from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tide.h"

VMDUMP_EXPORT const VMStateDescription vmstate_tide_device = {
    .name = "tide-device",
    .version_id = 2,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]){VMSTATE_UINT32(irq_level, TideDevice), VMSTATE_BUFFER_V(window, TideDevice, 2),
                                     VMSTATE_END_OF_LIST()},
};

static void tide_device_class_base_init(ObjectClass *klass, void *data)
{
    (void)data;
    DEVICE_CLASS(klass)->desc = NULL; /* speaks for one type, not for those that descend from it */
}

static void tide_device_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    (void)data;
    dc->vmsd = &vmstate_tide_device;
    dc->bus_type = "tide";
    dc->user_creatable = false;
    TIDE_DEVICE_CLASS(klass)->fw_class = "tide";
}

static const TypeInfo tide_device_info = {
    .name = TYPE_TIDE_DEVICE,
    .parent = TYPE_DEVICE,
    .instance_size = sizeof(TideDevice),
    .abstract = true,
    .class_size = sizeof(TideDeviceClass),
    .class_init = tide_device_class_init,
    .class_base_init = tide_device_class_base_init,
};

static void tide_device_register_types(void)
{
    type_register_static(&tide_device_info);
}

type_init(tide_device_register_types)

    module_obj(TYPE_TIDE_DEVICE);
VMDUMP_MODULE();
