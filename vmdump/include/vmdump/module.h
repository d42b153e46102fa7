/*
 * QOM types and modules in C: what a device author needs to provide device types to vmdump in a shared object.
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
 * Types are written as in QEMU, with these differences: there are classes but never instances, so realize and the like
 * are never called; casts are not checked; and every module is one VMDUMP_MODULE() (without it, it does not link).
 *
 * A module is native code in vmdump's process. What it declares is checked, what it does is not: one that crashes takes
 * the process with it.
 *
 * How a module is loaded: the dynamic linker runs its constructors, in which type_init() queues functions. The host
 * looks for the stamp, whose name carries VMDUMP_ABI, and hands over its table of functions through it. It calls
 * vmdump_module_init(), and, when that returned 0, the queued functions in order. In the end it calls
 * vmdump_module_finish(), if there is one. A module that fails on this way is closed again and its types forgotten.
 *
 * Thread safety: types may be registered, and errors reported, only by functions that the host has called, and in the
 * thread in which it called them.
 *
 * Source: QEMU 8.2.2 include/qom/object.h, include/hw/qdev-core.h, include/qemu/module.h; class structs are laid out
 * as in 10.0. The table of functions is SQLite's way (sqlite3ext.h), init and finish are OpenSSL's
 * (crypto/conf/conf_mod.c).
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

/* Counts changes of anything below that would break a module that is compiled already. */
#define VMDUMP_ABI 1

typedef struct Error Error;
typedef struct Property Property;
typedef struct ObjectClass ObjectClass;
typedef struct Object Object;
typedef struct DeviceState DeviceState;

typedef struct TypeImpl {
    const char *name;
} *Type;

/* An array of these ends with one whose type is NULL. */
typedef struct InterfaceInfo {
    const char *type;
} InterfaceInfo;

typedef struct TypeInfo {
    const char *name;
    const char *parent;
    size_t instance_size;   /* in bytes; 0: the parent's */
    size_t instance_align;
    void (*instance_init)(Object *obj);
    void (*instance_post_init)(Object *obj);
    void (*instance_finalize)(Object *obj);
    bool abstract;
    size_t class_size;      /* in bytes; 0: the parent's */
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

/* vmdump takes over categories, fw_name, desc, user_creatable, hotpluggable, vmsd and bus_type. */
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
 * What the host does for a module. Valid while a function of the module runs that the host has called. Later versions
 * of vmdump may append members; size tells how many there are.
 */
struct vmdump_api {
    uint32_t size;      /* of the host's struct vmdump_api, in bytes */
    uint32_t version;   /* the host's VMDUMP_ABI */
    void *opaque;       /* the first argument of all functions */
    void (*type_register)(void *opaque, const TypeInfo *info);  /* copies info */
    void (*error)(void *opaque, const char *message);           /* copies message */
};

/* What the stamp returns. */
enum vmdump_bind {
    VMDUMP_BOUND = 0,
    VMDUMP_BIND_ABI = 1,    /* the host's table is another version's, or too small */
    VMDUMP_BIND_EARLY = 2,  /* the module registered a type or reported an error while no host had called it */
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

/* The beginning of a device's state struct; only its size matters (that of QEMU 10.0), as there are no instances. */
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

/* dc->categories is a bitmap: set_bit(DEVICE_CATEGORY_MISC, dc->categories). */
static inline void set_bit(long nr, unsigned long *bitmap)
{
    const long bits = 8 * (long)sizeof(*bitmap);

    bitmap[nr / bits] |= 1UL << (nr % bits);
}

/*
 * What is one a module, defined by VMDUMP_MODULE(). Hidden, so that no module ever sees another's, not even when their
 * symbols are shared; a thread has its own host, so that two sessions can use one module at the same time.
 */
struct vmdump_type_init {
    void (*function)(void);
    struct vmdump_type_init *next;
};

struct vmdump_dso {
    struct vmdump_type_init *first, **last; /* last: where the next one is put; NULL: nothing is queued */
    bool early;                             /* the host was needed, but there was none */
};

extern __attribute__((visibility("hidden"))) struct vmdump_dso vmdump_dso;
extern __attribute__((visibility("hidden"))) _Thread_local const struct vmdump_api *vmdump_host;

/* Registers a type. Only in a function given to type_init(), or in one called by it. */
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
 * Reports, as printf, why what the host has called fails: one line, UTF-8. The first error counts. Loading the module,
 * or initialising the class, ends with it.
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

/* Has a void function(void) called when the module is initialised: in the order of the file, and of the link. */
#define type_init(function) \
    __attribute__((constructor)) static void vmdump_queue_##function(void) \
    { \
        static struct vmdump_type_init type_init = { function, NULL }; \
        vmdump_queue(&type_init); \
    }

/* Registers all types of an array. */
#define DEFINE_TYPES(type_array) \
    static void vmdump_register_##type_array(void) \
    { \
        type_register_static_array(type_array, sizeof(type_array) / sizeof((type_array)[0])); \
    } \
    type_init(vmdump_register_##type_array)

/*
 * What the module provides and needs, as strings in the section ".vmdump.modinfo", where it is read without loading the
 * module: module_obj: a QOM type that it provides; module_arch: the only target architecture it is for; module_dep: a
 * module that is loaded before it, and whose exported symbols it may use; module_opts: a group of options that it adds.
 */
#define module_obj(name)  VMDUMP_MODINFO("obj=" name)
#define module_arch(name) VMDUMP_MODINFO("arch=" name)
#define module_dep(name)  VMDUMP_MODINFO("dep=" name)
#define module_opts(name) VMDUMP_MODINFO("opts=" name)

/* Nothing refers to the strings: they are kept from the optimiser, and where that works from ld --gc-sections. */
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
 * The entry points, of which the host knows the names. The stamp takes the host's table, or NULL when the host is done;
 * the dummy tells a module of another VMDUMP_ABI from a shared object that is no module at all.
 */
#define VMDUMP_EXPORT __attribute__((visibility("default")))
#define VMDUMP_STAMP  VMDUMP_GLUE(vmdump_stamp_, VMDUMP_ABI)

VMDUMP_EXPORT enum vmdump_bind VMDUMP_STAMP(const struct vmdump_api *api);
VMDUMP_EXPORT void vmdump_module_dummy(void);
VMDUMP_EXPORT void vmdump_module_call_init(void);

/* Yours, with VMDUMP_MODULE_CUSTOM_INIT(): 0, or another number if the module can't be used here. */
VMDUMP_EXPORT int vmdump_module_init(void);
/* Yours, if you define it: the module is about to be closed. Its classes are no longer used. */
VMDUMP_EXPORT void vmdump_module_finish(void);

/* In one file of the module, at file scope: makes it a module. */
#define VMDUMP_MODULE() \
    int vmdump_module_init(void) \
    { \
        return 0; \
    } \
    VMDUMP_MODULE_CUSTOM_INIT()

/* The same for a module with a vmdump_module_init() of its own. */
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
