/*
 * Sorting and searching with a comparison function of the guest: qsort, bsearch, GLib's sorts.
 *
 * A merge sort: stable, as glibc's qsort and GLib's are, and it ends whatever the function says.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

#include <stdlib.h>

int vmd_host_compare(struct vmd_host_call *call, uint64_t function, uint64_t a, uint64_t b, bool has_data,
                     uint64_t data)
{
    int32_t result = (int32_t)vmd_host_call_guest(call, function, (uint64_t[]){a, b, data}, has_data ? 3 : 2);

    return (result > 0) - (result < 0);
}

struct sorting {
    struct vmd_host_call *call;
    uint64_t base, compare, data;
    uint32_t *scratch;
    size_t size;   /* of an element; the function gets addresses */
    bool by_value; /* elements are pointers, which the function gets */
    bool has_data;
};

static uint64_t element(const struct sorting *sorting, uint32_t index)
{
    uint64_t address = sorting->base + index * (uint64_t)sorting->size;

    return sorting->by_value ? vmd_guest_load_u64(sorting->call->guest, address) : address;
}

/* Sorts n indices. */
static void merge_sort(const struct sorting *sorting, uint32_t *indices, size_t n)
{
    size_t middle = n / 2, a = 0, b = middle, to = 0;

    if (n < 2 || sorting->call->guest->err.code) {
        return;
    }
    merge_sort(sorting, indices, middle);
    merge_sort(sorting, indices + middle, n - middle);
    while (a < middle && b < n) {
        bool second = vmd_host_compare(sorting->call, sorting->compare, element(sorting, indices[a]),
                                       element(sorting, indices[b]), sorting->has_data, sorting->data) > 0;

        sorting->scratch[to++] = indices[second ? b++ : a++];
    }
    while (a < middle) {
        sorting->scratch[to++] = indices[a++];
    }
    memcpy(indices, sorting->scratch, to * sizeof(*indices));
}

static void sort_elements(struct sorting *sorting, uint64_t n)
{
    struct vmd_guest *guest = sorting->call->guest;
    uint64_t bytes;
    uint32_t *indices;
    char *at, *copy;

    if (n < 2 || !sorting->size) {
        return;
    }
    if (__builtin_mul_overflow(n, sorting->size, &bytes) || n > UINT32_MAX) {
        bytes = UINT64_MAX;
    }
    if (!vmd_guest_at(guest, sorting->base, bytes)) {
        return;
    }
    indices = malloc(2 * n * sizeof(*indices));
    copy = malloc(bytes);
    if (!indices || !copy) {
        vmd_guest_fail(guest, VMD_NO_MEMORY, 0, "out of memory");
    } else {
        sorting->scratch = indices + n;
        for (uint32_t i = 0; i < n; i++) {
            indices[i] = i;
        }
        merge_sort(sorting, indices, n);
        at = vmd_guest_find(guest, sorting->base, bytes);
        memcpy(copy, at, bytes);
        for (uint64_t i = 0; i < n; i++) {
            memcpy(at + i * sorting->size, copy + indices[i] * sorting->size, sorting->size);
        }
    }
    free(indices);
    free(copy);
}

void vmd_host_sort(struct vmd_host_call *call, uint64_t base, uint64_t n, uint64_t size, uint64_t compare,
                   bool has_data, uint64_t data)
{
    sort_elements(
        &(struct sorting){
            .call = call, .base = base, .size = size, .compare = compare, .has_data = has_data, .data = data},
        n);
}

void vmd_host_sort_pointers(struct vmd_host_call *call, uint64_t base, uint64_t n, uint64_t compare, bool has_data,
                            uint64_t data)
{
    sort_elements(&(struct sorting){.call = call,
                                    .base = base,
                                    .size = 8,
                                    .by_value = true,
                                    .compare = compare,
                                    .has_data = has_data,
                                    .data = data},
                  n);
}

static uint64_t host_qsort(struct vmd_host_call *call)
{
    vmd_host_sort(call, call->args[0], call->args[1], call->args[2], call->args[3], false, 0);
    return 0;
}

static uint64_t host_g_qsort_with_data(struct vmd_host_call *call)
{
    vmd_host_sort(call, call->args[0], (uint32_t)call->args[1], call->args[2], call->args[3], true, call->args[4]);
    return 0;
}

static uint64_t host_bsearch(struct vmd_host_call *call)
{
    uint64_t low = 0, high = call->args[2];

    while (low < high && !call->guest->err.code) {
        uint64_t middle = low + (high - low) / 2, at = call->args[1] + middle * call->args[3];
        int order = vmd_host_compare(call, call->args[4], call->args[0], at, false, 0);

        if (!order) {
            return at;
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    return 0;
}

VMD_SERVE({"qsort", host_qsort}, {"g_qsort_with_data", host_g_qsort_with_data}, {"bsearch", host_bsearch})
