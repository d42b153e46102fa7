/*
 * Traces: see trace.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/trace.h"

#include <stdio.h>
#include <stdlib.h>

#include "guest/internal.h"

enum {
    PROBES_MAX = 1024,
    CALLS_MAX = 1 << 14,
    READS_MAX = 1 << 20,
    READS_OF_CALL_MAX = 4096,
    COLLECTED_MAX = 1 << 16,
    FRAME_MAX = 1 << 20, /* bytes of stack below a call that count as its own */
    TESTED_ARGS = 3,
};

struct vmd_trace {
    bool is_active;
    unsigned depth;     /* probed calls that are running */
    uint64_t frame_end; /* end of the running call's stack */
    size_t n_probes, first_import;
    bool has_imports;
    uint64_t constant_table;
    uint64_t slots[PROBES_MAX], functions[PROBES_MAX];
    struct vmd_trace_call *calls;
    struct vmd_trace_read *reads;
    size_t n_calls, n_reads;
    uint64_t *collected;
    size_t n_collected;
};

static struct vmd_trace *trace_of(struct vmd_guest *guest)
{
    if (!guest->trace) {
        guest->trace = calloc(1, sizeof(*guest->trace));
    }
    return guest->trace;
}

/* The variable belongs to the dynamic linker, which is not mapped; its import, even a function's, stands for it. */
static bool is_stack_protector(struct vmd_guest *guest, uint64_t address)
{
    uint32_t offset = guest->host->stack_protector;

    return address == (offset ? guest->thread + offset : vmd_guest_import(guest, "__stack_chk_guard"));
}

/* Unicorn's hook: the guest reads memory. */
static void on_read(void *engine, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct vmd_guest *guest = user;
    struct vmd_trace *trace = guest->trace;
    struct vmd_trace_call *call;
    struct vmd_trace_read *last;

    if (!trace->depth || (address < trace->frame_end && address >= trace->frame_end - FRAME_MAX) ||
        is_stack_protector(guest, address)) {
        return;
    }
    call = &trace->calls[trace->n_calls - 1];
    last = call->n_reads ? &trace->reads[trace->n_reads - 1] : NULL;
    if (last && last->address == address && last->size == (uint64_t)size) {
        return;
    }
    if (call->n_reads == READS_OF_CALL_MAX || trace->n_reads == READS_MAX) {
        call->is_truncated = true;
        return;
    }
    trace->reads[trace->n_reads++] = (struct vmd_trace_read){address, (uint64_t)size};
    call->n_reads++;
}

void vmd_trace_note_call(struct vmd_guest *guest, const struct vmd_host_import *import)
{
    struct vmd_trace *trace = guest->trace;
    struct vmd_trace_call *call;
    uint64_t first;

    if (!trace->depth || import->function == vmd_host_zero || import->function == vmd_host_one ||
        import->function == vmd_host_same) {
        return;
    }
    first = vmd_cpu_read(guest, guest->host->args[0]);
    if (trace->constant_table && first == trace->constant_table && strcmp(import->name, "g_hash_table_lookup") == 0) {
        return;
    }
    call = &trace->calls[trace->n_calls - 1];
    call->called = import->name;
    call->called_with = first;
}

void vmd_guest_trace_set_constant_table(struct vmd_guest *guest, uint64_t table)
{
    if (trace_of(guest)) {
        guest->trace->constant_table = table;
    }
}

/* There are more calls than are recorded: those that are not may be of any function. */
static void distrust_all(struct vmd_trace *trace)
{
    for (size_t i = 0; i < trace->n_calls; i++) {
        trace->calls[i].is_truncated = true;
    }
}

/* Call a probed function, and record a second call of it. */
static uint64_t host_probe(struct vmd_host_call *call)
{
    struct vmd_guest *guest = call->guest;
    struct vmd_trace *trace = guest->trace;
    size_t index = (size_t)(call->import - guest->imports) - trace->first_import;
    uint64_t result = vmd_host_call_guest(call, trace->functions[index], call->args, TESTED_ARGS), again;
    struct vmd_trace_call *record;

    if (guest->err.code || !trace->is_active || trace->depth) {
        return result;
    }
    if (trace->n_calls == CALLS_MAX) {
        distrust_all(trace);
        return result;
    }
    record = &trace->calls[trace->n_calls++];
    *record = (struct vmd_trace_call){
        .slot = trace->slots[index],
        .opaque = call->args[0],
        .argument = call->args[1],
        .first_read = trace->n_reads,
    };
    trace->frame_end = vmd_cpu_read(guest, guest->host->sp);
    trace->depth++;
    again = vmd_host_call_guest(call, trace->functions[index], call->args, TESTED_ARGS);
    trace->depth--;
    record->result = result & 0xff;
    record->is_unsteady = record->result != (again & 0xff);
    return result;
}

/* Imports of probes are consecutive, so that their numbers lead to those of probes. */
static bool make_imports(struct vmd_guest *guest, struct vmd_trace *trace)
{
    trace->first_import = guest->n_imports;
    for (int i = 0; i < PROBES_MAX && !trace->has_imports; i++) {
        char name[32];
        uint64_t address;

        snprintf(name, sizeof(name), "(probe %d)", i);
        address = vmd_guest_import(guest, name);
        if (!address) {
            return false;
        }
        guest->imports[(address - guest->trampolines) / VMD_TRAMPOLINE_SIZE].function = host_probe;
    }
    trace->has_imports = true;
    return true;
}

enum vmd_status vmd_guest_trace_begin(struct vmd_guest *guest)
{
    struct vmd_trace *trace = trace_of(guest);

    if (!trace) {
        return VMD_NO_MEMORY;
    }
    if (trace->is_active || (!trace->has_imports && !make_imports(guest, trace))) {
        return VMD_BAD_REFERENCE;
    }
    if (!trace->calls) {
        trace->calls = malloc(CALLS_MAX * sizeof(*trace->calls));
        trace->reads = malloc(READS_MAX * sizeof(*trace->reads));
    }
    if (!trace->calls || !trace->reads) {
        return VMD_NO_MEMORY;
    }
    if (!vmd_cpu_hook_reads(guest, on_read)) {
        return VMD_BAD_REFERENCE;
    }
    trace->is_active = true;
    vmd_guest_trace_forget(guest);
    return VMD_OK;
}

void vmd_guest_trace_end(struct vmd_guest *guest)
{
    struct vmd_trace *trace = guest->trace;

    if (!trace || !trace->is_active) {
        return;
    }
    for (size_t i = 0; i < trace->n_probes; i++) {
        vmd_put_u64(guest, vmd_guest_find(guest, trace->slots[i], 8), trace->functions[i]);
    }
    trace->n_probes = trace->depth = 0;
    trace->is_active = false;
    vmd_cpu_unhook_reads(guest);
}

enum vmd_status vmd_guest_trace_probe(struct vmd_guest *guest, uint64_t slot)
{
    struct vmd_trace *trace = guest->trace;
    char *at = vmd_guest_find(guest, slot, 8);

    if (!trace || !trace->is_active || !at || trace->n_probes == PROBES_MAX) {
        return VMD_BAD_REFERENCE;
    }
    trace->slots[trace->n_probes] = slot;
    trace->functions[trace->n_probes] = vmd_get_u64(guest, at);
    vmd_put_u64(guest, at, guest->imports[trace->first_import + trace->n_probes].address);
    trace->n_probes++;
    return VMD_OK;
}

size_t vmd_guest_trace_calls(const struct vmd_guest *guest, const struct vmd_trace_call **ret)
{
    *ret = guest->trace ? guest->trace->calls : NULL;
    return guest->trace ? guest->trace->n_calls : 0;
}

size_t vmd_guest_trace_reads(const struct vmd_guest *guest, const struct vmd_trace_read **ret)
{
    *ret = guest->trace ? guest->trace->reads : NULL;
    return guest->trace ? guest->trace->n_reads : 0;
}

void vmd_guest_trace_forget(struct vmd_guest *guest)
{
    if (guest->trace) {
        guest->trace->n_calls = guest->trace->n_reads = 0;
        guest->trace->depth = 0; /* the last call may have failed */
    }
}

void vmd_trace_destroy(struct vmd_guest *guest)
{
    if (guest->trace) {
        free(guest->trace->calls);
        free(guest->trace->reads);
        free(guest->trace->collected);
        free(guest->trace);
    }
}

/* Collecting */

static uint64_t host_collect(struct vmd_host_call *call)
{
    struct vmd_trace *trace = trace_of(call->guest);

    if (trace && !trace->collected) {
        trace->collected = malloc(COLLECTED_MAX * sizeof(*trace->collected));
    }
    if (trace && trace->collected && trace->n_collected < COLLECTED_MAX) {
        trace->collected[trace->n_collected++] = call->args[0];
    }
    return 0;
}

uint64_t vmd_guest_collector(struct vmd_guest *guest)
{
    return vmd_guest_import(guest, "(collect)");
}

size_t vmd_guest_collected(struct vmd_guest *guest, uint64_t *ret, size_t room)
{
    struct vmd_trace *trace = guest->trace;
    size_t n = trace && trace->n_collected < room ? trace->n_collected : trace ? room : 0;

    if (n) {
        memcpy(ret, trace->collected, n * sizeof(*ret));
    }
    if (trace) {
        trace->n_collected = 0;
    }
    return n;
}

VMD_SERVE({"(collect)", host_collect})
