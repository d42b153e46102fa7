/*
 * GArray, GByteArray and GPtrArray in the guest's memory. Public members are as GLib has them; then follow the
 * capacity, element size, references, and the function that frees elements.
 *
 * Source: GLib 2.74 glib/garray.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef VMD_GUEST_HOST_ARRAYS_H
#define VMD_GUEST_HOST_ARRAYS_H

#include "guest/internal.h"

enum { DATA = 0, LENGTH = 8, ROOM = 12, SIZE = 16, FLAGS = 20, REFERENCES = 24, DESTROY = 32, ARRAY_SIZE = 40 };
enum { ZERO_TERMINATED = 1, CLEAR = 2 };

/* The members of an array at the start of a call; vmd_array_store writes changes back. */
struct vmd_array {
    struct vmd_guest *guest;
    uint64_t address, data, destroy;
    uint32_t length, room, size, flags;
};

/* Make an array with room for elements of size bytes; destroy: the function that frees an element, or 0. */
uint64_t vmd_array_new(struct vmd_host_call *call, uint32_t size, uint32_t flags, uint64_t room, uint64_t destroy);

/* Load the array in the call's first argument. False: it is outside of the guest's memory or damaged; the call fails.
 */
bool vmd_array_load(struct vmd_host_call *call, struct vmd_array *ret);
void vmd_array_store(const struct vmd_array *array);

/* The address of an element in this process, or NULL, and the call fails. */
char *vmd_array_element(const struct vmd_array *array, uint64_t index);

/* Make room for n elements, and one more if the array ends with a zero. False: the call fails. */
bool vmd_array_reserve(struct vmd_array *array, uint64_t n);

/* Write the zero element at the end, if the array has one. */
void vmd_array_terminate(const struct vmd_array *array);

/* Call the array's function for n elements: with the pointer (pointers), or with the element's address. */
void vmd_array_destroy_elements(struct vmd_host_call *call, const struct vmd_array *array, uint64_t first, uint64_t n,
                                bool pointers);

/* Insert n elements at an index, from an address of the guest (0: zeros); returns the array. */
uint64_t vmd_array_insert(struct vmd_host_call *call, uint64_t index, uint64_t from, uint64_t n);

/* Remove n elements; fast: the last one is moved to the first free place. */
bool vmd_array_take_out(struct vmd_array *array, uint64_t index, uint64_t n, bool fast);

#endif
