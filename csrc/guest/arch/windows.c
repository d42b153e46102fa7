/*
 * The control block of threads on Windows. See windows.h.
 *
 * Source: winnt.h NT_TIB, winternl.h TEB.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch/windows.h"

#include "guest/internal.h"

enum {
    TEB_STACK_BASE = 0x08,
    TEB_STACK_LIMIT = 0x10,
    TEB_SELF = 0x30,
    TEB_THREAD_LOCAL = 0x58, /* array of the blocks of each module; the main binary is number 0 */
    TEB_PEB = 0x60,
    BLOCKS = WINDOWS_TEB_SIZE - 16, /* that array */
    PEB = 0x1a00,                   /* of which nothing is known */
};

void vmd_windows_init_thread(struct vmd_guest *guest, uint64_t thread)
{
    vmd_guest_store_u64(guest, thread + TEB_STACK_BASE, guest->stack);
    vmd_guest_store_u64(guest, thread + TEB_STACK_LIMIT, guest->base);
    vmd_guest_store_u64(guest, thread + TEB_SELF, thread);
    vmd_guest_store_u64(guest, thread + TEB_THREAD_LOCAL, thread + BLOCKS);
    vmd_guest_store_u64(guest, thread + TEB_PEB, thread + PEB);
    vmd_guest_store_u64(guest, thread + BLOCKS, vmd_guest_tls_at(guest, thread));
}
