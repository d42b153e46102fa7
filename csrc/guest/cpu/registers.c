/*
 * Registers of a guest's CPU, saved states, and the hook for memory reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/cpu/cpu.h"

#include "guest/trace.h"

uint64_t vmd_cpu_read(struct vmd_guest *guest, int reg)
{
    uint64_t value[2] = {0}; /* vectors are 16 bytes */

    if (!guest->cpu->engine) {
        return 0;
    }
    guest->cpu->unicorn.reg_read(guest->cpu->engine, reg, value);
    return value[0];
}

void vmd_cpu_write(struct vmd_guest *guest, int reg, uint64_t value)
{
    uint64_t bytes[2] = {value, 0};

    guest->cpu->unicorn.reg_write(guest->cpu->engine, reg, bytes);
}

void vmd_cpu_read_vector(struct vmd_guest *guest, int reg, void *ret)
{
    guest->cpu->unicorn.reg_read(guest->cpu->engine, reg, ret);
}

void vmd_cpu_write_vector(struct vmd_guest *guest, int reg, const void *value)
{
    guest->cpu->unicorn.reg_write(guest->cpu->engine, reg, value);
}

void vmd_cpu_set_thread(struct vmd_guest *guest, uint64_t pointer)
{
    const struct vmd_arch *host = guest->host;

    if (host->thread_pointer_low) {
        vmd_cpu_write(guest, host->thread_pointer, pointer >> 32);
        vmd_cpu_write(guest, host->thread_pointer_low, pointer & 0xffffffff);
    } else {
        vmd_cpu_write(guest, host->thread_pointer, pointer);
    }
}

double vmd_cpu_read_double(struct vmd_guest *guest, int n)
{
    uint64_t bits = vmd_cpu_read(guest, guest->host->float_args[n]);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

float vmd_cpu_read_float(struct vmd_guest *guest, int n)
{
    uint32_t bits = (uint32_t)(vmd_cpu_read(guest, guest->host->float_args[n]) >> guest->host->float_shift);
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

void vmd_cpu_return_double(struct vmd_guest *guest, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    vmd_cpu_write(guest, guest->host->float_args[0], bits);
}

void vmd_cpu_return_float(struct vmd_guest *guest, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    vmd_cpu_write(guest, guest->host->float_args[0],
                  (uint64_t)bits << guest->host->float_shift | (guest->host->is_nan_boxed ? ~0ull << 32 : 0));
}

void vmd_cpu_save_frame(struct vmd_guest *guest, struct vmd_frame *frame)
{
    const struct vmd_arch *host = guest->host;

    *frame = (struct vmd_frame){.sp = vmd_cpu_read(guest, host->sp)};
    for (int i = 0; i < host->n_saved; i++) {
        frame->saved[i] = vmd_cpu_read(guest, host->saved[i]);
    }
    for (int i = 0; i < host->n_saved_vectors; i++) {
        vmd_cpu_read_vector(guest, host->saved_vectors[i], &frame->saved[host->n_saved + 2 * i]);
    }
    frame->return_address = host->link ? vmd_cpu_read(guest, host->link) : vmd_guest_load_u64(guest, frame->sp);
}

void vmd_cpu_restore_saved(struct vmd_guest *guest, const struct vmd_frame *frame)
{
    const struct vmd_arch *host = guest->host;

    for (int i = 0; i < host->n_saved; i++) {
        vmd_cpu_write(guest, host->saved[i], frame->saved[i]);
    }
    for (int i = 0; i < host->n_saved_vectors; i++) {
        vmd_cpu_write_vector(guest, host->saved_vectors[i], &frame->saved[host->n_saved + 2 * i]);
    }
}

void vmd_cpu_restore_frame(struct vmd_guest *guest, const struct vmd_frame *frame)
{
    const struct vmd_arch *host = guest->host;

    vmd_cpu_restore_saved(guest, frame);
    vmd_cpu_write(guest, host->sp, frame->sp);
    if (host->link) {
        vmd_cpu_write(guest, host->link, frame->return_address);
    } else {
        vmd_guest_store_u64(guest, frame->sp, frame->return_address);
    }
}

void *vmd_cpu_save(struct vmd_guest *guest)
{
    const struct unicorn *unicorn = &guest->cpu->unicorn;
    void *context = NULL;

    if (unicorn->context_alloc(guest->cpu->engine, &context)) {
        return NULL;
    }
    unicorn->context_save(guest->cpu->engine, context);
    return context;
}

void vmd_cpu_restore(struct vmd_guest *guest, void *context)
{
    const struct unicorn *unicorn = &guest->cpu->unicorn;

    unicorn->context_restore(guest->cpu->engine, context);
}

void vmd_cpu_flush(struct vmd_guest *guest)
{
    guest->cpu->unicorn.ctl(guest->cpu->engine, UC_CTL_WRITE | UC_CTL_TB_FLUSH);
}

bool vmd_cpu_hook_reads(struct vmd_guest *guest,
                        void (*callback)(void *engine, int type, uint64_t address, int size, int64_t value, void *user))
{
    struct vmd_cpu *cpu = guest->cpu;

    if (cpu->unicorn.hook_add(cpu->engine, &cpu->read_hook, UC_HOOK_MEM_READ, callback, guest, 1, 0)) {
        return false;
    }
    vmd_cpu_flush(guest);
    return true;
}

void vmd_cpu_unhook_reads(struct vmd_guest *guest)
{
    guest->cpu->unicorn.hook_del(guest->cpu->engine, guest->cpu->read_hook);
    vmd_cpu_flush(guest);
}

void vmd_cpu_forget(struct vmd_guest *guest, void *context)
{
    guest->cpu->unicorn.context_free(context);
}
