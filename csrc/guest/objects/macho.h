/*
 * Parts of a Mach-O object in a guest, shared by macho.c (load commands), macho_symbols.c, macho_chained.c and
 * macho_opcodes.c (fixups).
 *
 * The object's segments are in the guest's memory, including __LINKEDIT, which holds all tables. Offsets in the file
 * are translated by the segments, and every range is checked where it is used: fixups may overwrite the tables.
 *
 * Source: Apple's mach-o/loader.h, mach-o/nlist.h and mach-o/fixup-chains.h; dyld's MachOFile.cpp, MachOAnalyzer.cpp.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_MACHO_H
#define VMD_MACHO_H

#include "guest/objects/build.h"
#include "guest/objects/macho_object.h"

/* Far more than QEMU has, and low enough that a hostile file cannot exhaust the host's memory or time. */
enum {
    VMD_MACHO_SEGMENTS_MAX = 64,
    VMD_MACHO_SECTIONS_MAX = 1024,
    VMD_MACHO_FIXUPS_MAX = 1 << 22,
};

/* Types of sections. */
enum {
    VMD_S_MOD_INIT_FUNC_POINTERS = 0x9,
    VMD_S_THREAD_LOCAL_REGULAR = 0x11,
    VMD_S_THREAD_LOCAL_ZEROFILL = 0x12,
    VMD_S_THREAD_LOCAL_VARIABLES = 0x13,
    VMD_S_INIT_FUNC_OFFSETS = 0x16,
};

/* Ordinals of libraries that stand for a search. */
enum { VMD_BIND_SELF = 0, VMD_BIND_MAIN = -1, VMD_BIND_FLAT = -2, VMD_BIND_WEAK = -3 };

struct vmd_macho_segment {
    uint64_t address, size;     /* in the guest; size 0: not mapped */
    uint64_t offset, file_size; /* in the file */
    bool is_writable;
};

struct vmd_macho_section {
    uint64_t address, size;
    uint32_t type;
};

/* A range of the file. */
struct vmd_macho_range {
    uint64_t offset, size; /* size 0: none */
};

/* An object while it is linked. */
struct vmd_macho {
    struct vmd_object *object; /* its bias is added to addresses of the file */
    struct vmd_guest *guest;
    uint64_t start, size; /* of the object in the guest; its header is at start */
    const struct vmd_object *const *scope;
    size_t n_scope;
    struct vmd_macho_segment segments[VMD_MACHO_SEGMENTS_MAX];
    size_t n_segments;
    struct vmd_macho_section *sections;
    size_t n_sections;
    struct vmd_macho_range symbols, names, chained, rebase, bind, weak_bind, lazy_bind, function_starts;
};

/* Bytes of a range of the file; NULL: they are not in a segment. */
const char *vmd_macho_bytes(const struct vmd_macho *macho, uint64_t offset, uint64_t size);

/* The length of the string at from, which must end before end; SIZE_MAX: it does not. */
size_t vmd_macho_text(const char *from, const char *end);

/* A variable-length number at *at, which advances; false: it does not end before end, or has more than 64 bits. */
bool vmd_macho_uleb(const unsigned char **at, const unsigned char *end, uint64_t *ret);

/* The section of a type, from number *next on, which advances; NULL: no more. */
const struct vmd_macho_section *vmd_macho_next_section(const struct vmd_macho *macho, uint32_t type, size_t *next);

/* Read LC_SYMTAB. */
enum vmd_status vmd_macho_read_symbols(struct vmd_macho *macho, struct vmd_error *err);

/*
 * The address that an import is bound to: of the object itself where the ordinal of the library says so, of
 * an object in scope, else of the host. 0: more imports than any QEMU has. name: as in the file.
 */
uint64_t vmd_macho_resolve(const struct vmd_macho *macho, const char *name, int64_t ordinal);

/*
 * Store the address of something at a place, which becomes a slot; err is set if the place is in no writable segment,
 * or there are too many.
 */
enum vmd_status vmd_macho_fix(struct vmd_macho *macho, uint64_t place, uint64_t value, struct vmd_error *err);

/* Apply LC_DYLD_CHAINED_FIXUPS, or LC_DYLD_INFO. */
enum vmd_status vmd_macho_apply_chains(struct vmd_macho *macho, struct vmd_error *err);
enum vmd_status vmd_macho_apply_opcodes(struct vmd_macho *macho, struct vmd_error *err);

#endif
