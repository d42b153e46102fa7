/*
 * QOM types and modules in C: provide device types to vmdump in a shared object.
 *
 *     static void clock_class_init(ObjectClass *klass, void *data)
 *     {
 *         DEVICE_CLASS(klass)->vmsd = &vmstate_clock;
 *     }
 *     static const TypeInfo clock_info = { .name = "clock", .parent = TYPE_DEVICE, .class_init = clock_class_init };
 *     static void clock_register_types(void) { type_register_static(&clock_info); }
 *     type_init(clock_register_types)
 *     module_obj("clock");
 *     VMDUMP_MODULE();
 *
 * Types are written as in QEMU, with these differences: classes are never instantiated, so instance_init, realize etc.
 * are never called; casts are not checked; every module contains one VMDUMP_MODULE(), without which it does not link.
 *
 * A module is native code in vmdump's process. vmdump validates what it declares and returns, but a module that crashes
 * terminates the process.
 *
 * Loading a module: the dynamic linker runs its constructors, in which type_init() queues functions. The host looks up
 * the stamp, a function whose name contains VMDUMP_ABI, and passes it a table of host functions. It calls
 * vmdump_module_init() and, if that returns 0, the queued functions in order. Before closing the module it calls
 * vmdump_module_finish(), if defined. If loading fails, the module is closed and its types are unregistered.
 *
 * Thread safety: register types and report errors only in functions called by the host, on the thread that called them.
 *
 * Source: QEMU 8.2.2 include/qom/object.h, include/hw/qdev-core.h, include/qemu/module.h; class structs have the layout
 * of 10.0. The function table follows SQLite (sqlite3ext.h), init and finish follow OpenSSL (crypto/conf/conf_mod.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMDUMP_MODULE_H
#define VMDUMP_MODULE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <vmdump/vmstate.h>

/* cdef: begin */

/* Version of the ABI; incremented by changes below that break compiled modules. */
#define VMDUMP_ABI 1

typedef struct Error Error;
typedef struct Property Property;
typedef struct ObjectClass ObjectClass;
typedef struct Object Object;
typedef struct DeviceState DeviceState;

typedef struct TypeImpl {
    const char *name;
} *Type;

/* Arrays end with an element whose type is NULL. */
typedef struct InterfaceInfo {
    const char *type;
} InterfaceInfo;

typedef struct TypeInfo {
    const char *name;
    const char *parent;
    size_t instance_size;   /* bytes; 0: the parent's */
    size_t instance_align;
    void (*instance_init)(Object *obj);
    void (*instance_post_init)(Object *obj);
    void (*instance_finalize)(Object *obj);
    bool abstract;
    size_t class_size;      /* bytes; 0: the parent's */
    void (*class_init)(ObjectClass *klass, void *data);
    void (*class_base_init)(ObjectClass *klass, void *data);
    void *class_data;
    const InterfaceInfo *interfaces;
} TypeInfo;

struct ObjectClass {
    Type type;
    void *interfaces;
    const char *object_cast_cache[4];
    const char *class_cast_cache[4];
    void (*unparent)(Object *obj);
    void *properties;
};

typedef struct InterfaceClass {
    ObjectClass parent_class;
    Type interface_type;
} InterfaceClass;

/* vmdump reads categories, fw_name, desc, user_creatable, hotpluggable, vmsd and bus_type, and ignores the rest. */
typedef struct DeviceClass {
    ObjectClass parent_class;
    unsigned long categories[1];
    const char *fw_name;
    const char *desc;
    const Property *props_;
    uint16_t props_count_;
    bool user_creatable;
    bool hotpluggable;
    void (*legacy_reset)(DeviceState *dev);
    void (*realize)(DeviceState *dev, Error **errp);
    void (*unrealize)(DeviceState *dev);
    int (*sync_config)(DeviceState *dev, Error **errp);
    const VMStateDescription *vmsd;
    const char *bus_type;
} DeviceClass;

/*
 * Host functions for modules. Valid while a module function called by the host is running. Later versions of vmdump may
 * append members; check size before using one.
 */
struct vmdump_api {
    uint32_t size;      /* bytes of the host's struct vmdump_api */
    uint32_t version;   /* the host's VMDUMP_ABI */
    void *opaque;       /* first argument of all functions */
    void (*type_register)(void *opaque, const TypeInfo *info);  /* copies info */
    void (*error)(void *opaque, const char *message);           /* copies message */
};

/* Results of the stamp. */
enum vmdump_bind {
    VMDUMP_BOUND = 0,
    VMDUMP_BIND_ABI = 1,    /* the host's table has another version or is too small */
    VMDUMP_BIND_EARLY = 2,  /* the module used host functions outside of a call by the host */
};
/* cdef: end */

#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(TypeInfo) == 104, "the layout of QEMU's TypeInfo");
_Static_assert(sizeof(ObjectClass) == 96, "the layout of QEMU's ObjectClass");
_Static_assert(sizeof(InterfaceClass) == 104, "the layout of QEMU's InterfaceClass");
_Static_assert(sizeof(DeviceClass) == 184 && offsetof(DeviceClass, vmsd) == 168, "the layout of QEMU's DeviceClass");
#endif

#define TYPE_OBJECT    "object"
#define TYPE_INTERFACE "interface"
#define TYPE_DEVICE    "device"
#define TYPE_BUS       "bus"

/* First member of a device's state struct. Only the size is meaningful (that of QEMU 10.0): there are no instances. */
struct Object {
    void *private_[5];
};

struct DeviceState {
    Object parent_obj;
    void *private_[14];
};

typedef enum DeviceCategory {
    DEVICE_CATEGORY_BRIDGE,
    DEVICE_CATEGORY_USB,
    DEVICE_CATEGORY_STORAGE,
    DEVICE_CATEGORY_NETWORK,
    DEVICE_CATEGORY_INPUT,
    DEVICE_CATEGORY_DISPLAY,
    DEVICE_CATEGORY_SOUND,
    DEVICE_CATEGORY_MISC,
    DEVICE_CATEGORY_CPU,
    DEVICE_CATEGORY_WATCHDOG,
    DEVICE_CATEGORY_MAX
} DeviceCategory;

#define OBJECT_CLASS(klass) ((ObjectClass *)(klass))
#define DEVICE_CLASS(klass) ((DeviceClass *)(klass))

static inline const char *object_class_get_name(const ObjectClass *klass)
{
    return klass->type->name;
}

/* Set a bit of a bitmap: set_bit(DEVICE_CATEGORY_MISC, dc->categories). */
static inline void set_bit(long nr, unsigned long *bitmap)
{
    const long bits = 8 * (long)sizeof(*bitmap);

    bitmap[nr / bits] |= 1UL << (nr % bits);
}

/*
 * Per-module state, defined by VMDUMP_MODULE(). It has hidden visibility, so that modules whose symbols are shared
 * (RTLD_GLOBAL) do not share it. The host pointer is thread-local, so that two sessions can use a module concurrently.
 */
struct vmdump_type_init {
    void (*function)(void);
    struct vmdump_type_init *next;
};

struct vmdump_dso {
    struct vmdump_type_init *first, **last; /* last: where to append; NULL: the queue is empty */
    bool early;                             /* a host function was needed without a host */
};

extern __attribute__((visibility("hidden"))) struct vmdump_dso vmdump_dso;
extern __attribute__((visibility("hidden"))) _Thread_local const struct vmdump_api *vmdump_host;

/* Register a type. Call it only from functions passed to type_init() and their callees. */
static inline void type_register(const TypeInfo *info)
{
    if (vmdump_host) {
        vmdump_host->type_register(vmdump_host->opaque, info);
    } else {
        vmdump_dso.early = true;
    }
}

static inline void type_register_static(const TypeInfo *info)
{
    type_register(info);
}

static inline void type_register_static_array(const TypeInfo *infos, int nr_infos)
{
    for (int i = 0; i < nr_infos; i++) {
        type_register(&infos[i]);
    }
}

/*
 * Report an error, formatted as by printf: one line, UTF-8, at most 511 bytes. The first error of a call by the host is
 * reported; loading the module or initializing the class then fails.
 */
__attribute__((format(printf, 1, 2))) static inline void vmdump_error(const char *format, ...)
{
    char message[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (vmdump_host) {
        vmdump_host->error(vmdump_host->opaque, message);
    } else {
        vmdump_dso.early = true;
    }
}

static inline void vmdump_queue(struct vmdump_type_init *type_init)
{
    *(vmdump_dso.last ? vmdump_dso.last : &vmdump_dso.first) = type_init;
    vmdump_dso.last = &type_init->next;
}

#define VMDUMP_GLUE(_a, _b)  VMDUMP_GLUE_(_a, _b)
#define VMDUMP_GLUE_(_a, _b) _a##_b

/* Call a void function(void) when the module is initialized, in the order of definition and link order. */
#define type_init(function) \
    __attribute__((constructor)) static void vmdump_queue_##function(void) \
    { \
        static struct vmdump_type_init type_init = { function, NULL }; \
        vmdump_queue(&type_init); \
    }

/* Register all types of an array. */
#define DEFINE_TYPES(type_array) \
    static void vmdump_register_##type_array(void) \
    { \
        type_register_static_array(type_array, sizeof(type_array) / sizeof((type_array)[0])); \
    } \
    type_init(vmdump_register_##type_array)

/*
 * Module metadata: strings in the section ".vmdump.modinfo", which vmdump reads without loading the module.
 *
 * module_obj: a QOM type that the module provides; module_arch: the only target architecture that it supports;
 * module_dep: a module to load first, whose exported symbols this one may use; module_opts: a QemuOpts group it adds.
 */
#define module_obj(name)  VMDUMP_MODINFO("obj=" name)
#define module_arch(name) VMDUMP_MODINFO("arch=" name)
#define module_dep(name)  VMDUMP_MODINFO("dep=" name)
#define module_opts(name) VMDUMP_MODINFO("opts=" name)

/* Nothing refers to the strings: protect them from the optimizer and, where supported, from ld --gc-sections. */
#if __has_attribute(retain)
#define VMDUMP_RETAIN retain,
#else
#define VMDUMP_RETAIN
#endif
#if __has_attribute(no_reorder)
#define VMDUMP_IN_ORDER no_reorder,     /* gcc; clang keeps the order anyway */
#else
#define VMDUMP_IN_ORDER
#endif
#define VMDUMP_MODINFO(_text) \
    static const char VMDUMP_GLUE(vmdump_modinfo_, __COUNTER__)[] \
    __attribute__((section(".vmdump.modinfo"), aligned(1), VMDUMP_IN_ORDER VMDUMP_RETAIN used)) = _text

/*
 * Entry points, looked up by name. The host passes its table to the stamp before, and NULL after each call into the
 * module. The dummy distinguishes a module of another VMDUMP_ABI from a shared object that is not a module.
 */
#define VMDUMP_EXPORT __attribute__((visibility("default")))
#define VMDUMP_STAMP  VMDUMP_GLUE(vmdump_stamp_, VMDUMP_ABI)

VMDUMP_EXPORT enum vmdump_bind VMDUMP_STAMP(const struct vmdump_api *api);
VMDUMP_EXPORT void vmdump_module_dummy(void);
VMDUMP_EXPORT void vmdump_module_call_init(void);

/* Defined by the module if it uses VMDUMP_MODULE_CUSTOM_INIT(). Returns 0 on success; otherwise loading fails. */
VMDUMP_EXPORT int vmdump_module_init(void);
/* Optional, defined by the module: called before the module is closed. Its classes are no longer used. */
VMDUMP_EXPORT void vmdump_module_finish(void);

/* Write this at file scope in one file of the module. */
#define VMDUMP_MODULE() \
    int vmdump_module_init(void) \
    { \
        return 0; \
    } \
    VMDUMP_MODULE_CUSTOM_INIT()

/* The same for modules that define vmdump_module_init(). */
#define VMDUMP_MODULE_CUSTOM_INIT() \
    VMDUMP_MODINFO("abi=" stringify(VMDUMP_ABI)); \
    struct vmdump_dso vmdump_dso; \
    _Thread_local const struct vmdump_api *vmdump_host; \
    enum vmdump_bind VMDUMP_STAMP(const struct vmdump_api *api) \
    { \
        if (api && (api->size < sizeof(*api) || api->version != VMDUMP_ABI)) { \
            return VMDUMP_BIND_ABI; \
        } \
        if (vmdump_dso.early) { \
            return VMDUMP_BIND_EARLY; \
        } \
        vmdump_host = api; \
        return VMDUMP_BOUND; \
    } \
    void vmdump_module_dummy(void) \
    { \
    } \
    void vmdump_module_call_init(void) \
    { \
        for (struct vmdump_type_init *type_init = vmdump_dso.first; type_init; type_init = type_init->next) { \
            type_init->function(); \
        } \
    } \
    extern int vmdump_module_init(void)

#endif
