/*
 * Threads of a guest, which run one at a time on its CPU. See host/threads.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/cpu/cpu.h"

/* Continue a waiting thread: return 0 from the host function that it waits in, or call the function again. */
static void continue_thread(struct vmd_guest *guest, const struct vmd_thread *thread)
{
    const struct vmd_arch *host = guest->host;
    const struct vmd_frame *frame = &thread->frame;

    vmd_cpu_restore_saved(guest, frame);
    if (thread->repeated) {
        vmd_cpu_write(guest, host->sp, frame->sp);
        if (host->link) {
            vmd_cpu_write(guest, host->link, frame->return_address);
        }
        for (int i = 0; i < VMD_THREAD_ARGUMENTS; i++) {
            vmd_cpu_write(guest, host->args[i], thread->arguments[i]);
        }
        vmd_cpu_execute(guest, thread->repeated, guest->stop);
    } else {
        vmd_cpu_write(guest, host->sp, frame->sp + (host->link ? 0 : 8));
        vmd_cpu_write(guest, host->result, 0);
        vmd_cpu_execute(guest, frame->return_address, guest->stop);
    }
}

void vmd_cpu_run_thread(struct vmd_host_call *call, struct vmd_thread *thread)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_cpu *cpu = guest->cpu;
    unsigned outer = cpu->thread_depth;
    uint64_t outer_pointer = guest->thread;
    bool is_new = thread->kind == VMD_THREAD_NEW;
    struct vmd_frame frame;

    if (guest->err.code || cpu->is_freezing || cpu->depth == DEPTH_MAX) {
        return;
    }
    vmd_cpu_save_frame(guest, &frame);
    thread->kind = VMD_THREAD_RUNNING;
    cpu->running = thread;
    cpu->thread_depth = ++cpu->depth;
    guest->thread = thread->pointer;
    vmd_cpu_set_thread(guest, thread->pointer);
    if (is_new) {
        vmd_cpu_call_until(guest, thread->function, thread->arguments, 1, thread->stack, 0);
    } else {
        continue_thread(guest, thread);
    }
    guest->thread = outer_pointer;
    vmd_cpu_set_thread(guest, outer_pointer);
    cpu->depth--;
    cpu->thread_depth = outer;
    if (thread->kind == VMD_THREAD_RUNNING) {
        thread->kind = VMD_THREAD_ENDED;
    }
    vmd_cpu_restore_frame(guest, &frame);
}

bool vmd_cpu_stop_thread(struct vmd_host_call *call, enum vmd_thread_stop stop)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_cpu *cpu = guest->cpu;

    if (!cpu->thread_depth) {
        return false;
    }
    if (stop != VMD_THREAD_ENDS && !guest->err.code && cpu->depth == cpu->thread_depth) {
        cpu->running->kind = VMD_THREAD_WAITING;
        cpu->running->repeated = stop == VMD_THREAD_REPEATS ? call->import->address : 0;
        memcpy(cpu->running->arguments, call->args, sizeof(cpu->running->arguments));
        vmd_cpu_save_frame(guest, &cpu->running->frame);
    }
    cpu->is_freezing = true;
    vmd_cpu_stop(guest);
    return true;
}
