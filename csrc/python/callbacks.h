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
extern "Python" void vmd_module_type_register(void *opaque, const TypeInfo *info);  /* struct vmdump_api */
extern "Python" void vmd_module_error(void *opaque, const char *message);           /* struct vmdump_api */
/* cdef: end */
#endif

#endif
