/*
 * The module tide-rtc: a clock with alarms, and one with a battery, which migrates nothing of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tide.h"

#define TYPE_TIDE_RTC "tide-rtc"
#define TYPE_TIDE_RTC_BATTERY "tide-rtc-battery"
#define NR_ALARMS 3

typedef struct TideAlarm {
    uint64_t deadline;
    bool armed;
} TideAlarm;

typedef struct TideRTC {
    TideDevice parent_obj;
    int64_t offset;
    TideAlarm alarm[NR_ALARMS];
    QEMUTimer *timer;
    uint8_t latch;
} TideRTC;

static const VMStateDescription vmstate_alarm = {
    .name = "tide-rtc/alarm",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]){VMSTATE_UINT64(deadline, TideAlarm), VMSTATE_BOOL(armed, TideAlarm),
                                     VMSTATE_END_OF_LIST()},
};

static bool latch_needed(void *opaque)
{
    return ((TideRTC *)opaque)->latch != 0;
}

static const VMStateDescription vmstate_latch = {
    .name = "tide-rtc/latch",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = latch_needed,
    .fields = (const VMStateField[]){VMSTATE_UINT8(latch, TideRTC), VMSTATE_END_OF_LIST()},
};

static bool has_timer(void *opaque, int version_id)
{
    return version_id >= 3 && ((TideRTC *)opaque)->timer;
}

static const VMStateDescription vmstate_tide_rtc = {
    .name = "tide-rtc",
    .version_id = 3,
    .minimum_version_id = 2,
    .fields = (const VMStateField[]){VMSTATE_TIDE_DEVICE(parent_obj, TideRTC), VMSTATE_INT64(offset, TideRTC),
                                     VMSTATE_STRUCT_ARRAY(alarm, TideRTC, NR_ALARMS, 2, vmstate_alarm, TideAlarm),
                                     VMSTATE_TIMER_PTR_TEST(timer, TideRTC, has_timer), VMSTATE_END_OF_LIST()},
    .subsections = (const VMStateDescription *const[]){&vmstate_latch, NULL},
};

static void tide_rtc_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    (void)data;
    dc->vmsd = &vmstate_tide_rtc;
    dc->desc = "Tide real-time clock";
    dc->user_creatable = true;
    dc->fw_name = TIDE_DEVICE_CLASS(klass)->fw_class;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo tide_rtc_info = {
    .name = TYPE_TIDE_RTC,
    .parent = TYPE_TIDE_DEVICE,
    .instance_size = sizeof(TideRTC),
    .class_init = tide_rtc_class_init,
};

static const TypeInfo tide_rtc_battery_info = {
    .name = TYPE_TIDE_RTC_BATTERY,
    .parent = TYPE_TIDE_RTC,
};

static void tide_rtc_register_types(void)
{
    type_register_static(&tide_rtc_info);
    type_register_static(&tide_rtc_battery_info);
}

type_init(tide_rtc_register_types)

    module_obj(TYPE_TIDE_RTC);
module_obj(TYPE_TIDE_RTC_BATTERY);
module_dep("tide-bus");
VMDUMP_MODULE();
