/*
 * Runs the core with an allocator that fails at its nth call, for every n until no call fails. Each time the core must
 * return VMD_NO_MEMORY and free all its memory except the levels of templates.c; a second run must not allocate more
 * levels.
 *
 * Built by tests/csrc/test_alloc_failure.py from the core's sources with -Dmalloc=test_malloc and so on; templates.c
 * with -Dmalloc=test_malloc_kept.
 * Usage: alloc_failure DUMP-FILE. Prints the number of failed allocations.
 */
#include <stdio.h>
#include <string.h>

#include "dump/dump.h"
#include "base/ghash.h"
#include "parse/parse.h"
#include "savevm/savevm.h"

#undef malloc
#undef calloc
#undef realloc
#undef free
#include <stdlib.h>

static long until_failure, live, kept;

static int fails(void)
{
    return until_failure-- == 0;
}

void *test_malloc(size_t size)
{
    void *memory = fails() ? NULL : malloc(size);

    live += memory != NULL;
    return memory;
}

void *test_malloc_kept(size_t size)
{
    void *memory = fails() ? NULL : malloc(size);

    kept += memory != NULL;
    return memory;
}

void *test_calloc(size_t n, size_t size)
{
    void *memory = fails() ? NULL : calloc(n, size);

    live += memory != NULL;
    return memory;
}

void *test_realloc(void *old, size_t size)
{
    void *memory = fails() ? NULL : realloc(old, size);

    live += memory && !old;
    return memory;
}

void test_free(void *memory)
{
    live -= memory != NULL;
    free(memory);
}

static enum vmd_status table(struct vmd_tree *tree, struct vmd_error *err)
{
    static const struct vmd_desc_row descs[] = {{1, 1, 1, -1}, {2, 1, 1, 1}};
    static const struct vmd_field_row fields[] = {{4, 0, 0, 0, 0, 0, 0}, {8, 0, 0, 0, 0, 1, 0}};
    static const uint32_t subsections[] = {0};
    static const char names[] = "inner\0x\0outer\0y";
    const struct vmd_desc *refs[2];
    static const uint32_t nested[] = {0};
    struct vmd_table rows = {descs, 2, fields, 2, nested, 1, subsections, 1, names, sizeof(names), refs, 0};
    enum vmd_status status = vmd_tree_add_table(tree, &rows, err);

    return status ? status : vmd_tree_set_devices(tree, "none\0d", 7, &refs[1], 1, 1, err);
}

static enum vmd_status dump(const struct vmd_tree *tree, struct vmd_error *err)
{
    static char memory[16 << 20];
    enum vmd_status status =
        vmd_dump_memory(tree, VMD_ENGINE_FAST, VMD_FORM_QEMU, memory, sizeof(memory), NULL, NULL, err);

    return status ? status
                  : vmd_dump_memory(tree, VMD_ENGINE_STDIO, VMD_FORM_QEMU, memory, sizeof(memory), NULL, NULL, err);
}

/* A stream with configuration, RAM, a device and a vmdescription. */
static const char STREAM[] = "QEVM\0\0\0\3"
                             "\7\0\0\0\2pc"
                             "\1\0\0\0\2\3ram\0\0\0\0\0\0\0\4"
                             "\0\0\0\0\0\0\x10\4\1r\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\x10\x7e\0\0\0\2"
                             "\4\0\0\0\3\1d\0\0\0\0\0\0\0\1body\x7e\0\0\0\3"
                             "\0\6\0\0\0\2{}";

static int64_t read_stream(void *opaque, uint64_t offset, char *buffer, uint64_t size)
{
    uint64_t n = offset < sizeof(STREAM) - 1 ? sizeof(STREAM) - 1 - offset : 0;

    n = n < size ? n : size;
    memcpy(buffer, STREAM + (n ? offset : 0), n);
    return (int64_t)n;
}

static enum vmd_status walk(void)
{
    struct vmd_savevm *vm;
    enum vmd_status status = vmd_savevm_create(&vm);

    if (status) {
        return status;
    }
    status = vmd_savevm_walk(vm, read_stream, NULL, 0, 0, NULL, 0, "");
    if (!status && vm->problem) {
        status = vm->problem == VMD_SAVEVM_NO_MEMORY ? VMD_NO_MEMORY : VMD_BAD_REFERENCE;
    } else if (!status && (vm->n_sections != 2 || vm->vmdescription_size != 2)) {
        status = VMD_BAD_REFERENCE;
    }
    vmd_savevm_destroy(vm);
    return status;
}

/* Run all code that allocates. */
static enum vmd_status run(const char *text, size_t size)
{
    static const char names[] = "a\0b\0c\0d\0e\0f\0g\0h\0i\0j";
    uint32_t order[10];
    struct vmd_error err;
    struct vmd_tree *tree;
    enum vmd_status status = vmd_ghash_order(names, 10, order);

    for (int kind = 0; kind < 2 && !status; kind++) {
        status = vmd_tree_create(&tree);
        if (status) {
            break;
        }
        status = kind ? table(tree, &err) : vmd_tree_parse(tree, text, size, &err);
        if (!status) {
            status = dump(tree, &err);
        }
        vmd_tree_destroy(tree);
    }
    return status ? status : walk();
}

int main(int argc, char **argv)
{
    static char text[16 << 20];
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    size_t size = file ? fread(text, 1, sizeof(text), file) : 0;

    for (long n = 0;; n++) {
        enum vmd_status status;

        until_failure = n;
        status = run(text, size);
        if (live) {
            printf("%ld allocations leaked after allocation %ld failed\n", live, n);
            return 1;
        }
        if (until_failure >= 0) {
            long before = kept;

            until_failure = -1;
            status |= run(text, size);
            printf("%ld\n", n);
            return status || kept != before;
        }
        if (status != VMD_NO_MEMORY) {
            printf("status %d after allocation %ld failed\n", status, n);
            return 1;
        }
    }
}
