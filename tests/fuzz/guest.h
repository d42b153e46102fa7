/*
 * A guest without a CPU, with the fuzzer's bytes in its memory. No code of the guest is executed: targets call the
 * host's functions as a hostile QEMU would.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FUZZ_GUEST_H
#define FUZZ_GUEST_H

#include "bytes.h"
#include "guest/internal.h"
#include "guest/objects/object.h"

/* Address of the fuzzer's bytes; also in corpus.py. */
#define FUZZ_BASE (VMD_GUEST_BASE + 0x600000)

/* host: any number, by which one is chosen: see guest.c. Never returns NULL. */
struct vmd_guest *fuzz_guest(uint8_t host, const uint8_t *data, size_t size);

/* Call all query functions of an object. */
void fuzz_query(struct vmd_object *object);

#endif
