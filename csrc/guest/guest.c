/*
 * Guests: memory and output. See guest.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest/containers.h"
#include "guest/internal.h"
#include "guest/snapshot.h"
#include "guest/trace.h"

enum {
    STACK_SIZE = 4 << 20,
    THREAD_SIZE = 64 << 10,
    STOP_SIZE = 4096,
    IMAGE_ALIGN = 1 << 16,
    OUTPUT_MAX = 1 << 20,
};

/* Errors up to ERANGE have the same numbers on all platforms, unless the platform's table has them. */
enum { SAME_ERRNO_MAX = 34, UNKNOWN_ERRNO = -1 };

static const uint64_t ADDRESS_MAX = (uint64_t)1 << 47;

char *vmd_guest_at(struct vmd_guest *guest, uint64_t address, uint64_t size)
{
    char *found = vmd_guest_find(guest, address, size);

    if (!found) {
        vmd_guest_fail(guest, VMD_BAD_REFERENCE, address, "an address outside of its memory");
    }
    return found;
}

void vmd_guest_fail(struct vmd_guest *guest, enum vmd_status code, uint64_t address, const char *message)
{
    if (!guest->err.code) {
        vmd_error_set(&guest->err, code, address, message);
        guest->failed_at = guest->cpu ? vmd_cpu_read(guest, guest->host->pc) : 0;
    }
    vmd_cpu_stop(guest);
}

void vmd_guest_fail_with(struct vmd_guest *guest, enum vmd_status code, uint64_t address, const char *message,
                         const char *detail)
{
    bool is_first = !guest->err.code;

    vmd_guest_fail(guest, code, address, message);
    if (is_first && detail) {
        snprintf(guest->err.path, sizeof(guest->err.path), "%s", detail);
    }
}

uint64_t vmd_guest_load_u64(struct vmd_guest *guest, uint64_t address)
{
    const char *at = vmd_guest_at(guest, address, 8);

    return at ? vmd_get_u64(guest, at) : 0;
}

uint32_t vmd_guest_load_u32(struct vmd_guest *guest, uint64_t address)
{
    const char *at = vmd_guest_at(guest, address, 4);

    return at ? vmd_get_u32(guest, at) : 0;
}

void vmd_guest_store_u64(struct vmd_guest *guest, uint64_t address, uint64_t value)
{
    char *at = vmd_guest_at(guest, address, 8);

    if (at) {
        vmd_put_u64(guest, at, value);
    }
}

void vmd_guest_store_u32(struct vmd_guest *guest, uint64_t address, uint32_t value)
{
    char *at = vmd_guest_at(guest, address, 4);

    if (at) {
        vmd_put_u32(guest, at, value);
    }
}

uint64_t vmd_host_errno(struct vmd_guest *guest, int number)
{
    int there = number;

    if (guest->host->errnos) {
        there = vmd_number_there(guest->host->errnos, number, number <= SAME_ERRNO_MAX ? number : EINVAL);
    }
    vmd_guest_store_u32(guest, guest->errno_at, (uint32_t)there);
    return (uint64_t)-1;
}

const char *vmd_host_error_text(const struct vmd_guest *guest, uint32_t number)
{
    int here = (int)number;

    if (guest->host->errnos) {
        here = vmd_number_here(guest->host->errnos, here, number <= SAME_ERRNO_MAX ? here : UNKNOWN_ERRNO);
    }
    return strerror(here);
}

bool vmd_guest_has_room(const struct vmd_guest *guest, uint64_t size, uint64_t align)
{
    uint64_t start = (guest->state.free + align - 1) & -align;

    return start >= guest->state.free && start <= guest->size && size <= guest->size - start;
}

uint64_t vmd_guest_alloc(struct vmd_guest *guest, uint64_t size, uint64_t align)
{
    uint64_t start = (guest->state.free + align - 1) & -align;

    if (!vmd_guest_has_room(guest, size, align)) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "it uses more memory than it is given");
        return 0;
    }
    guest->state.free = start + size;
    return guest->base + start;
}

char *vmd_guest_memory(struct vmd_guest *guest)
{
    return guest->memory;
}

uint64_t vmd_guest_base(const struct vmd_guest *guest)
{
    return guest->base;
}

uint64_t vmd_guest_tls(const struct vmd_guest *guest)
{
    return vmd_guest_tls_at(guest, guest->thread);
}

void vmd_guest_init_thread(struct vmd_guest *guest, uint64_t thread)
{
    if (guest->host->init_thread) {
        guest->host->init_thread(guest, thread);
    } else if (guest->host->tls == VMD_TLS_BEFORE) {
        vmd_guest_store_u64(guest, thread, thread);
    }
}

uint64_t vmd_guest_set_tls(struct vmd_guest *guest, uint64_t size)
{
    if (size > THREAD_SIZE - 4096 - guest->host->tls_offset) {
        return 0;
    }
    guest->tls_size = size;
    return vmd_guest_tls(guest);
}

enum vmd_status vmd_guest_keep_tls(struct vmd_guest *guest)
{
    guest->tls_image = vmd_guest_alloc(guest, guest->tls_size + 16, 16);
    if (!guest->tls_image) {
        return VMD_NO_MEMORY;
    }
    memcpy(vmd_guest_find(guest, guest->tls_image, guest->tls_size),
           vmd_guest_find(guest, vmd_guest_tls(guest), guest->tls_size), guest->tls_size);
    return VMD_OK;
}

/* Output */

void vmd_host_print(struct vmd_guest *guest, const char *text, size_t size)
{
    size_t room = OUTPUT_MAX - guest->state.output_size;

    if (!guest->output) {
        guest->output = malloc(OUTPUT_MAX);
    }
    if (guest->output) {
        size = size < room ? size : room;
        memcpy(guest->output + guest->state.output_size, text, size);
        guest->state.output_size += size;
    }
}

size_t vmd_guest_output(const struct vmd_guest *guest, const char **ret)
{
    *ret = guest->output;
    return guest->state.output_size;
}

void vmd_guest_forget_output(struct vmd_guest *guest)
{
    guest->state.output_size = 0;
}

/* Creation and destruction */

enum vmd_status vmd_guest_create(const char *unicorn, uint16_t e_machine, enum vmd_platform platform,
                                 const struct vmd_guest_limits *limits, struct vmd_guest **ret, struct vmd_error *err)
{
    const struct vmd_arch *host = vmd_arch_of(e_machine, platform);
    struct vmd_guest *guest;

    if (!host) {
        return vmd_error_set(err, VMD_UNSUPPORTED, e_machine, "an unknown host architecture");
    }
    if (limits->image % IMAGE_ALIGN || limits->image > ADDRESS_MAX) {
        return vmd_error_set(err, VMD_BAD_REFERENCE, limits->image, "a binary at an impossible address");
    }
    guest = calloc(1, sizeof(*guest));
    if (!guest) {
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    guest->host = host;
    guest->is_swapped = host->is_big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    guest->memory_file = -1;
    guest->queue_inits = guest->tolerate_faults = true;
    guest->limits = *limits;
    guest->base = limits->image ? limits->image : VMD_GUEST_BASE;
    guest->size = limits->memory;
    vmd_guest_set_host(guest, true, false, 4096);
    guest->memory = vmd_snapshot_map(guest);
    if (!guest->memory) {
        vmd_guest_destroy(guest);
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    if (limits->image) {
        vmd_guest_alloc(guest, limits->image_size, 1);
        vmd_guest_alloc(guest, STOP_SIZE, STOP_SIZE); /* so that the page before guest->stop is empty */
    }
    /*
     * Preceded by no page, or by one without code: after a call, Unicorn drops the code before the address that it
     * stopped at, and all empty blocks of that page; here it keeps the empty block that stops.
     */
    guest->stop = vmd_guest_alloc(guest, STOP_SIZE, 4096);
    guest->trampolines = vmd_guest_alloc(guest, VMD_GUEST_TRAMPOLINES * VMD_TRAMPOLINE_SIZE, 4096);
    guest->thread = vmd_guest_alloc(guest, 2 * THREAD_SIZE, 4096) + THREAD_SIZE;
    guest->errno_at = guest->thread + THREAD_SIZE - 64;
    guest->stack = vmd_guest_alloc(guest, STACK_SIZE, 4096) + STACK_SIZE - 4096;
    if (host->pthread_size) {
        guest->pthreads = vmd_guest_alloc(guest, (VMD_THREADS_MAX + 2) * (uint64_t)host->pthread_size, 16);
    }
    if (guest->err.code || vmd_imports_init(guest)) {
        vmd_guest_destroy(guest);
        return vmd_error_set(err, VMD_NO_MEMORY, 0, "out of memory");
    }
    vmd_guest_init_thread(guest, guest->thread);
    if (vmd_cpu_create(guest, unicorn, err)) {
        vmd_guest_destroy(guest);
        return err->code;
    }
    *ret = guest;
    return VMD_OK;
}

void vmd_guest_destroy(struct vmd_guest *guest)
{
    if (!guest) {
        return;
    }
    vmd_snapshot_destroy(guest);
    vmd_cpu_destroy(guest);
    vmd_trace_destroy(guest);
    vmd_containers_deinit(guest);
    if (guest->memory) {
        munmap(guest->memory, guest->size);
    }
    if (guest->memory_file >= 0) {
        close(guest->memory_file);
    }
    free(guest->output);
    vmd_imports_deinit(guest);
    free(guest->inits);
    free(guest->faults);
    free(guest);
}

void vmd_guest_set_services(struct vmd_guest *guest, const struct vmd_guest_services *services)
{
    guest->services = *services;
}

void vmd_guest_run_main(struct vmd_guest *guest)
{
    guest->queue_inits = guest->tolerate_faults = false;
}

void vmd_guest_set_fill(struct vmd_guest *guest, uint8_t fill)
{
    guest->state.fill = fill;
}

uint64_t vmd_guest_failed_at(const struct vmd_guest *guest)
{
    return guest->failed_at;
}

uint64_t vmd_guest_allocated(const struct vmd_guest *guest)
{
    return guest->state.free;
}

size_t vmd_guest_take_inits(struct vmd_guest *guest, uint64_t *pairs, size_t room)
{
    size_t n = guest->n_inits < room ? guest->n_inits : room;

    if (n) {
        memcpy(pairs, guest->inits, n * 2 * sizeof(*pairs));
        guest->n_inits -= n;
        memmove(guest->inits, guest->inits + 2 * n, guest->n_inits * 2 * sizeof(*pairs));
    }
    return n;
}

size_t vmd_guest_faults(const struct vmd_guest *guest, const struct vmd_guest_fault **ret)
{
    *ret = guest->faults;
    return guest->n_faults;
}
