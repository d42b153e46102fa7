/*
 * The dynamic linker, as the opener of C modules calls it. Declared here instead of included: cffi reads declarations
 * only. The flags are Python's os.RTLD_*.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VMD_MODULE_LOAD_H
#define VMD_MODULE_LOAD_H

/* cdef: begin */
void *dlopen(const char *file, int mode);
void *dlsym(void *handle, const char *name);
int dlclose(void *handle);
char *dlerror(void); /* of the calling thread; NULL: no error since the last call */
/* cdef: end */

#endif
