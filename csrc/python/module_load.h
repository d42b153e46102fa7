/*
 * Dynamic linker functions for the loader of C modules, declared instead of included because cffi reads declarations
 * only. Flags: Python's os.RTLD_*.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_MODULE_LOAD_H
#define VMD_MODULE_LOAD_H

/* cdef: begin */
void *dlopen(const char *file, int mode);
void *dlsym(void *handle, const char *name);
int dlclose(void *handle);
char *dlerror(void); /* per thread; NULL: no error since the last call */
/* cdef: end */

#endif
