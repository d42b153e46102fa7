/*
 * Numbers of macOS. See macos.h.
 *
 * Source: sys/errno.h and unistd.h of the macOS SDK.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch/macos.h"

#include <errno.h>
#include <unistd.h>

const struct vmd_number vmd_macos_errnos[] = {
    {EDEADLK, 11},
    {EAGAIN, 35},
    {EINPROGRESS, 36},
    {EALREADY, 37},
    {ENOTSOCK, 38},
    {EDESTADDRREQ, 39},
    {EMSGSIZE, 40},
    {EPROTOTYPE, 41},
    {ENOPROTOOPT, 42},
    {EPROTONOSUPPORT, 43},
    {ESOCKTNOSUPPORT, 44},
    {ENOTSUP, 45},
    {EPFNOSUPPORT, 46},
    {EAFNOSUPPORT, 47},
    {EADDRINUSE, 48},
    {EADDRNOTAVAIL, 49},
    {ENETDOWN, 50},
    {ENETUNREACH, 51},
    {ENETRESET, 52},
    {ECONNABORTED, 53},
    {ECONNRESET, 54},
    {ENOBUFS, 55},
    {EISCONN, 56},
    {ENOTCONN, 57},
    {ESHUTDOWN, 58},
    {ETOOMANYREFS, 59},
    {ETIMEDOUT, 60},
    {ECONNREFUSED, 61},
    {ELOOP, 62},
    {ENAMETOOLONG, 63},
    {EHOSTDOWN, 64},
    {EHOSTUNREACH, 65},
    {ENOTEMPTY, 66},
    {EUSERS, 68},
    {EDQUOT, 69},
    {ESTALE, 70},
    {EREMOTE, 71},
    {ENOLCK, 77},
    {ENOSYS, 78},
    {EOVERFLOW, 84},
    {ECANCELED, 89},
    {EIDRM, 90},
    {ENOMSG, 91},
    {EILSEQ, 92},
    {EBADMSG, 94},
    {EMULTIHOP, 95},
    {ENODATA, 96},
    {ENOLINK, 97},
    {ENOSR, 98},
    {ENOSTR, 99},
    {EPROTO, 100},
    {ETIME, 101},
    {EOWNERDEAD, 105},
    {ENOTRECOVERABLE, 104},
    {0, 0},
};

const struct vmd_number vmd_macos_sysconf_names[] = {
    {_SC_CLK_TCK, 3},           {_SC_OPEN_MAX, 5},          {_SC_PAGESIZE, 29},    {_SC_IOV_MAX, 56},
    {_SC_NPROCESSORS_CONF, 57}, {_SC_NPROCESSORS_ONLN, 58}, {_SC_PHYS_PAGES, 200}, {0, 0},
};
