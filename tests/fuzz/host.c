/*
 * Fuzz target: functions of the host (csrc/guest/host/) and system calls. The input is a sequence of calls of 8 bytes:
 * the function, six arguments (a small number, an earlier result or an address each) and the kinds of the arguments.
 * 0xff is a system call, whose number is the first argument. The guest's memory begins with the same bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include "guest/syscalls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESULTS = 16, CALLS_MAX = 64 };

static uint64_t argument(const uint64_t *results, uint8_t byte, bool is_number)
{
    if (is_number) {
        return byte < 0xf0 ? byte : (uint64_t)-1 << (byte & 15) * 4;
    }
    return byte < RESULTS ? results[byte] : FUZZ_BASE + byte;
}

/* Functions in the order in which the files registered them, over and over. */
static vmd_host_fn *nth_function(size_t n)
{
    for (const struct vmd_host_library *library = NULL;;) {
        library = library && library->next ? library->next : vmd_host_libraries();
        if (n < library->n) {
            return library->functions[n].function;
        }
        n -= library->n;
    }
}

/* A file for each odd path, and a directory for others. */
static int is_directory(void *opaque, const char *path)
{
    return !(*path & 1);
}

static int read_file(void *opaque, const char *path, const char **data, uint64_t *size)
{
    *data = "contents";
    *size = 8;
    return *path & 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vmd_guest *guest = fuzz_guest(fuzz_byte(&data, &size), data, size);
    uint64_t results[RESULTS] = {0};

    vmd_guest_set_services(guest, &(struct vmd_guest_services){.read_file = read_file, .is_directory = is_directory});
    /* g_hash_table_new's argument */
    results[0] = vmd_guest_import(guest, "g_str_hash");
    results[1] = vmd_guest_import(guest, "g_int_hash");
    for (int n = 0; n < CALLS_MAX && size >= 8; n++, data += 8, size -= 8) {
        struct vmd_host_call call = {
            .guest = guest, .import = &(struct vmd_host_import){0}, .n_args = guest->host->n_args};
        for (int i = 0; i < 6; i++) {
            call.args[i] = argument(results, data[1 + i], data[7] >> i & 1);
        }
        call.stack = guest->stack;
        vmd_error_set(&guest->err, VMD_OK, 0, NULL);
        results[2 + n % (RESULTS - 2)] = data[0] == 0xff && guest->host->syscalls
                                             ? vmd_guest_serve_syscall(guest, data[1], call.args)
                                             : nth_function(data[0] | (data[7] & 0xc0) << 2)(&call);
    }
    vmd_guest_destroy(guest);
    return 0;
}
