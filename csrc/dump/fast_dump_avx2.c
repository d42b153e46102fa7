/*
 * The fast engine once more, for x86 CPUs whose registers hold a whole block: a fifth faster. dump.c chooses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdbool.h>
#include <string.h>

#include "dump/dump.h"
#include "format/pieces.h"

#ifdef VMD_HAS_AVX2
#pragma GCC target("avx2")
#define vmd_dump_fast vmd_dump_fast_avx2
#include "dump/fast_dump.c"
#endif
