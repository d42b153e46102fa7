/*
 * A guest without a CPU. See guest.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#include <elf.h>
#include <stdlib.h>

struct vmd_guest *fuzz_guest(uint8_t host, const uint8_t *data, size_t size)
{
    static const struct {
        uint16_t machine;
        enum vmd_platform platform;
    } hosts[FUZZ_HOSTS] = {
        [LINUX_X86_64] = {EM_X86_64, VMD_LINUX},     [LINUX_AARCH64] = {EM_AARCH64, VMD_LINUX},
        [LINUX_RISCV64] = {EM_RISCV, VMD_LINUX},     [LINUX_S390X] = {EM_S390, VMD_LINUX},
        [WINDOWS_X86_64] = {EM_X86_64, VMD_WINDOWS}, [WINDOWS_AARCH64] = {EM_AARCH64, VMD_WINDOWS},
        [MACOS_AARCH64] = {EM_AARCH64, VMD_MACOS},   [MACOS_X86_64] = {EM_X86_64, VMD_MACOS},
    };
    struct vmd_guest_limits limits = {.memory = 16 << 20};
    struct vmd_guest *guest;
    struct vmd_error err;

    host %= FUZZ_HOSTS;
    if (vmd_guest_create("", hosts[host].machine, hosts[host].platform, &limits, &guest, &err)) {
        abort();
    }
    guest->state.running_thread = 1; /* as the CPU sets it */
    while (vmd_guest_alloc(guest, 0x1000, 0x1000) < FUZZ_BASE) {
    }
    vmd_guest_alloc(guest, 1 << 20, 0x1000);
    memcpy(vmd_guest_find(guest, FUZZ_BASE, size), data, size);
    return guest;
}

void fuzz_query(struct vmd_object *object)
{
    const uint64_t *addresses;
    uint64_t address = FUZZ_BASE;
    size_t n = vmd_object_constructors(object, &addresses);

    for (size_t i = 0; i < n; i++) {
        vmd_object_symbol_at(object, addresses[i]);
    }
    for (size_t i = 0; i < vmd_object_n_symbols(object); i++) {
        const char *name = vmd_object_nth_symbol(object, i, &address);

        if (name && !vmd_object_symbol(object, name) && address) {
            __builtin_trap(); /* a listed symbol is not found */
        }
    }
    n = vmd_object_slots(object, &addresses);
    for (size_t i = 1; i < n; i++) {
        if (addresses[i - 1] >= addresses[i]) {
            __builtin_trap();
        }
    }
}

/* Stubs of csrc/guest/cpu/ */

enum vmd_status vmd_cpu_create(struct vmd_guest *guest, const char *unicorn, struct vmd_error *err)
{
    return VMD_OK;
}

void vmd_cpu_destroy(struct vmd_guest *guest)
{
}

void vmd_cpu_stop(struct vmd_guest *guest)
{
}

uint64_t vmd_host_call_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args)
{
    return n_args ? args[0] : 0;
}

bool vmd_host_try_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args,
                        struct vmd_error *ret)
{
    return true;
}

uint64_t vmd_cpu_read(struct vmd_guest *guest, int reg)
{
    return guest->stack;
}

void vmd_cpu_write(struct vmd_guest *guest, int reg, uint64_t value)
{
}

void vmd_cpu_read_vector(struct vmd_guest *guest, int reg, void *ret)
{
    memset(ret, 0, 32);
}

void vmd_cpu_write_vector(struct vmd_guest *guest, int reg, const void *value)
{
}

void vmd_cpu_set_thread(struct vmd_guest *guest, uint64_t pointer)
{
}

double vmd_cpu_read_double(struct vmd_guest *guest, int n)
{
    return 1.5 * n;
}

float vmd_cpu_read_float(struct vmd_guest *guest, int n)
{
    return 1.5F;
}

void vmd_cpu_return_double(struct vmd_guest *guest, double value)
{
}

void vmd_cpu_return_float(struct vmd_guest *guest, float value)
{
}

void vmd_cpu_save_frame(struct vmd_guest *guest, struct vmd_frame *frame)
{
    *frame = (struct vmd_frame){0};
}

void vmd_cpu_restore_frame(struct vmd_guest *guest, const struct vmd_frame *frame)
{
}

void *vmd_cpu_save(struct vmd_guest *guest)
{
    return guest;
}

void vmd_cpu_restore(struct vmd_guest *guest, void *context)
{
}

void vmd_cpu_forget(struct vmd_guest *guest, void *context)
{
}

void vmd_cpu_keep_paused(struct vmd_guest *guest)
{
}

void vmd_cpu_restore_paused(struct vmd_guest *guest)
{
}

void vmd_cpu_flush(struct vmd_guest *guest)
{
}

uint64_t vmd_cpu_return(struct vmd_host_call *call)
{
    return 0;
}

void vmd_cpu_run_thread(struct vmd_host_call *call, struct vmd_thread *thread)
{
    thread->kind = VMD_THREAD_ENDED;
}

bool vmd_cpu_stop_thread(struct vmd_host_call *call, enum vmd_thread_stop stop)
{
    return false;
}

bool vmd_cpu_hook_reads(struct vmd_guest *guest,
                        void (*callback)(void *engine, int type, uint64_t address, int size, int64_t value, void *user))
{
    return false;
}

void vmd_cpu_unhook_reads(struct vmd_guest *guest)
{
}
