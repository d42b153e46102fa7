/*
 * VMStateDescription and the VMSTATE_* macros for modules in C. Layouts, names, parameters and results are those of
 * QEMU. vmdump only reads descriptions: it never calls their hooks and tests. There is nothing to link against.
 *
 * A member whose type differs from its macro's does not compile: "static assertion failed: ClockState.period is not
 * uint64_t".
 *
 * Thread safety: constants only. Requires gcc or clang, and -std=c11 or newer (_Static_assert, __typeof__).
 *
 * Source: QEMU 8.2.2 (layouts) and 10.0.13 (macros) include/migration/vmstate.h; names of the infos:
 * migration/vmstate-types.c and migration/savevm.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMDUMP_VMSTATE_H
#define VMDUMP_VMSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __linux__
#include <linux/types.h>
#endif

/* cdef: begin */
typedef struct QEMUFile QEMUFile;
typedef struct JSONWriter JSONWriter;
typedef struct VMStateField VMStateField;
typedef struct VMStateDescription VMStateDescription;

/* Encoding of a value in the migration stream. vmdump reads the name and never calls get and put. */
typedef struct VMStateInfo {
    const char *name;
    int (*get)(QEMUFile *f, void *pv, size_t size, const VMStateField *field);
    int (*put)(QEMUFile *f, void *pv, size_t size, const VMStateField *field, JSONWriter *vmdesc);
} VMStateInfo;

/* How to locate and count the bytes of a field. */
enum VMStateFlags {
    VMS_SINGLE = 0x1,
    VMS_POINTER = 0x2,              /* the member points to the value */
    VMS_ARRAY = 0x4,                /* num elements */
    VMS_STRUCT = 0x8,               /* described by vmsd */
    VMS_VARRAY_INT32 = 0x10,        /* the int32_t at num_offset is the number of elements */
    VMS_BUFFER = 0x20,
    VMS_ARRAY_OF_POINTER = 0x40,    /* each element points to the value */
    VMS_VARRAY_UINT16 = 0x80,
    VMS_VBUFFER = 0x100,            /* the int32_t at size_offset is an element's size */
    VMS_MULTIPLY = 0x200,           /* ... multiplied by size */
    VMS_VARRAY_UINT8 = 0x400,
    VMS_VARRAY_UINT32 = 0x800,
    VMS_MUST_EXIST = 0x1000,        /* an assertion: field_exists must return true; no data */
    VMS_ALLOC = 0x2000,             /* loading allocates the memory pointed to */
    VMS_MULTIPLY_ELEMENTS = 0x4000, /* num_offset's value multiplied by num */
    VMS_VSTRUCT = 0x8000,           /* described by version struct_version_id of vmsd */
    VMS_END = 0x10000               /* ends a list of fields */
};

/* State with a higher priority is migrated earlier. */
typedef enum {
    MIG_PRI_DEFAULT = 0,
    MIG_PRI_IOMMU = 1,
    MIG_PRI_PCI_BUS = 2,
    MIG_PRI_VIRTIO_MEM = 3,
    MIG_PRI_GICV3_ITS = 4,
    MIG_PRI_GICV3 = 5,
    MIG_PRI_MAX = 6
} MigrationPriority;

struct VMStateField {
    const char *name;       /* NULL ends the list */
    const char *err_hint;
    size_t offset;
    size_t size;            /* bytes of one element */
    size_t start;
    int num;                /* elements */
    size_t num_offset;
    size_t size_offset;
    const VMStateInfo *info;
    enum VMStateFlags flags;
    const VMStateDescription *vmsd;
    int version_id;
    int struct_version_id;
    bool (*field_exists)(void *opaque, int version_id);
};

struct VMStateDescription {
    const char *name;
    bool unmigratable;
    bool early_setup;
    int version_id;
    int minimum_version_id;
    MigrationPriority priority;
    int (*pre_load)(void *opaque);
    int (*post_load)(void *opaque, int version_id);
    int (*pre_save)(void *opaque);
    int (*post_save)(void *opaque);
    bool (*needed)(void *opaque);
    bool (*dev_unplug_pending)(void *opaque);
    const VMStateField *fields;                     /* ends with VMSTATE_END_OF_LIST() */
    const VMStateDescription *const *subsections;   /* ends with NULL */
};
/* cdef: end */

/* The layout is part of the ABI; vmdump also reads the structs of QEMU 8.2 binaries with it. */
#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(VMStateField) == 104, "the layout of QEMU 8.2's VMStateField");
_Static_assert(offsetof(VMStateField, offset) == 16 && offsetof(VMStateField, num) == 40 &&
               offsetof(VMStateField, info) == 64 && offsetof(VMStateField, vmsd) == 80 &&
               offsetof(VMStateField, version_id) == 88 && offsetof(VMStateField, field_exists) == 96,
               "the layout of QEMU 8.2's VMStateField");
_Static_assert(sizeof(VMStateDescription) == 88, "the layout of QEMU 8.2's VMStateDescription");
_Static_assert(offsetof(VMStateDescription, early_setup) == 9 && offsetof(VMStateDescription, version_id) == 12 &&
               offsetof(VMStateDescription, priority) == 20 && offsetof(VMStateDescription, pre_load) == 24 &&
               offsetof(VMStateDescription, needed) == 56 && offsetof(VMStateDescription, fields) == 72 &&
               offsetof(VMStateDescription, subsections) == 80, "the layout of QEMU 8.2's VMStateDescription");
#endif

/* Types of members, with QEMU's sizes. */

typedef struct QEMUTimer {
    int64_t expire_time;
    void *timer_list;
    void (*cb)(void *opaque);
    void *opaque;
    struct QEMUTimer *next;
    int attributes;
    int scale;
} QEMUTimer;

typedef union {
    uint64_t d;     /* the bits of a double */
    struct {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        uint32_t upper, lower;
#else
        uint32_t lower, upper;
#endif
    } l;
    uint64_t ll;
} CPU_DoubleU;

#ifndef QTAILQ_ENTRY
#define QTAILQ_HEAD(_name, _type) union _name { struct _type *first; void *link[2]; }
#define QTAILQ_ENTRY(_type)       union { struct _type *next; void *link[2]; }
#define QLIST_HEAD(_name, _type)  struct _name { struct _type *first; }
#define QLIST_ENTRY(_type)        struct { struct _type *next, **prev; }
#endif

/*
 * The VMStateInfos. There is nothing to link against, so each file has its own copies. vmdump identifies them by name.
 */
#define VMSTATE_INFO(_id, _name) \
    static const VMStateInfo vmstate_info_##_id __attribute__((unused)) = { .name = _name }

VMSTATE_INFO(bool, "bool");
VMSTATE_INFO(int8, "int8");
VMSTATE_INFO(int16, "int16");
VMSTATE_INFO(int32, "int32");
VMSTATE_INFO(int64, "int64");
VMSTATE_INFO(uint8, "uint8");
VMSTATE_INFO(uint16, "uint16");
VMSTATE_INFO(uint32, "uint32");
VMSTATE_INFO(uint64, "uint64");
VMSTATE_INFO(uint8_equal, "uint8 equal");
VMSTATE_INFO(uint16_equal, "uint16 equal");
VMSTATE_INFO(int32_equal, "int32 equal");
VMSTATE_INFO(uint32_equal, "uint32 equal");
VMSTATE_INFO(uint64_equal, "int64 equal");  /* sic: part of the stream format */
VMSTATE_INFO(int32_le, "int32 le");
VMSTATE_INFO(fd, "fd");
VMSTATE_INFO(nullptr, "nullptr");
VMSTATE_INFO(cpudouble, "CPU_Double_U");
VMSTATE_INFO(timer, "timer");
VMSTATE_INFO(buffer, "buffer");
VMSTATE_INFO(unused_buffer, "unused_buffer");
VMSTATE_INFO(tmp, "tmp");
VMSTATE_INFO(bitmap, "bitmap");
VMSTATE_INFO(qtailq, "qtailq");
VMSTATE_INFO(gtree, "gtree");
VMSTATE_INFO(qlist, "qlist");

#define VMS_NULLPTR_MARKER (0x30U)
#define VMSTATE_INSTANCE_ID_ANY (-1)

/*
 * Checked offsets of members, in bytes: compilation fails if a member has another type. Your own macros can use them.
 */

#ifndef stringify
#define stringify(_tokens)  stringify_(_tokens)
#define stringify_(_tokens) #_tokens
#endif
#ifndef typeof_field
#define typeof_field(_struct, _member) __typeof__(((_struct *)0)->_member)
#endif

/* Constant 0; compilation fails with the text if the condition is false. */
#define VMSTATE_REQUIRE(_condition, _text) (sizeof(struct { _Static_assert(_condition, _text); char none; }) - 1)

#define VMSTATE_TYPED_OFFSET(_state, _field, _member_type, _type, _text) \
    (offsetof(_state, _field) + \
     VMSTATE_REQUIRE(__builtin_types_compatible_p(_member_type, _type), stringify(_state) "." stringify(_field) _text))

#define vmstate_offset_value(_state, _field, _type) \
    VMSTATE_TYPED_OFFSET(_state, _field, typeof_field(_state, _field), _type, " is not " stringify(_type))
#define vmstate_offset_pointer(_state, _field, _type) \
    VMSTATE_TYPED_OFFSET(_state, _field, typeof_field(_state, _field), _type *, " is not " stringify(_type) " *")
#define vmstate_offset_array(_state, _field, _type, _num) \
    VMSTATE_TYPED_OFFSET(_state, _field, typeof_field(_state, _field), __typeof__(_type[_num]), \
                         " is not " stringify(_type) "[" stringify(_num) "]")
#define vmstate_offset_2darray(_state, _field, _type, _n1, _n2) \
    VMSTATE_TYPED_OFFSET(_state, _field, typeof_field(_state, _field), __typeof__(_type[_n1][_n2]), \
                         " is not " stringify(_type) "[" stringify(_n1) "][" stringify(_n2) "]")
#define vmstate_offset_sub_array(_state, _field, _type, _start) vmstate_offset_value(_state, _field[_start], _type)
#define vmstate_offset_buffer(_state, _field) \
    VMSTATE_TYPED_OFFSET(_state, _field, typeof_field(_state, _field), uint8_t[sizeof(typeof_field(_state, _field))], \
                         " is not an array of uint8_t")
/* An array of any length, but not a pointer. */
#define vmstate_offset_varray(_state, _field, _type) \
    (VMSTATE_TYPED_OFFSET(_state, _field, typeof_field(_state, _field[0]), _type, \
                          " is not an array of " stringify(_type)) + \
     VMSTATE_REQUIRE(!__builtin_types_compatible_p(typeof_field(_state, _field), \
                                                   __typeof__(&((_state *)0)->_field[0])), \
                     stringify(_state) "." stringify(_field) " is a pointer, not an array"))

/*
 * Field macros. VMSTATE_FIELD is the base of all others, which choose flags, offset, size and info or vmsd.
 *
 * _field: member of the struct _state, such as queue.rptr or regs[3]; also the field's name. _version: the first version
 * of the description that has the field. _test: NULL or bool (*)(void *opaque, int version_id); the field is sent only
 * if it returns true.
 */
#define VMSTATE_FIELD(_name, _version, _test, _flags, _offset, _size, ...) { \
    .name = _name, .version_id = (_version), .field_exists = (_test), .flags = (enum VMStateFlags)(_flags), \
    .offset = (_offset), .size = (_size), __VA_ARGS__ }

#define VMSTATE_END_OF_LIST() { .flags = VMS_END }

/* One value. */
#define VMSTATE_SINGLE_FULL(_field, _state, _test, _version, _info, _type, _err_hint) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_SINGLE, vmstate_offset_value(_state, _field, _type), \
                  sizeof(_type), .info = &(_info), .err_hint = (_err_hint))
#define VMSTATE_SINGLE_TEST(_field, _state, _test, _version, _info, _type) \
    VMSTATE_SINGLE_FULL(_field, _state, _test, _version, _info, _type, NULL)
#define VMSTATE_SINGLE(_field, _state, _version, _info, _type) \
    VMSTATE_SINGLE_TEST(_field, _state, NULL, _version, _info, _type)

/* Assertion without data: loading fails if the test returns false. */
#define VMSTATE_VALIDATE(_name, _test) VMSTATE_FIELD((_name), 0, _test, VMS_ARRAY | VMS_MUST_EXIST, 0, 0, .num = 0)

/* A pointer to a value; _type is the pointer type. */
#define VMSTATE_POINTER_FULL(_field, _state, _test, _version, _info, _type) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_SINGLE | VMS_POINTER, \
                  vmstate_offset_value(_state, _field, _type), sizeof(_type), .info = &(_info))
#define VMSTATE_POINTER(_field, _state, _version, _info, _type) \
    VMSTATE_POINTER_FULL(_field, _state, NULL, _version, _info, _type)
#define VMSTATE_POINTER_TEST(_field, _state, _test, _info, _type) \
    VMSTATE_POINTER_FULL(_field, _state, _test, 0, _info, _type)

/* Arrays of values with constant length. */
#define VMSTATE_ARRAY(_field, _state, _num, _version, _info, _type) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_ARRAY, vmstate_offset_array(_state, _field, _type, _num), \
                  sizeof(_type), .num = (_num), .info = &(_info))
#define VMSTATE_2DARRAY(_field, _state, _n1, _n2, _version, _info, _type) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_ARRAY, \
                  vmstate_offset_2darray(_state, _field, _type, _n1, _n2), sizeof(_type), \
                  .num = (_n1) * (_n2), .info = &(_info))
#define VMSTATE_SUB_ARRAY(_field, _state, _start, _num, _version, _info, _type) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_ARRAY, \
                  vmstate_offset_sub_array(_state, _field, _type, _start), sizeof(_type), \
                  .num = (_num), .info = &(_info))
#define VMSTATE_ARRAY_OF_POINTER(_field, _state, _num, _version, _info, _type) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_ARRAY | VMS_ARRAY_OF_POINTER, \
                  vmstate_offset_array(_state, _field, _type, _num), sizeof(_type), .num = (_num), .info = &(_info))

/* Arrays of values whose length is the member _field_num; in place or behind a pointer. */
#define VMSTATE_VARRAY(_field, _state, _field_num, _num_type, _version, _info, _type, _flags) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, _flags, vmstate_offset_varray(_state, _field, _type), \
                  sizeof(_type), .num_offset = vmstate_offset_value(_state, _field_num, _num_type), .info = &(_info))
#define VMSTATE_VARRAY_POINTER(_field, _state, _field_num, _num_type, _version, _info, _type, _flags) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_POINTER | (_flags), \
                  vmstate_offset_pointer(_state, _field, _type), sizeof(_type), \
                  .num_offset = vmstate_offset_value(_state, _field_num, _num_type), .info = &(_info))
#define VMSTATE_ARRAY_INT32_UNSAFE(_field, _state, _field_num, _info, _type) \
    VMSTATE_VARRAY(_field, _state, _field_num, int32_t, 0, _info, _type, VMS_VARRAY_INT32)
#define VMSTATE_VARRAY_UINT16_UNSAFE(_field, _state, _field_num, _version, _info, _type) \
    VMSTATE_VARRAY(_field, _state, _field_num, uint16_t, _version, _info, _type, VMS_VARRAY_UINT16)
#define VMSTATE_VARRAY_INT32(_field, _state, _field_num, _version, _info, _type) \
    VMSTATE_VARRAY_POINTER(_field, _state, _field_num, int32_t, _version, _info, _type, VMS_VARRAY_INT32)
#define VMSTATE_VARRAY_UINT32(_field, _state, _field_num, _version, _info, _type) \
    VMSTATE_VARRAY_POINTER(_field, _state, _field_num, uint32_t, _version, _info, _type, VMS_VARRAY_UINT32)
#define VMSTATE_VARRAY_UINT32_ALLOC(_field, _state, _field_num, _version, _info, _type) \
    VMSTATE_VARRAY_POINTER(_field, _state, _field_num, uint32_t, _version, _info, _type, VMS_VARRAY_UINT32 | VMS_ALLOC)
#define VMSTATE_VARRAY_UINT16_ALLOC(_field, _state, _field_num, _version, _info, _type) \
    VMSTATE_VARRAY_POINTER(_field, _state, _field_num, uint16_t, _version, _info, _type, VMS_VARRAY_UINT16 | VMS_ALLOC)
#define VMSTATE_VARRAY_MULTIPLY(_field, _state, _field_num, _multiply, _info, _type) \
    VMSTATE_FIELD(stringify(_field), 0, NULL, VMS_VARRAY_UINT32 | VMS_MULTIPLY_ELEMENTS, \
                  vmstate_offset_varray(_state, _field, _type), sizeof(_type), .num = (_multiply), \
                  .num_offset = vmstate_offset_value(_state, _field_num, uint32_t), .info = &(_info))

/* Structs with a description of their own. A VSTRUCT is migrated as version _struct_version of its description. */
#define VMSTATE_STRUCT_TEST(_field, _state, _test, _version, _vmsd, _type) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_STRUCT, vmstate_offset_value(_state, _field, _type), \
                  sizeof(_type), .vmsd = &(_vmsd))
#define VMSTATE_STRUCT(_field, _state, _version, _vmsd, _type) \
    VMSTATE_STRUCT_TEST(_field, _state, NULL, _version, _vmsd, _type)
#define VMSTATE_VSTRUCT_TEST(_field, _state, _test, _version, _vmsd, _type, _struct_version) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_VSTRUCT, vmstate_offset_value(_state, _field, _type), \
                  sizeof(_type), .struct_version_id = (_struct_version), .vmsd = &(_vmsd))
#define VMSTATE_VSTRUCT(_field, _state, _vmsd, _type, _struct_version) \
    VMSTATE_VSTRUCT_TEST(_field, _state, NULL, 0, _vmsd, _type, _struct_version)
#define VMSTATE_VSTRUCT_V(_field, _state, _version, _vmsd, _type, _struct_version) \
    VMSTATE_VSTRUCT_TEST(_field, _state, NULL, _version, _vmsd, _type, _struct_version)

/* Pointers to a struct. The size is the pointer's. */
#define VMSTATE_STRUCT_POINTER_TEST_V(_field, _state, _test, _version, _vmsd, _type) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_STRUCT | VMS_POINTER, \
                  vmstate_offset_pointer(_state, _field, _type), sizeof(_type *), .vmsd = &(_vmsd))
#define VMSTATE_STRUCT_POINTER_V(_field, _state, _version, _vmsd, _type) \
    VMSTATE_STRUCT_POINTER_TEST_V(_field, _state, NULL, _version, _vmsd, _type)
#define VMSTATE_STRUCT_POINTER_TEST(_field, _state, _test, _vmsd, _type) \
    VMSTATE_STRUCT_POINTER_TEST_V(_field, _state, _test, 0, _vmsd, _type)
#define VMSTATE_STRUCT_POINTER(_field, _state, _vmsd, _type) VMSTATE_STRUCT_POINTER_V(_field, _state, 0, _vmsd, _type)

/* Arrays of structs with constant length. */
#define VMSTATE_STRUCT_ARRAY_TEST(_field, _state, _num, _test, _version, _vmsd, _type) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_STRUCT | VMS_ARRAY, \
                  vmstate_offset_array(_state, _field, _type, _num), sizeof(_type), .num = (_num), .vmsd = &(_vmsd))
#define VMSTATE_STRUCT_ARRAY(_field, _state, _num, _version, _vmsd, _type) \
    VMSTATE_STRUCT_ARRAY_TEST(_field, _state, _num, NULL, _version, _vmsd, _type)
#define VMSTATE_STRUCT_2DARRAY_TEST(_field, _state, _n1, _n2, _test, _version, _vmsd, _type) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_STRUCT | VMS_ARRAY, \
                  vmstate_offset_2darray(_state, _field, _type, _n1, _n2), sizeof(_type), \
                  .num = (_n1) * (_n2), .vmsd = &(_vmsd))
#define VMSTATE_STRUCT_2DARRAY(_field, _state, _n1, _n2, _version, _vmsd, _type) \
    VMSTATE_STRUCT_2DARRAY_TEST(_field, _state, _n1, _n2, NULL, _version, _vmsd, _type)
#define VMSTATE_STRUCT_SUB_ARRAY(_field, _state, _start, _num, _version, _vmsd, _type) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_STRUCT | VMS_ARRAY, \
                  vmstate_offset_sub_array(_state, _field, _type, _start), sizeof(_type), \
                  .num = (_num), .vmsd = &(_vmsd))
#define VMSTATE_ARRAY_OF_POINTER_TO_STRUCT(_f, _s, _n, _v, _vmsd, _type) \
    VMSTATE_FIELD(stringify(_f), _v, NULL, VMS_ARRAY | VMS_STRUCT | VMS_ARRAY_OF_POINTER, \
                  vmstate_offset_array(_s, _f, _type *, _n), sizeof(_type *), .num = (_n), .vmsd = &(_vmsd))
#define VMSTATE_STRUCT_VARRAY_POINTER_KNOWN(_field, _state, _num, _version, _vmsd, _type) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_STRUCT | VMS_ARRAY | VMS_POINTER, \
                  offsetof(_state, _field), sizeof(_type), .num = (_num), .vmsd = &(_vmsd))

/* Arrays of structs whose length is the member _field_num; in place or behind a pointer. */
#define VMSTATE_STRUCT_VARRAY(_field, _state, _field_num, _num_type, _version, _vmsd, _type, _flags) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_STRUCT | (_flags), \
                  vmstate_offset_varray(_state, _field, _type), sizeof(_type), \
                  .num_offset = vmstate_offset_value(_state, _field_num, _num_type), .vmsd = &(_vmsd))
#define VMSTATE_STRUCT_VARRAY_POINTER(_field, _state, _field_num, _num_type, _version, _vmsd, _type, _flags) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_STRUCT | VMS_POINTER | (_flags), \
                  vmstate_offset_pointer(_state, _field, _type), sizeof(_type), \
                  .num_offset = vmstate_offset_value(_state, _field_num, _num_type), .vmsd = &(_vmsd))
#define VMSTATE_STRUCT_VARRAY_UINT8(_field, _state, _field_num, _version, _vmsd, _type) \
    VMSTATE_STRUCT_VARRAY(_field, _state, _field_num, uint8_t, _version, _vmsd, _type, VMS_VARRAY_UINT8)
#define VMSTATE_STRUCT_VARRAY_INT32(_field, _state, _field_num, _version, _vmsd, _type) \
    VMSTATE_STRUCT_VARRAY(_field, _state, _field_num, int32_t, _version, _vmsd, _type, VMS_VARRAY_INT32)
#define VMSTATE_STRUCT_VARRAY_UINT32(_field, _state, _field_num, _version, _vmsd, _type) \
    VMSTATE_STRUCT_VARRAY(_field, _state, _field_num, uint32_t, _version, _vmsd, _type, VMS_VARRAY_UINT32)
#define VMSTATE_STRUCT_VARRAY_POINTER_INT32(_field, _state, _field_num, _vmsd, _type) \
    VMSTATE_STRUCT_VARRAY_POINTER(_field, _state, _field_num, int32_t, 0, _vmsd, _type, VMS_VARRAY_INT32)
/* sic: INT32, as in QEMU. A count of 2^31 or more is negative. */
#define VMSTATE_STRUCT_VARRAY_POINTER_UINT32(_field, _state, _field_num, _vmsd, _type) \
    VMSTATE_STRUCT_VARRAY_POINTER(_field, _state, _field_num, uint32_t, 0, _vmsd, _type, VMS_VARRAY_INT32)
#define VMSTATE_STRUCT_VARRAY_POINTER_UINT16(_field, _state, _field_num, _vmsd, _type) \
    VMSTATE_STRUCT_VARRAY_POINTER(_field, _state, _field_num, uint16_t, 0, _vmsd, _type, VMS_VARRAY_UINT16)
#define VMSTATE_STRUCT_VARRAY_ALLOC(_field, _state, _field_num, _version, _vmsd, _type) \
    VMSTATE_STRUCT_VARRAY_POINTER(_field, _state, _field_num, int32_t, _version, _vmsd, _type, \
                                  VMS_VARRAY_INT32 | VMS_ALLOC)

/* Buffers: bytes [_start, _size) of a uint8_t array. UNSAFE: without a type check. */
#define VMSTATE_STATIC_BUFFER(_field, _state, _version, _test, _start, _size) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_BUFFER, vmstate_offset_buffer(_state, _field) + (_start), \
                  (_size) - (_start), .info = &vmstate_info_buffer)
#define VMSTATE_BUFFER_UNSAFE_INFO_TEST(_field, _state, _test, _version, _info, _size) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_BUFFER, offsetof(_state, _field), _size, .info = &(_info))
#define VMSTATE_BUFFER_UNSAFE_INFO(_field, _state, _version, _info, _size) \
    VMSTATE_BUFFER_UNSAFE_INFO_TEST(_field, _state, NULL, _version, _info, _size)
#define VMSTATE_BUFFER_UNSAFE(_field, _state, _version, _size) \
    VMSTATE_BUFFER_UNSAFE_INFO(_field, _state, _version, vmstate_info_buffer, _size)
#define VMSTATE_BUFFER_POINTER_UNSAFE(_field, _state, _version, _size) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, VMS_BUFFER | VMS_POINTER, offsetof(_state, _field), _size, \
                  .info = &vmstate_info_buffer)
#define VMSTATE_BUFFER_START_MIDDLE_V(_f, _s, _start, _v) \
    VMSTATE_STATIC_BUFFER(_f, _s, _v, NULL, _start, sizeof(typeof_field(_s, _f)))
#define VMSTATE_BUFFER_START_MIDDLE(_f, _s, _start) VMSTATE_BUFFER_START_MIDDLE_V(_f, _s, _start, 0)
#define VMSTATE_BUFFER_V(_f, _s, _v)                VMSTATE_BUFFER_START_MIDDLE_V(_f, _s, 0, _v)
#define VMSTATE_BUFFER(_f, _s)                      VMSTATE_BUFFER_V(_f, _s, 0)
#define VMSTATE_BUFFER_TEST(_f, _s, _test) \
    VMSTATE_STATIC_BUFFER(_f, _s, 0, _test, 0, sizeof(typeof_field(_s, _f)))
#define VMSTATE_PARTIAL_BUFFER(_f, _s, _size)       VMSTATE_STATIC_BUFFER(_f, _s, 0, NULL, 0, _size)

/* Buffers behind a pointer whose size is the member _field_size: in bytes, for bitmaps in bits. */
#define VMSTATE_VBUFFER_FULL(_field, _state, _version, _test, _field_size, _size_type, _info, _flags, _size) \
    VMSTATE_FIELD(stringify(_field), _version, _test, VMS_VBUFFER | VMS_POINTER | (_flags), \
                  offsetof(_state, _field), _size, .info = &(_info), \
                  .size_offset = vmstate_offset_value(_state, _field_size, _size_type))
#define VMSTATE_VBUFFER(_field, _state, _version, _test, _field_size) \
    VMSTATE_VBUFFER_FULL(_field, _state, _version, _test, _field_size, int32_t, vmstate_info_buffer, 0, 0)
#define VMSTATE_VBUFFER_UINT32(_field, _state, _version, _test, _field_size) \
    VMSTATE_VBUFFER_FULL(_field, _state, _version, _test, _field_size, uint32_t, vmstate_info_buffer, 0, 0)
#define VMSTATE_VBUFFER_ALLOC_UINT32(_field, _state, _version, _test, _field_size) \
    VMSTATE_VBUFFER_FULL(_field, _state, _version, _test, _field_size, uint32_t, vmstate_info_buffer, VMS_ALLOC, 0)
#define VMSTATE_VBUFFER_MULTIPLY(_field, _state, _version, _test, _field_size, _multiply) \
    VMSTATE_VBUFFER_FULL(_field, _state, _version, _test, _field_size, uint32_t, vmstate_info_buffer, VMS_MULTIPLY, \
                         _multiply)
#define VMSTATE_PARTIAL_VBUFFER(_f, _s, _size)        VMSTATE_VBUFFER(_f, _s, 0, NULL, _size)
#define VMSTATE_PARTIAL_VBUFFER_UINT32(_f, _s, _size) VMSTATE_VBUFFER_UINT32(_f, _s, 0, NULL, _size)
#define VMSTATE_BITMAP_TEST(_field, _state, _test, _version, _field_size) \
    VMSTATE_VBUFFER_FULL(_field, _state, _version, _test, _field_size, int32_t, vmstate_info_bitmap, 0, 0)
#define VMSTATE_BITMAP(_field, _state, _version, _field_size) \
    VMSTATE_BITMAP_TEST(_field, _state, NULL, _version, _field_size)

/* Unused bytes that replace removed fields. */
#define VMSTATE_UNUSED_BUFFER(_test, _version, _size) \
    VMSTATE_FIELD("unused", _version, _test, VMS_BUFFER, 0, _size, .info = &vmstate_info_unused_buffer)
#define VMSTATE_UNUSED_V(_v, _size)       VMSTATE_UNUSED_BUFFER(NULL, _v, _size)
#define VMSTATE_UNUSED(_size)             VMSTATE_UNUSED_V(0, _size)
#define VMSTATE_UNUSED_TEST(_test, _size) VMSTATE_UNUSED_BUFFER(_test, 0, _size)
#define VMSTATE_UNUSED_VARRAY_UINT32(_state, _test, _version, _field_num, _size) \
    VMSTATE_FIELD("unused", _version, _test, VMS_VARRAY_UINT32 | VMS_BUFFER, 0, _size, \
                  .num_offset = vmstate_offset_value(_state, _field_num, uint32_t), \
                  .info = &vmstate_info_unused_buffer)

/* A temporary struct that exists only during migration; its first member must be _state *parent. */
#define VMSTATE_WITH_TMP_TEST(_state, _test, _tmp_type, _vmsd) \
    VMSTATE_FIELD("tmp", 0, _test, 0, 0, \
                  sizeof(_tmp_type) + vmstate_offset_pointer(_tmp_type, parent, _state) + \
                  VMSTATE_REQUIRE(offsetof(_tmp_type, parent) == 0, stringify(_tmp_type) ".parent is not the first"), \
                  .vmsd = &(_vmsd), .info = &vmstate_info_tmp)
#define VMSTATE_WITH_TMP(_state, _tmp_type, _vmsd) VMSTATE_WITH_TMP_TEST(_state, NULL, _tmp_type, _vmsd)

/* Containers. _next: the list entry in an element. _vmsd of a tree: two descriptions, of the value and of the key. */
#define VMSTATE_CONTAINER(_field, _state, _version, _vmsd, _size, _start, _info) \
    VMSTATE_FIELD(stringify(_field), _version, NULL, 0, offsetof(_state, _field), _size, .start = (_start), \
                  .vmsd = (_vmsd), .info = &(_info))
#define VMSTATE_QTAILQ_V(_field, _state, _version, _vmsd, _type, _next) \
    VMSTATE_CONTAINER(_field, _state, _version, &(_vmsd), sizeof(_type), offsetof(_type, _next), vmstate_info_qtailq)
#define VMSTATE_QLIST_V(_field, _state, _version, _vmsd, _type, _next) \
    VMSTATE_CONTAINER(_field, _state, _version, &(_vmsd), sizeof(_type), offsetof(_type, _next), vmstate_info_qlist)
#define VMSTATE_GTREE_V(_field, _state, _version, _vmsd, _key_type, _val_type) \
    VMSTATE_CONTAINER(_field, _state, _version, _vmsd, sizeof(_val_type), sizeof(_key_type), vmstate_info_gtree)
#define VMSTATE_GTREE_DIRECT_KEY_V(_field, _state, _version, _vmsd, _val_type) \
    VMSTATE_CONTAINER(_field, _state, _version, _vmsd, sizeof(_val_type), 0, vmstate_info_gtree)

/* Scalars: unconditional, since a version (_V), conditional (_TEST), equal in source and destination (_EQUAL). */
#define VMSTATE_BOOL_V(_f, _s, _v)   VMSTATE_SINGLE(_f, _s, _v, vmstate_info_bool, bool)
#define VMSTATE_INT8_V(_f, _s, _v)   VMSTATE_SINGLE(_f, _s, _v, vmstate_info_int8, int8_t)
#define VMSTATE_INT16_V(_f, _s, _v)  VMSTATE_SINGLE(_f, _s, _v, vmstate_info_int16, int16_t)
#define VMSTATE_INT32_V(_f, _s, _v)  VMSTATE_SINGLE(_f, _s, _v, vmstate_info_int32, int32_t)
#define VMSTATE_INT64_V(_f, _s, _v)  VMSTATE_SINGLE(_f, _s, _v, vmstate_info_int64, int64_t)
#define VMSTATE_UINT8_V(_f, _s, _v)  VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT16_V(_f, _s, _v) VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint16, uint16_t)
#define VMSTATE_UINT32_V(_f, _s, _v) VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_V(_f, _s, _v) VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint64, uint64_t)
#define VMSTATE_FD_V(_f, _s, _v)     VMSTATE_SINGLE(_f, _s, _v, vmstate_info_fd, int32_t)
#define VMSTATE_TIMER_V(_f, _s, _v)  VMSTATE_SINGLE(_f, _s, _v, vmstate_info_timer, QEMUTimer)
#define VMSTATE_TIMER_PTR_V(_f, _s, _v) VMSTATE_POINTER(_f, _s, _v, vmstate_info_timer, QEMUTimer *)

#define VMSTATE_BOOL(_f, _s)      VMSTATE_BOOL_V(_f, _s, 0)
#define VMSTATE_INT8(_f, _s)      VMSTATE_INT8_V(_f, _s, 0)
#define VMSTATE_INT16(_f, _s)     VMSTATE_INT16_V(_f, _s, 0)
#define VMSTATE_INT32(_f, _s)     VMSTATE_INT32_V(_f, _s, 0)
#define VMSTATE_INT64(_f, _s)     VMSTATE_INT64_V(_f, _s, 0)
#define VMSTATE_UINT8(_f, _s)     VMSTATE_UINT8_V(_f, _s, 0)
#define VMSTATE_UINT16(_f, _s)    VMSTATE_UINT16_V(_f, _s, 0)
#define VMSTATE_UINT32(_f, _s)    VMSTATE_UINT32_V(_f, _s, 0)
#define VMSTATE_UINT64(_f, _s)    VMSTATE_UINT64_V(_f, _s, 0)
#define VMSTATE_FD(_f, _s)        VMSTATE_FD_V(_f, _s, 0)
#define VMSTATE_TIMER(_f, _s)     VMSTATE_TIMER_V(_f, _s, 0)
#define VMSTATE_TIMER_PTR(_f, _s) VMSTATE_TIMER_PTR_V(_f, _s, 0)

#define VMSTATE_BOOL_TEST(_f, _s, _t)     VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_bool, bool)
#define VMSTATE_INT8_TEST(_f, _s, _t)     VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_int8, int8_t)
#define VMSTATE_INT16_TEST(_f, _s, _t)    VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_int16, int16_t)
#define VMSTATE_INT32_TEST(_f, _s, _t)    VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_int32, int32_t)
#define VMSTATE_INT64_TEST(_f, _s, _t)    VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_int64, int64_t)
#define VMSTATE_UINT8_TEST(_f, _s, _t)    VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT16_TEST(_f, _s, _t)   VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_uint16, uint16_t)
#define VMSTATE_UINT32_TEST(_f, _s, _t)   VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_TEST(_f, _s, _t)   VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_uint64, uint64_t)
#define VMSTATE_FD_TEST(_f, _s, _t)       VMSTATE_SINGLE_TEST(_f, _s, _t, 0, vmstate_info_fd, int32_t)
#define VMSTATE_TIMER_TEST(_f, _s, _test) VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_timer, QEMUTimer)
#define VMSTATE_TIMER_PTR_TEST(_f, _s, _test) VMSTATE_POINTER_TEST(_f, _s, _test, vmstate_info_timer, QEMUTimer *)

#define VMSTATE_UINT8_EQUAL(_f, _s, _err_hint) \
    VMSTATE_SINGLE_FULL(_f, _s, NULL, 0, vmstate_info_uint8_equal, uint8_t, _err_hint)
#define VMSTATE_UINT16_EQUAL_V(_f, _s, _v, _err_hint) \
    VMSTATE_SINGLE_FULL(_f, _s, NULL, _v, vmstate_info_uint16_equal, uint16_t, _err_hint)
#define VMSTATE_UINT16_EQUAL(_f, _s, _err_hint) VMSTATE_UINT16_EQUAL_V(_f, _s, 0, _err_hint)
#define VMSTATE_INT32_EQUAL(_f, _s, _err_hint) \
    VMSTATE_SINGLE_FULL(_f, _s, NULL, 0, vmstate_info_int32_equal, int32_t, _err_hint)
#define VMSTATE_UINT32_EQUAL_V(_f, _s, _v, _err_hint) \
    VMSTATE_SINGLE_FULL(_f, _s, NULL, _v, vmstate_info_uint32_equal, uint32_t, _err_hint)
#define VMSTATE_UINT32_EQUAL(_f, _s, _err_hint) VMSTATE_UINT32_EQUAL_V(_f, _s, 0, _err_hint)
#define VMSTATE_UINT64_EQUAL_V(_f, _s, _v, _err_hint) \
    VMSTATE_SINGLE_FULL(_f, _s, NULL, _v, vmstate_info_uint64_equal, uint64_t, _err_hint)
#define VMSTATE_UINT64_EQUAL(_f, _s, _err_hint) VMSTATE_UINT64_EQUAL_V(_f, _s, 0, _err_hint)

/* Loading fails if the value is negative or exceeds the destination's current value. */
#define VMSTATE_INT32_POSITIVE_LE(_f, _s) VMSTATE_SINGLE(_f, _s, 0, vmstate_info_int32_le, int32_t)

/* Types of the Linux headers, which may differ from those of <stdint.h>. */
#ifdef __linux__
#define VMSTATE_U8_V(_f, _s, _v)  VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint8, __u8)
#define VMSTATE_U16_V(_f, _s, _v) VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint16, __u16)
#define VMSTATE_U32_V(_f, _s, _v) VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint32, __u32)
#define VMSTATE_U64_V(_f, _s, _v) VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint64, __u64)
#define VMSTATE_U8(_f, _s)        VMSTATE_U8_V(_f, _s, 0)
#define VMSTATE_U16(_f, _s)       VMSTATE_U16_V(_f, _s, 0)
#define VMSTATE_U32(_f, _s)       VMSTATE_U32_V(_f, _s, 0)
#define VMSTATE_U64(_f, _s)       VMSTATE_U64_V(_f, _s, 0)
#endif

/* Arrays of scalars. */
#define VMSTATE_BOOL_ARRAY_V(_f, _s, _n, _v)   VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_bool, bool)
#define VMSTATE_INT16_ARRAY_V(_f, _s, _n, _v)  VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_int16, int16_t)
#define VMSTATE_INT32_ARRAY_V(_f, _s, _n, _v)  VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_int32, int32_t)
#define VMSTATE_INT64_ARRAY_V(_f, _s, _n, _v)  VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_int64, int64_t)
#define VMSTATE_UINT8_ARRAY_V(_f, _s, _n, _v)  VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT16_ARRAY_V(_f, _s, _n, _v) VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_uint16, uint16_t)
#define VMSTATE_UINT32_ARRAY_V(_f, _s, _n, _v) VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_ARRAY_V(_f, _s, _n, _v) VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_uint64, uint64_t)
#define VMSTATE_CPUDOUBLE_ARRAY_V(_f, _s, _n, _v) VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_cpudouble, CPU_DoubleU)

#define VMSTATE_BOOL_ARRAY(_f, _s, _n)      VMSTATE_BOOL_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_INT16_ARRAY(_f, _s, _n)     VMSTATE_INT16_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_INT32_ARRAY(_f, _s, _n)     VMSTATE_INT32_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_INT64_ARRAY(_f, _s, _n)     VMSTATE_INT64_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_UINT8_ARRAY(_f, _s, _n)     VMSTATE_UINT8_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_UINT16_ARRAY(_f, _s, _n)    VMSTATE_UINT16_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_UINT32_ARRAY(_f, _s, _n)    VMSTATE_UINT32_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_UINT64_ARRAY(_f, _s, _n)    VMSTATE_UINT64_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_CPUDOUBLE_ARRAY(_f, _s, _n) VMSTATE_CPUDOUBLE_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_TIMER_ARRAY(_f, _s, _n)     VMSTATE_ARRAY(_f, _s, _n, 0, vmstate_info_timer, QEMUTimer)
#define VMSTATE_TIMER_PTR_ARRAY(_f, _s, _n) VMSTATE_ARRAY_OF_POINTER(_f, _s, _n, 0, vmstate_info_timer, QEMUTimer *)

#define VMSTATE_BOOL_SUB_ARRAY(_f, _s, _start, _num) \
    VMSTATE_SUB_ARRAY(_f, _s, _start, _num, 0, vmstate_info_bool, bool)
#define VMSTATE_UINT8_SUB_ARRAY(_f, _s, _start, _num) \
    VMSTATE_SUB_ARRAY(_f, _s, _start, _num, 0, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT16_SUB_ARRAY(_f, _s, _start, _num) \
    VMSTATE_SUB_ARRAY(_f, _s, _start, _num, 0, vmstate_info_uint16, uint16_t)
#define VMSTATE_UINT32_SUB_ARRAY(_f, _s, _start, _num) \
    VMSTATE_SUB_ARRAY(_f, _s, _start, _num, 0, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_SUB_ARRAY(_f, _s, _start, _num) \
    VMSTATE_SUB_ARRAY(_f, _s, _start, _num, 0, vmstate_info_uint64, uint64_t)

#define VMSTATE_UINT8_2DARRAY_V(_f, _s, _n1, _n2, _v) \
    VMSTATE_2DARRAY(_f, _s, _n1, _n2, _v, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT16_2DARRAY_V(_f, _s, _n1, _n2, _v) \
    VMSTATE_2DARRAY(_f, _s, _n1, _n2, _v, vmstate_info_uint16, uint16_t)
#define VMSTATE_UINT32_2DARRAY_V(_f, _s, _n1, _n2, _v) \
    VMSTATE_2DARRAY(_f, _s, _n1, _n2, _v, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_2DARRAY_V(_f, _s, _n1, _n2, _v) \
    VMSTATE_2DARRAY(_f, _s, _n1, _n2, _v, vmstate_info_uint64, uint64_t)
#define VMSTATE_UINT8_2DARRAY(_f, _s, _n1, _n2)  VMSTATE_UINT8_2DARRAY_V(_f, _s, _n1, _n2, 0)
#define VMSTATE_UINT16_2DARRAY(_f, _s, _n1, _n2) VMSTATE_UINT16_2DARRAY_V(_f, _s, _n1, _n2, 0)
#define VMSTATE_UINT32_2DARRAY(_f, _s, _n1, _n2) VMSTATE_UINT32_2DARRAY_V(_f, _s, _n1, _n2, 0)
#define VMSTATE_UINT64_2DARRAY(_f, _s, _n1, _n2) VMSTATE_UINT64_2DARRAY_V(_f, _s, _n1, _n2, 0)

#endif
