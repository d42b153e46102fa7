/*
 * What the fuzz targets share: a guest without a CPU, with the fuzzer's bytes in its memory. Its functions are never
 * executed: targets take the part of a hostile QEMU and call what it would call.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FUZZ_GUEST_H
#define FUZZ_GUEST_H

#include "bytes.h"
#include "guest/internal.h"

/* Where the fuzzer's bytes are: corpus.py knows it too. */
#define FUZZ_BASE (VMD_GUEST_BASE + 0x600000)

/* Never NULL. */
struct vmd_guest *fuzz_guest(enum vmd_guest_arch arch, const uint8_t *data, size_t size);

#endif
