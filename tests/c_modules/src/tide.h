/*
 * What all devices of the tide board have in common.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TIDE_H
#define TIDE_H

#include <vmdump/module.h>

#define TYPE_TIDE_DEVICE "tide-device"

typedef struct TideDevice {
    DeviceState parent_obj;
    uint32_t irq_level;
    uint8_t window[16];
} TideDevice;

typedef struct TideDeviceClass {
    DeviceClass parent_class;
    const char *fw_class; /* what firmware calls a device that says nothing else */
} TideDeviceClass;

#define TIDE_DEVICE_CLASS(klass) ((TideDeviceClass *)(klass))

/* Defined in the module tide-bus. */
extern const VMStateDescription vmstate_tide_device;

#define VMSTATE_TIDE_DEVICE(_field, _state) VMSTATE_STRUCT(_field, _state, 0, vmstate_tide_device, TideDevice)

#endif
