/*
 * Mach-O objects in a guest: rebase and bind opcodes (LC_DYLD_INFO), as linkers write them for older systems. See
 * macho.h.
 *
 * Opcodes are instructions for a machine with a few registers: a place, a symbol and an addend.
 *
 * Source: mach-o/loader.h; dyld's MachOAnalyzer.cpp, forEachRebase and forEachBind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/objects/macho.h"

#include <stdio.h>

/* High half of a byte; the low half is an immediate. */
enum {
    REBASE_DONE = 0x00,
    REBASE_SET_TYPE_IMM = 0x10,
    REBASE_SET_SEGMENT_AND_OFFSET_ULEB = 0x20,
    REBASE_ADD_ADDR_ULEB = 0x30,
    REBASE_ADD_ADDR_IMM_SCALED = 0x40,
    REBASE_DO_REBASE_IMM_TIMES = 0x50,
    REBASE_DO_REBASE_ULEB_TIMES = 0x60,
    REBASE_DO_REBASE_ADD_ADDR_ULEB = 0x70,
    REBASE_DO_REBASE_ULEB_TIMES_SKIPPING_ULEB = 0x80,
};

enum {
    BIND_DONE = 0x00,
    BIND_SET_DYLIB_ORDINAL_IMM = 0x10,
    BIND_SET_DYLIB_ORDINAL_ULEB = 0x20,
    BIND_SET_DYLIB_SPECIAL_IMM = 0x30,
    BIND_SET_SYMBOL_TRAILING_FLAGS_IMM = 0x40,
    BIND_SET_TYPE_IMM = 0x50,
    BIND_SET_ADDEND_SLEB = 0x60,
    BIND_SET_SEGMENT_AND_OFFSET_ULEB = 0x70,
    BIND_ADD_ADDR_ULEB = 0x80,
    BIND_DO_BIND = 0x90,
    BIND_DO_BIND_ADD_ADDR_ULEB = 0xa0,
    BIND_DO_BIND_ADD_ADDR_IMM_SCALED = 0xb0,
    BIND_DO_BIND_ULEB_TIMES_SKIPPING_ULEB = 0xc0,
    BIND_THREADED = 0xd0,
};

enum { POINTER = 1, POINTER_SIZE = 8, NON_WEAK_DEFINITION = 0x8 };

struct machine {
    struct vmd_macho *macho;
    const unsigned char *at, *end; /* opcodes */
    uint64_t place;
    bool is_bind, is_lazy, has_symbol;
    bool is_strong; /* the symbol only overrides weak definitions of others: nothing is bound */
    int64_t ordinal;
    uint64_t symbol, addend;
};

static enum vmd_status malformed(struct vmd_error *err)
{
    return vmd_object_bad(err, "its fixup opcodes are malformed");
}

static bool sleb(const unsigned char **at, const unsigned char *end, uint64_t *ret)
{
    uint64_t value = 0;
    unsigned shift = 0;

    while (*at < end && shift < 70) {
        unsigned char byte = *(*at)++;

        value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        shift += 7;
        if (!(byte & 0x80)) {
            *ret = value | (byte & 0x40 && shift < 64 ? ~0ull << shift : 0);
            return true;
        }
    }
    return false;
}

/* Fix the word at the place, and advance by it and skip more bytes; n times. */
static enum vmd_status fix(struct machine *machine, uint64_t n, uint64_t skip, struct vmd_error *err)
{
    struct vmd_macho *macho = machine->macho;

    if (machine->is_bind && !machine->has_symbol) {
        return malformed(err);
    }
    if (machine->is_strong) {
        machine->place += n * (POINTER_SIZE + skip);
        return VMD_OK;
    }
    for (; n; n--) {
        uint64_t value = machine->symbol + machine->addend;

        if (!machine->is_bind) {
            const char *from = vmd_guest_find(macho->guest, machine->place, POINTER_SIZE);

            value = from ? vmd_get_u64(macho->guest, from) + macho->object->bias : 0;
        }
        if (vmd_macho_fix(macho, machine->place, value, err)) {
            return err->code;
        }
        machine->place += POINTER_SIZE + skip;
    }
    return VMD_OK;
}

static enum vmd_status set_segment(struct machine *machine, uint8_t segment, struct vmd_error *err)
{
    uint64_t offset;

    if (segment >= machine->macho->n_segments || !vmd_macho_uleb(&machine->at, machine->end, &offset)) {
        return malformed(err);
    }
    machine->place = machine->macho->segments[segment].address + offset;
    return VMD_OK;
}

static enum vmd_status rebase(struct machine *machine, uint8_t opcode, uint8_t immediate, struct vmd_error *err)
{
    const unsigned char **at = &machine->at, *end = machine->end;
    uint64_t n, skip;

    switch (opcode) {
    case REBASE_SET_TYPE_IMM:
        return immediate == POINTER ? VMD_OK : vmd_object_bad(err, "a fixup of an unknown type");
    case REBASE_SET_SEGMENT_AND_OFFSET_ULEB:
        return set_segment(machine, immediate, err);
    case REBASE_ADD_ADDR_ULEB:
        if (!vmd_macho_uleb(at, end, &n)) {
            return malformed(err);
        }
        machine->place += n;
        return VMD_OK;
    case REBASE_ADD_ADDR_IMM_SCALED:
        machine->place += POINTER_SIZE * (uint64_t)immediate;
        return VMD_OK;
    case REBASE_DO_REBASE_IMM_TIMES:
        return fix(machine, immediate, 0, err);
    case REBASE_DO_REBASE_ULEB_TIMES:
        return vmd_macho_uleb(at, end, &n) ? fix(machine, n, 0, err) : malformed(err);
    case REBASE_DO_REBASE_ADD_ADDR_ULEB:
        return vmd_macho_uleb(at, end, &skip) ? fix(machine, 1, skip, err) : malformed(err);
    case REBASE_DO_REBASE_ULEB_TIMES_SKIPPING_ULEB:
        return vmd_macho_uleb(at, end, &n) && vmd_macho_uleb(at, end, &skip) ? fix(machine, n, skip, err)
                                                                             : malformed(err);
    default:
        return malformed(err);
    }
}

static enum vmd_status set_symbol(struct machine *machine, uint8_t flags, struct vmd_error *err)
{
    const char *name = (const char *)machine->at;
    size_t size = vmd_macho_text(name, (const char *)machine->end);

    if (size == SIZE_MAX) {
        return malformed(err);
    }
    machine->at += size + 1;
    machine->is_strong = flags & NON_WEAK_DEFINITION;
    machine->has_symbol = true;
    machine->symbol = vmd_macho_resolve(machine->macho, name, machine->ordinal);
    return machine->symbol ? VMD_OK : vmd_object_bad(err, "imports more functions than any QEMU does");
}

static enum vmd_status bind(struct machine *machine, uint8_t opcode, uint8_t immediate, struct vmd_error *err)
{
    const unsigned char **at = &machine->at, *end = machine->end;
    uint64_t n, skip;

    switch (opcode) {
    case BIND_SET_DYLIB_ORDINAL_IMM:
        machine->ordinal = immediate;
        return VMD_OK;
    case BIND_SET_DYLIB_ORDINAL_ULEB:
        if (!vmd_macho_uleb(at, end, &n)) {
            return malformed(err);
        }
        machine->ordinal = n > UINT16_MAX ? UINT16_MAX : (int64_t)n;
        return VMD_OK;
    case BIND_SET_DYLIB_SPECIAL_IMM:
        machine->ordinal = immediate ? (int8_t)(0xf0 | immediate) : 0;
        return VMD_OK;
    case BIND_SET_SYMBOL_TRAILING_FLAGS_IMM:
        return set_symbol(machine, immediate, err);
    case BIND_SET_TYPE_IMM:
        return immediate == POINTER ? VMD_OK : vmd_object_bad(err, "a fixup of an unknown type");
    case BIND_SET_ADDEND_SLEB:
        return sleb(at, end, &machine->addend) ? VMD_OK : malformed(err);
    case BIND_SET_SEGMENT_AND_OFFSET_ULEB:
        return set_segment(machine, immediate, err);
    case BIND_ADD_ADDR_ULEB:
        if (!vmd_macho_uleb(at, end, &n)) {
            return malformed(err);
        }
        machine->place += n;
        return VMD_OK;
    case BIND_DO_BIND:
        return fix(machine, 1, 0, err);
    case BIND_DO_BIND_ADD_ADDR_ULEB:
        return vmd_macho_uleb(at, end, &skip) ? fix(machine, 1, skip, err) : malformed(err);
    case BIND_DO_BIND_ADD_ADDR_IMM_SCALED:
        return fix(machine, 1, POINTER_SIZE * (uint64_t)immediate, err);
    case BIND_DO_BIND_ULEB_TIMES_SKIPPING_ULEB:
        return vmd_macho_uleb(at, end, &n) && vmd_macho_uleb(at, end, &skip) ? fix(machine, n, skip, err)
                                                                             : malformed(err);
    case BIND_THREADED:
        return vmd_object_bad(err, "signed pointers of arm64e, which can't be emulated");
    default:
        return malformed(err);
    }
}

/* Execute opcodes to their end. Lazy binds end each symbol with DONE. */
static enum vmd_status run(struct vmd_macho *macho, const struct vmd_macho_range *range, struct machine machine,
                           struct vmd_error *err)
{
    if (!range->size) {
        return VMD_OK;
    }
    machine.macho = macho;
    machine.at = (const unsigned char *)vmd_macho_bytes(macho, range->offset, range->size);
    if (!machine.at) {
        return vmd_object_bad(err, "its fixup opcodes are outside of the file");
    }
    machine.end = machine.at + range->size;
    while (machine.at < machine.end) {
        const unsigned char *start = machine.at;
        uint8_t opcode = *start & 0xf0, immediate = *start & 0x0f;

        machine.at++;
        if (!opcode) { /* DONE */
            if (!machine.is_lazy) {
                break;
            }
            continue;
        }
        if (machine.is_bind ? bind(&machine, opcode, immediate, err) : rebase(&machine, opcode, immediate, err)) {
            snprintf(err->path, sizeof(err->path), "%s opcode at %#llx", machine.is_bind ? "bind" : "rebase",
                     (unsigned long long)(range->offset + range->size - (uint64_t)(machine.end - start)));
            return err->code;
        }
    }
    return VMD_OK;
}

enum vmd_status vmd_macho_apply_opcodes(struct vmd_macho *macho, struct vmd_error *err)
{
    if (run(macho, &macho->rebase, (struct machine){0}, err) ||
        run(macho, &macho->bind, (struct machine){.is_bind = true}, err) ||
        run(macho, &macho->weak_bind, (struct machine){.is_bind = true, .ordinal = VMD_BIND_WEAK}, err) ||
        run(macho, &macho->lazy_bind, (struct machine){.is_bind = true, .is_lazy = true}, err)) {
        return err->code;
    }
    return VMD_OK;
}
