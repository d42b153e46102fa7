/*
 * The module tide-uart, second file: the description of the UART's queue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tide-uart.h"

const VMStateDescription vmstate_tide_fifo = {
    .name = "tide-uart/fifo",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]){VMSTATE_INT32_POSITIVE_LE(size, TideFifo),
                                     VMSTATE_VBUFFER(data, TideFifo, 0, NULL, size), VMSTATE_END_OF_LIST()},
};
