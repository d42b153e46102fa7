/*
 * The hook on system calls of statically linked binaries. See guest/syscalls.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/syscalls.h"

#include "guest/cpu/cpu.h"

static void on_syscall(void *engine, void *user)
{
    struct vmd_guest *guest = user;
    const struct vmd_syscalls *calls = guest->host->syscalls;
    uint64_t args[6];

    for (int i = 0; i < 6; i++) {
        args[i] = vmd_cpu_read(guest, calls->args[i]);
    }
    vmd_cpu_write(guest, calls->result, vmd_guest_serve_syscall(guest, vmd_cpu_read(guest, calls->number), args));
}

bool vmd_cpu_hook_syscalls(struct vmd_guest *guest)
{
    void *hook;

    return !guest->cpu->unicorn.hook_add(guest->cpu->engine, &hook, UC_HOOK_INSN, on_syscall, guest, 1, 0,
                                         guest->host->syscalls->instruction);
}
