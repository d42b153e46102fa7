/*
 * Fuzz target: a migration stream (csrc/savevm/). The first byte chooses what is known before the walk, the rest is the
 * stream; or a block of LZO1X.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "savevm/savevm.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WITH_SIZES = 1, WITH_PAGE_SIZE = 2, SHORT_READS = 4, LZO = 8 };

struct input {
    const uint8_t *data;
    size_t size;
    uint64_t most; /* bytes of one read */
};

static int64_t read_input(void *opaque, uint64_t offset, char *buffer, uint64_t size)
{
    const struct input *input = opaque;
    uint64_t n = offset < input->size ? input->size - offset : 0;

    n = n < size ? n : size;
    n = n < input->most ? n : input->most;
    memcpy(buffer, input->data + (n ? offset : 0), n);
    return (int64_t)n;
}

/* Every section, block and text lies within the tables. */
static void check(const struct vmd_savevm *vm)
{
    volatile uint8_t byte = 0; /* reads all of each body */

    for (uint64_t i = 0; i < vm->n_sections; i++) {
        const struct vmd_savevm_section *section = &vm->sections[i];

        if (section->data + section->data_size > vm->data_size || section->data_size > section->size ||
            section->name + (uint64_t)section->name_len >= vm->text_size || section->end > VMD_SAVEVM_END_HEADER) {
            __builtin_trap();
        }
        for (uint64_t at = 0; at < section->data_size; at++) {
            byte = (uint8_t)vm->data[section->data + at];
        }
    }
    (void)byte;
    for (uint64_t i = 0; i < vm->n_blocks; i++) {
        if (vm->blocks[i].name + (uint64_t)vm->blocks[i].name_len >= vm->text_size) {
            __builtin_trap();
        }
    }
    if (vm->problem_section > vm->n_sections || vm->machine >= vm->text_size) {
        __builtin_trap();
    }
}

static void walk(uint8_t how, struct input *input)
{
    static const struct vmd_savevm_size SIZES[] = {{8, 0, 0}, {4, 6, 0}, {UINT64_MAX, 6, 1}};
    struct vmd_savevm *vm = NULL;

    if (vmd_savevm_create(&vm)) {
        return;
    }
    if (!vmd_savevm_walk(vm, read_input, input, how >> 4, how & WITH_PAGE_SIZE ? 1024 : 0, SIZES,
                         how & WITH_SIZES ? 3 : 0, "timer\0nic")) {
        check(vm);
    }
    vmd_savevm_destroy(vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t how = fuzz_byte(&data, &size);
    struct input input = {data, size, how & SHORT_READS ? 7 : UINT64_MAX};
    char out[4096];

    if (how & LZO) {
        int64_t n = vmd_lzo1x_decompress((const char *)data, size, out, sizeof(out));

        if (n > (int64_t)sizeof(out)) {
            __builtin_trap();
        }
        return 0;
    }
    walk(how, &input);
    return 0;
}
