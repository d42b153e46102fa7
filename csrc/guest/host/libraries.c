/*
 * Other libraries, as far as the start of a machine calls them: GnuTLS, GLib's checksums, JACK.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest/internal.h"

/* gnutls_rnd(level, to, size): zeros, as all that is random */
static uint64_t host_gnutls_rnd(struct vmd_host_call *call)
{
    char *to = call->args[2] ? vmd_guest_at(call->guest, call->args[1], call->args[2]) : NULL;

    if (to) {
        memset(to, 0, call->args[2]);
    }
    return 0;
}

/*
 * The digests that GnuTLS offers, up to GNUTLS_DIG_UNKNOWN, 0: QEMU defines the properties of a device that needs one
 * (eMMC's RPMB partition) only if it is offered. These are all that QEMU looks up. Source: GnuTLS 3.7
 * includes/gnutls/gnutls.h.in gnutls_digest_algorithm_t, QEMU 10.2 crypto/hmac-gnutls.c.
 */
static uint64_t host_gnutls_digest_list(struct vmd_host_call *call)
{
    enum { MD5 = 2, SHA1 = 3, RMD160 = 4, SHA256 = 6, SHA384 = 7, SHA512 = 8, SHA224 = 9 };
    static const uint32_t digests[] = {SHA256, SHA384, SHA512, SHA224, SHA1, MD5, RMD160, 0};
    uint64_t list = vmd_host_allocate(call->guest, sizeof(digests));

    for (size_t i = 0; list && i < sizeof(digests) / sizeof(*digests); i++) {
        vmd_guest_store_u32(call->guest, list + 4 * i, digests[i]);
    }
    return list;
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

    return (uint32_t)call->args[0] < sizeof(sizes) ? sizes[(uint32_t)call->args[0]] : (uint64_t)-1;
}

VMD_SERVE({"jack_set_error_function", vmd_host_zero}, {"jack_set_info_function", vmd_host_zero},
          {"jack_set_thread_creator", vmd_host_zero}, {"gnutls_global_init", vmd_host_zero},
          {"ssh_init", vmd_host_zero}, {"gnutls_rnd", host_gnutls_rnd}, {"gnutls_digest_list", host_gnutls_digest_list},
          {"gnutls_cipher_list", host_empty_list}, {"gnutls_mac_list", host_empty_list},
          {"g_checksum_type_get_length", host_g_checksum_type_get_length})
