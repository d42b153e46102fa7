/*
 * Runs the core with an allocator that fails at its nth call, for every n until nothing fails: each time the core must
 * say VMD_NO_MEMORY, and all that it allocated must be free again, but the levels of pieces.c: those are kept, and a
 * second run must need no more of them.
 *
 * Built by tests/test_memory.py with the core's sources and -Dmalloc=test_malloc and so on; pieces.c with
 * -Dmalloc=test_malloc_kept.
 * Usage: alloc_failure DUMP-FILE. Prints how many allocations failed in turn.
 */
#include <stdio.h>
#include <string.h>

#include "dump/dump.h"
#include "base/ghash.h"
#include "parse/parse.h"

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
    enum vmd_status status = vmd_dump_memory(tree, VMD_ENGINE_FAST, memory, sizeof(memory), NULL, NULL, err);

    return status ? status : vmd_dump_memory(tree, VMD_ENGINE_STDIO, memory, sizeof(memory), NULL, NULL, err);
}

/* Everything that allocates, one after the other. */
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
    return status;
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
            printf("%ld allocations left after the failure of number %ld\n", live, n);
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
            printf("status %d after the failure of number %ld\n", status, n);
            return 1;
        }
    }
}
