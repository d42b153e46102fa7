/*
 * The control block of threads on Windows, and numbers of its C runtime. See windows.h.
 *
 * Source: winnt.h NT_TIB, winternl.h TEB; errno.h of the Universal CRT.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/arch/windows.h"

#include "guest/internal.h"

#include <errno.h>

enum {
    TEB_STACK_BASE = 0x08,
    TEB_STACK_LIMIT = 0x10,
    TEB_SELF = 0x30,
    TEB_THREAD_LOCAL = 0x58, /* array of the blocks of each module; the main binary is number 0 */
    TEB_PEB = 0x60,
    BLOCKS = WINDOWS_TEB_SIZE - 16, /* that array */
    PEB = 0x1a00,                   /* of which nothing is known */
};

void vmd_windows_init_thread(struct vmd_guest *guest, uint64_t thread)
{
    vmd_guest_store_u64(guest, thread + TEB_STACK_BASE, guest->stack);
    vmd_guest_store_u64(guest, thread + TEB_STACK_LIMIT, guest->base);
    vmd_guest_store_u64(guest, thread + TEB_SELF, thread);
    vmd_guest_store_u64(guest, thread + TEB_THREAD_LOCAL, thread + BLOCKS);
    vmd_guest_store_u64(guest, thread + TEB_PEB, thread + PEB);
    vmd_guest_store_u64(guest, thread + BLOCKS, vmd_guest_tls_at(guest, thread));
}

/* EAGAIN has one number, which sockets do not use. */
const struct vmd_number vmd_windows_errnos[] = {
    {EDEADLK, 36},       {ENAMETOOLONG, 38},  {ENOLCK, 39},         {ENOSYS, 40},           {ENOTEMPTY, 41},
    {EILSEQ, 42},        {EADDRINUSE, 100},   {EADDRNOTAVAIL, 101}, {EAFNOSUPPORT, 102},    {EALREADY, 103},
    {EBADMSG, 104},      {ECANCELED, 105},    {ECONNABORTED, 106},  {ECONNREFUSED, 107},    {ECONNRESET, 108},
    {EDESTADDRREQ, 109}, {EHOSTUNREACH, 110}, {EIDRM, 111},         {EINPROGRESS, 112},     {EISCONN, 113},
    {ELOOP, 114},        {EMSGSIZE, 115},     {ENETDOWN, 116},      {ENETRESET, 117},       {ENETUNREACH, 118},
    {ENOBUFS, 119},      {ENODATA, 120},      {ENOLINK, 121},       {ENOMSG, 122},          {ENOPROTOOPT, 123},
    {ENOSR, 124},        {ENOSTR, 125},       {ENOTCONN, 126},      {ENOTRECOVERABLE, 127}, {ENOTSOCK, 128},
    {ENOTSUP, 129},      {EOVERFLOW, 132},    {EOWNERDEAD, 133},    {EPROTO, 134},          {EPROTONOSUPPORT, 135},
    {EPROTOTYPE, 136},   {ETIME, 137},        {ETIMEDOUT, 138},     {ETXTBSY, 139},         {0, 0},
};
