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

/* Hosts of guests. */
enum fuzz_host {
    LINUX_X86_64,
    LINUX_AARCH64,
    LINUX_RISCV64,
    LINUX_S390X,
    WINDOWS_X86_64,
    WINDOWS_AARCH64,
    MACOS_AARCH64,
    MACOS_X86_64,
    FUZZ_HOSTS
};

/* host: an enum fuzz_host, or any other number, which chooses one. Never returns NULL. */
struct vmd_guest *fuzz_guest(uint8_t host, const uint8_t *data, size_t size);

/* Call all query functions of an object. */
void fuzz_query(struct vmd_object *object);

#endif
