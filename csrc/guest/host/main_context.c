/*
 * GLib's main context: the sources that QEMU attaches to the default one. The guest itself runs an iteration of its
 * main loop if it is asked to: it prepares, checks and dispatches here. Sources without functions (idle, timeout) never
 * run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/host/devices.h"

/* Offsets in GSource, and in GSourceFuncs. The first two are private to GLib. */
enum { DATA = 0, CALLBACK = 8, FUNCTIONS = 16, SOURCE_SIZE = 192, PREPARE = 0, CHECK = 8, DISPATCH = 16 };

/* The first number that identifies an attached source; those of other sources are 1. */
enum { FIRST_SOURCE = 2 };

static uint64_t host_g_main_context_default(struct vmd_host_call *call)
{
    uint64_t *context = &call->guest->state.main_context;

    if (!*context) {
        *context = vmd_host_allocate(call->guest, SOURCE_SIZE);
    }
    return *context;
}

/* g_source_new(functions, size): a GSource is public, with its functions at 16. */
static uint64_t host_g_source_new(struct vmd_host_call *call)
{
    uint64_t size = (uint32_t)call->args[1] > SOURCE_SIZE ? (uint32_t)call->args[1] : SOURCE_SIZE;
    uint64_t source = vmd_host_allocate(call->guest, size);

    vmd_guest_store_u64(call->guest, source + FUNCTIONS, call->args[0]);
    return source;
}

/* g_source_attach(source, context) */
static uint64_t host_g_source_attach(struct vmd_host_call *call)
{
    struct vmd_guest_state *state = &call->guest->state;
    uint64_t source = call->args[0], context = call->args[1];

    if ((context && context != state->main_context) || !vmd_guest_load_u64(call->guest, source + FUNCTIONS)) {
        return 1;
    }
    for (unsigned i = 0; i < VMD_SOURCES_MAX; i++) {
        if (!state->sources[i].address) {
            state->sources[i] = (struct vmd_source){.address = source};
            return FIRST_SOURCE + i;
        }
    }
    vmd_guest_fail(call->guest, VMD_NO_MEMORY, source, "it has more event sources than QEMU ever has");
    return 0;
}

static void detach(struct vmd_guest_state *state, uint64_t source)
{
    for (unsigned i = 0; i < VMD_SOURCES_MAX; i++) {
        if (state->sources[i].address == source) {
            state->sources[i] = (struct vmd_source){0};
        }
    }
    for (unsigned i = 0; i < VMD_FILES_MAX; i++) {
        if (state->polls[i].source == source) {
            state->polls[i] = (struct vmd_poll){0};
        }
    }
}

static uint64_t host_g_source_destroy(struct vmd_host_call *call)
{
    if (call->args[0]) {
        detach(&call->guest->state, call->args[0]);
    }
    return 0;
}

/* g_source_remove(number) */
static uint64_t host_g_source_remove(struct vmd_host_call *call)
{
    uint32_t i = (uint32_t)call->args[0] - FIRST_SOURCE;

    if (i < VMD_SOURCES_MAX && call->guest->state.sources[i].address) {
        detach(&call->guest->state, call->guest->state.sources[i].address);
    }
    return 1;
}

/* g_source_set_callback(source, callback, data, free) */
static uint64_t host_g_source_set_callback(struct vmd_host_call *call)
{
    vmd_guest_store_u64(call->guest, call->args[0] + CALLBACK, call->args[1]);
    vmd_guest_store_u64(call->guest, call->args[0] + DATA, call->args[2]);
    return 0;
}

/* g_source_add_poll(source, {descriptor, events, revents}) */
static uint64_t host_g_source_add_poll(struct vmd_host_call *call)
{
    struct vmd_guest_state *state = &call->guest->state;

    for (unsigned i = 0; i < VMD_FILES_MAX; i++) {
        if (!state->polls[i].source) {
            state->polls[i] = (struct vmd_poll){.source = call->args[0], .at = call->args[1]};
            return 0;
        }
    }
    vmd_guest_fail(call->guest, VMD_NO_MEMORY, call->args[0], "it polls more descriptors than QEMU ever has");
    return 0;
}

static uint64_t host_g_source_remove_poll(struct vmd_host_call *call)
{
    struct vmd_guest_state *state = &call->guest->state;

    for (unsigned i = 0; i < VMD_FILES_MAX; i++) {
        if (state->polls[i].source == call->args[0] && state->polls[i].at == call->args[1]) {
            state->polls[i] = (struct vmd_poll){0};
        }
    }
    return 0;
}

/* Call a function of a source, which may detach sources; none: 0. */
static uint32_t call_source(struct vmd_host_call *call, const struct vmd_source *source, unsigned function,
                            uint64_t second, uint64_t third)
{
    uint64_t functions = vmd_guest_load_u64(call->guest, source->address + FUNCTIONS);
    uint64_t address = functions ? vmd_guest_load_u64(call->guest, functions + function) : 0;

    return address ? (uint32_t)vmd_host_call_guest(call, address, (uint64_t[]){source->address, second, third}, 3) : 0;
}

/* g_main_context_prepare(context, &priority) */
static uint64_t host_g_main_context_prepare(struct vmd_host_call *call)
{
    struct vmd_source *sources = call->guest->state.sources;
    uint64_t timeout = vmd_host_allocate(call->guest, 16);

    for (unsigned i = 0; i < VMD_SOURCES_MAX; i++) {
        if (sources[i].address) {
            sources[i].is_ready = call_source(call, &sources[i], PREPARE, timeout, 0) != 0;
        }
    }
    vmd_host_free(call->guest, timeout);
    return 0;
}

/* Poll, and return whether a source is ready: g_main_context_check(context, priority, fds, n). */
static uint64_t host_g_main_context_check(struct vmd_host_call *call)
{
    struct vmd_guest_state *state = &call->guest->state;
    bool is_ready = false;

    for (unsigned i = 0; i < VMD_FILES_MAX; i++) {
        if (state->polls[i].source) {
            vmd_host_poll(call->guest, state->polls[i].at, 1);
        }
    }
    for (unsigned i = 0; i < VMD_SOURCES_MAX; i++) {
        struct vmd_source *source = &state->sources[i];

        if (source->address && !source->is_ready) {
            source->is_ready = call_source(call, source, CHECK, 0, 0) != 0;
        }
        is_ready = is_ready || source->is_ready;
    }
    return is_ready;
}

static uint64_t host_g_main_context_dispatch(struct vmd_host_call *call)
{
    struct vmd_guest_state *state = &call->guest->state;

    for (unsigned i = 0; i < VMD_SOURCES_MAX && !call->guest->err.code; i++) {
        struct vmd_source source = state->sources[i];

        if (source.address && source.is_ready) {
            uint64_t callback = vmd_guest_load_u64(call->guest, source.address + CALLBACK);
            uint64_t data = vmd_guest_load_u64(call->guest, source.address + DATA);

            state->sources[i].is_ready = false;
            if (!call_source(call, &source, DISPATCH, callback, data)) {
                detach(state, source.address);
            }
        }
    }
    return 0;
}

/* g_main_context_pending(context) */
static uint64_t host_g_main_context_pending(struct vmd_host_call *call)
{
    host_g_main_context_prepare(call);
    return host_g_main_context_check(call);
}

VMD_SERVE({"g_main_context_default", host_g_main_context_default},
          {"g_main_context_ref_thread_default", host_g_main_context_default}, {"g_source_new", host_g_source_new},
          {"g_source_attach", host_g_source_attach}, {"g_source_destroy", host_g_source_destroy},
          {"g_source_remove", host_g_source_remove}, {"g_source_set_callback", host_g_source_set_callback},
          {"g_source_add_poll", host_g_source_add_poll}, {"g_source_remove_poll", host_g_source_remove_poll},
          {"g_main_context_prepare", host_g_main_context_prepare}, {"g_main_context_check", host_g_main_context_check},
          {"g_main_context_dispatch", host_g_main_context_dispatch},
          {"g_main_context_pending", host_g_main_context_pending})
