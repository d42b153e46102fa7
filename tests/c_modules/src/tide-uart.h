/*
 * The UART's queue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TIDE_UART_H
#define TIDE_UART_H

#include "tide.h"

typedef struct TideFifo {
    int32_t size;
    uint8_t *data;
} TideFifo;

extern const VMStateDescription vmstate_tide_fifo;

#endif
