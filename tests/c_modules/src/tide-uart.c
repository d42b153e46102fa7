/*
 * The module tide-uart: two UARTs, which differ in their data only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tide-uart.h"

typedef struct TideUART {
    DeviceState parent_obj;
    uint16_t divisor;
    uint8_t regs[8];
    TideFifo rx, tx;
} TideUART;

static const VMStateDescription vmstate_tide_uart = {
    .name = "tide-uart",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields =
        (const VMStateField[]){VMSTATE_UINT16(divisor, TideUART), VMSTATE_UINT8_ARRAY(regs, TideUART, 8),
                               VMSTATE_STRUCT(rx, TideUART, 1, vmstate_tide_fifo, TideFifo),
                               VMSTATE_STRUCT(tx, TideUART, 1, vmstate_tide_fifo, TideFifo), VMSTATE_END_OF_LIST()},
};

static void tide_uart_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->vmsd = &vmstate_tide_uart;
    dc->desc = data;
}

static const TypeInfo tide_uart_types[] = {
    {
        .name = "tide-uart",
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(TideUART),
        .class_init = tide_uart_class_init,
        .class_data = (void *)"Tide UART",
    },
    {
        .name = "tide-uart-dma",
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(TideUART),
        .class_init = tide_uart_class_init,
        .class_data = (void *)"Tide UART with DMA",
    },
};

DEFINE_TYPES(tide_uart_types)

module_obj("tide-uart");
module_obj("tide-uart-dma");
module_opts("tide-uart");
VMDUMP_MODULE();
