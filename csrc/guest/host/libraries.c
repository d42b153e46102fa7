/*
 * Other libraries, as far as starting a machine asks them anything: GnuTLS, GLib's checksums, JACK.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

/* gnutls_rnd(level, to, size): zeros, as all that is random */
static uint64_t host_gnutls_rnd(struct vmd_host_call *call)
{
    char *to = ARG(2) ? vmd_guest_at(call->guest, ARG(1), ARG(2)) : NULL;

    if (to) {
        memset(to, 0, ARG(2));
    }
    return 0;
}

/* Lists of algorithms that end in 0: there are none. */
static uint64_t host_empty_list(struct vmd_host_call *call)
{
    return vmd_host_allocate(call->guest, 16);
}

/* Bytes of a checksum. Source: GLib gchecksum.h GChecksumType. */
static uint64_t host_g_checksum_type_get_length(struct vmd_host_call *call)
{
    static const uint8_t sizes[] = {16, 20, 32, 64, 48};

    return ARG_UINT(0) < sizeof(sizes) ? sizes[ARG_UINT(0)] : (uint64_t)-1;
}

VMD_SERVE({"jack_set_error_function", vmd_host_zero}, {"jack_set_info_function", vmd_host_zero},
          {"jack_set_thread_creator", vmd_host_zero}, {"gnutls_global_init", vmd_host_zero},
          {"gnutls_rnd", host_gnutls_rnd}, {"gnutls_digest_list", host_empty_list},
          {"gnutls_cipher_list", host_empty_list}, {"gnutls_mac_list", host_empty_list},
          {"g_checksum_type_get_length", host_g_checksum_type_get_length})
