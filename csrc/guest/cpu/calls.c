/*
 * Execution of a guest's functions, from outside and from host functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/cpu/cpu.h"

void vmd_cpu_execute(struct vmd_guest *guest, uint64_t start, uint64_t until)
{
    struct vmd_cpu *cpu = guest->cpu;
    int code, why;
    uint64_t pc;

    do {
        code = cpu->unicorn.emu_start(cpu->engine, start, until, 0, 0);
        why = cpu->stopping;
    } while (vmd_cpu_retranslate(guest, &start) && !why && !guest->err.code);
    pc = vmd_cpu_read(guest, cpu->host->pc);

    if (cpu->has_returned && !cpu->depth && !guest->err.code) {
        return;
    }
    if (cpu->is_freezing && !guest->err.code) {
        if (cpu->depth == cpu->thread_depth) {
            cpu->is_freezing = false;
        } else {
            vmd_cpu_stop(guest); /* the enclosing call, too */
        }
        return;
    }
    if (why && !guest->err.code) {
        vmd_guest_fail(guest, why, pc, why == VMD_INTERRUPTED ? "interrupted" : VMD_CPU_TOO_LONG);
    } else if (code && !guest->err.code) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, pc, cpu->unicorn.strerror(code));
    } else if (pc != until) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, pc, "it halts the CPU");
    }
    if (guest->err.code && (guest->err.code != VMD_BAD_REFERENCE || !cpu->tried || cpu->depth != cpu->tried)) {
        vmd_cpu_stop(guest); /* the enclosing call, too */
    }
}

uint64_t vmd_cpu_call_until(struct vmd_guest *guest, uint64_t function, const uint64_t *args, int n_args, uint64_t sp,
                            uint64_t pause_at)
{
    const struct vmd_arch *host = guest->host;
    uint64_t return_address = pause_at ? guest->returned : guest->stop;

    sp = (sp - 8 * (n_args > host->n_args ? (uint64_t)(n_args - host->n_args) : 0)) & -(uint64_t)16;
    sp -= host->frame_size;
    if (host->link) {
        vmd_cpu_write(guest, host->link, return_address);
    } else {
        vmd_guest_store_u64(guest, sp, return_address);
        if (guest->err.code) {
            return 0;
        }
    }
    vmd_cpu_write(guest, host->sp, sp);
    for (int i = 0; i < n_args; i++) {
        if (i < host->n_args) {
            vmd_cpu_write(guest, host->args[i], args[i]);
        } else {
            vmd_guest_store_u64(guest, sp + host->frame_size + 8 * (uint64_t)(i - host->n_args), args[i]);
        }
    }
    vmd_cpu_execute(guest, function, pause_at ? pause_at : guest->stop);
    return vmd_cpu_read(guest, host->result);
}

void vmd_cpu_start(struct vmd_guest *guest, uint64_t entry, uint64_t sp, uint64_t pause_at)
{
    /* The arguments are those of a function to call at exit, of which there is none. */
    for (int i = 0; i < guest->host->n_args; i++) {
        vmd_cpu_write(guest, guest->host->args[i], 0);
    }
    vmd_cpu_write(guest, guest->host->sp, sp);
    vmd_cpu_execute(guest, entry, pause_at);
}

uint64_t vmd_cpu_return(struct vmd_host_call *call)
{
    call->guest->cpu->has_returned = true;
    vmd_cpu_stop(call->guest);
    return vmd_cpu_read(call->guest, call->guest->host->result);
}

uint64_t vmd_host_call_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_cpu *cpu = guest->cpu;
    const struct vmd_arch *host = guest->host;
    uint64_t sp, link, result;

    if (guest->err.code || cpu->is_freezing) {
        return 0;
    }
    if (cpu->depth == DEPTH_MAX) {
        vmd_guest_fail(guest, VMD_TOO_DEEP, function, "functions that call each other too deeply");
        return 0;
    }
    cpu->depth++;
    sp = vmd_cpu_read(guest, host->sp);
    link = host->link ? vmd_cpu_read(guest, host->link) : 0;
    /* Below the red zone of a leaf function. */
    result = vmd_cpu_call_until(guest, function, args, n_args, sp - 256, 0);
    vmd_cpu_write(guest, host->sp, sp);
    if (host->link) {
        vmd_cpu_write(guest, host->link, link);
    }
    cpu->depth--;
    return result;
}

bool vmd_host_try_guest(struct vmd_host_call *call, uint64_t function, const uint64_t *args, int n_args,
                        struct vmd_error *ret)
{
    struct vmd_guest *guest = call->guest;
    unsigned outer = guest->cpu->tried;
    struct vmd_frame frame;

    if (guest->err.code) {
        return true;
    }
    vmd_cpu_save_frame(guest, &frame);
    guest->cpu->tried = guest->cpu->depth + 1;
    vmd_host_call_guest(call, function, args, n_args);
    guest->cpu->tried = outer;
    if (guest->err.code != VMD_BAD_REFERENCE) {
        return true;
    }
    *ret = guest->err;
    vmd_error_set(&guest->err, VMD_OK, 0, NULL);
    /* Unicorn stays stopped until it has executed something; without this, the enclosing call would end here. */
    vmd_host_call_guest(call, vmd_cpu_empty_function(guest), NULL, 0);
    /* The function has not returned, so it has not restored its callee-saved registers. */
    vmd_cpu_restore_frame(guest, &frame);
    return false;
}
