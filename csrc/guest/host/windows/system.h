/*
 * Errors of Windows' own functions, which are not those of the C runtime, and its unit of address space.
 *
 * Source: winerror.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_GUEST_HOST_WINDOWS_SYSTEM_H
#define VMD_GUEST_HOST_WINDOWS_SYSTEM_H

#include "guest/internal.h"

enum { ERROR_INVALID_HANDLE = 6, ERROR_NOT_ENOUGH_MEMORY = 8, ERROR_INVALID_PARAMETER = 87 };

/* Sets what GetLastError returns in the running thread. Returns 0, as functions do that fail. */
uint64_t vmd_windows_error(struct vmd_guest *guest, uint32_t error);

/* Mappings start at multiples of this. */
enum { VMD_WINDOWS_GRANULARITY = 0x10000 };

#endif
