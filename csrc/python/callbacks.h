/*
 * Callbacks that Python defines (cffi's extern "Python") for the core and for C modules, which receive them as function
 * pointers. A callback stores an exception of its Python code; the Python caller raises it after the C code returns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_CALLBACKS_H
#define VMD_CALLBACKS_H

#if 0 /* not C: cffi writes these functions */
/* cdef: begin */
extern "Python" int vmd_poll(void *opaque);                                         /* csrc/dump/sink.h */
extern "Python" int64_t vmd_savevm_read(void *opaque, uint64_t offset, char *buffer, uint64_t size);
extern "Python" int vmd_read_file(void *opaque, const char *path, const char **data, uint64_t *size);
extern "Python" uint64_t vmd_open_module(void *opaque, const char *path, int is_global, const uint64_t **constructors,
                                         uint64_t *n);
extern "Python" uint64_t vmd_module_symbol(void *opaque, uint64_t module, const char *name); /* csrc/guest/guest.h */
extern "Python" int vmd_is_directory(void *opaque, const char *path);
extern "Python" void vmd_module_type_register(void *opaque, const TypeInfo *info);  /* struct vmdump_api */
extern "Python" void vmd_module_error(void *opaque, const char *message);           /* struct vmdump_api */
/* cdef: end */
#endif

#endif
